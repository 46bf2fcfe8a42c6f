//! `job run`: one job, now.

use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::super::findings;
use super::super::output::{Output, table};
use super::super::progress::{Bar, Unit};
use super::super::{DONE, FAILED, REMAINS};
use super::{backups, health, outcome, reasons, time};
use crate::config::Config;
use crate::daemon::{Parts, Signals};
use crate::jobs::{Job, index_health, ttl_cleanup};
use crate::runner::{Ran, Start};
use crate::storage::{Held, Paused};
use crate::work::{Defect, Outcome, Progress, Report, Run, Stop, StopReason};

/// Says what a run would do.
pub(in crate::cli) async fn preview(job: &Arc<dyn Job>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let runner = Parts::connected(config).await?.runner(job.backend())?;
    let report = job.preview(&*runner.store).await?;
    let more = report.more || !report.is_clean();
    let remarks = findings::text(&report) + &defects(&report);
    output.either(
        &json!({ "job": job.name(), "backend": job.backend(), "dry_run": true, "report": report }),
        || {
            if let Some(backups) = &report.backups {
                return backups::preview(backups);
            }
            if let Some(seen) = &report.health {
                return health::seen(&report, seen);
            }
            if report.findings.is_some() {
                return format!("{remarks}\nNothing was changed.\n");
            }
            let Some(buckets) = report.buckets else { return reasons::preview(&report) };
            let total: u64 = buckets.values().sum();
            let mut rows: Vec<[String; 2]> =
                buckets.into_iter().map(|(bucket, rows)| [bucket, rows.to_string()]).collect();
            rows.push(["all".to_owned(), total.to_string()]);
            let mut text = table(["bucket", "expired rows"], rows);
            text.push_str(&format!("\nWhat ended before {} would be deleted; nothing was.\n", time(report.cutoff)));
            text.push_str(&remarks);
            text
        },
    )?;
    Ok(if more { REMAINS } else { DONE })
}

/// Runs the job, waits for its end and prints it.
pub(in crate::cli) async fn run_now(job: &Arc<dyn Job>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let run = run(job, config).await?;
    output.either(&run, || summary(&run))?;
    Ok(code(&run))
}

/// What the end of a run is for a script.
pub(in crate::cli) fn code(run: &Run) -> u8 {
    match run.outcome {
        Some(Outcome::Succeeded) if run.report.is_clean() => DONE,
        Some(Outcome::Succeeded | Outcome::Partial) => REMAINS,
        _ => FAILED,
    }
}

/// Runs the job and waits for its end.
///
/// # Errors
///
/// When it does not run: somebody else is running it, it is paused, or it must not. One that has run and
/// failed is none.
pub(in crate::cli) async fn run(job: &Arc<dyn Job>, config: &Config) -> anyhow::Result<Run> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let runner = Parts::connected(config).await?.runner(job.backend())?;
    let stop = Stop::new();
    let progress = Progress::new();
    // An estimate is enough; without one the bar counts without an end.
    if job.name() == ttl_cleanup::NAME
        && let Ok(backlog) = runner.store.backlog().await
        && !backlog.capped
    {
        progress.expect(backlog.expired_rows);
    }
    let mut running = tokio::spawn({
        let (runner, job, stop, progress) = (Arc::clone(&runner), Arc::clone(job), stop.clone(), progress.clone());
        async move { runner.run(&job, Start::Manual, &stop, &progress).await }
    });
    let unit = if index_health::counts_pages(job.name(), job.backend()) { Unit::Pages } else { Unit::Rows };
    let bar = Bar::show(job.name(), unit, progress);
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
        Ran::Ended(run) => Ok(*run),
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

/// A run for people.
pub(in crate::cli) fn summary(run: &Run) -> String {
    if let Some(backups) = &run.report.backups {
        return backups::summary(run, backups) + &defects(&run.report);
    }
    if let Some(seen) = &run.report.health {
        return health::summary(run, seen);
    }
    let Report { examined, deleted, skipped, batches, cutoff, more, stopped, trouble, .. } = &run.report;
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
    text.push_str(&findings::text(&run.report));
    text.push_str(&reasons::summary(&run.report));
    if let Some(why) = stopped {
        text.push_str(&format!("\nIt ended early: {why}.\n"));
    }
    if let Some(trouble) = trouble {
        text.push_str(&format!("What was in its way: {trouble}\n"));
    }
    if let Some(error) = &run.error {
        text.push_str(&format!("\nIt failed: {error}\n"));
    }
    text.push_str(&defects(&run.report));
    text
}

/// What is wrong with how the deployment is set up.
fn defects(report: &Report) -> String {
    report.defects.iter().map(|Defect { what, remedy, .. }| format!("\n{what}: {remedy}\n")).collect()
}
