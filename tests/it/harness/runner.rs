//! Running a job by hand, as `job run` does, inside the test.

use std::sync::Arc;

use actingweb_maintd::jobs::{self, Job, ttl_cleanup};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::runner::{
    Board, ClockSettings, Clocks, HistorySettings, LeaseSettings, Ran, Runner, Running, Start,
};
use actingweb_maintd::storage::Store;
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

/// Runs a job once.
pub(crate) async fn run_once(runner: &Runner, job: impl Job + 'static) -> Run {
    let job: Arc<dyn Job> = Arc::new(job);
    match runner.run(&job, Start::Manual, &Stop::new(), &Progress::new()).await.expect("running") {
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
    let job = job_of(runner, name, settings);
    match runner.run(&job, Start::Manual, &Stop::new(), &Progress::new()).await.expect("running") {
        Ran::Ended(run) => *run,
        other => panic!("it did not run: {other:?}"),
    }
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
