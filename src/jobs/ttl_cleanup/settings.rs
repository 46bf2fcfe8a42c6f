//! The table `[jobs.ttl_cleanup]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::BackendKind;
use crate::model::setting::{self, Bounded, Problem, Span};

/// When expired attributes are deleted, which, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the schedule starts it. By hand it can always be started.
    #[serde(deserialize_with = "setting::flag")]
    pub enabled: bool,
    /// The backends on which it does: DynamoDB can expire rows by itself, at no cost.
    #[serde(deserialize_with = "setting::list")]
    pub backends: Vec<String>,
    /// When it runs.
    pub schedule: String,
    /// The hours when it may run; none for any time.
    pub window: Option<String>,
    /// How long a run may take before it stops at a batch boundary; the next one goes on.
    pub deadline: Span,
    /// How often a run that failed is tried again for the same slot.
    pub retries: Bounded<0, 100>,
    /// Rows in a batch at most. Batches shrink when the database is busy and grow back.
    pub batch_size: Bounded<1, 100_000>,
    /// Rows deleted per second at most, over all workers; 0 for no limit.
    pub max_rows_per_second: Bounded<0, 1_000_000_000>,
    /// Connections that delete at the same time.
    pub workers: Bounded<1, 16>,
    /// The buckets to clean, by their exact names; none for all of them.
    #[serde(deserialize_with = "setting::list")]
    pub buckets: Vec<String>,
    /// How much longer than its TTL a row is kept. The TTL already holds the library's hour of
    /// allowance for clocks that disagree.
    pub grace: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            backends: vec![BackendKind::Postgresql.name().to_owned()],
            schedule: "every 15m".to_owned(),
            window: None,
            deadline: Span::secs(60 * 60),
            retries: Bounded::new(3),
            batch_size: Bounded::new(2000),
            max_rows_per_second: Bounded::new(0),
            workers: Bounded::new(1),
            buckets: Vec::new(),
            grace: Span::secs(0),
        }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.deadline.0 < Duration::from_secs(1) {
            problems.push(Problem::new(
                "deadline",
                format!("{} is too short for any work: write \"1s\" or more, as in \"1h\"", self.deadline),
            ));
        }
        let known = BackendKind::ALL.map(BackendKind::name);
        if self.enabled && self.backends.is_empty() {
            problems.push(Problem::new("backends", "names no backend: name one, or write enabled = false"));
        }
        if let Some(unknown) = self.backends.iter().find(|backend| !known.contains(&backend.as_str())) {
            problems.push(Problem::new(
                "backends",
                format!("`{unknown}` is not a backend: write {}", known.map(|name| format!("\"{name}\"")).join(" or ")),
            ));
        }
        if self.buckets.iter().any(|bucket| bucket.trim().is_empty()) {
            problems
                .push(Problem::new("buckets", "holds an empty name: name each bucket, or write [] for all of them"));
        }
        problems
    }
}
