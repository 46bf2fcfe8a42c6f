//! Where a deployment is stored, behind small traits that each backend implements.

mod error;
mod leases;
pub mod postgres;
mod runs;
mod settings;
mod slots;
mod sweep;

pub use error::{Error, ErrorKind, Result};
pub use leases::{Claim, Claimed, Due, Fence, Lease, Leases, Renewal, Won};
pub use runs::{Finish, Runs, SlotAfter};
pub use settings::Settings;
pub use slots::{Conclusion, Held, OpenSlot, Paused, Slots, Standing};
pub use sweep::{Backlog, Batch, Candidate, Cursor, Cutoff, Expired, Page, Sweep};
