//! `job`: what runs, when it runs, what it did, and running it now.

mod backups;
mod health;
mod history;
mod pause;
mod reasons;
pub(super) mod run;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, SubsecRound, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{Output, table};
use super::{DONE, USAGE};
use crate::config::Config;
use crate::daemon::{self, Parts};
use crate::jobs::{Job, Plan};
use crate::model::{BackendKind, clock};
use crate::schedule::Schedule;
use crate::storage::Store;
use crate::work::{Outcome, Run};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the jobs with their schedules and their last runs.
    List,
    /// Show when the jobs run next.
    Next {
        /// One job only.
        name: Option<String>,
        /// How many times of each.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
        count: u16,
    },
    /// Run a job now, whatever its schedule says, and wait for its end.
    Run {
        #[command(flatten)]
        job: Named,
        /// Only say what it would do.
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a job from running, on every replica, until it is resumed. A run that is going on ends
    /// at its next batch.
    Pause {
        #[command(flatten)]
        job: Named,
    },
    /// Let a paused job run again, from its next time on.
    Resume {
        #[command(flatten)]
        job: Named,
    },
    /// Show past runs and the times that were passed over, the newest first.
    History {
        /// One job only.
        name: Option<String>,
        /// How many runs at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
}

/// A job on a backend.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The job.
    name: String,
    /// Where; needed when the deployment is on several backends.
    #[arg(long, value_name = "BACKEND", value_parser = backend)]
    backend: Option<BackendKind>,
}

/// The backend that is meant, of those of the deployment.
///
/// # Errors
///
/// When that is not clear, or the deployment is not there.
pub(super) fn chosen(name: &str, backend: Option<BackendKind>, config: &Config) -> anyhow::Result<BackendKind> {
    let jobs = named(&daemon::jobs(config), name, backend).and_then(only)?;
    jobs.first().map(|job| job.backend()).context("no backend is named in storage.backends")
}

pub(super) fn backend(name: &str) -> Result<BackendKind, String> {
    let known = BackendKind::ALL.map(BackendKind::name);
    BackendKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| format!("the backends are: {}", known.join(", ")))
}

pub(super) async fn run(command: Command, config: Config, output: &Output) -> anyhow::Result<u8> {
    let jobs = daemon::jobs(&config);
    let picked = match &command {
        Command::List => Ok(jobs),
        Command::Next { name, .. } | Command::History { name, .. } => {
            name.as_ref().map_or(Ok(jobs.clone()), |name| named(&jobs, name, None))
        }
        Command::Run { job, .. } | Command::Pause { job } | Command::Resume { job } => {
            named(&jobs, &job.name, job.backend).and_then(only)
        }
    };
    let jobs = match picked {
        Ok(jobs) => jobs,
        Err(wrong) => {
            output.error(&wrong);
            return Ok(USAGE);
        }
    };
    // What is about one job needs no other backend than its own.
    let mut config = config;
    if let ([job], Command::Run { .. } | Command::Pause { .. } | Command::Resume { .. }) = (jobs.as_slice(), &command) {
        config.storage.backends = vec![job.backend().name().to_owned()];
    }
    match (command, jobs.first()) {
        (Command::Next { count, .. }, _) => next(jobs, usize::from(count), &config, output),
        (Command::History { name, limit }, _) => history::history(name.as_deref(), limit, &config, output).await,
        (Command::Run { dry_run: true, .. }, Some(job)) => run::preview(job, &config, output).await,
        (Command::Run { .. }, Some(job)) => run::run_now(job, &config, output).await,
        (Command::Pause { .. }, Some(job)) => pause::pause(job, &config, output).await,
        (Command::Resume { .. }, Some(job)) => pause::resume(job, &config, output).await,
        (_, _) => list(jobs, &config, output).await,
    }
}

/// The jobs of this name, on this backend or on any.
fn named(jobs: &[Arc<dyn Job>], name: &str, backend: Option<BackendKind>) -> anyhow::Result<Vec<Arc<dyn Job>>> {
    let mut found: Vec<_> = jobs.iter().filter(|job| job.name() == name).cloned().collect();
    if found.is_empty() {
        let known: BTreeSet<&str> = jobs.iter().map(|job| job.name()).collect();
        anyhow::bail!("there is no job `{name}`; the jobs are: {}", known.into_iter().collect::<Vec<_>>().join(", "));
    }
    if let Some(backend) = backend {
        found.retain(|job| job.backend() == backend);
        anyhow::ensure!(!found.is_empty(), "the deployment is not on {backend}: add it to storage.backends");
    }
    Ok(found)
}

