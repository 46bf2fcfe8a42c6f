//! The table `[jobs.backup]`.

use crate::jobs::settings::job_settings;
use crate::model::setting::{Problem, Span};
use crate::work::Limits;

job_settings! {
    /// When backups are made. What is made, and where, is in `[backup]`.
    pub struct Settings {
        enabled: false,
        schedule: "0 2 * * *",
        deadline: Span::secs(6 * 60 * 60),
    }
}

impl Settings {
    /// The limits of a run.
    pub(super) fn limits(&self) -> Limits {
        Limits::from([("deadline".to_owned(), serde_json::json!(self.deadline.0.as_secs_f64()))])
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        self.common_problems()
    }
}
