//! From the text of a schedule to the instants at which a job is due.

#[cfg(test)]
mod any;
mod bell;
mod cron;
mod settings;
mod slots;
mod spec;
mod splay;
mod stretch;
mod window;

pub use bell::{Bell, BellError};
pub use settings::{CatchUp, Settings};
pub use spec::{ParseError, Schedule};
pub use splay::splay;
pub use stretch::Stretch;
pub use window::Window;
