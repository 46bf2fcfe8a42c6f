//! The composition: everything is built here, started, watched over and brought to an end.

mod drain;
mod logging;
mod reload;
mod signals;
mod status;
mod systemd;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;

pub use logging::Logging;
pub use signals::{Signal, Signals};
pub use systemd::Notifier;

use self::reload::Reload;
use crate::config::{Config, Sources};
use crate::http;
use crate::jobs::{self, BACKEND, Deletes, Job};
use crate::metrics::Metrics;
use crate::model::clock;
use crate::runner::{
    BackendStatus, Board, Clocks, Heartbeat, JobStatus, Runner, Running, Scheduled, Scheduler, Status,
};
use crate::schedule::Bell;
use crate::storage::postgres::Postgres;
use crate::throttle::Reason;
use crate::work::{Stop, StopReason};

/// How long connections may take to close once nothing uses them.
const CLOSING: Duration = Duration::from_secs(1);

/// What the daemon and the commands are made of.
#[derive(Debug)]
pub struct Parts {
    /// The store of the deployment.
    pub store: Arc<Postgres>,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Runs jobs.
    pub runner: Arc<Runner>,
    /// What is known right now.
    pub board: Board,
}

impl Parts {
    /// Builds everything from `config`. Connects to nothing.
    ///
    /// # Errors
    ///
    /// When the settings cannot be made into connection options.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let revision = option_env!("ACTINGWEB_MAINTD_REVISION").unwrap_or("unknown");
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), revision));
        let store = Postgres::new(config.storage.postgresql.clone(), config.lease.ttl.0, Arc::clone(&metrics))?;
        let store = Arc::new(store);
        let board = Board::default();
        let runner = Arc::new(Runner {
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
            board: board.clone(),
            clocks: Clocks::new(&config.clock),
            lease: config.lease.clone(),
            history: tokio::sync::watch::Sender::new(config.history.clone()),
            holder: holder(),
            ended: Arc::new(Notify::new()),
            running: Running::default(),
        });
        Ok(Self { store, metrics, runner, board })
    }

    /// Builds everything for a command that needs the store to be there.
    ///
    /// # Errors
    ///
    /// When it is not; the message says why.
    pub async fn connected(config: &Config) -> anyhow::Result<Self> {
        let parts = Self::new(config)?;
        parts.store.probe().await?;
        Ok(parts)
    }
}

/// This process, for people: host and process number.
fn holder() -> String {
    format!("{}/{}", host(), std::process::id())
}

/// This machine, for people.
pub fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { "localhost".to_owned() } else { host.trim().to_owned() }
}

