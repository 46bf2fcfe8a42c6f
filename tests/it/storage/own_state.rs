//! Leases, slots and history: the same on both backends.

use std::time::Duration;

use actingweb_maintd::storage::{
    Claim, Claimed, Conclusion, Due, ErrorKind, Finish, Lease, Renewal, SlotAfter, Store, Won,
};
use actingweb_maintd::work::{Outcome, Passed, Reason, Report, StopReason, Trigger};
use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::eventually;
use crate::harness::store::claim;

pub(super) const JOB: &str = "ttl_cleanup";

on_both_backends!(
    a_lease_is_refused_while_it_is_held,
    of_many_claims_at_once_one_wins,
    a_slot_is_run_once,
    a_run_ends_once,
    a_run_that_was_left_behind_is_lost,
    a_slot_whose_runs_are_lost_is_given_up,
    a_slot_that_failed_is_tried_again_later,
    a_slot_can_be_handed_over,
    a_job_that_is_paused_is_not_run,
    who_holds_the_lease_hears_of_a_pause,
    a_schedule_begins_once_and_ends,
    slots_that_are_passed_over_are_remembered,
    slots_are_not_passed_over_during_a_run,
    history_has_the_newest_first,
    history_forgets_what_is_old_but_not_the_last_success,
    nothing_is_known_of_a_new_deployment,
);

/// Minutes of some hour.
fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).expect("a time")
}

pub(super) fn ended(outcome: Outcome) -> Finish {
    Finish { outcome, error: None, report: Report::default(), slot: SlotAfter::Done }
}

/// A claim of the slot after another one, nothing between.
fn scheduled(since: i64, slot: i64) -> Claim {
    let before = Conclusion {
        since: at(since),
        passed: Vec::new(),
        goes_on: false,
        begun: 0,
        until: at(since),
        schedule: "every 15m".to_owned(),
    };
    Claim { due: Some(Due { slot: at(slot), before, retries: 1 }), ..claim("first") }
}

pub(super) async fn taken(store: &dyn Store, claim: &Claim) -> Won {
    match store.claim(claim).await.unwrap() {
        Claimed::Won(won) => *won,
        other => panic!("the lease was not won: {other:?}"),
    }
}

/// PostgreSQL reads its clock for each of them, and may have to wait in between.
fn is_at_once(one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
    (one - other).abs() < TimeDelta::seconds(1)
}

async fn lease(store: &dyn Store, claim: &Claim) -> Lease {
    taken(store, claim).await.lease
}

/// Claims until the lease that somebody has left behind can be had.
async fn until_it_is_not_held(store: &dyn Store, claim: &Claim) -> Claimed {
    let mut answer = None;
    eventually("the lease is free", async || {
        let claimed = store.claim(claim).await.unwrap();
        let is_free = !matches!(claimed, Claimed::Held(_));
        answer = Some(claimed);
        is_free
    })
    .await;
    answer.unwrap()
}

async fn a_lease_is_refused_while_it_is_held(store: &dyn Store) {
    let first = lease(store, &claim("first")).await;
    assert_eq!((first.run.job.as_str(), first.run.trigger), (JOB, Trigger::Manual));
    assert_eq!(first.run.backend, store.backend());
    match store.claim(&claim("second")).await.unwrap() {
        Claimed::Held(held) => {
            assert_eq!(held.holder, "first");
            assert_eq!(held.since, first.run.started_at);
        }
        other => panic!("{other:?}"),
    }
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!(standing.held.map(|held| held.holder).as_deref(), Some("first"));
    assert!(is_at_once(standing.busy.unwrap().0, first.run.started_at));
    assert_eq!(store.renew(&first, Duration::from_secs(10)).await.unwrap(), Renewal::Kept);
    store.finish(&first, &ended(Outcome::Succeeded)).await.unwrap();
    assert_eq!(store.renew(&first, Duration::from_secs(10)).await.unwrap(), Renewal::Lost);
    assert_eq!(store.standing(JOB).await.unwrap().held, None);
    let next = lease(store, &claim("second")).await;
    assert!(next.term > first.term);
    assert_eq!(store.renew(&first, Duration::from_secs(10)).await.unwrap(), Renewal::Lost);
}

async fn of_many_claims_at_once_one_wins(store: &dyn Store) {
    for _ in 0..5 {
        let holders: Vec<String> = (0..8).map(|n| format!("replica {n}")).collect();
        let claims = holders.iter().map(|holder| async move { store.claim(&claim(holder)).await.unwrap() });
        let mut leases = Vec::new();
        for claimed in futures_util::future::join_all(claims).await {
            if let Claimed::Won(won) = claimed {
                leases.push(won.lease);
            }
        }
        assert_eq!(leases.len(), 1);
        store.finish(&leases[0], &ended(Outcome::Succeeded)).await.unwrap();
    }
    assert_eq!(store.history(None, 100).await.unwrap().len(), 5);
}

