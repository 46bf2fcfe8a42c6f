//! What is wrong with values that are each right by themselves.

mod backup;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::file;
use super::origin::Origin;
use super::problem::{Problem, Problems};
use super::settings::Config;
use crate::jobs::Plan;
use crate::model::setting::Span;
use crate::model::{BackendKind, clock};
use crate::schedule::{Schedule, Window};
use crate::storage::Target;
use crate::storage::postgres::{self, SslMode};

const BACKENDS: &str = "storage.backends";
const JOB_BACKENDS: &str = "jobs.ttl_cleanup.backends";
const ZONE: &str = "schedule.timezone";
const SPLAY: &str = "schedule.splay";
const WORKERS: &str = "jobs.ttl_cleanup.workers";
const MAX_SIZE: &str = "storage.postgresql.pool.max_size";
const BATCH_LATENCY: &str = "throttle.batch_latency";
const LEASE: &str = "lease.ttl";
const ROOT_CERTIFICATE: &str = "storage.postgresql.sslrootcert";

/// Applies all rules to a merged configuration. `aside` are the keys and tables that had a mistake,
/// `meant` those that were probably meant by others that do not exist.
pub(super) fn check(
    config: &Config,
    origins: &BTreeMap<String, Origin>,
    (aside, meant): (&[String], &[String]),
    in_kubernetes: bool,
) -> Problems {
    let mut rules = Rules { config, origins, aside, errors: Vec::new(), warnings: Vec::new() };
    if !meant.iter().any(|key| key == BACKENDS) || !config.storage.backends.is_empty() {
        rules.backends();
    }
    rules.certificates();
    rules.rooms();
    rules.schedules();
    rules.job_backends();
    rules.connections();
    rules.lease();
    rules.retention();
    rules.tls();
    rules.prepared_statements();
    rules.targets();
    rules.backups(in_kubernetes);
    Problems { errors: rules.errors, warnings: rules.warnings }
}

