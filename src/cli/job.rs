//! `job`: what runs, when it runs, what it did, and running it now.

use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, SubsecRound, Utc};
use clap::Subcommand;
use serde_json::json;

use super::output::{Output, table};
use super::progress::Bar;
use super::{DONE, FAILED, REMAINS, USAGE};
use crate::config::Config;
use crate::daemon::{self, Parts, Signals};
use crate::jobs::{self, BACKEND, Job};
use crate::model::clock;
use crate::runner::{Ran, Start};
use crate::schedule::Schedule;
use crate::storage::postgres::Postgres;
use crate::storage::{Held, Paused, Runs, Slots, Sweep};
use crate::work::{Outcome, Progress, Report, Run, Stop, StopReason, Trigger};

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
        /// The job.
        name: String,
        /// Only say what it would do.
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a job from running, on every replica, until it is resumed. A run that is going on ends
    /// at its next batch.
    Pause {
        /// The job.
        name: String,
    },
    /// Let a paused job run again, from its next time on.
    Resume {
        /// The job.
        name: String,
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

pub(super) async fn run(command: Command, config: Config, output: &Output) -> anyhow::Result<u8> {
    let jobs = jobs::registry(&config.jobs, &config.throttle);
    let named = match &command {
        Command::List => None,
        Command::Next { name, .. } | Command::History { name, .. } => name.as_deref(),
        Command::Run { name, .. } | Command::Pause { name } | Command::Resume { name } => Some(name.as_str()),
    };
    if let Some(name) = named
        && !jobs.iter().any(|job| job.name() == name)
    {
        let known: Vec<&str> = jobs.iter().map(|job| job.name()).collect();
        output.error(&anyhow::anyhow!("there is no job `{name}`; the jobs are: {}", known.join(", ")));
        return Ok(USAGE);
    }
    let jobs = jobs.into_iter().filter(|job| named.is_none_or(|name| job.name() == name));
    match command {
        Command::List => list(jobs.collect(), &config, output).await,
        Command::Next { count, .. } => next(jobs.collect(), usize::from(count), &config, output),
        Command::Run { dry_run, .. } => {
            let job = jobs.into_iter().next().context("no job")?;
            if dry_run { preview(&job, &config, output).await } else { run_now(&job, &config, output).await }
        }
        Command::Pause { name } => pause(&name, &config, output).await,
        Command::Resume { name } => resume(&name, &config, output).await,
        Command::History { name, limit } => history(name.as_deref(), limit, &config, output).await,
    }
}

fn upcoming(job: &Arc<dyn Job>, count: usize, config: &Config) -> anyhow::Result<Vec<DateTime<Utc>>> {
    let schedule = Schedule::parse(&job.plan().schedule, config.schedule.timezone)?;
    Ok(schedule.upcoming(clock::now(), count).collect())
}

async fn list(jobs: Vec<Arc<dyn Job>>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let store = Parts::connected(config).await?.store;
    require_schema(&store).await?;
    let mut documents = Vec::new();
    let mut rows = Vec::new();
    for job in jobs {
        let plan = job.plan();
        let next = if plan.enabled { upcoming(&job, 1, config)?.first().copied() } else { None };
        let paused = store.standing(job.name()).await?.paused;
        let last = store.history(Some(job.name()), 1).await?.into_iter().next();
        let success = store.last_success(job.name()).await?.and_then(|run| run.finished_at);
        documents.push(json!({
            "job": job.name(), "backend": BACKEND, "enabled": plan.enabled, "schedule": plan.schedule,
            "paused": paused, "next_run": next, "last_run": last, "last_success": success,
        }));
        rows.push([
            job.name().to_owned(),
            BACKEND.to_string(),
            match (plan.enabled, paused) {
                (_, Some(_)) => "paused",
                (true, None) => "yes",
                (false, None) => "no",
            }
            .to_owned(),
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
        let enabled = job.plan().enabled;
        documents.push(json!({ "job": job.name(), "enabled": enabled, "slots": slots }));
        let zone = config.schedule.timezone;
        let note = if enabled { "" } else { "disabled" };
        rows.extend(slots.iter().map(|slot| {
            let local = slot.with_timezone(&zone).format("%a %Y-%m-%d %H:%M:%S %Z").to_string();
            [job.name().to_owned(), time(Some(*slot)), local, note.to_owned()]
        }));
    }
    output.either(&json!({ "jobs": documents }), || table(["job", "slot", "in the schedule's zone", ""], rows))?;
    Ok(DONE)
}

async fn preview(job: &Arc<dyn Job>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let store = Parts::connected(config).await?.store;
    let report = job.preview(&*store).await?;
    let more = report.more;
    output.either(&json!({ "job": job.name(), "backend": BACKEND, "dry_run": true, "report": report }), || {
        let buckets = report.buckets.unwrap_or_default();
        let total: u64 = buckets.values().sum();
        let mut rows: Vec<[String; 2]> = buckets.into_iter().map(|(bucket, rows)| [bucket, rows.to_string()]).collect();
        rows.push(["all".to_owned(), total.to_string()]);
        let mut text = table(["bucket", "expired rows"], rows);
        text.push_str(&format!("\nRows with a TTL before {} would be deleted; nothing was.\n", time(report.cutoff)));
        text
    })?;
    Ok(if more { REMAINS } else { DONE })
}

async fn run_now(job: &Arc<dyn Job>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let Parts { store, runner, .. } = Parts::connected(config).await?;
    let stop = Stop::new();
    let progress = Progress::new();
    // An estimate is enough; without one the bar counts without an end.
    if let Ok(backlog) = store.backlog().await
        && !backlog.capped
    {
        progress.expect(backlog.expired_rows);
    }
    let mut running = tokio::spawn({
        let (runner, job, stop, progress) = (Arc::clone(&runner), Arc::clone(job), stop.clone(), progress.clone());
        async move { runner.run(&job, Start::Manual, &stop, &progress).await }
    });
    let bar = Bar::show(job.name(), progress);
    let ran = loop {
        tokio::select! {
            ran = &mut running => break ran,
            _ = signals.next() => {
                if stop.requested().is_some() {
                    anyhow::bail!("interrupted: what the last batch had not committed is undone by the server");
                }
                stop.request(StopReason::Shutdown);
            }
        }
    };
    bar.clear().await;
    match ran?? {
        Ran::Ended(run) => {
            let code = match run.outcome {
                Some(Outcome::Succeeded) => DONE,
                Some(Outcome::Partial) => REMAINS,
                _ => FAILED,
            };
            output.either(&*run, || summary(&run))?;
            Ok(code)
        }
        Ran::Held(Held { holder, since }) => {
            anyhow::bail!(
                "{} is being run by {holder} since {}; try again when it is done",
                job.name(),
                time(Some(since))
            )
        }
        Ran::Paused(Paused { by, since }) => {
            anyhow::bail!(
                "{0} is paused by {by} since {1}; `job resume {0}` lets it run",
                job.name(),
                time(Some(since))
            )
        }
        Ran::Refused(_, why) => anyhow::bail!("{} does not run: {why}", job.name()),
        // Only what has a slot can find it moved.
        Ran::Moved | Ran::Stopped => anyhow::bail!("interrupted before {} had begun", job.name()),
    }
}

async fn pause(name: &str, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let store = Parts::connected(config).await?.store;
    require_schema(&store).await?;
    let paused = store.pause(name, &person()).await?;
    output.either(&json!({ "job": name, "backend": BACKEND, "paused": paused }), || {
        format!("{name} is paused by {} since {}.\n", paused.by, time(Some(paused.since)))
    })?;
    Ok(DONE)
}

async fn resume(name: &str, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let store = Parts::connected(config).await?.store;
    require_schema(&store).await?;
    let was = store.resume(name).await?;
    output.either(&json!({ "job": name, "backend": BACKEND, "paused": null, "was_paused": was }), || match &was {
        Some(was) => format!("{name} runs again. It was paused by {} since {}.\n", was.by, time(Some(was.since))),
        None => format!("{name} was not paused.\n"),
    })?;
    Ok(DONE)
}

/// What needs our own tables says so, instead of naming one that is missing.
async fn require_schema(store: &Postgres) -> anyhow::Result<()> {
    match store.schema().await?.own_refusal() {
        Some(why) => anyhow::bail!(why),
        None => Ok(()),
    }
}

/// Who is at the keyboard, for the others.
fn person() -> String {
    let name = ["USER", "LOGNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    format!("{}@{}", name.as_deref().unwrap_or("somebody"), daemon::host())
}

async fn history(name: Option<&str>, limit: u32, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let store = Parts::connected(config).await?.store;
    require_schema(&store).await?;
    let runs = store.history(name, limit).await?;
    let passed = store.passed(name, limit).await?;
    output.either(&json!({ "runs": runs, "passed_slots": passed }), || {
        let ran = runs.iter().map(|run| {
            let row = [
                time(Some(run.started_at)),
                run.job.clone(),
                run.backend.to_string(),
                run.trigger.name().to_owned(),
                outcome(run).to_owned(),
                run.seconds().map(|seconds| format!("{seconds:.2} s")).unwrap_or_default(),
                run.report.deleted.to_string(),
                why(run),
            ];
            (run.started_at, row)
        });
        let passed = passed.iter().map(|slots| {
            let why = match slots.count {
                1 => slots.reason.to_string(),
                count => format!("{count} slots since {}: {}", time(Some(slots.from)), slots.reason),
            };
            let [job, backend, fate] = [slots.job.clone(), slots.backend.to_string(), slots.fate.name().to_owned()];
            let [took, deleted] = [String::new(), String::new()];
            (
                slots.to,
                [time(Some(slots.to)), job, backend, Trigger::Schedule.name().to_owned(), fate, took, deleted, why],
            )
        });
        let mut rows: Vec<_> = ran.chain(passed).collect();
        rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let rows = rows.into_iter().take(limit as usize).map(|(_, row)| row);
        table(["started", "job", "backend", "trigger", "outcome", "took", "deleted", "why"], rows)
    })?;
    Ok(DONE)
}

fn summary(run: &Run) -> String {
    let Report { examined, deleted, skipped, batches, cutoff, more, stopped, .. } = &run.report;
    let mut text = table(
        ["run", &run.run_id.to_string()],
        [
            ["outcome", outcome(run)].map(str::to_owned),
            ["took".to_owned(), run.seconds().map(|seconds| format!("{seconds:.2} s")).unwrap_or_default()],
            ["cutoff".to_owned(), time(*cutoff)],
            ["rows examined".to_owned(), examined.to_string()],
            ["rows deleted".to_owned(), deleted.to_string()],
            ["rows passed over".to_owned(), skipped.to_string()],
            ["batches".to_owned(), batches.to_string()],
            ["work remains", if *more { "yes" } else { "no" }].map(str::to_owned),
        ],
    );
    if let Some(why) = stopped {
        text.push_str(&format!("\nIt ended early: {why}.\n"));
    }
    if let Some(error) = &run.error {
        text.push_str(&format!("\nIt failed: {error}\n"));
    }
    text
}

/// Why it ended as it did, if that needs a word.
fn why(run: &Run) -> String {
    let Report { stopped, trouble, .. } = &run.report;
    match (&run.error, stopped, trouble) {
        (Some(error), ..) => error.clone(),
        (None, Some(stopped), Some(trouble)) => format!("{stopped}, and meanwhile: {trouble}"),
        (None, Some(stopped), None) => stopped.to_string(),
        (None, None, _) => String::new(),
    }
}

fn outcome(run: &Run) -> &'static str {
    run.outcome.map_or("running", Outcome::name)
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(|at| at.trunc_subsecs(0).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).unwrap_or_default()
}
