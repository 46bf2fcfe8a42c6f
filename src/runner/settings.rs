//! The tables `[lease]`, `[clock]` and `[history]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::setting::{Problem, Span};

/// The right to run a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaseSettings {
    /// How long a lease holds without being renewed: the longest that a job stands still after
    /// its daemon was killed. It is renewed each third of this.
    pub ttl: Span,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { ttl: Span::secs(10) }
    }
}

impl LeaseSettings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let allowed = Duration::from_millis(500)..=Duration::from_secs(600);
        if allowed.contains(&self.ttl.0) {
            return Vec::new();
        }
        vec![Problem::new(
            "ttl",
            format!("{} cannot work: write a length from \"500ms\" to \"10m\"; \"10s\" is the default", self.ttl),
        )]
    }
}

/// When the clocks are not to be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockSettings {
    /// How far the clocks of this machine and of a store may be apart, or one of them jump,
    /// before jobs that delete rest.
    pub max_skew: Span,
}

impl Default for ClockSettings {
    fn default() -> Self {
        Self { max_skew: Span::secs(30) }
    }
}

impl ClockSettings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let allowed = Duration::from_millis(500)..=Duration::from_secs(60 * 60);
        if allowed.contains(&self.max_skew.0) {
            return Vec::new();
        }
        let message = format!(
            "{} is no useful limit: write a length from \"500ms\" to \"1h\"; \"30s\" is the default",
            self.max_skew
        );
        vec![Problem::new("max_skew", message)]
    }
}

/// What is remembered of past runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistorySettings {
    /// How long the record of a run is kept.
    pub keep: Span,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { keep: Span::secs(90 * 24 * 60 * 60) }
    }
}

impl HistorySettings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        if self.keep.0 >= Duration::from_secs(60) {
            return Vec::new();
        }
        vec![Problem::new(
            "keep",
            format!("{} forgets a run while it is looked at: write \"1m\" or more, as in \"90d\"", self.keep),
        )]
    }
}
