//! The table `[jobs.diff_prune]`.

use crate::jobs::settings::job_settings;
use crate::model::setting::{Bounded, Problem, Span};

job_settings! {
    /// Which changes of subscriptions are no longer kept.
    pub struct Settings {
        enabled: false,
        schedule: "30 3 * * *",
        deadline: Span::secs(60 * 60),
        batch_size: 1000,
        /// How many of the newest changes of a subscription are always kept.
        pub keep_newest: Bounded<1, 1_000_000> = Bounded::new(100),
        /// How old changes become; none for any age.
        pub max_age: Option<Span> = None,
        /// Whether changes go that the subscriber has confirmed, where it is an actor of the same
        /// database.
        #[serde(deserialize_with = "crate::model::setting::flag")]
        pub confirmed: bool = true,
        /// Whether changes go that have no subscription.
        #[serde(deserialize_with = "crate::model::setting::flag")]
        pub orphans: bool = true,
        /// How long changes must have been seen without their subscription before they go.
        pub orphan_age: Span = Span::secs(60 * 60),
        /// The directory where changes are kept that go; none to keep none.
        pub archive: Option<std::path::PathBuf> = None,
    }
}

impl Settings {
    /// The limits of a run.
    pub(super) fn limits(&self) -> crate::work::Limits {
        let own = [
            ("keep_newest", serde_json::json!(self.keep_newest)),
            ("max_age", serde_json::json!(self.max_age.map(|age| age.0.as_secs_f64()))),
            ("confirmed", serde_json::json!(self.confirmed)),
            ("orphans", serde_json::json!(self.orphans)),
            ("orphan_age", serde_json::json!(self.orphan_age.0.as_secs_f64())),
            ("archive", serde_json::json!(self.archive)),
        ];
        let mut limits = self.common_limits();
        limits.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        limits
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.common_problems();
        if let Some(max_age) = self.max_age.filter(|age| *age < Span::secs(24 * 60 * 60)) {
            let message = format!(
                "{max_age} is too short: a subscriber may be told of a change and fetch it a day later; write \"1d\" or more, \
                 as in \"30d\""
            );
            problems.push(Problem::new("max_age", message));
        }
        problems
    }
}
