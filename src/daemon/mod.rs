//! The composition: everything is built here, started, watched over and brought to an end.

mod backups;
mod drain;
mod duties;
mod logging;
mod reload;
mod signals;
mod status;
mod systemd;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;

pub use duties::{host, jobs, place, workshop};
pub use logging::Logging;
pub use signals::{Signal, Signals};
pub use systemd::Notifier;

use self::duties::schedule_jobs;
use self::reload::Reload;
use crate::config::{Config, Sources};
use crate::http;
use crate::jobs::Job;
use crate::metrics::Metrics;
use crate::model::{BackendKind, clock};
use crate::runner::{BackendStatus, Board, Clocks, Heartbeat, JobStatus, Runner, Running, Scheduler, Status};
use crate::schedule::Bell;
use crate::storage::{self, Backend};
use crate::throttle::Reason;
use crate::work::{Stop, StopReason};

/// How long connections may take to close once nothing uses them.
const CLOSING: Duration = Duration::from_secs(1);

/// What the daemon and the commands are made of.
#[derive(Debug)]
pub struct Parts {
    /// The stores of the deployment, in the order of the configuration.
    pub backends: Vec<Backend>,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// What runs jobs, one for each store and in the same order.
    pub runners: Vec<Arc<Runner>>,
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
        let backends = storage::open(&config.storage, config.lease.ttl.0, &metrics)?;
        let board = Board::default();
        let runner = |backend: &Backend| {
            let store = backend.store();
            Arc::new(Runner {
                backend: store.backend(),
                store,
                metrics: Arc::clone(&metrics),
                board: board.clone(),
                clocks: Clocks::new(&config.clock),
                lease: config.lease.clone(),
                history: tokio::sync::watch::Sender::new(config.history.clone()),
                holder: holder(),
                ended: Arc::new(Notify::new()),
                running: Running::default(),
            })
        };
        let runners = backends.iter().map(runner).collect();
        Ok(Self { backends, metrics, runners, board })
    }

    /// Builds everything for a command that needs the stores to be there.
    ///
    /// # Errors
    ///
    /// When one is not; the message says why.
    pub async fn connected(config: &Config) -> anyhow::Result<Self> {
        let parts = Self::new(config)?;
        for runner in &parts.runners {
            runner.store.probe().await?;
        }
        Ok(parts)
    }
}

impl Parts {
    /// What runs jobs on `backend`.
    ///
    /// # Errors
    ///
    /// When the deployment is not there.
    pub fn runner(&self, backend: BackendKind) -> anyhow::Result<Arc<Runner>> {
        let runner = self.runners.iter().find(|runner| runner.backend == backend);
        runner.cloned().with_context(|| format!("storage.backends does not name {backend}"))
    }
}

/// This process, for people: host and process number.
fn holder() -> String {
    format!("{}/{}", host(), std::process::id())
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
    let Parts { backends, metrics, runners, board } = Parts::new(&config)?;
    let jobs = jobs(&config);
    board.update(|status| *status = first_status(&config, &runners, &jobs));
    for job in &jobs {
        let tables: Vec<_> = job.touches().iter().map(|touches| (touches.table.name(), touches.reasons)).collect();
        metrics.register_job(job.name(), job.backend(), &tables, &Reason::ALL.map(Reason::name));
        metrics.job_enabled(job.name(), job.backend(), job.plan().is_wanted());
    }
    let heartbeat = Heartbeat::new(notifier.watchdog());
    let server = http::Server::bind(config.http.listen).context("http.listen")?;
    let address = server.local_addr();
    let site = Arc::new(http::Site::new(board.clone(), heartbeat.clone(), Arc::clone(&metrics)));
    let mut serving = server.serve(http::Limits::default(), {
        let site = Arc::clone(&site);
        move |request| site.respond(request)
    })?;
    let places: Vec<String> = runners.iter().map(|runner| runner.store.describe()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), %address, place = places.join("; "),
        "actingweb-maintd is up: page at http://{address}/, metrics at http://{address}/metrics"
    );

    let stop = Stop::new();
    notifier.readiness(board.snapshot().not_ready.first().map(String::as_str));
    let mut watching = JoinSet::new();
    for (backend, runner) in backends.iter().zip(&runners) {
        let watcher =
            watch::Watcher::new(backend.clone(), Arc::clone(runner), Arc::clone(&notifier), &jobs, apply_schema);
        let stop = stop.clone();
        watching.spawn(async move { watcher.watch(&stop).await });
    }
    let shop = Sender::new(Arc::new(workshop(&config)));
    for runner in &runners {
        let (looker, stop) = (backups::Looker::new(Arc::clone(runner), shop.subscribe()), stop.clone());
        watching.spawn(async move { looker.look(&stop).await });
    }
    let mut bell = Bell::start().await.context("cannot start the scheduler")?;
    let mut scheduler = Scheduler::new(schedule_jobs(&config, &jobs, &runners)?);
    tokio::spawn({
        let (notifier, beats) = (Arc::clone(&notifier), heartbeat.beats());
        async move { notifier.feed(beats).await }
    });
    notifier.ready();

    let mut reload = Reload::new(sources, config, logging, backends, runners.clone(), Arc::clone(&notifier), shop);
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
            Some(_ended) = watching.join_next() => break Some("the watch over a store"),
        }
    };
    if let Some(part) = broken {
        tracing::error!("stopping: {part} has ended by itself");
    }
    notifier.stopping();
    stop.request(StopReason::Shutdown);
    bell.stop().await;
    let second = second_signal(&mut signals, &site);
    let cut = drain::drain(&runners, &notifier, &mut scheduler, second, reload.in_force().drain.grace.0).await;
    // A question to a store that does not answer would keep us for as long as a connection may
    // take; left alone, it ends with the process.
    let watched = async { while watching.join_next().await.is_some() {} };
    tokio::select! {
        () = watched => {}
        () = tokio::time::sleep(CLOSING) => {}
    }
    join_all(runners.iter().map(|runner| runner.store.close(CLOSING))).await;
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

fn first_status(config: &Config, runners: &[Arc<Runner>], jobs: &[Arc<dyn Job>]) -> Status {
    let backends = runners.iter().map(|runner| BackendStatus {
        backend: runner.backend,
        up: None,
        place: runner.store.describe(),
        problem: None,
        schema_revision: None,
        backlog: None,
    });
    let jobs = jobs.iter().map(|job| {
        let plan = job.plan();
        JobStatus {
            job: job.name(),
            backend: job.backend(),
            enabled: plan.enabled,
            only_on: plan.only_on,
            schedule: plan.schedule,
            paused: None,
            next_run: None,
            running: None,
            progress: None,
            last_run: None,
            last_success: None,
        }
    });
    Status {
        deployment: config.deployment.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        started_at: clock::now(),
        not_ready: vec![Status::NO_ANSWER.to_owned()],
        backends: backends.collect(),
        jobs: jobs.collect(),
        health: Vec::new(),
        backups: Vec::new(),
    }
}
