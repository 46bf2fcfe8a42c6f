//! Leases, slots and runs: the walk that every job takes.

use std::time::Duration;

use actingweb_maintd::storage::{Claim, Claimed, Conclusion, Due, ErrorKind, Finish, Lease, Renewal, SlotAfter, Store};
use actingweb_maintd::work::{Outcome, Passed, Reason, Report, Trigger};
use chrono::{DateTime, Utc};

const JOB: &str = "ttl_cleanup";
const SCHEDULE: &str = "every 15m";

/// Quarters of some hour: the slots of the schedule.
fn slot(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + 900 * n, 0).expect("a time")
}

fn by_hand(holder: &str) -> Claim {
    Claim { job: JOB, due: None, holder: holder.to_owned(), workers: 2, ttl: Duration::from_secs(60) }
}

fn concluded(since: i64, until: i64, passed: Vec<Passed>) -> Conclusion {
    Conclusion {
        since: slot(since),
        passed,
        goes_on: false,
        begun: 0,
        until: slot(until),
        schedule: SCHEDULE.to_owned(),
    }
}

/// The slot after the newest one, and none between.
fn due(n: i64) -> Claim {
    Claim {
        due: Some(Due { slot: slot(n), before: concluded(n - 1, n - 1, Vec::new()), retries: 1 }),
        ..by_hand("one")
    }
}

fn ended(outcome: Outcome, slot: SlotAfter) -> Finish {
    let report = Report { examined: 7, more: true, ..Report::default() };
    let error = (outcome == Outcome::Failed).then(|| "it broke".to_owned());
    Finish { outcome, error, report, slot }
}

async fn won(store: &dyn Store, claim: &Claim) -> Lease {
    match store.claim(claim).await.expect("claiming") {
        Claimed::Won(won) => won.lease,
        other => panic!("the lease was not won: {other:?}"),
    }
}

pub(super) async fn a_lease_is_somebodys_until_the_run_ends(store: &dyn Store) {
    assert_eq!(store.history(None, 10).await.unwrap(), []);
    let lease = won(store, &by_hand("one")).await;
    assert_eq!((lease.run.trigger, lease.run.outcome, lease.attempts), (Trigger::Manual, None, 0));
    assert_eq!((lease.run.backend, &*lease.run.job, &*lease.run.holder), (store.backend(), JOB, "one"));
    match store.claim(&by_hand("two")).await.unwrap() {
        Claimed::Held(held) => assert_eq!((&*held.holder, held.since), ("one", lease.run.started_at)),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.renew(&lease, Duration::from_secs(60)).await.unwrap(), Renewal::Kept);
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!(standing.held.map(|held| held.holder).as_deref(), Some("one"));
    assert_eq!(store.history(Some(JOB), 10).await.unwrap().len(), 1, "it is there while it runs");

    let run = store.finish(&lease, &ended(Outcome::Succeeded, SlotAfter::Done)).await.unwrap();
    assert_eq!((run.run_id, run.outcome), (lease.run.run_id, Some(Outcome::Succeeded)));
    assert!(run.finished_at.is_some_and(|finished| finished >= run.started_at) && run.report.more);
    assert_eq!(store.history(Some(JOB), 10).await.unwrap(), std::slice::from_ref(&run));
    assert_eq!(store.last_success(JOB).await.unwrap(), Some(run));
    assert_eq!(store.last_success("another").await.unwrap(), None);
    assert!(store.standing(JOB).await.unwrap().held.is_none());

    // Whoever had it has it no more.
    assert_eq!(store.renew(&lease, Duration::from_secs(60)).await.unwrap(), Renewal::Lost);
    let again = store.finish(&lease, &ended(Outcome::Failed, SlotAfter::Done)).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Fenced);
    let next = won(store, &by_hand("two")).await;
    assert!(next.term > lease.term && next.secret != lease.secret);
}

