//! Whether the scheduler loop is turning.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The last time the scheduler loop came round. Nothing else may feed it: a process that answers
/// but no longer schedules is dead.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Mutex<Instant>>);

impl Heartbeat {
    /// The loop comes round at least this often, whatever is due.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// A loop that is about to turn.
    #[expect(clippy::new_without_default, reason = "it reads the clock")]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// The loop came round.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}