/// Runs the daemon with `config`, which was loaded from `sources`, until a signal ends it. With
/// `apply_schema` it first makes its own schema, never the application's.
///
/// # Errors
///
/// When it cannot start, and when runs had to be cut at the end; the message names them.
pub async fn run(sources: Sources, config: Config, logging: Logging, apply_schema: bool) -> anyhow::Result<()> {
    // Before anything slow, so that no signal is lost.
    let mut signals = Signals::of_the_daemon().context("cannot listen for signals")?;
    let notifier = Arc::new(Notifier::from_environment());
    let Parts { store, metrics, runner, board } = Parts::new(&config)?;
    let jobs = jobs::registry(&config.jobs, &config.throttle);
    board.update(|status| *status = first_status(&config, &store, &jobs));
    for job in &jobs {
        let Deletes { table, reason } = job.deletes();
        metrics.register_job(job.name(), BACKEND, &[(table, &[reason])], &Reason::ALL.map(Reason::name));
    }
    let heartbeat = Heartbeat::new(notifier.watchdog());
    let server = http::Server::bind(config.http.listen).context("http.listen")?;
    let address = server.local_addr();
    let site = Arc::new(http::Site::new(board.clone(), heartbeat.clone(), Arc::clone(&metrics)));
    let mut serving = server.serve(http::Limits::default(), {
        let site = Arc::clone(&site);
        move |request| site.respond(request)
    })?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), %address, place = store.describe(),
        "actingweb-maintd is up: page at http://{address}/, metrics at http://{address}/metrics"
    );

    let stop = Stop::new();
    notifier.readiness(board.snapshot().not_ready.first().map(String::as_str));
    let watcher = watch::Watcher::new(Arc::clone(&runner), Arc::clone(&notifier), &jobs, apply_schema);
    let mut watching = tokio::spawn({
        let stop = stop.clone();
        async move { watcher.watch(&stop).await }
    });
    let mut bell = Bell::start().await.context("cannot start the scheduler")?;
    let scheduled = schedule_jobs(&config, &jobs)?;
    let mut scheduler = Scheduler::new(Arc::clone(&runner), scheduled);
    tokio::spawn({
        let (notifier, beats) = (Arc::clone(&notifier), heartbeat.beats());
        async move { notifier.feed(beats).await }
    });
    notifier.ready();

    let mut reload = Reload::new(sources, config, logging, Arc::clone(&runner), Arc::clone(&notifier));
    let broken = loop {
        tokio::select! {
            () = scheduler.turn(&mut bell, &heartbeat, &stop) => break None,
            signal = signals.next() => match signal {
                Signal::Reload => reload.begin(),
                Signal::Status => status::tell(&site.status()),
                Signal::Interrupt | Signal::Terminate => {
                    tracing::info!(%signal, "stopping: running jobs end at their next batch");
                    break None;
                }
            },
            judged = reload.loaded() => reload.end(judged, &mut scheduler),
            () = serving.ended() => break Some("the HTTP server"),
            _ended = &mut watching => break Some("the watch over the store"),
        }
    };
    if let Some(part) = broken {
        tracing::error!("stopping: {part} has ended by itself");
    }
    notifier.stopping();
    stop.request(StopReason::Shutdown);
    bell.stop().await;
    let second = second_signal(&mut signals, &site);
    let cut = drain::drain(&runner, &notifier, &mut scheduler, second, reload.in_force().drain.grace.0).await;
    // A question to a store that does not answer would keep us for as long as a connection may
    // take; left alone, it ends with the process.
    if !watching.is_finished() {
        tokio::select! {
            _ended = &mut watching => {}
            () = tokio::time::sleep(CLOSING) => {}
        }
    }
    store.close(CLOSING).await;
    // Last, so that the end of the last run can still be scraped.
    serving.stop(CLOSING).await;
    anyhow::ensure!(
        cut.is_empty(),
        "stopped in the middle of {}: what the last batch had not committed is undone by the server",
        cut.join(", ")
    );
    if let Some(part) = broken {
        anyhow::bail!("{part} has ended by itself; the log says why");
    }
    tracing::info!("stopped");
    Ok(())
}

/// The next signal that asks for an end, while one has been asked for already.
async fn second_signal(signals: &mut Signals, site: &http::Site) -> Signal {
    loop {
        match signals.next().await {
            Signal::Reload => tracing::warn!("the configuration is not loaded again, as the daemon is stopping"),
            Signal::Status => status::tell(&site.status()),
            end @ (Signal::Interrupt | Signal::Terminate) => return end,
        }
    }
}

fn schedule_jobs(config: &Config, jobs: &[Arc<dyn Job>]) -> anyhow::Result<Vec<Scheduled>> {
    let postgresql = &config.storage.postgresql;
    let deployment = format!("{}/{}", postgresql.dbname, postgresql.schema);
    let scheduled = jobs.iter().map(|job| {
        let scheduled = Scheduled::new(Arc::clone(job), &config.schedule, &deployment);
        scheduled.map_err(|problem| anyhow::anyhow!("jobs.{}: {problem}", job.name()))
    });
    scheduled.collect()
}

fn first_status(config: &Config, store: &Postgres, jobs: &[Arc<dyn Job>]) -> Status {
    let backend = BackendStatus {
        backend: BACKEND,
        up: None,
        place: store.describe(),
        problem: None,
        schema_revision: None,
        backlog: None,
    };
    let jobs = jobs.iter().map(|job| {
        let plan = job.plan();
        JobStatus {
            job: job.name(),
            backend: BACKEND,
            enabled: plan.enabled,
            schedule: plan.schedule,
            paused: None,
            next_run: None,
            running: None,
            last_run: None,
            last_success: None,
        }
    });
    Status {
        deployment: config.deployment.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        started_at: clock::now(),
        not_ready: vec!["no store has answered yet".to_owned()],
        backends: vec![backend],
        jobs: jobs.collect(),
    }
}