async fn a_slot_is_run_once(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 15m").await.unwrap();
    let run = lease(store, &scheduled(0, 15)).await;
    assert_eq!((run.run.slot, run.run.trigger), (Some(at(15)), Trigger::Schedule));
    let open = store.standing(JOB).await.unwrap().open.unwrap();
    assert_eq!((open.slot, open.attempts, open.wait), (at(15), 0, Duration::ZERO));
    store.finish(&run, &ended(Outcome::Succeeded)).await.unwrap();
    // Whoever has not seen it yet is told to look again.
    assert!(matches!(store.claim(&scheduled(0, 15)).await.unwrap(), Claimed::Moved));
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!((standing.last_slot, standing.open), (Some(at(15)), None));
    lease(store, &scheduled(15, 30)).await;
}

async fn a_run_ends_once(store: &dyn Store) {
    let run = lease(store, &claim("first")).await;
    let report = Report { examined: 7, deleted: 99, ..Report::default() };
    let finish = Finish { error: Some("no \"luck\"".to_owned()), report, ..ended(Outcome::Failed) };
    let ended_run = store.finish(&run, &finish).await.unwrap();
    assert_eq!((ended_run.report.examined, ended_run.report.deleted), (7, 0), "the store counts what is deleted");
    assert_eq!(ended_run.error.as_deref(), Some("no \"luck\""));
    // The answer may have been lost.
    assert_eq!(store.finish(&run, &finish).await.unwrap(), ended_run);
    assert_eq!(store.history(Some(JOB), 10).await.unwrap(), std::slice::from_ref(&ended_run));
    let another = store.finish(&run, &ended(Outcome::Succeeded)).await.unwrap_err();
    assert_eq!(another.kind, ErrorKind::Fenced);
    // Also when somebody else has the lease by now.
    lease(store, &claim("second")).await;
    assert_eq!(store.finish(&run, &finish).await.unwrap(), ended_run);
    assert_eq!(store.last_success(JOB).await.unwrap(), None);
}

async fn a_run_that_was_left_behind_is_lost(store: &dyn Store) {
    let first = lease(store, &Claim { ttl: Duration::from_millis(200), ..claim("first") }).await;
    let claimed = until_it_is_not_held(store, &claim("second")).await;
    let Claimed::Won(won) = claimed else { panic!("{claimed:?}") };
    let lost = won.lost.unwrap();
    assert_eq!((lost.run_id, lost.outcome), (first.run.run_id, Some(Outcome::Lost)));
    assert!(lost.report.more && lost.finished_at.is_some());
    assert_eq!(store.renew(&first, Duration::from_secs(10)).await.unwrap(), Renewal::Lost);
    for outcome in [Outcome::Succeeded, Outcome::Lost] {
        assert_eq!(store.finish(&first, &ended(outcome)).await.unwrap_err().kind, ErrorKind::Fenced);
    }
    let stopped = Report { stopped: Some(StopReason::LeaseLost), ..Report::default() };
    let refused = store.finish(&first, &Finish { report: stopped, ..ended(Outcome::Lost) }).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Fenced, "somebody else has marked it");
    let history = store.history(None, 10).await.unwrap();
    assert_eq!(history.iter().map(|run| run.outcome).collect::<Vec<_>>(), [None, Some(Outcome::Lost)]);
    assert_eq!(history[1], lost);
}

async fn a_slot_whose_runs_are_lost_is_given_up(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 15m").await.unwrap();
    let short = Claim { ttl: Duration::from_millis(100), ..scheduled(0, 15) };
    lease(store, &short).await;
    let second = until_it_is_not_held(store, &short).await;
    let Claimed::Won(won) = second else { panic!("{second:?}") };
    assert_eq!(won.lease.attempts, 1);
    let busy = store.standing(JOB).await.unwrap().busy.unwrap();
    assert!(busy.0 < won.lease.run.started_at, "busy since the first of them");
    match until_it_is_not_held(store, &short).await {
        Claimed::Exhausted(Some(lost)) => assert_eq!(lost.run_id, won.lease.run.run_id),
        other => panic!("{other:?}"),
    }
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!((standing.last_slot, standing.open, standing.held), (Some(at(15)), None, None));
    assert_eq!(lease(store, &scheduled(15, 30)).await.attempts, 0);
}

