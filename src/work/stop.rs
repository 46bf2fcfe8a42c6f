//! The one question that long work asks: shall I stop?

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Why work is asked to stop before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The process is shutting down.
    Shutdown,
    /// The job's `deadline` has passed.
    Deadline,
    /// The lease was lost, or could not be renewed in time.
    LeaseLost,
    /// Somebody has paused the job.
    Paused,
    /// The hours in which the job may run are over.
    Window,
    /// The store, or who else uses it, suffered too much, or for too long.
    Pressure,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "the process is shutting down",
            Self::Deadline => "the deadline has passed",
            Self::LeaseLost => "the lease was lost",
            Self::Paused => "the job was paused",
            Self::Window => "the job's window has closed",
            Self::Pressure => "the store was under pressure",
        })
    }
}

/// A request to stop, shared between whoever works and whoever may end the work. The first reason
/// given stays. Work looks at it between batches, so that nothing is dropped half way.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    reason: Arc<OnceLock<StopReason>>,
    why: Arc<OnceLock<String>>,
    token: CancellationToken,
}

impl Stop {
    /// A request that nobody has made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop.
    pub fn request(&self, reason: StopReason) {
        let _first_reason_stays = self.reason.set(reason);
        self.token.cancel();
    }

    /// Asks the work to stop, and says in words what made it necessary.
    pub fn request_because(&self, reason: StopReason, why: String) {
        if self.reason.set(reason).is_ok() {
            let _first_reason_stays = self.why.set(why);
        }
        self.token.cancel();
    }

    /// What made it necessary, if whoever asked has said so.
    pub fn why(&self) -> Option<String> {
        self.why.get().cloned()
    }

    /// Why the work shall stop, if it shall.
    pub fn requested(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    /// Waits until somebody asks the work to stop.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Sleeps for `duration`, or until somebody asks the work to stop.
    pub async fn sleep(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.wait() => {}
        }
    }
}
