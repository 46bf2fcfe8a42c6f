//! The table `[jobs.orphan_scan]`.

use crate::jobs::settings::job_settings;
use crate::model::setting::{Problem, Span};

job_settings! {
    /// How rows of actors are looked for that do not exist.
    pub struct Settings {
        enabled: false,
        schedule: "0 4 * * 0",
        deadline: Span::secs(60 * 60),
        batch_size: 500,
        /// Ids that are never taken for orphans; one that ends with `*` stands for all that begin so.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub allow: Vec<String> = Vec::new(),
        /// How long after its actor was deleted a row may still be there, while the deletion goes on.
        pub settle: Span = Span::secs(60 * 60),
    }
}

impl Settings {
    /// The limits of a run.
    pub(super) fn limits(&self) -> crate::work::Limits {
        let own =
            [("allow", serde_json::json!(self.allow)), ("settle", serde_json::json!(self.settle.0.as_secs_f64()))];
        let mut limits = self.common_limits();
        limits.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        limits
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.common_problems();
        if self.allow.iter().any(|id| id.trim().is_empty()) {
            problems.push(Problem::new("allow", "holds an empty id: name each id, or write [] for none"));
        }
        problems
    }
}
