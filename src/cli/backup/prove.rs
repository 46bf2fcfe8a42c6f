//! `backup verify`, `backup drill` and `backup restore`.

use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::super::job::{self, time};
use super::super::output::{Output, table};
use super::super::progress::{Bar, Unit};
use super::super::{DONE, FAILED, REMAINS};
use super::sets::{Wanted, find};
use crate::backup::{self, Desk, Finder, Level, State, Workshop};
use crate::config::Config;
use crate::daemon::{self, Signals};
use crate::jobs::Job;
use crate::jobs::backup_drill::DrillJob;
use crate::model::BackendKind;
use crate::throttle::Budget;
use crate::work::{Outcome, Progress, Stop, StopReason};

/// Reads all of a set.
pub(super) async fn verify(
    wanted: &Wanted,
    backend: Option<BackendKind>,
    config: &Config,
    output: &Output,
) -> anyhow::Result<u8> {
    let shop = daemon::workshop(config);
    let (shelf, entry) = find(wanted, Level::Taken, backend, &shop, config).await?;
    let verifying = async |desk: Desk<'_>| backup::verify(desk, &shelf, &entry.set).await;
    let state = attended("backup verify", Unit::Bytes, &shop, verifying).await?;
    let State { set, verified_at, drill, damage } = &state;
    let document = json!({
        "set": set, "level": state.level(), "verified_at": verified_at, "drill": drill, "damage": damage,
    });
    output.either(&document, || match damage {
        Some(damage) if damage.by == Finder::Drill => format!(
            "Every byte of {set} is what was written, but its last drill found it damaged: {}. `backup drill {set}` \
             looks again.\n",
            damage.what
        ),
        Some(damage) => format!("{set} is damaged: {}\n", damage.what),
        None => format!("{set} is what was written; it is {}.\n", state.level().name()),
    })?;
    Ok(if damage.is_some() { REMAINS } else { DONE })
}

/// Restores a set into a place that is thrown away, under the lease of the job `backup_drill`.
pub(super) async fn drill(
    wanted: &Wanted,
    backend: BackendKind,
    config: &Config,
    output: &Output,
) -> anyhow::Result<u8> {
    let shop = Arc::new(daemon::workshop(config));
    let (_, entry) = find(wanted, Level::Taken, Some(backend), &shop, config).await?;
    let drill = DrillJob::new(config.jobs.backup_drill.clone(), shop, daemon::place(config, backend)).of(entry.set);
    let job: Arc<dyn Job> = Arc::new(drill);
    let run = job::run::run(&job, config).await?;
    output.either(&run, || job::run::summary(&run))?;
    let is_damaged = run.report.backups.as_ref().is_some_and(|backups| backups.damage.is_some());
    // That a set is not what it should be is what a drill is for, and no failure of the drill.
    Ok(if run.outcome == Some(Outcome::Failed) && is_damaged { REMAINS } else { job::run::code(&run) })
}

/// Restores a set into a target.
pub(super) async fn restore(
    wanted: &Wanted,
    backend: Option<BackendKind>,
    into: &str,
    config: &Config,
    output: &Output,
) -> anyhow::Result<u8> {
    let shop = daemon::workshop(config);
    let (shelf, entry) = find(wanted, Level::Verified, backend, &shop, config).await?;
    let restoring = async |desk: Desk<'_>| backup::restore(desk, &shelf, &entry.set, into).await;
    match attended("backup restore", Unit::Rows, &shop, restoring).await {
        Ok(restored) => {
            output.either(&restored, || {
                let compared = if restored.compared { "the digest of every table" } else { "the number of rows" };
                let data_of = entry.manifest.as_ref().ok().map(|manifest| manifest.taken_at);
                table(
                    ["set", restored.set.as_str()],
                    [
                        ["restored into".to_owned(), restored.place.clone()],
                        ["data of".to_owned(), time(data_of)],
                        ["rows".to_owned(), restored.rows.to_string()],
                        ["took".to_owned(), format!("{:.2} s", restored.seconds)],
                        ["compared", compared].map(str::to_owned),
                    ],
                )
            })?;
            Ok(DONE)
        }
        Err(error) => {
            output.error(&error);
            Ok(FAILED)
        }
    }
}

/// Does something long, with a bar to watch it by, until it is done or interrupted.
async fn attended<T>(
    title: &'static str,
    unit: Unit,
    shop: &Workshop,
    work: impl AsyncFnOnce(Desk<'_>) -> backup::Result<T>,
) -> anyhow::Result<T> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let (stop, progress) = (Stop::new(), Progress::new());
    let budget = Budget::of(&shop.storage.dynamodb);
    let bar = Bar::show(title, unit, progress.clone());
    let desk = Desk { shop, stop: &stop, progress: &progress, budget: &budget };
    let ended = {
        let mut work = std::pin::pin!(work(desk));
        loop {
            tokio::select! {
                ended = &mut work => break ended,
                _ = signals.next() => {
                    if stop.requested().is_some() {
                        anyhow::bail!("interrupted");
                    }
                    stop.request(StopReason::Shutdown);
                }
            }
        }
    };
    bar.clear().await;
    ended.map_err(|error| anyhow::anyhow!(error.chain()))
}
