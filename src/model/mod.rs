//! What is stored and how it is named: no input or output here.

mod backend;
pub mod clock;
mod inherited;
pub mod schema;
mod secret;
pub mod setting;

pub use backend::BackendKind;
pub use inherited::OURS_ALONE;
pub use secret::Secret;
