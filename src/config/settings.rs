//! Everything that can be configured.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::model::setting::{Problem, Span};
use crate::{backup, http, jobs, runner, schedule, storage, throttle};

/// The whole configuration, in the order in which it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[deployment]`
    pub deployment: Deployment,
    /// `[storage]`
    pub storage: storage::Settings,
    /// `[targets]`: other places to restore, to drill or to move to, by the names that people gave them.
    pub targets: BTreeMap<String, storage::Target>,
    /// `[schedule]`
    pub schedule: schedule::Settings,
    /// `[jobs]`
    pub jobs: jobs::Settings,
    /// `[backup]`
    pub backup: backup::Settings,
    /// `[throttle]`
    pub throttle: throttle::Settings,
    /// `[http]`
    pub http: http::Settings,
    /// `[log]`
    pub log: Log,
    /// `[history]`
    pub history: runner::HistorySettings,
    /// `[drain]`
    pub drain: Drain,
    /// `[lease]`
    pub lease: runner::LeaseSettings,
    /// `[clock]`
    pub clock: runner::ClockSettings,
}

impl Config {
    /// What is wrong within the tables, each judged by the room that owns it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let tables = [
            ("deployment", self.deployment.problems()),
            ("storage", self.storage.problems()),
            ("schedule", self.schedule.problems()),
            ("jobs", self.jobs.problems()),
            ("backup", self.backup.problems()),
            ("throttle", self.throttle.problems()),
            ("http", self.http.problems()),
            ("log", self.log.problems()),
            ("history", self.history.problems()),
            ("drain", self.drain.problems()),
            ("lease", self.lease.problems()),
            ("clock", self.clock.problems()),
        ];
        let of_rooms = tables.into_iter().flat_map(|(table, found)| within(table, found));
        let of_targets = self.targets.iter().flat_map(|(name, target)| {
            let table = format!("{}.{name}", super::targets::TABLE);
            within(&table, target.problems())
        });
        of_rooms.chain(of_targets).collect()
    }
}

fn within(table: &str, found: Vec<Problem>) -> Vec<Problem> {
    found.into_iter().map(|problem| problem.within(table)).collect()
}

/// The table `[deployment]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// What people call this deployment.
    pub name: Option<String>,
}

impl Deployment {
    fn problems(&self) -> Vec<Problem> {
        let Some(name) = &self.name else { return Vec::new() };
        if name.chars().any(char::is_control) || name.chars().count() > 100 {
            return vec![Problem::new(
                "name",
                "does not fit on one line: write at most 100 letters, and no line breaks",
            )];
        }
        Vec::new()
    }
}

/// The table `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged: a level, or directives as [`EnvFilter`] reads them.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, otherwise JSON.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Log {
    fn problems(&self) -> Vec<Problem> {
        let directives = self.filter.split(',').map(str::trim);
        let problems: Vec<_> =
            directives.filter_map(filter_mistake).map(|message| Problem::new("filter", message)).collect();
        if problems.is_empty()
            && let Err(error) = EnvFilter::builder().parse(&self.filter)
        {
            let message = format!("`{}` cannot be read ({error}): write a level or `target=level`", self.filter);
            return vec![Problem::new("filter", message)];
        }
        problems
    }
}

/// A single word that is no level would be taken as the name of a module, and everything but that
/// module would be silent; so a module must be written with its level.
fn filter_mistake(directive: &str) -> Option<String> {
    if directive.contains(['[', ']', '{', '}']) {
        return None;
    }
    let (target, level) = directive.split_once('=').unwrap_or(("", directive));
    let level = level.trim();
    if directive.is_empty() {
        return Some("has nothing beside a comma: remove the comma".to_owned());
    }
    if LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
        return None;
    }
    let as_python = match level.to_ascii_lowercase().as_str() {
        "warning" => Some("warn"),
        "critical" | "fatal" => Some("error"),
        "verbose" => Some("debug"),
        "none" | "quiet" | "silent" => Some("off"),
        _ => None,
    };
    let nearest = LEVELS.iter().copied().find(|known| strsim::osa_distance(known, &level.to_ascii_lowercase()) <= 2);
    let remedy = match as_python.or(nearest) {
        Some(level) if target.is_empty() => format!("did you mean \"{level}\"?"),
        Some(level) => format!("did you mean \"{target}={level}\"?"),
        None if !target.is_empty() => format!("write {target}=warn, or another of {}", LEVELS.join(", ")),
        None => format!(
            "write one of {}, or `target=level` for one part of the program, as in \"info,sqlx=warn\"",
            LEVELS.join(", ")
        ),
    };
    Some(format!("`{level}` is not a log level: {remedy}"))
}

/// The table `[drain]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// How long running jobs may take to come to a stop. Kubernetes kills after 30 seconds.
    pub grace: Span,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace: Span::secs(25) }
    }
}

impl Drain {
    fn problems(&self) -> Vec<Problem> {
        if self.grace.0 <= Duration::from_secs(60 * 60) {
            return Vec::new();
        }
        let message = format!(
            "{} is longer than anybody waits: write \"1h\" or less, and less than Kubernetes (30s) or systemd (90s) \
             are told to wait; \"25s\" is the default",
            self.grace
        );
        vec![Problem::new("grace", message)]
    }
}
