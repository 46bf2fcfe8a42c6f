//! From slot to history: lease, run, report, metrics.

mod attempt;
mod clock;
mod clocks;
mod due;
mod heartbeat;
mod keeper;
mod run;
mod scheduler;
mod settings;
mod status;
mod told;

pub use clocks::Clocks;
pub use heartbeat::{Beats, Heartbeat};
pub use run::{Ran, Runner, Running, Start};
pub use scheduler::{Scheduled, Scheduler};
pub use settings::{ClockSettings, HistorySettings, LeaseSettings};
pub use status::{BackendStatus, BackupStatus, Board, HealthStatus, JobStatus, Status, place_of};
pub use told::Told;