async fn a_slot_that_failed_is_tried_again_later(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 15m").await.unwrap();
    let run = lease(store, &scheduled(0, 15)).await;
    let again = |wait| Finish { slot: SlotAfter::Again(wait), ..ended(Outcome::Failed) };
    store.finish(&run, &again(Duration::from_secs(600))).await.unwrap();
    let open = store.standing(JOB).await.unwrap().open.unwrap();
    assert_eq!((open.slot, open.attempts), (at(15), 1));
    assert!(open.wait > Duration::from_secs(300) && open.wait <= Duration::from_secs(600), "{:?}", open.wait);
    assert!(matches!(store.claim(&scheduled(0, 15)).await.unwrap(), Claimed::Moved));
    // A newer slot need not wait, and is new.
    let newer = lease(store, &scheduled(0, 30)).await;
    assert_eq!(newer.attempts, 0);
    store.finish(&newer, &again(Duration::ZERO)).await.unwrap();
    let retried = lease(store, &scheduled(0, 30)).await;
    assert_eq!(retried.attempts, 1);
    store.finish(&retried, &ended(Outcome::Succeeded)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(30)));
}

async fn a_slot_can_be_handed_over(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 15m").await.unwrap();
    let run = lease(store, &scheduled(0, 15)).await;
    store.finish(&run, &Finish { slot: SlotAfter::HandedOver, ..ended(Outcome::Partial) }).await.unwrap();
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!(standing.last_slot, Some(at(0)));
    let next = lease(store, &scheduled(0, 15)).await;
    assert_eq!(next.attempts, 0);
    let busy = store.standing(JOB).await.unwrap().busy.unwrap();
    assert!(is_at_once(busy.0, run.run.started_at) && busy.0 < next.run.started_at, "it goes on");
    store.finish(&next, &ended(Outcome::Succeeded)).await.unwrap();
    // A run by hand is none of the schedule's.
    let by_hand = lease(store, &claim("hand")).await;
    store.finish(&by_hand, &ended(Outcome::Succeeded)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(15)));
}

async fn a_job_that_is_paused_is_not_run(store: &dyn Store) {
    assert_eq!(store.resume(JOB).await.unwrap(), None);
    let paused = store.pause(JOB, "somebody").await.unwrap();
    assert_eq!(paused.by, "somebody");
    assert_eq!(store.pause(JOB, "somebody else").await.unwrap(), paused);
    assert_eq!(store.standing(JOB).await.unwrap().paused.as_ref(), Some(&paused));
    match store.claim(&claim("first")).await.unwrap() {
        Claimed::Paused(found) => assert_eq!(found, paused),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.resume(JOB).await.unwrap(), Some(paused));
    assert_eq!(store.standing(JOB).await.unwrap().paused, None);
    lease(store, &claim("first")).await;
}

async fn who_holds_the_lease_hears_of_a_pause(store: &dyn Store) {
    let run = lease(store, &claim("first")).await;
    store.pause(JOB, "somebody").await.unwrap();
    assert_eq!(store.renew(&run, Duration::from_secs(10)).await.unwrap(), Renewal::Paused);
    assert!(matches!(store.claim(&claim("second")).await.unwrap(), Claimed::Held(_)));
    store.finish(&run, &ended(Outcome::Partial)).await.unwrap();
    assert!(store.standing(JOB).await.unwrap().paused.is_some(), "the end of a run is no end of a pause");
}

async fn a_schedule_begins_once_and_ends(store: &dyn Store) {
    store.end_schedule(JOB, "disabled").await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().schedule, None, "there was none to end");
    store.begin_schedule(JOB, at(0), "every 15m").await.unwrap();
    store.begin_schedule(JOB, at(30), "every 30m").await.unwrap();
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!((standing.last_slot, standing.schedule.as_deref()), (Some(at(0)), Some("every 15m")));
    let run = lease(store, &claim("first")).await;
    store.end_schedule(JOB, "disabled").await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().schedule.as_deref(), Some("every 15m"), "it is running");
    store.finish(&run, &ended(Outcome::Succeeded)).await.unwrap();
    store.end_schedule(JOB, "disabled").await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().schedule.as_deref(), Some("disabled"));
}

fn passed(first: i64, last: i64, reason: Reason) -> Passed {
    Passed { first: at(first), last: at(last), count: (last - first + 1) as u64, reason }
}

fn concluded(since: i64, goes_on: bool, passed: Vec<Passed>) -> Conclusion {
    let until = passed.last().map_or(at(since), |passed| passed.last);
    Conclusion { since: at(since), passed, goes_on, begun: 0, until, schedule: "every 1m".to_owned() }
}

