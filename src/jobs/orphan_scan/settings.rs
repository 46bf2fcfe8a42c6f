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
        self.common_limits()
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        self.common_problems()
    }
}
