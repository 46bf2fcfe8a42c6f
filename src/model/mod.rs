//! What is stored and how it is named: no input or output here.

mod backend;
pub mod clock;
pub mod schema;
mod secret;
pub mod setting;

pub use backend::BackendKind;
pub use secret::Secret;