/// The one of `jobs`, which have the same name.
fn only(jobs: Vec<Arc<dyn Job>>) -> anyhow::Result<Vec<Arc<dyn Job>>> {
    if let [first, _, ..] = jobs.as_slice() {
        let backends: Vec<&str> = jobs.iter().map(|job| job.backend().name()).collect();
        anyhow::bail!("{} works on {}: say which with --backend", first.name(), backends.join(" and "));
    }
    Ok(jobs)
}

fn upcoming(job: &Arc<dyn Job>, count: usize, config: &Config) -> anyhow::Result<Vec<DateTime<Utc>>> {
    let schedule = Schedule::parse(&job.plan().schedule, config.schedule.timezone)?;
    Ok(schedule.upcoming(clock::now(), count).collect())
}

async fn list(jobs: Vec<Arc<dyn Job>>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let parts = Parts::connected(config).await?;
    for runner in &parts.runners {
        require_schema(&*runner.store).await?;
    }
    let mut documents = Vec::new();
    let mut rows = Vec::new();
    for job in jobs {
        let runner = parts.runner(job.backend())?;
        let store = &runner.store;
        let plan = job.plan();
        let next = if plan.enabled { upcoming(&job, 1, config)?.first().copied() } else { None };
        let paused = store.standing(job.name()).await?.paused;
        let last = store.history(Some(job.name()), 1).await?.into_iter().next();
        let success = store.last_success(job.name()).await?.and_then(|run| run.finished_at);
        documents.push(json!({
            "job": job.name(), "backend": job.backend(), "enabled": plan.enabled, "only_on": plan.only_on,
            "schedule": plan.schedule, "paused": paused, "next_run": next, "last_run": last, "last_success": success,
        }));
        rows.push([
            job.name().to_owned(),
            job.backend().to_string(),
            match (plan.enabled, &plan.only_on, paused) {
                (_, _, Some(_)) => "paused".to_owned(),
                (true, _, None) => "yes".to_owned(),
                (false, Some(node), None) => format!("on {node}"),
                (false, None, None) => "no".to_owned(),
            },
            plan.schedule,
            time(next),
            last.as_ref().map_or("never", outcome).to_owned(),
            time(success),
        ]);
    }
    output.either(&json!({ "jobs": documents }), || {
        table(["job", "backend", "enabled", "schedule", "next run", "last outcome", "last success"], rows)
    })?;
    Ok(DONE)
}

fn next(jobs: Vec<Arc<dyn Job>>, count: usize, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let mut documents = Vec::new();
    let mut rows = Vec::new();
    for job in jobs {
        let slots = upcoming(&job, count, config)?;
        let Plan { enabled, only_on, .. } = job.plan();
        let note = match &only_on {
            _ if enabled => String::new(),
            Some(node) => format!("on {node}"),
            None => "disabled".to_owned(),
        };
        documents.push(json!({
            "job": job.name(), "backend": job.backend(), "enabled": enabled, "only_on": only_on, "slots": slots,
        }));
        let zone = config.schedule.timezone;
        rows.extend(slots.iter().map(|slot| {
            let local = slot.with_timezone(&zone).format("%a %Y-%m-%d %H:%M:%S %Z").to_string();
            [job.name().to_owned(), job.backend().to_string(), time(Some(*slot)), local, note.clone()]
        }));
    }
    output.either(&json!({ "jobs": documents }), || {
        table(["job", "backend", "slot", "in the schedule's zone", ""], rows)
    })?;
    Ok(DONE)
}

/// What needs our own tables says so, instead of naming one that is missing.
async fn require_schema(store: &dyn Store) -> anyhow::Result<()> {
    match store.schema().await?.own_refusal() {
        Some(why) => anyhow::bail!(why),
        None => Ok(()),
    }
}

fn outcome(run: &Run) -> &'static str {
    run.outcome.map_or("running", Outcome::name)
}

pub(super) fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.trunc_subsecs(0).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).unwrap_or_default()
}
