//! The table `[jobs.ttl_cleanup]`.

use serde::{Deserialize, Serialize};

use crate::jobs::settings::job_settings;
use crate::model::BackendKind;
use crate::model::setting::{Bounded, Problem, Span};

/// What to do about DynamoDB's own way of deleting what has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NativeTtl {
    /// Look whether it is on and works, and tell what is wrong.
    Check,
    /// The same, and switch it on where it is off.
    Enable,
    /// Nothing.
    Ignore,
}

job_settings! {
    /// When expired attributes are deleted, which, and how fast.
    pub struct Settings {
        enabled: true,
        schedule: "every 15m",
        deadline: Span::secs(60 * 60),
        batch_size: 2000,
        /// The backends on which the schedule starts it: DynamoDB can expire rows by itself, at no
        /// cost.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub backends: Vec<String> = vec![BackendKind::Postgresql.name().to_owned()],
        /// Whether it deletes on DynamoDB too what has expired, or only looks whether DynamoDB does.
        #[serde(deserialize_with = "crate::model::setting::flag")]
        pub sweep: bool = true,
        /// What to do about DynamoDB's own way of doing so.
        pub native_ttl: NativeTtl = NativeTtl::Check,
        /// Parts of the table that are read at the same time, on DynamoDB.
        pub segments: Bounded<1, 64> = Bounded::new(4),
        /// Connections that delete at the same time.
        pub workers: Bounded<1, 16> = Bounded::new(1),
        /// The buckets to clean, by their exact names; none for all of them.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub buckets: Vec<String> = Vec::new(),
        /// How much longer than its TTL a row is kept. The TTL already holds the library's hour of
        /// allowance for clocks that disagree.
        pub grace: Span = Span::secs(0),
        /// A run that deletes as many rows as this vacuums the table at its end; 0 for none.
        pub vacuum_after: Bounded<0, 1_000_000_000_000> = Bounded::new(0),
    }
}

impl Settings {
    /// The limits of a run.
    pub(super) fn limits(&self) -> crate::work::Limits {
        let own = [
            ("sweep", serde_json::json!(self.sweep)),
            ("native_ttl", serde_json::json!(self.native_ttl)),
            ("segments", serde_json::json!(self.segments)),
            ("workers", serde_json::json!(self.workers)),
            ("buckets", serde_json::json!(self.buckets)),
            ("grace", serde_json::json!(self.grace.0.as_secs_f64())),
        ];
        let mut limits = self.common_limits();
        limits.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        limits
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.common_problems();
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
        if !self.sweep && self.native_ttl == NativeTtl::Ignore {
            let message = "leaves nothing to do on DynamoDB together with native_ttl = \"ignore\": change one of the two, or \
                           take \"dynamodb\" out of backends";
            if self.backends.iter().any(|backend| backend == BackendKind::Dynamodb.name()) {
                problems.push(Problem::new("sweep", message));
            }
        }
        if self.buckets.iter().any(|bucket| bucket.trim().is_empty()) {
            problems
                .push(Problem::new("buckets", "holds an empty name: name each bucket, or write [] for all of them"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn having_nothing_to_do_on_dynamodb_is_told() {
        let problems = |sweep, native_ttl, backend: &str| {
            Settings { sweep, native_ttl, backends: vec![backend.to_owned()], ..Settings::default() }.problems()
        };
        for (sweep, native_ttl) in [(true, NativeTtl::Ignore), (false, NativeTtl::Check), (false, NativeTtl::Enable)] {
            assert_eq!(problems(sweep, native_ttl, "dynamodb"), []);
        }
        assert_eq!(problems(false, NativeTtl::Ignore, "postgresql"), []);
        assert_eq!(problems(false, NativeTtl::Ignore, "dynamodb")[0].key, "sweep");
    }
}
