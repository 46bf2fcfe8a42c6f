//! A whole run of `ttl_cleanup` while the server fails again and again.

use std::sync::Arc;

use actingweb_maintd::jobs::{self, ttl_cleanup};
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::model::{BackendKind, Table, clock};
use actingweb_maintd::runner::{Ran, Start};
use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::storage::{Bulk, Runs};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Outcome, Progress, Reason, Run, Stop};
use chrono::TimeDelta;

use super::{Scene, attributes};
use crate::harness::dynamodb_proxy::{Fault, Seen};
use crate::harness::runner::{clean_up, runner};

/// Rows that have expired, and as many that have not.
const ROWS: usize = 500;

/// What can happen to a request.
fn faults() -> Vec<Fault> {
    let others = [Fault::THROTTLED, Fault::Refused(500, "InternalServerError", "The request processing has failed")];
    [&Fault::LOSSES[..], &others].concat()
}

async fn prepared() -> Scene {
    let scene = Scene::new().await;
    let now = clock::now().timestamp();
    scene.direct.write(&attributes("dead", ROWS, Some(now - 60))).await.unwrap();
    scene.direct.write(&attributes("alive", ROWS / 2, Some(now + 3600))).await.unwrap();
    scene.direct.write(&attributes("eternal", ROWS / 2, None)).await.unwrap();
    scene
}

fn settings() -> ttl_cleanup::Settings {
    let (batch_size, workers) = (Bounded::new(40), Bounded::new(2));
    ttl_cleanup::Settings { batch_size, workers, ..ttl_cleanup::Settings::default() }
}

async fn run(store: &Arc<DynamoDb>) -> Run {
    clean_up(&runner(store), settings()).await
}

/// Exactly the rows that have expired are gone, once.
async fn judge(scene: &Scene, runs: &[Run], about: &str) {
    let deleted: u64 = runs.iter().map(|run| run.report.deleted).sum();
    assert_eq!(deleted, ROWS as u64, "{about}: {runs:#?}");
    assert_eq!(scene.direct.count(Table::Attributes).await.unwrap(), ROWS as u64, "{about}");
    for (id, count) in [("dead", 0), ("alive", ROWS / 2), ("eternal", ROWS / 2)] {
        let left = scene.direct.read_all(Table::Attributes, id).await.unwrap();
        assert_eq!(left.len(), count, "{about}: {id}");
    }
    let told = |run: &Run| (run.run_id, run.outcome, run.finished_at, run.report.batches, run.report.deleted);
    let history = scene.direct.history(None, 100).await.unwrap();
    let history: Vec<_> = history.iter().rev().map(told).collect();
    let runs: Vec<_> = runs.iter().map(told).collect();
    assert_eq!(history, runs, "{about}: the history has what was reported");
}

#[tokio::test]
async fn every_seventh_request_fails_and_the_run_counts_right() {
    for seed in 0..3 {
        let scene = prepared().await;
        let (mut random, faults) = (fastrand::Rng::with_seed(seed), faults());
        scene
            .proxy
            .play(move |seen| (seen.of_all.is_multiple_of(7)).then(|| faults[random.usize(..faults.len())].clone()));
        let run = run(&scene.store).await;
        assert!(scene.proxy.faults() > 50);
        assert_eq!((run.outcome, run.report.more), (Some(Outcome::Succeeded), false), "seed {seed}: {run:#?}");
        judge(&scene, &[run], &format!("seed {seed}")).await;
    }
}

/// Longer than a request is repeated for, so that batches break off and are tried again.
#[tokio::test]
async fn deletions_fail_in_spells_and_the_run_counts_right() {
    let scene = prepared().await;
    let (mut random, faults) = (fastrand::Rng::with_seed(1), faults());
    let script = move |seen: Seen<'_>| {
        let is_bad = seen.operation == "DeleteItem" && (seen.nth / 100) % 2 == 1;
        (is_bad && random.u8(..10) > 0).then(|| faults[random.usize(..faults.len())].clone())
    };
    scene.proxy.play(script);
    let run = run(&scene.store).await;
    assert_eq!((run.outcome, run.report.more), (Some(Outcome::Succeeded), false), "{run:#?}");
    for reason in ["stalled", "throttled"] {
        assert!(run.report.waited.contains_key(reason), "no batch broke off: {run:#?}");
    }
    judge(&scene, &[run], "in spells").await;
}

/// Each time the SDK tries again in a moment and nothing fails; but there is no capacity to spare.
#[tokio::test]
async fn a_run_makes_room_when_requests_are_turned_away_although_none_fails() {
    let scene = prepared().await;
    scene.proxy.play(|seen| (seen.operation == "DeleteItem" && seen.nth % 20 == 0).then_some(Fault::THROTTLED));
    let run = run(&scene.store).await;
    assert_eq!((run.outcome, run.report.more), (Some(Outcome::Succeeded), false), "{run:#?}");
    assert!(run.report.waited.get("throttled").is_some_and(|waited| *waited > 0.0), "{run:#?}");
    assert!(!run.report.waited.contains_key("stalled"), "{run:#?}");
    judge(&scene, &[run], "one in twenty").await;

    let calm = prepared().await;
    let run = clean_up(&runner(&calm.store), settings()).await;
    assert!(!run.report.waited.contains_key("throttled"), "{run:#?}");
}

/// Rows that live for another hour would be gone.
#[tokio::test]
async fn a_run_does_not_believe_a_clock_that_is_hours_ahead() {
    let scene = prepared().await;
    scene.proxy.play(|_| Some(Fault::Dated(Some(TimeDelta::hours(2)))));
    let place = jobs::Place::on(BackendKind::Dynamodb);
    let jobs = jobs::Settings { ttl_cleanup: settings(), ..jobs::Settings::default() };
    let job = jobs::registry(&jobs, &throttle::Settings::default(), &[place]).remove(0);
    let ran = runner(&scene.store).run(&job, Start::Manual, &Stop::new(), &Progress::new()).await.unwrap();
    assert!(matches!(ran, Ran::Refused(Reason::Clock, _)), "{ran:?}");
    assert_eq!(scene.direct.count(Table::Attributes).await.unwrap(), 2 * ROWS as u64);
}
