//! A slot that one daemon has begun, and another one goes on with.

use chrono::{DateTime, Utc};

use super::{YEARLY, last_slot, ledger, let_one_be_due, now};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::ledger::Killed;
use crate::harness::witness::Witness;

const ROWS: i64 = 1_000;

fn daemon(db: &TestDb, rate: &str) -> Daemon {
    Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY)
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", rate)
        .env("MAINTD_LEASE__TTL", "5s")
        .start()
}

/// A daemon in the middle of the only slot that is due, and one that waits for it; with the slot
/// before, and that slot.
async fn one_at_work_and_one_that_waits(db: &TestDb) -> (Daemon, Daemon, DateTime<Utc>, DateTime<Utc>) {
    Witness::new(db.pool()).await.add(ROWS, -60).await;
    let (baseline, slot) = let_one_be_due(db.pool(), YEARLY).await;
    let first = daemon(db, "100");
    first.until("rows to go", |first| first.rows_deleted() > 0);
    let second = daemon(db, "0");
    let looks = || second.metric("maintd_store_operation_seconds_count", &[("op", "standing")]);
    second.until("it to wait for the lease", |_| looks() >= Some(2.0));
    (first, second, baseline, slot)
}

#[tokio::test]
async fn at_sigterm_the_daemon_that_waits_goes_on_with_the_same_slot() {
    let db = TestDb::new().await;
    let (first, second, baseline, slot) = one_at_work_and_one_that_waits(&db).await;
    first.stop();
    eventually("the slot to be done", async || last_slot(db.pool()).await == Some(slot)).await;
    let of_second = second.rows_deleted();
    second.stop();
    let ledger = ledger(db.pool(), YEARLY, baseline, &[]).await;
    ledger.assert_holds();
    let runs: Vec<_> = ledger.runs().collect();
    let [cut, rest] = runs.as_slice() else { panic!("two runs, and not {runs:#?}") };
    assert_eq!(
        (cut.slot, cut.outcome.as_deref(), cut.stopped.as_deref()),
        (Some(slot), Some("partial"), Some("shutdown"))
    );
    assert_eq!((rest.slot, rest.outcome.as_deref(), rest.term), (Some(slot), Some("succeeded"), cut.term + 1));
    assert_ne!(cut.holder, rest.holder);
    assert!(cut.deleted > 0 && rest.deleted > 0, "{runs:#?}");
    assert_eq!(cut.deleted + rest.deleted, ROWS);
    assert_eq!(of_second as i64, rest.deleted);
}

#[tokio::test]
async fn after_a_kill_the_daemon_that_waits_goes_on_when_the_lease_is_over() {
    let db = TestDb::new().await;
    let (first, second, baseline, slot) = one_at_work_and_one_that_waits(&db).await;
    let process = first.pid().as_raw().unsigned_abs();
    first.kill();
    let over: DateTime<Utc> = sqlx::query_scalar("SELECT expires_at FROM maintd.leases WHERE job = 'ttl_cleanup'")
        .fetch_one(db.pool())
        .await
        .expect("nobody can have taken it over");
    let killed = Killed { process, at: now(db.pool()).await };
    eventually("the slot to be done", async || last_slot(db.pool()).await == Some(slot)).await;
    second.stop();
    let ledger = ledger(db.pool(), YEARLY, baseline, &[killed]).await;
    ledger.assert_holds();
    let runs: Vec<_> = ledger.runs().collect();
    let [lost, rest] = runs.as_slice() else { panic!("two runs, and not {runs:#?}") };
    assert_eq!((lost.slot, lost.outcome.as_deref()), (Some(slot), Some("lost")));
    assert_eq!((rest.slot, rest.outcome.as_deref()), (Some(slot), Some("succeeded")));
    assert!(rest.started_at >= over, "{rest:#?} and the lease was over at {over}");
    assert_eq!(lost.deleted + rest.deleted, ROWS);
}

/// Slots that fell due in the run before the hand-over fell due during a run, also when they are
/// accounted for only after it.
#[tokio::test]
async fn slots_that_fell_due_before_the_hand_over_are_skipped_as_well() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(600, -60).await;
    let slow = || {
        Maintd::on(&db)
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 5s")
            .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "40")
            .start()
    };
    let first = slow();
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    let second = slow();
    // In the middle between two slots, so that the other one takes it up before the next.
    eventually("a slot to fall due during the run", async || {
        sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM maintd.runs WHERE outcome IS NULL \
                 AND extract(epoch FROM clock_timestamp() - slot) BETWEEN 6 AND 7.5)",
        )
        .fetch_one(db.pool())
        .await
        .expect("reading the runs")
    })
    .await;
    let (at_work, waiting) = if first.rows_deleted() > 0 { (first, second) } else { (second, first) };
    at_work.stop();
    eventually("everything to be done", async || witness.fate(i64::MAX).await.expired_and_left == 0).await;
    eventually("the slots that fell due meanwhile to be passed over", async || {
        super::passed(db.pool()).await.iter().map(|stretch| stretch.count).sum::<i64>() >= 2
    })
    .await;
    waiting.stop();
    ledger(db.pool(), "every 5s", baseline, &[]).await.assert_holds();
    let passed = super::passed(db.pool()).await;
    assert!(passed.iter().all(|stretch| stretch.why == "skipped/running"), "{passed:#?}");
}
