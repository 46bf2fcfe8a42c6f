//! The one place that reads the wall clock.

use chrono::{DateTime, Utc};

/// The time of this machine. Only for what people read and for schedules: whether a row has
/// expired, and whether a lease still holds, is decided by the database's clock.
#[expect(clippy::disallowed_methods, reason = "this is the home of the wall clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