async fn slots_that_are_passed_over_are_remembered(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    let two = vec![passed(1, 5, Reason::Downtime), passed(6, 8, Reason::Window)];
    assert!(store.pass(JOB, &concluded(0, true, two), "first").await.unwrap());
    assert!(!store.pass(JOB, &concluded(0, true, vec![passed(1, 9, Reason::Window)]), "late").await.unwrap());
    // It goes on where the last one ended, for the same reason, and then for another.
    assert!(store.pass(JOB, &concluded(8, true, vec![passed(9, 9, Reason::Window)]), "second").await.unwrap());
    assert!(store.pass(JOB, &concluded(9, true, vec![passed(10, 10, Reason::Paused)]), "second").await.unwrap());
    assert!(store.pass(JOB, &concluded(10, false, vec![passed(12, 12, Reason::Paused)]), "second").await.unwrap());
    let listed = store.passed(Some(JOB), 10).await.unwrap();
    let stretches: Vec<_> = listed.iter().map(|one| (one.from, one.to, one.count, one.reason)).collect();
    assert_eq!(
        stretches,
        [
            (at(12), at(12), 1, Reason::Paused),
            (at(10), at(10), 1, Reason::Paused),
            (at(6), at(9), 4, Reason::Window),
            (at(1), at(5), 5, Reason::Downtime),
        ]
    );
    assert_eq!((listed[2].recorded_by.as_str(), listed[3].recorded_by.as_str()), ("second", "first"));
    assert_eq!(listed[3].fate, Reason::Downtime.fate());
    assert_eq!(store.passed(None, 2).await.unwrap(), listed[..2]);
    // What lies before a slot that is run is passed over with it.
    let before = concluded(12, true, vec![passed(13, 14, Reason::Paused)]);
    let due = Due { slot: at(15), before, retries: 0 };
    let run = lease(store, &Claim { due: Some(due), ..claim("third") }).await;
    let newest = store.passed(Some(JOB), 1).await.unwrap();
    assert_eq!((newest[0].from, newest[0].to, newest[0].count), (at(12), at(14), 3));
    store.finish(&run, &ended(Outcome::Succeeded)).await.unwrap();
    store.forget(Duration::ZERO).await.unwrap();
    assert_eq!(store.passed(None, 10).await.unwrap(), []);
}

async fn slots_are_not_passed_over_during_a_run(store: &dyn Store) {
    store.begin_schedule(JOB, at(0), "every 1m").await.unwrap();
    let run = lease(store, &claim("first")).await;
    let conclusion = concluded(0, true, vec![passed(1, 5, Reason::Downtime)]);
    assert!(!store.pass(JOB, &conclusion, "second").await.unwrap());
    store.turn_back(JOB, at(0), at(-5)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(at(0)));
    store.finish(&run, &ended(Outcome::Succeeded)).await.unwrap();
    assert!(store.pass(JOB, &conclusion, "second").await.unwrap());
}

async fn history_has_the_newest_first(store: &dyn Store) {
    let mut runs = Vec::new();
    for (index, job) in ["ttl_cleanup", "another", "ttl_cleanup", "another"].into_iter().enumerate() {
        let run = lease(store, &Claim { job, ..claim(&index.to_string()) }).await;
        runs.push(store.finish(&run, &ended(Outcome::Succeeded)).await.unwrap());
        assert_eq!(store.last_success(job).await.unwrap().as_ref(), runs.last());
    }
    let open = lease(store, &claim("4")).await.run;
    runs.push(open);
    runs.reverse();
    assert_eq!(store.history(None, 10).await.unwrap(), runs);
    assert_eq!(store.history(None, 2).await.unwrap(), runs[..2]);
    let ours = store.history(Some(JOB), 2).await.unwrap();
    assert_eq!(ours, [runs[0].clone(), runs[2].clone()]);
    assert_eq!(store.history(Some("nobody"), 2).await.unwrap(), []);
}

async fn history_forgets_what_is_old_but_not_the_last_success(store: &dyn Store) {
    for outcome in [Outcome::Succeeded, Outcome::Succeeded, Outcome::Failed] {
        let run = lease(store, &claim("first")).await;
        store.finish(&run, &ended(outcome)).await.unwrap();
    }
    lease(store, &claim("second")).await;
    assert_eq!(store.forget(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(store.forget(Duration::ZERO).await.unwrap(), 2);
    let kept: Vec<_> = store.history(None, 10).await.unwrap().iter().map(|run| run.outcome).collect();
    assert_eq!(kept, [None, Some(Outcome::Succeeded)], "nor what goes on");
}

async fn nothing_is_known_of_a_new_deployment(store: &dyn Store) {
    let asked = store.time().await.unwrap();
    let standing = store.standing(JOB).await.unwrap();
    assert!(standing.now >= asked - TimeDelta::seconds(1));
    assert_eq!((standing.last_slot, standing.schedule, standing.open), (None, None, None));
    assert_eq!((standing.busy, standing.held, standing.paused), (None, None, None));
    assert_eq!(store.history(None, 10).await.unwrap(), []);
    assert_eq!(store.passed(None, 10).await.unwrap(), []);
    assert_eq!(store.forget(Duration::ZERO).await.unwrap(), 0);
    assert!(!store.pass(JOB, &concluded(0, true, Vec::new()), "first").await.unwrap());
    assert!(matches!(store.claim(&scheduled(0, 15)).await.unwrap(), Claimed::Moved));
}
