//! From the text of a schedule to the instants at which a job is due.

mod bell;
mod cron;
mod settings;
mod slots;
mod spec;

pub use bell::{Bell, BellError};
pub use settings::Settings;
pub use spec::{ParseError, Schedule};
