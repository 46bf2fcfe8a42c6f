//! Nothing is deleted from a store that is being restored or imported into.

use std::sync::Arc;

use actingweb_maintd::jobs;
use actingweb_maintd::runner::{Ran, Start};
use actingweb_maintd::storage::{Slots, Store, Upkeep};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Progress, Reason, Stop};
use chrono::TimeDelta;
use serde_json::Value;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, maintd};
use crate::harness::dynamodb::TestTables;
use crate::harness::eventually;
use crate::harness::runner::runner;
use crate::harness::store::{add_attributes, count_attributes, store};

/// While the store is marked every job is refused, and says who has marked it and why.
async fn every_job_is_refused<S: Store + 'static>(store: Arc<S>) {
    store.mark_incomplete("a restore of set 7", "somebody").await.unwrap();
    let runner = runner(&store);
    let place = jobs::Place::on(runner.backend);
    let all = jobs::registry(&jobs::Settings::default(), &throttle::Settings::default(), &[place]);
    assert_eq!(all.len(), 6);
    for job in &all {
        match runner.run(job, Start::Manual, &Stop::new(), &Progress::new()).await.unwrap() {
            Ran::Refused(Reason::Incomplete, why) => {
                assert!(why.contains("somebody") && why.contains("a restore of set 7"), "{why}");
            }
            other => panic!("{} ran: {other:?}", job.name()),
        }
    }
    store.mark_complete().await.unwrap();
    for job in &all {
        let ran = runner.run(job, Start::Manual, &Stop::new(), &Progress::new()).await.unwrap();
        assert!(matches!(ran, Ran::Ended(_)), "{} does not run: {ran:?}", job.name());
    }
}

#[tokio::test]
async fn no_job_runs_on_an_incomplete_postgresql() {
    let db = TestDb::new().await;
    every_job_is_refused(store(&db)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_runs_on_an_incomplete_dynamodb() {
    let tables = TestTables::new().await;
    every_job_is_refused(tables.store()).await;
}

#[tokio::test]
async fn slots_are_skipped_until_the_store_is_complete() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 20, -60).await;
    let store = store(&db);
    store.mark_incomplete("an import", "somebody").await.unwrap();
    let by_hand = maintd(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!(by_hand.code, 1, "{by_hand:?}");
    assert!(by_hand.stderr.contains("ttl_cleanup does not run: it is incomplete since"), "{by_hand:?}");

    let daemon = Maintd::on(&db).config("[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n").start().ready();
    daemon.until_said("ttl_cleanup does not run: it is incomplete since");
    assert_eq!(count_attributes(&db).await, 20);
    // Some slots fall due meanwhile.
    let waited = store.time().await.unwrap() + TimeDelta::seconds(3);
    eventually("time to pass", async || store.time().await.unwrap() > waited).await;
    store.mark_complete().await.unwrap();
    daemon.until("the rows to be gone", |daemon| daemon.rows_deleted() == 20);
    let history = maintd(&db, &["job", "history", "--json"]).json();
    let passed: Vec<&Value> = history["passed_slots"].as_array().unwrap().iter().collect();
    // A machine that stands still may miss one before or after.
    let is_skipped = |slots: &&Value| slots["reason"] == "incomplete" && slots["fate"] == "skipped";
    assert!(passed.iter().any(|slots| is_skipped(slots) && slots["count"].as_u64() >= Some(2)), "{history:#}");
    daemon.stop();
}
