//! What the tables of all jobs have in common.

/// Defines the settings of a job: the keys that every job has, with their defaults, and its own. Those that work
/// in batches of rows have two more in common.
macro_rules! job_settings {
    (
        $(#[$about:meta])*
        pub struct Settings {
            enabled: $enabled:literal,
            schedule: $schedule:literal,
            deadline: $deadline:expr,
            batch_size: $batch_size:literal,
            $($(#[$field_about:meta])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        crate::jobs::settings::job_settings! {
            $(#[$about])*
            pub struct Settings {
                enabled: $enabled,
                schedule: $schedule,
                deadline: $deadline,
                /// Rows in a batch at most. Batches shrink when the database is busy and grow back.
                pub batch_size: crate::model::setting::Bounded<1, 100_000> =
                    crate::model::setting::Bounded::new($batch_size),
                /// Rows changed per second at most; 0 for no limit.
                pub max_rows_per_second: crate::model::setting::Bounded<0, 1_000_000_000> =
                    crate::model::setting::Bounded::new(0),
                $($(#[$field_about])* pub $field: $type = $default,)*
            }
        }

        impl Settings {
            /// Those of the common limits that a report names; when a job runs is no limit of a run.
            fn common_limits(&self) -> crate::work::Limits {
                let limits = [
                    ("deadline", serde_json::json!(self.deadline.0.as_secs_f64())),
                    ("batch_size", serde_json::json!(self.batch_size)),
                    ("max_rows_per_second", serde_json::json!(self.max_rows_per_second)),
                ];
                limits.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }
        }
    };
    (
        $(#[$about:meta])*
        pub struct Settings {
            enabled: $enabled:literal,
            schedule: $schedule:literal,
            deadline: $deadline:expr,
            $($(#[$field_about:meta])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            /// Whether the schedule starts it. By hand it can always be started.
            #[serde(deserialize_with = "crate::model::setting::flag")]
            pub enabled: bool,
            /// When it runs.
            pub schedule: String,
            /// The hours when it may run; none for any time.
            pub window: Option<String>,
            /// How long a run may take.
            pub deadline: crate::model::setting::Span,
            /// How often a run that failed is tried again for the same slot.
            pub retries: crate::model::setting::Bounded<0, 100>,
            $($(#[$field_about])* pub $field: $type,)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    enabled: $enabled,
                    schedule: $schedule.to_owned(),
                    window: None,
                    deadline: $deadline,
                    retries: crate::model::setting::Bounded::new(3),
                    $($field: $default,)*
                }
            }
        }

        impl Settings {
            /// When it runs and for how long.
            pub fn plan(&self) -> crate::jobs::Plan {
                crate::jobs::Plan {
                    enabled: self.enabled,
                    only_on: None,
                    schedule: self.schedule.clone(),
                    deadline: self.deadline.0,
                    window: self.window.clone(),
                    retries: u32::try_from(self.retries.get()).unwrap_or(u32::MAX),
                }
            }

            /// What is wrong with the values that every job has.
            fn common_problems(&self) -> Vec<crate::model::setting::Problem> {
                crate::jobs::settings::deadline_problem(self.deadline).into_iter().collect()
            }
        }
    };
}

pub(super) use job_settings;

use crate::model::setting::{Problem, Span};

/// What is wrong with a deadline.
pub(super) fn deadline_problem(deadline: Span) -> Option<Problem> {
    (deadline < Span::secs(1)).then(|| {
        let message = format!("{deadline} is too short for any work: write \"1s\" or more, as in \"1h\"");
        Problem::new("deadline", message)
    })
}
