//! From slot to history: lease, run, report, metrics.

mod heartbeat;
mod keeper;
mod run;
mod scheduler;
mod settings;
mod status;

pub use heartbeat::Heartbeat;
pub use run::{Ran, Runner, Running};
pub use scheduler::{Scheduled, Scheduler};
pub use settings::{HistorySettings, LeaseSettings};
pub use status::{BackendStatus, Board, JobStatus, Status};
