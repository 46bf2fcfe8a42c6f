//! From slot to history: lease, run, report, metrics.

mod heartbeat;
mod keeper;
mod run;
mod settings;
mod status;

pub use heartbeat::Heartbeat;
pub use run::{Ran, Runner};
pub use settings::{HistorySettings, LeaseSettings};
pub use status::{BackendStatus, Board, JobStatus, Status};
