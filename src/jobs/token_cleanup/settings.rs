//! The table `[jobs.token_cleanup]`.

use crate::jobs::settings::job_settings;
use crate::model::setting::{Problem, Span};

job_settings! {
    /// When tokens and sessions go that carry their end in their data.
    pub struct Settings {
        enabled: false,
        schedule: "45 3 * * *",
        deadline: Span::secs(60 * 60),
        batch_size: 200,
        /// How long after its end such a row is kept, for clocks that disagree.
        pub grace: Span = Span::secs(60 * 60),
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
