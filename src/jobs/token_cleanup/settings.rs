//! The table `[jobs.token_cleanup]`.

use std::time::Duration;

use crate::jobs::settings::job_settings;
use crate::model::setting::{Bounded, Problem, Span};

/// The least grace: the library writes these times by the clocks of whatever machines it runs on, and
/// allows an hour for that itself.
const LEAST_GRACE: Duration = Duration::from_secs(60 * 60);

job_settings! {
    /// When tokens and sessions go that carry their end in their data.
    pub struct Settings {
        enabled: false,
        schedule: "45 3 * * *",
        deadline: Span::secs(60 * 60),
        batch_size: 200,
        /// How long after its end such a row is kept, for clocks that disagree.
        pub grace: Span = Span(LEAST_GRACE),
        /// Parts of the table that are read at the same time, on DynamoDB.
        pub segments: Bounded<1, 64> = Bounded::new(4),
    }
}

impl Settings {
    /// The limits of a run.
    pub(super) fn limits(&self) -> crate::work::Limits {
        let own =
            [("grace", serde_json::json!(self.grace.0.as_secs_f64())), ("segments", serde_json::json!(self.segments))];
        let mut limits = self.common_limits();
        limits.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        limits
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.common_problems();
        if self.grace.0 < LEAST_GRACE {
            let message = format!(
                "{} is too short, as the clocks of the machines that write tokens may disagree by an hour: write \
                 \"1h\" or more",
                self.grace
            );
            problems.push(Problem::new("grace", message));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_of_less_than_an_hour_is_told() {
        let problems = |grace| Settings { grace, ..Settings::default() }.problems();
        assert_eq!(problems(Span::secs(3600)), []);
        assert_eq!(problems(Span::secs(86_400)), []);
        for grace in [Span::secs(3599), Span::secs(0)] {
            let problems = problems(grace);
            let [problem] = &problems[..] else { panic!("{problems:?}") };
            assert!(problem.key == "grace" && problem.message.contains("write \"1h\" or more"), "{problem:?}");
        }
    }
}
