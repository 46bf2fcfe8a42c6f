//! What it means to do something long: it can be asked to stop, it shows how far it is, and it
//! ends in a report.

mod backups;
mod defect;
mod diffs;
mod findings;
mod health;
mod progress;
mod report;
mod run;
mod slot;
mod stop;

pub use backups::{Backups, Drilled, Pruning};
pub use defect::{Defect, Severity};
pub use diffs::{Diffs, LeftAlone, LostDiffs};
pub use findings::{Finding, Findings};
pub use health::{Health, IndexFigures, RepairOutcome, Repaired, Steady};
pub use progress::{Position, Progress, Rest};
pub use report::{Limits, Report};
pub use run::{Outcome, Run, Trigger};
pub use slot::{Fate, Passed, PassedSlots, Reason};
pub use stop::{Stop, StopReason};
