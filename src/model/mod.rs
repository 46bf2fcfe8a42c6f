//! What is stored and how it is named: no input or output here.

mod backend;
pub mod canonical;
pub mod clock;
pub mod digest;
pub mod expected;
mod inherited;
mod item;
pub mod json;
pub mod layout;
pub mod limits;
mod lookup;
mod record;
pub mod row;
pub mod schema;
mod secret;
pub mod setting;
mod table;
pub mod wire;

pub use backend::BackendKind;
pub use inherited::OURS_ALONE;
pub use item::{AttributeValue, Item};
pub use lookup::Indexing;
pub use record::{Record, Source, Unreadable};
pub use row::Row;
pub use secret::Secret;
pub use table::Table;
