//! Loading the configuration again: all of it is taken over, or nothing.

use std::sync::Arc;

use tokio::sync::watch::Sender;
use tokio::task::JoinHandle;
use tracing::Level;
use tracing_subscriber::EnvFilter;

use super::Notifier;
use super::duties::{schedule_jobs, workshop};
use super::logging::{self, Logging};
use crate::backup::Workshop;
use crate::config::{self, Change, Config, Problem, Sources};
use crate::model::{BackendKind, clock};
use crate::runner::{Runner, Scheduled, Scheduler};
use crate::storage::Backend;
use crate::storage::postgres::Login;

/// The configuration in force, and how another one takes its place.
pub(super) struct Reload {
    sources: Arc<Sources>,
    in_force: Arc<Config>,
    logging: Logging,
    backends: Vec<Backend>,
    runners: Vec<Arc<Runner>>,
    notifier: Arc<Notifier>,
    /// What whoever looks at the backups goes by.
    shop: Sender<Arc<Workshop>>,
    going_on: Option<JoinHandle<Judged>>,
    /// It was asked for while one was going on, whose sources may have been read before they changed.
    again: bool,
}

/// What was loaded.
pub(super) enum Judged {
    /// It can be taken over.
    Sound(Box<Next>),
    /// Something that only a restart can change is other than it was.
    Restart { changes: Vec<Change>, warnings: Vec<Problem> },
    /// Something is wrong.
    Wrong(String),
}

/// Another configuration, made into everything that can fail to be made.
pub(super) struct Next {
    config: Config,
    changes: Vec<Change>,
    warnings: Vec<Problem>,
    /// Where there is a PostgreSQL.
    login: Option<Login>,
    jobs: Vec<Scheduled>,
    filter: EnvFilter,
}

impl Reload {
    /// Takes `in_force` for what was loaded at the start from `sources`, just now.
    pub(super) fn new(
        sources: Sources,
        in_force: Config,
        logging: Logging,
        backends: Vec<Backend>,
        runners: Vec<Arc<Runner>>,
        notifier: Arc<Notifier>,
        shop: Sender<Arc<Workshop>>,
    ) -> Self {
        let (sources, in_force) = (Arc::new(sources), Arc::new(in_force));
        let (going_on, again) = (None, false);
        let reload = Self { sources, in_force, logging, backends, runners, notifier, shop, going_on, again };
        reload.count(true);
        reload
    }

    /// The configuration in force.
    pub(super) fn in_force(&self) -> &Config {
        &self.in_force
    }

    /// Loads the configuration again; once more, if it is being loaded already.
    pub(super) fn begin(&mut self) {
        if self.going_on.is_some() {
            if !self.again {
                tracing::info!("the configuration is being loaded, and will be once more");
            }
            self.again = true;
            return;
        }
        self.notifier.reloading();
        let (sources, in_force) = (Arc::clone(&self.sources), Arc::clone(&self.in_force));
        let runners = self.runners.clone();
        // A file system that hangs must not stop the scheduler.
        self.going_on = Some(tokio::task::spawn_blocking(move || judge(&sources, &in_force, &runners)));
    }

    /// Waits until what is being loaded has been; for ever if nothing is. May be dropped and called
    /// again.
    pub(super) async fn loaded(&mut self) -> Judged {
        let Some(task) = &mut self.going_on else { return std::future::pending().await };
        let judged = task.await;
        self.going_on = None;
        // The panic has been printed where it happened; its text may quote the file.
        judged.unwrap_or_else(|_panic| Judged::Wrong("loading it broke off".to_owned()))
    }

    /// Takes over what was loaded, or says why not.
    pub(super) fn end(&mut self, judged: Judged, scheduler: &mut Scheduler) {
        match judged {
            Judged::Sound(next) => {
                warn(&next.warnings);
                self.count(true);
                self.take_over(*next, scheduler);
            }
            Judged::Restart { changes, warnings } => {
                warn(&warnings);
                self.count(false);
                tracing::error!(
                    reload = "refused",
                    "the configuration stays as it was, as a running daemon cannot take over {}: restart to apply",
                    listed(&changes)
                );
            }
            Judged::Wrong(problems) => {
                self.count(false);
                tracing::error!(reload = "refused", "the configuration stays as it was\n{problems}");
            }
        }
        self.notifier.ready();
        if std::mem::take(&mut self.again) {
            self.begin();
        }
    }

