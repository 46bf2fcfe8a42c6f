//! Leases, runs and slots when answers are lost: what is reported is what happened, or that nobody
//! knows, and lease and run are of one mind.

use std::time::Duration;

use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::storage::{
    Claim, Claimed, Conclusion, Due, Error, Finish, Lease, Leases, Renewal, Runs, SlotAfter, Slots,
};
use actingweb_maintd::work::{Outcome, Passed, Reason, Report, Run};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Cut, Scene, assert_honest, assert_unanswered, at_each_request};
use crate::harness::dynamodb_proxy::Fault;
use crate::harness::eventually;

const TTL: Duration = Duration::from_secs(30);

/// A job that nobody has known before.
fn job() -> &'static str {
    format!("job-{}", uuid::Uuid::new_v4().simple()).leak()
}

/// The first slot of the schedules here.
fn first() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).expect("a time")
}

fn slot(number: i64) -> DateTime<Utc> {
    first() + TimeDelta::seconds(number)
}

/// Slots 1 to 9 were missed.
fn missed() -> Conclusion {
    let passed = Passed { first: slot(1), last: slot(9), count: 9, reason: Reason::Downtime };
    let (since, until, schedule) = (slot(0), slot(9), "every 1s".to_owned());
    Conclusion { since, passed: vec![passed], goes_on: true, begun: 0, until, schedule }
}

fn by_hand(job: &'static str, holder: &str) -> Claim {
    Claim { job, due: None, holder: holder.to_owned(), workers: 1, ttl: TTL }
}

/// A claim on slot 10.
fn on_time(job: &'static str, holder: &str) -> Claim {
    Claim { due: Some(Due { slot: slot(10), before: missed(), retries: 3 }), ..by_hand(job, holder) }
}

async fn won(store: &DynamoDb, claim: &Claim) -> Lease {
    match store.claim(claim).await.expect("claiming") {
        Claimed::Won(won) => won.lease,
        other => panic!("the lease was not won: {other:?}"),
    }
}

fn success() -> Finish {
    Finish { outcome: Outcome::Succeeded, error: None, report: Report::default(), slot: SlotAfter::Done }
}

/// The runs of a job, newest first; and the slots that were passed over.
async fn history(store: &DynamoDb, job: &str) -> (Vec<Run>, u64) {
    let runs = store.history(Some(job), 10).await.expect("reading the history");
    let passed = store.passed(Some(job), 10).await.expect("reading the slots");
    (runs, passed.iter().map(|passed| passed.count).sum())
}

/// What became of a claim that nobody else wanted, and what others see.
async fn judge_claim(scene: &Scene, claim: &Claim, claimed: Result<Claimed, Error>, about: &str) {
    let standing = scene.direct.standing(claim.job).await.unwrap();
    let (runs, passed) = history(&scene.direct, claim.job).await;
    let open: Vec<_> = runs.iter().filter(|run| run.outcome.is_none()).map(|run| run.run_id).collect();
    let is_held = standing.held.is_some();
    match claimed {
        Ok(Claimed::Won(won)) => {
            assert!(is_held, "{about}");
            assert_eq!(open, [won.lease.run.run_id], "{about}");
            let renewed = scene.store.renew(&won.lease, TTL).await.unwrap();
            assert_eq!(renewed, Renewal::Kept, "{about}: it is ours");
        }
        Ok(other) => panic!("{about}: nobody else wants it: {other:?}"),
        Err(error) => {
            assert_unanswered(&error, about);
            assert_eq!(open.len(), usize::from(is_held), "{about}: a lease is a run");
        }
    }
    if claim.due.is_some() {
        let expected = if is_held { (slot(9), 9) } else { (slot(0), 0) };
        assert_eq!((standing.last_slot.unwrap(), passed), expected, "{about}: the slots go with the lease");
    }
    match scene.direct.claim(&by_hand(claim.job, "another")).await.unwrap() {
        Claimed::Held(held) => assert!(is_held && held.holder == "one", "{about}"),
        Claimed::Won(_) => assert!(!is_held, "{about}: two have it"),
        other => panic!("{about}: {other:?}"),
    }
}

#[tokio::test]
async fn a_claim_by_hand_is_told_as_it_ended() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let claim = by_hand(job(), "one");
        cut.begin(&scene.proxy);
        let claimed = scene.store.claim(&claim).await;
        scene.proxy.heal();
        judge_claim(&scene, &claim, claimed, &format!("{cut:?}")).await;
    })
    .await;
}

#[tokio::test]
async fn a_claim_of_a_slot_is_told_as_it_ended() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let claim = on_time(job(), "one");
        scene.direct.begin_schedule(claim.job, slot(0), "every 1s").await.unwrap();
        cut.begin(&scene.proxy);
        let claimed = scene.store.claim(&claim).await;
        scene.proxy.heal();
        judge_claim(&scene, &claim, claimed, &format!("{cut:?}")).await;
    })
    .await;
}