pub(super) async fn of_many_claims_at_once_one_wins(store: &dyn Store) {
    for round in 0..3 {
        let holders: Vec<String> = (0..16).map(|n| format!("holder {n}")).collect();
        let claims: Vec<Claim> = holders.iter().map(|holder| by_hand(holder)).collect();
        let answers = futures_util::future::join_all(claims.iter().map(|claim| store.claim(claim))).await;
        let mut leases = Vec::new();
        for answer in answers {
            match answer {
                Ok(Claimed::Won(won)) => leases.push(won.lease),
                Ok(Claimed::Held(_)) => (),
                Err(error) if error.kind == ErrorKind::Conflict => (),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(leases.len(), 1, "round {round}");
        store.finish(&leases[0], &ended(Outcome::Succeeded, SlotAfter::Done)).await.unwrap();
    }
    assert_eq!(store.history(None, 100).await.unwrap().len(), 3);
}

pub(super) async fn each_slot_is_run_once(store: &dyn Store) {
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, None);
    store.begin_schedule(JOB, slot(0), SCHEDULE).await.unwrap();
    store.begin_schedule(JOB, slot(9), SCHEDULE).await.unwrap();
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!((standing.last_slot, standing.schedule.as_deref()), (Some(slot(0)), Some(SCHEDULE)));
    let lease = won(store, &due(1)).await;
    assert_eq!((lease.run.slot, lease.run.trigger), (Some(slot(1)), Trigger::Schedule));
    store.finish(&lease, &ended(Outcome::Succeeded, SlotAfter::Done)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(slot(1)));
    assert!(matches!(store.claim(&due(1)).await.unwrap(), Claimed::Moved));

    // It fails, is tried again as often as it may, and then it is done.
    let lease = won(store, &due(2)).await;
    store.finish(&lease, &ended(Outcome::Failed, SlotAfter::Again(Duration::ZERO))).await.unwrap();
    let open = store.standing(JOB).await.unwrap().open.unwrap();
    assert_eq!((open.slot, open.attempts), (slot(2), 1));
    let lease = won(store, &due(2)).await;
    assert_eq!(lease.attempts, 1);
    store.finish(&lease, &ended(Outcome::Failed, SlotAfter::Done)).await.unwrap();
    let standing = store.standing(JOB).await.unwrap();
    assert_eq!((standing.last_slot, standing.open), (Some(slot(2)), None));
    let history = store.history(Some(JOB), 10).await.unwrap();
    assert_eq!(history.iter().map(|run| run.slot).collect::<Vec<_>>(), [2, 2, 1].map(|n| Some(slot(n))));
    assert_eq!(history[0].error.as_deref(), Some("it broke"));
    assert_eq!(store.history(Some(JOB), 2).await.unwrap().len(), 2);
}

pub(super) async fn slots_are_passed_over_by_the_first_to_say_so(store: &dyn Store) {
    store.begin_schedule(JOB, slot(0), SCHEDULE).await.unwrap();
    let passed = vec![Passed { first: slot(1), last: slot(4), count: 4, reason: Reason::Downtime }];
    assert!(store.pass(JOB, &concluded(0, 4, passed.clone()), "one").await.unwrap());
    assert!(!store.pass(JOB, &concluded(0, 4, passed), "two").await.unwrap());
    let stretches = store.passed(Some(JOB), 10).await.unwrap();
    assert_eq!(stretches.len(), 1);
    let stretch = &stretches[0];
    assert_eq!((stretch.from, stretch.to, stretch.count), (slot(1), slot(4), 4));
    assert_eq!((stretch.reason, &*stretch.recorded_by, stretch.backend), (Reason::Downtime, "one", store.backend()));
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(slot(4)));
    assert_eq!(store.passed(Some("another"), 10).await.unwrap(), []);
    let lease = won(store, &due(5)).await;
    assert!(!store.pass(JOB, &concluded(4, 9, Vec::new()), "two").await.unwrap(), "somebody is running it");
    store.finish(&lease, &ended(Outcome::Succeeded, SlotAfter::Done)).await.unwrap();

    store.turn_back(JOB, slot(4), slot(0)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(slot(5)), "that is not the newest any more");
    store.turn_back(JOB, slot(5), slot(0)).await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().last_slot, Some(slot(0)));
    assert_eq!(store.passed(None, 10).await.unwrap(), [], "they are slots again");
    store.end_schedule(JOB, "nothing").await.unwrap();
    assert_eq!(store.standing(JOB).await.unwrap().schedule.as_deref(), Some("nothing"));
}

pub(super) async fn a_paused_job_does_not_run(store: &dyn Store) {
    assert_eq!(store.resume(JOB).await.unwrap(), None);
    let lease = won(store, &by_hand("one")).await;
    let paused = store.pause(JOB, "somebody").await.unwrap();
    assert_eq!(paused.by, "somebody");
    assert_eq!(store.pause(JOB, "somebody else").await.unwrap(), paused);
    assert_eq!(store.renew(&lease, Duration::from_secs(60)).await.unwrap(), Renewal::Paused);
    store.finish(&lease, &ended(Outcome::Partial, SlotAfter::Done)).await.unwrap();
    assert!(matches!(store.claim(&by_hand("one")).await.unwrap(), Claimed::Paused(by) if by == paused));
    assert_eq!(store.standing(JOB).await.unwrap().paused.as_ref(), Some(&paused));
    assert_eq!(store.resume(JOB).await.unwrap(), Some(paused));
    won(store, &by_hand("one")).await;
}

pub(super) async fn what_just_ended_is_not_forgotten(store: &dyn Store) {
    for outcome in [Outcome::Succeeded, Outcome::Failed] {
        let lease = won(store, &by_hand("one")).await;
        store.finish(&lease, &ended(outcome, SlotAfter::Done)).await.unwrap();
    }
    assert_eq!(store.forget(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(store.history(None, 10).await.unwrap().len(), 2);
}
