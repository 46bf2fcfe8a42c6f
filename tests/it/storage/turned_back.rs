//! A clock that was ahead, and has been put right: slots of the future are slots again.

use actingweb_maintd::storage::{Conclusion, Slots};
use actingweb_maintd::work::{Passed, Reason};
use chrono::{DateTime, Utc};

use crate::harness::cluster::TestDb;
use crate::harness::store::store;

const JOB: &str = "ttl_cleanup";

/// Minutes of some hour: the slots of this schedule.
fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).expect("a time")
}

/// The slots from `first` to `last` are passed over, after `since`.
fn passed(since: DateTime<Utc>, first: i64, last: i64) -> Conclusion {
    let count = u64::try_from(last - first + 1).expect("a stretch");
    Conclusion {
        since,
        passed: vec![Passed { first: at(first), last: at(last), count, reason: Reason::Downtime }],
        goes_on: false,
        begun: 0,
        until: at(last),
        schedule: "every 1m".to_owned(),
    }
}

async fn stretches(db: &TestDb) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    sqlx::query_as("SELECT first_slot, last_slot FROM maintd.passed_slots ORDER BY 1")
        .fetch_all(db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn slots_that_were_passed_over_in_a_future_can_be_passed_over_again() {
    let db = TestDb::new().await;
    let store = store(&db);
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    assert!(store.pass(JOB, &passed(at(0), 1, 50), "wrong").await.unwrap());
    store.turn_back(JOB, at(50), at(0)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(0)));
    assert_eq!(stretches(&db).await, []);
    assert!(store.pass(JOB, &passed(at(0), 1, 2), "right").await.unwrap());
    assert_eq!(stretches(&db).await, [(at(1), at(2))]);
}

#[tokio::test]
async fn a_stretch_from_the_past_into_the_future_is_written_anew() {
    let db = TestDb::new().await;
    let store = store(&db);
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    assert!(store.pass(JOB, &passed(at(0), 1, 5), "right").await.unwrap());
    assert!(store.pass(JOB, &passed(at(5), 6, 50), "wrong").await.unwrap());
    store.turn_back(JOB, at(50), at(8)).await.unwrap();
    let last = store.standing(JOB).await.unwrap().last_slot.unwrap();
    assert!(at(5) <= last && last < at(6), "slots 6 to 8 have no fate any more: {last}");
    assert!(store.pass(JOB, &passed(last, 6, 8), "right").await.unwrap());
    assert_eq!(stretches(&db).await, [(at(1), at(5)), (at(6), at(8))]);
}

#[tokio::test]
async fn who_comes_too_late_to_turn_back_changes_nothing() {
    let db = TestDb::new().await;
    let store = store(&db);
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    assert!(store.pass(JOB, &passed(at(0), 1, 50), "right").await.unwrap());
    store.turn_back(JOB, at(49), at(0)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(50)));
    assert_eq!(stretches(&db).await, [(at(1), at(50))]);
}
