//! A clock that was ahead, and has been put right: slots of the future are slots again.

use actingweb_maintd::storage::{Conclusion, Store};
use actingweb_maintd::work::{Passed, Reason};
use chrono::{DateTime, Utc};

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

async fn stretches(store: &dyn Store) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let passed = store.passed(Some(JOB), 1000).await.unwrap();
    passed.iter().rev().map(|passed| (passed.from, passed.to)).collect()
}

on_both_backends!(
    slots_that_were_passed_over_in_a_future_can_be_passed_over_again,
    a_stretch_from_the_past_into_the_future_is_written_anew,
    many_stretches_of_a_future_are_forgotten,
    who_comes_too_late_to_turn_back_changes_nothing,
);

async fn slots_that_were_passed_over_in_a_future_can_be_passed_over_again(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    assert!(store.pass(JOB, &passed(at(0), 1, 50), "wrong").await.unwrap());
    store.turn_back(JOB, at(50), at(0)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(0)));
    assert_eq!(stretches(store).await, []);
    assert!(store.pass(JOB, &passed(at(0), 1, 2), "right").await.unwrap());
    assert_eq!(stretches(store).await, [(at(1), at(2))]);
}

async fn a_stretch_from_the_past_into_the_future_is_written_anew(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    assert!(store.pass(JOB, &passed(at(0), 1, 5), "right").await.unwrap());
    assert!(store.pass(JOB, &passed(at(5), 6, 50), "wrong").await.unwrap());
    store.turn_back(JOB, at(50), at(8)).await.unwrap();
    let last = store.standing(JOB).await.unwrap().last_slot.unwrap();
    assert!(at(5) <= last && last < at(6), "slots 6 to 8 have no fate any more: {last}");
    assert!(store.pass(JOB, &passed(last, 6, 8), "right").await.unwrap());
    assert_eq!(stretches(store).await, [(at(1), at(5)), (at(6), at(8))]);
}

async fn many_stretches_of_a_future_are_forgotten(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    let mut last = 0;
    for first in (1..500).step_by(2) {
        assert!(store.pass(JOB, &passed(at(last), first, first + 1), "wrong").await.unwrap());
        last = first + 1;
    }
    assert_eq!(stretches(store).await.len(), 250);
    store.turn_back(JOB, at(500), at(5)).await.unwrap();
    let last = store.standing(JOB).await.unwrap().last_slot.unwrap();
    assert!(at(4) <= last && last < at(5), "slot 5 has no fate any more: {last}");
    assert_eq!(stretches(store).await, [(at(1), at(2)), (at(3), at(4))]);
}

async fn who_comes_too_late_to_turn_back_changes_nothing(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    assert!(store.pass(JOB, &passed(at(0), 1, 50), "right").await.unwrap());
    store.turn_back(JOB, at(49), at(0)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(50)));
    assert_eq!(stretches(store).await, [(at(1), at(50))]);
}