struct Rules<'a> {
    config: &'a Config,
    origins: &'a BTreeMap<String, Origin>,
    /// In the place of these stand defaults, which must not be blamed.
    aside: &'a [String],
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Rules<'_> {
    /// What each room finds wrong with its own settings.
    fn rooms(&mut self) {
        for problem in self.config.problems() {
            if !self.is_moot(&problem.key, &problem.message) && !self.is_faulty(&problem.key) {
                self.error(&problem.key, problem.message);
            }
        }
    }

    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(Problem::with_key(key, self.origin(key), message));
    }

    fn warning(&mut self, key: &str, message: impl Into<String>) {
        self.warnings.push(Problem::with_key(key, self.origin(key), message));
    }

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Whether a key, or a table around it, had a mistake already.
    fn is_aside(&self, key: &str) -> bool {
        self.aside
            .iter()
            .any(|aside| key.strip_prefix(aside).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// Whether a key has a mistake already, so that another rule about it would be no help.
    fn is_faulty(&self, key: &str) -> bool {
        self.is_aside(key) || self.errors.iter().any(|error| error.key.as_deref() == Some(key))
    }

    /// Whether a room's message is about a value that is no longer there: under its own key, or one
    /// that the message names.
    fn is_moot(&self, key: &str, message: &str) -> bool {
        let room = key.split('.').next();
        let names = |word: &str| message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word);
        let is_named = |aside: &String| aside.split('.').next() == room && aside.rsplit('.').next().is_some_and(names);
        self.is_aside(key) || self.aside.iter().any(is_named)
    }

    fn backends(&mut self) {
        if self.is_aside(BACKENDS) {
            return;
        }
        let origin = self.origin(BACKENDS);
        let right = match &origin {
            Origin::Variable { name } => format!("write {name}=postgresql or {name}=dynamodb"),
            _ => "write backends = [\"postgresql\"], [\"dynamodb\"] or both".to_owned(),
        };
        let written = |name: &str| match &origin {
            Origin::Variable { name: variable } => format!("write {variable}={name}"),
            _ => format!("write \"{name}\""),
        };
        let backends = &self.config.storage.backends;
        if backends.is_empty() {
            let message = match origin {
                Origin::Default => {
                    "no backend is named, and none is guessed: write backends = [\"postgresql\"], [\"dynamodb\"] or both \
                     below [storage], or set DATABASE_BACKEND to one of them"
                        .to_owned()
                }
                _ => format!("names no backend: {right}"),
            };
            return self.error(BACKENDS, message);
        }
        for (position, backend) in backends.iter().enumerate() {
            let message = match backend.to_ascii_lowercase().as_str() {
                _ if backends[..position].contains(backend) => format!("names `{backend}` twice: write it once"),
                _ if BackendKind::ALL.iter().any(|kind| kind.name() == backend) => continue,
                name @ ("postgresql" | "dynamodb") => {
                    format!("`{backend}` is written in small letters: {}", written(name))
                }
                "postgres" | "pg" | "pgsql" | "psql" => {
                    format!("`{backend}` is called postgresql: {}", written("postgresql"))
                }
                "dynamo" | "ddb" => format!("`{backend}` is called dynamodb: {}", written("dynamodb")),
                _ => format!("`{backend}` is not a backend that this build has: {right}"),
            };
            self.error(BACKENDS, message);
        }
    }

    fn schedules(&mut self) {
        for (job, plan) in self.config.jobs.plans() {
            self.schedule(job, &plan);
        }
    }

    fn schedule(&mut self, job: &str, plan: &Plan) {
        let (schedule_key, window_key) = (format!("jobs.{job}.schedule"), format!("jobs.{job}.window"));
        let zone = self.config.schedule.timezone;
        let parsed = (!self.is_aside(&schedule_key)).then(|| Schedule::parse(&plan.schedule, zone));
        let parsed = parsed.transpose().unwrap_or_else(|error| {
            self.error(&schedule_key, error.to_string());
            None
        });
        let window = plan.window.as_ref().map(|window| window.parse::<Window>());
        let window = window.transpose().unwrap_or_else(|problem| {
            self.error(&window_key, problem);
            None
        });
        if let Some(schedule) = parsed {
            self.splay(&schedule_key, &schedule);
            if let Some(window) = window {
                self.window(&window_key, &window, &schedule_key, &schedule);
            }
        }
    }

    /// A job that is told to run where the deployment is not never runs there.
    fn job_backends(&mut self) {
        let Config { jobs, storage, .. } = self.config;
        if self.origin(JOB_BACKENDS) == Origin::Default || self.is_faulty(JOB_BACKENDS) || self.is_faulty(BACKENDS) {
            return;
        }
        let is_elsewhere = |backend: &&String| !storage.backends.contains(backend);
        if let Some(elsewhere) = jobs.ttl_cleanup.backends.iter().find(is_elsewhere) {
            let message = format!(
                "names {elsewhere}, which {BACKENDS} ({}) does not: the schedule never starts the job there",
                self.origin(BACKENDS)
            );
            self.warning(JOB_BACKENDS, message);
        }
    }

    /// A delay as long as the period, or longer, is as good as a shorter one and only confuses.
    fn splay(&mut self, key: &str, schedule: &Schedule) {
        let splay = self.config.schedule.splay;
        if let Some(period) = schedule.period().filter(|period| *period <= splay.0)
            && !self.is_faulty(SPLAY)
        {
            let (period, origin) = (Span(period), self.origin(key));
            let message = format!(
                "{splay} is not shorter than the {period} between two slots of {key} ({origin}), so one may start \
                 when the next is due already: write less than \"{period}\""
            );
            self.warning(SPLAY, message);
        }
    }

    fn window(&mut self, key: &str, window: &Window, schedule_key: &str, schedule: &Schedule) {
        if self.is_aside(ZONE) || window.first_slot(schedule, clock::now()).is_some() {
            return;
        }
        let message = format!(
            "no slot of `{schedule}` ({schedule_key}, {}) lies in {window} as clocks in {} show it, so the schedule never \
             starts the job: change one of the two",
            self.origin(schedule_key),
            self.config.schedule.timezone
        );
        self.warning(key, message);
    }

    /// A worker holds a connection while it deletes; the lease must be renewed and the rest of the
    /// daemon served meanwhile.
    fn connections(&mut self) {
        if !self.config.storage.kinds().contains(&BackendKind::Postgresql) {
            return;
        }
        let workers = self.config.jobs.ttl_cleanup.workers.get();
        let size = self.config.storage.postgresql.pool.max_size.get();
        let needed = workers + 2;
        if needed <= size || self.is_faulty(WORKERS) || self.is_faulty(MAX_SIZE) {
            return;
        }
        let s = if workers == 1 { "" } else { "s" };
        let reason = format!("{workers} worker{s}, the lease and the rest of the daemon need a connection each");
        if self.origin(WORKERS) == Origin::Default {
            return self.error(MAX_SIZE, format!("{size} is too small, as {reason}: write {needed} or more"));
        }
        let lower = if size > 2 { format!(", or lower workers to {}", size - 2) } else { String::new() };
        let origin = self.origin(MAX_SIZE);
        let message = format!("{reason}, but {MAX_SIZE} is {size} ({origin}): raise it to {needed}{lower}");
        self.error(WORKERS, message);
    }

    /// A batch must be over well before its lease, which is renewed each third of its length.
    fn lease(&mut self) {
        let (latency, ttl) = (self.config.throttle.batch_latency, self.config.lease.ttl);
        if latency.0 <= ttl.0 / 3 || self.is_faulty(LEASE) || self.is_faulty(BATCH_LATENCY) {
            return;
        }
        let most = Span::millis(u64::try_from(ttl.0.as_millis() / 3).unwrap_or(u64::MAX));
        let origin = self.origin(LEASE);
        let message = format!(
            "{latency} is too long for a lease of {ttl} (lease.ttl, {origin}), which a batch must not outlive: \
             write \"{most}\" or less; \"25ms\" is the default"
        );
        self.error(BATCH_LATENCY, message);
    }

    fn retention(&mut self) {
        let key = "jobs.ttl_cleanup.grace";
        let grace = self.config.jobs.ttl_cleanup.grace;
        if grace.0 > Duration::from_secs(3650 * 24 * 60 * 60) && !self.is_faulty(key) {
            let message = format!(
                "{grace} would keep what has expired for more than ten years: write a shorter time, as in \"7d\", \
                 or enabled = false to delete nothing"
            );
            self.error(key, message);
        }
        let (key, after, keep) =
            ("jobs.index_health.unused_after", self.config.jobs.index_health.unused_after, self.config.history.keep);
        if keep < after && !self.is_faulty(key) && !self.is_faulty("history.keep") {
            let message = format!(
                "{after} is longer than the history is kept ({keep}), by which an index is known to be unused: none will \
                 be; write less than that, or raise history.keep"
            );
            self.warning(key, message);
        }
    }

    fn certificates(&mut self) {
        let named = |key: String, settings: &postgres::Settings| Some((key, settings.sslrootcert.clone()?));
        let of_targets = self.config.targets.iter().filter_map(|(name, target)| match target {
            Target::Postgresql(settings) => named(format!("targets.{name}.sslrootcert"), settings),
            Target::Dynamodb(_) => None,
        });
        let own = named(ROOT_CERTIFICATE.to_owned(), &self.config.storage.postgresql);
        for (key, path) in own.into_iter().chain(of_targets).collect::<Vec<_>>() {
            self.certificate(&key, &path);
        }
    }

    fn certificate(&mut self, key: &str, path: &Path) {
        let wanted = "a file of PEM certificates";
        let fault = match file::bytes(path) {
            Ok(bytes) if String::from_utf8_lossy(&bytes).contains("-----BEGIN") => return,
            Ok(_) => format!(
                "holds no certificate: write the path of {wanted}, which begin with -----BEGIN CERTIFICATE-----"
            ),
            Err(error) => file::trouble(&error, wanted),
        };
        self.error(key, format!("{} {fault}", path.display()));
    }

    /// libpq verifies the certificate with `require` when there is a root certificate; we do not.
    fn tls(&mut self) {
        let postgres = &self.config.storage.postgresql;
        let verifies = matches!(postgres.sslmode, SslMode::VerifyCa | SslMode::VerifyFull | SslMode::Disable);
        if postgres.sslrootcert.is_some()
            && !verifies
            && !self.is_aside("storage.postgresql.sslmode")
            && !self.is_faulty(ROOT_CERTIFICATE)
        {
            let message = format!(
                "is not used, because sslmode = \"{}\" trusts any certificate: write sslmode = \"verify-full\"",
                postgres.sslmode
            );
            self.warning(ROOT_CERTIFICATE, message);
        }
    }

    fn prepared_statements(&mut self) {
        let postgres = &self.config.storage.postgresql;
        if postgres.statement_cache && postgres.port.get() == 6432 {
            let message = "port 6432 is PgBouncer's, which hands prepared statements to the wrong client when it pools \
                           transactions: write statement_cache = false, or connect past the pooler";
            self.warning("storage.postgresql.statement_cache", message);
        }
    }
}