    /// Nothing in here can fail or wait.
    fn take_over(&mut self, next: Next, scheduler: &mut Scheduler) {
        let Next { config, changes, warnings: _, login, jobs, filter } = next;
        for backend in &self.backends {
            if let (Backend::Postgresql(store), Some(login)) = (backend, &login) {
                store.log_in_with(login.clone());
            }
        }
        for runner in &self.runners {
            runner.history.send_replace(config.history.clone());
            runner.clocks.allow(&config.clock);
        }
        self.show(&config, &jobs);
        self.shop.send_replace(Arc::new(workshop(&config)));
        scheduler.replace(jobs);
        self.in_force = Arc::new(config);
        let tell = || match changes.as_slice() {
            [] => tracing::info!(reload = "unchanged", "the configuration was loaded, and nothing in it has changed"),
            changes => tracing::info!(reload = "applied", "the configuration was loaded: {}", listed(changes)),
        };
        // A change of the filter is told by whichever of the two lets it through.
        let is_heard = tracing::enabled!(Level::INFO);
        if is_heard {
            tell();
        }
        self.logging.set(filter);
        if !is_heard {
            tell();
        }
    }

    fn show(&self, config: &Config, jobs: &[Scheduled]) {
        let now = clock::now();
        for runner in &self.runners {
            runner.board.update(|status| status.deployment.clone_from(&config.deployment.name));
        }
        for scheduled in jobs {
            let (job, plan) = (scheduled.job(), scheduled.job().plan());
            scheduled.runner().metrics.job_enabled(job.name(), job.backend(), plan.is_wanted());
            scheduled.runner().show(scheduled.job().name(), |shown| {
                shown.enabled = plan.enabled;
                shown.only_on = plan.only_on;
                shown.schedule = plan.schedule;
                shown.next_run = scheduled.next(now);
            });
        }
    }

    /// Counts whether what was loaded can be used.
    fn count(&self, can_be_used: bool) {
        if let Some(runner) = self.runners.first() {
            runner.metrics.config_loaded(can_be_used.then(clock::now));
        }
    }
}

/// Loads the configuration and compares it with the one in force.
fn judge(sources: &Sources, in_force: &Config, runners: &[Arc<Runner>]) -> Judged {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(problems) => return Judged::Wrong(problems.to_string()),
    };
    let (config, warnings) = (loaded.config, loaded.warnings);
    let (changes, fixed): (Vec<_>, Vec<_>) =
        config::changes(in_force, &config).into_iter().partition(|change| change.is_live);
    if !fixed.is_empty() {
        return Judged::Restart { changes: fixed, warnings };
    }
    match prepare(config, changes, warnings, runners) {
        Ok(next) => Judged::Sound(Box::new(next)),
        Err(error) => Judged::Wrong(format!("{error:#}")),
    }
}

fn prepare(
    config: Config,
    changes: Vec<Change>,
    warnings: Vec<Problem>,
    runners: &[Arc<Runner>],
) -> anyhow::Result<Next> {
    let has_postgresql = runners.iter().any(|runner| runner.backend == BackendKind::Postgresql);
    let login = has_postgresql.then(|| Login::new(&config.storage.postgresql)).transpose()?;
    let jobs = schedule_jobs(&config, &super::jobs(&config), runners)?;
    let filter = logging::parse(&config.log.filter)?;
    Ok(Next { config, changes, warnings, login, jobs, filter })
}

fn warn(warnings: &[Problem]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

fn listed(changes: &[Change]) -> String {
    changes.iter().map(Change::to_string).collect::<Vec<_>>().join("; ")
}
