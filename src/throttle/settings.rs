//! The table `[throttle]`.

use serde::{Deserialize, Serialize};

use crate::model::setting::{Problem, Span};

/// When a writer slows down, whatever its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a batch may take. Above it batches shrink, well below it they grow.
    pub batch_latency: Span,
    /// How long to rest after a batch that kept somebody else waiting for a lock.
    pub lock_wait: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch_latency: Span::millis(25), lock_wait: Span::millis(100) }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.batch_latency.0.is_zero() {
            problems.push(Problem::new(
                "batch_latency",
                "is zero, which no batch can keep: write how long a batch may take, as in \"25ms\"",
            ));
        }
        problems
    }
}
