//! The table `[jobs.lookup_check]`.

use crate::jobs::settings::job_settings;
use crate::model::setting::{Problem, Span};

job_settings! {
    /// How the reverse look-up table is held against the properties.
    pub struct Settings {
        enabled: false,
        schedule: "15 4 * * 0",
        deadline: Span::secs(60 * 60),
        batch_size: 500,
        /// Whether missing entries are added and stale ones removed.
        #[serde(deserialize_with = "crate::model::setting::flag")]
        pub repair: bool = false,
    }
}

impl Settings {
    /// The limits of a run.
    pub(super) fn limits(&self) -> crate::work::Limits {
        let mut limits = self.common_limits();
        limits.insert("repair".to_owned(), serde_json::json!(self.repair));
        limits
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        self.common_problems()
    }
}