/// The run that was left behind is lost once, whoever has taken over.
#[tokio::test]
async fn a_lease_that_was_left_behind_is_taken_over_once() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let about = format!("{cut:?}");
        let claim = Claim { ttl: Duration::from_millis(100), ..by_hand(job(), "the dead") };
        let dead = won(&scene.direct, &claim).await;
        let end = dead.run.started_at + TimeDelta::milliseconds(100);
        eventually("the lease to run out", async || scene.store.time().await.unwrap() > end).await;
        let claim = by_hand(claim.job, "one");
        cut.begin(&scene.proxy);
        let claimed = scene.store.claim(&claim).await;
        scene.proxy.heal();
        let (runs, _) = history(&scene.direct, claim.job).await;
        let of_dead = runs.iter().find(|run| run.run_id == dead.run.run_id).expect("it is in the history");
        match &claimed {
            Ok(Claimed::Won(won)) => {
                assert_eq!(won.lost.as_ref().map(|run| run.run_id), Some(dead.run.run_id), "{about}");
                assert_eq!(of_dead.outcome, Some(Outcome::Lost), "{about}");
            }
            Ok(other) => panic!("{about}: nobody else wants it: {other:?}"),
            Err(error) => {
                assert_unanswered(error, &about);
                assert_eq!(of_dead.outcome.is_some(), runs.len() == 2, "{about}: both or none");
            }
        }
        let finished = scene.direct.finish(&dead, &success()).await;
        assert_eq!(finished.is_err(), of_dead.outcome.is_some(), "{about}: {finished:?}");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_was_renewed_in_spite_of_a_lost_answer_is_kept() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let about = format!("{cut:?}");
        let lease = won(&scene.store, &by_hand(job(), "one")).await;
        cut.begin(&scene.proxy);
        let renewed = scene.store.renew(&lease, TTL).await;
        scene.proxy.heal();
        match renewed {
            Ok(renewed) => assert_eq!(renewed, Renewal::Kept, "{about}"),
            Err(error) => assert_unanswered(&error, &about),
        }
        assert_eq!(scene.store.renew(&lease, TTL).await.unwrap(), Renewal::Kept, "{about}");
    })
    .await;
}

#[tokio::test]
async fn a_report_is_written_once_with_the_slot_and_the_lease() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let about = format!("{cut:?}");
        let claim = on_time(job(), "one");
        scene.direct.begin_schedule(claim.job, slot(0), "every 1s").await.unwrap();
        let lease = won(&scene.store, &claim).await;
        cut.begin(&scene.proxy);
        let finished = scene.store.finish(&lease, &success()).await;
        scene.proxy.heal();
        let standing = scene.direct.standing(claim.job).await.unwrap();
        let (runs, passed) = history(&scene.direct, claim.job).await;
        let is_finished = runs[0].outcome == Some(Outcome::Succeeded);
        assert_eq!((runs.len(), passed), (1, 9), "{about}");
        assert_eq!(standing.held.is_none(), is_finished, "{about}");
        assert_eq!(standing.last_slot, Some(if is_finished { slot(10) } else { slot(9) }), "{about}");
        match finished {
            Ok(run) => assert_eq!(run, runs[0], "{about}"),
            Err(error) => assert_unanswered(&error, &about),
        }
        // Whoever does not know tries again, and is told.
        let run =
            scene.store.finish(&lease, &success()).await.unwrap_or_else(|error| panic!("{about}: {}", error.chain()));
        assert_eq!(run.outcome, Some(Outcome::Succeeded), "{about}");
        assert_eq!(scene.direct.standing(claim.job).await.unwrap().last_slot, Some(slot(10)), "{about}");
        assert_eq!(scene.direct.last_success(claim.job).await.unwrap(), Some(run), "{about}");
    })
    .await;
}

#[tokio::test]
async fn slots_are_passed_over_once() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let about = format!("{cut:?}");
        let job = job();
        scene.direct.begin_schedule(job, slot(0), "every 1s").await.unwrap();
        cut.begin(&scene.proxy);
        let reported = scene.store.pass(job, &missed(), "one").await;
        scene.proxy.heal();
        let (_, passed) = history(&scene.direct, job).await;
        let is_done = scene.direct.standing(job).await.unwrap().last_slot == Some(slot(9));
        assert_eq!(passed, if is_done { 9 } else { 0 }, "{about}");
        assert_honest(&reported, is_done, &about);
        assert_eq!(scene.direct.pass(job, &missed(), "another").await.unwrap(), !is_done, "{about}");
        assert_eq!(history(&scene.direct, job).await.1, 9, "{about}");
    })
    .await;
}

#[tokio::test]
async fn a_pause_is_told_as_it_ended() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let about = format!("{cut:?}");
        let job = job();
        cut.begin(&scene.proxy);
        let reported = scene.store.pause(job, "ada").await;
        scene.proxy.heal();
        let paused = scene.direct.standing(job).await.unwrap().paused;
        match reported {
            Ok(reported) => assert_eq!(Some(reported), paused, "{about}"),
            Err(error) => assert_unanswered(&error, &about),
        }
        let by = if paused.is_some() { "ada" } else { "bob" };
        assert_eq!(scene.direct.pause(job, "bob").await.unwrap().by, by, "{about}");
        cut.begin(&scene.proxy);
        let reported = scene.store.resume(job).await;
        scene.proxy.heal();
        let is_done = scene.direct.standing(job).await.unwrap().paused.is_none();
        assert_honest(&reported.map(|was| was.is_some()), is_done, &about);
    })
    .await;
}
