//! Where a deployment is stored, behind small traits that each backend implements.

mod error;
mod leases;
pub mod postgres;
mod runs;
mod settings;
mod sweep;

pub use error::{Error, ErrorKind, Result};
pub use leases::{Claim, Claimed, Fence, Lease, Leases};
pub use runs::{Finish, Runs};
pub use settings::Settings;
pub use sweep::{Backlog, Batch, Candidate, Cursor, Expired, Page, Sweep};
