//! Running a job by hand, as `job run` does, inside the test.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::{self, Job, Workplace, ttl_cleanup};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::runner::{
    Board, ClockSettings, Clocks, HistorySettings, LeaseSettings, Ran, Runner, Running, Start,
};
use actingweb_maintd::storage::{Claim, Claimed, Lease, Pressure, Store};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Progress, Run, Stop};
use tokio::sync::watch;

/// A runner on `store` and what it counts into.
pub(crate) fn runner<S: Store + 'static>(store: &Arc<S>) -> Runner {
    runner_of(Arc::clone(store) as Arc<dyn Store>)
}

/// The same on a store of either kind.
pub(crate) fn runner_of(store: Arc<dyn Store>) -> Runner {
    Runner {
        backend: store.backend(),
        store,
        metrics: Arc::new(Metrics::new("test", "test")),
        board: Board::default(),
        clocks: Clocks::new(&ClockSettings::default()),
        lease: LeaseSettings::default(),
        history: watch::Sender::new(HistorySettings::default()),
        holder: "test".to_owned(),
        ended: Arc::default(),
        running: Running::default(),
    }
}

/// What a run is given, for a job that is called without a runner.
pub(crate) struct Site {
    backend: BackendKind,
    lease: Lease,
    pub(crate) stop: Stop,
    pub(crate) progress: Progress,
    pub(crate) metrics: Metrics,
    clocks: Clocks,
}

impl Site {
    /// Takes the lease of a job.
    pub(crate) async fn of(store: &dyn Store, job: &'static str) -> Self {
        let ttl = Duration::from_secs(60);
        let claim = Claim { job, due: None, holder: "test".to_owned(), workers: 1, ttl };
        let lease = match store.claim(&claim).await.expect("claiming") {
            Claimed::Won(won) => won.lease,
            other => panic!("{other:?}"),
        };
        Self {
            backend: store.backend(),
            lease,
            stop: Stop::new(),
            progress: Progress::new(),
            metrics: Metrics::new("test", "test"),
            clocks: Clocks::new(&ClockSettings::default()),
        }
    }

    /// The same for the job, which asks `pressure` how others are.
    pub(crate) fn at<'a>(&'a self, pressure: &'a dyn Pressure) -> Workplace<'a> {
        Workplace {
            backend: self.backend,
            lease: &self.lease,
            ttl: Duration::from_secs(60),
            stop: &self.stop,
            progress: &self.progress,
            metrics: &self.metrics,
            clocks: &self.clocks,
            pressure,
        }
    }
}

/// Runs a job once.
pub(crate) async fn run_once(runner: &Runner, job: impl Job + 'static) -> Run {
    run_to_its_end(runner, &(Arc::new(job) as Arc<dyn Job>)).await
}

async fn run_to_its_end(runner: &Runner, job: &Arc<dyn Job>) -> Run {
    match runner.run(job, Start::Manual, &Stop::new(), &Progress::new()).await.expect("running") {
        Ran::Ended(run) => *run,
        other => panic!("it did not run: {other:?}"),
    }
}

/// Runs `ttl_cleanup` once with these settings.
pub(crate) async fn clean_up(runner: &Runner, settings: ttl_cleanup::Settings) -> Run {
    clean_up_until(runner, settings, throttle::Settings::default(), &Stop::new(), &Progress::new()).await
}

/// Runs a job of these settings once, to its end.
pub(crate) async fn run_job(runner: &Runner, name: &str, settings: &jobs::Settings) -> Run {
    run_to_its_end(runner, &job_of(runner, name, settings)).await
}

/// A job of these settings.
pub(crate) fn job_of(runner: &Runner, name: &str, settings: &jobs::Settings) -> Arc<dyn Job> {
    let place = jobs::Place::on(runner.backend);
    let jobs = jobs::registry(settings, &throttle::Settings::default(), &[place]);
    jobs.into_iter().find(|job| job.name() == name).expect("a job")
}

/// Runs `ttl_cleanup` at this pace and until it is asked to stop.
pub(crate) async fn clean_up_until(
    runner: &Runner,
    settings: ttl_cleanup::Settings,
    throttle: throttle::Settings,
    stop: &Stop,
    progress: &Progress,
) -> Run {
    let place = jobs::Place::on(runner.backend);
    let job =
        jobs::registry(&jobs::Settings { ttl_cleanup: settings, ..jobs::Settings::default() }, &throttle, &[place])
            .remove(0);
    match runner.run(&job, Start::Manual, stop, progress).await.expect("running") {
        Ran::Ended(run) => *run,
        other => panic!("it did not run: {other:?}"),
    }
}
