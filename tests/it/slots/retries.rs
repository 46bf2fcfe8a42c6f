//! Runs that fail, and are tried again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use sqlx::PgPool;

use super::{YEARLY, deal_with, last_slot, ledger, let_one_be_due, now, passed, schedule};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::witness::Witness;

/// Makes every deletion fail for a reason that does not pass by itself.
async fn forbid_deleting(pool: &PgPool) {
    sqlx::raw_sql(
        "CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'not on my watch'; END $$; \
         CREATE TRIGGER forbid BEFORE DELETE ON attributes FOR EACH ROW EXECUTE FUNCTION forbid()",
    )
    .execute(pool)
    .await
    .expect("making the trigger");
}

async fn allow_deleting(pool: &PgPool) {
    sqlx::raw_sql("DROP TRIGGER forbid ON attributes").execute(pool).await.expect("dropping the trigger");
}

/// How often the open slot has failed, and how many milliseconds lie between the end of the last
/// run and the time from which it may be tried again.
async fn attempts(pool: &PgPool) -> (i32, i64) {
    sqlx::query_as(
        "SELECT attempts, coalesce(round(extract(epoch FROM retry_at - released_at) * 1000), 0)::bigint \
         FROM maintd.leases WHERE job = 'ttl_cleanup'",
    )
    .fetch_one(pool)
    .await
    .expect("reading the lease")
}

/// Slot and error of each run that failed, in order.
async fn failed(pool: &PgPool) -> Vec<(DateTime<Utc>, String)> {
    sqlx::query_as("SELECT slot, error FROM maintd.runs WHERE outcome = 'failed' ORDER BY started_at")
        .fetch_all(pool)
        .await
        .expect("reading the runs")
}

#[tokio::test]
async fn a_slot_is_tried_again_as_often_as_it_may_be_after_waits_that_double() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(5, -60).await;
    forbid_deleting(db.pool()).await;
    let (baseline, slot) = let_one_be_due(db.pool(), YEARLY).await;
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY)
        .env("MAINTD_JOBS__TTL_CLEANUP__RETRIES", "3")
        .env("MAINTD_LEASE__TTL", "1s")
        .start();
    let mut waits = BTreeMap::new();
    eventually("the slot to be given up", async || {
        if let (attempts @ 1.., wait @ 1..) = attempts(db.pool()).await {
            waits.insert(attempts, wait);
        }
        last_slot(db.pool()).await == Some(slot)
    })
    .await;
    // Whoever looks from time to time may not have seen the short ones; that each was kept is seen below.
    assert!(waits.contains_key(&3) && waits.iter().all(|(attempts, wait)| *wait == 500 << attempts), "{waits:?}");
    let metric = |name: &str, label| daemon.metric(name, &[label]);
    daemon.until("the slot and its runs to be counted", |_| {
        metric("maintd_schedule_slots_total", ("fate", "ran")) == Some(1.0)
            && metric("maintd_job_runs_total", ("outcome", "failed")) == Some(4.0)
    });
    daemon.stop();
    let failed = failed(db.pool()).await;
    assert_eq!(failed.len(), 4);
    assert!(failed.iter().all(|(at, error)| *at == slot && error.contains("not on my watch")), "{failed:#?}");
    let early: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT started_at - lag(finished_at) OVER (ORDER BY started_at) AS rest, \
             row_number() OVER (ORDER BY started_at) - 2 AS earlier FROM maintd.runs) AS runs \
         WHERE rest < make_interval(secs => 2 ^ earlier)",
    )
    .fetch_one(db.pool())
    .await
    .expect("reading the runs");
    assert_eq!(early, 0, "no run began before its time");
    allow_deleting(db.pool()).await;
    assert_eq!(Maintd::on(&db).run(&["job", "run", "ttl_cleanup"]).code, 0);
    ledger(db.pool(), YEARLY, baseline, &[]).await.assert_holds();
}

#[tokio::test]
async fn without_retries_a_slot_is_tried_once() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(5, -60).await;
    forbid_deleting(db.pool()).await;
    let (_, slot) = let_one_be_due(db.pool(), YEARLY).await;
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY)
        .env("MAINTD_JOBS__TTL_CLEANUP__RETRIES", "0")
        .start();
    eventually("the slot to be given up", async || last_slot(db.pool()).await == Some(slot)).await;
    daemon.stop();
    assert_eq!(failed(db.pool()).await.len(), 1);
}

#[tokio::test]
async fn what_was_failing_succeeds_in_the_same_slot_once_it_can() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(5, -60).await;
    forbid_deleting(db.pool()).await;
    let (baseline, slot) = let_one_be_due(db.pool(), YEARLY).await;
    let daemon =
        Maintd::on(&db).env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY).env("MAINTD_LEASE__TTL", "3s").start();
    eventually("two runs to fail", async || failed(db.pool()).await.len() == 2).await;
    // It waits beyond the end of the process that has failed.
    daemon.stop();
    let daemon =
        Maintd::on(&db).env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY).env("MAINTD_LEASE__TTL", "3s").start();
    allow_deleting(db.pool()).await;
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 5);
    eventually("the slot to be done", async || last_slot(db.pool()).await == Some(slot)).await;
    daemon.stop();
    let ledger = ledger(db.pool(), YEARLY, baseline, &[]).await;
    ledger.assert_holds();
    let outcomes: Vec<_> = ledger.runs().map(|run| (run.slot, run.outcome.as_deref())).collect();
    assert_eq!(outcomes, [(Some(slot), Some("failed")), (Some(slot), Some("failed")), (Some(slot), Some("succeeded"))]);
}

#[tokio::test]
async fn a_newer_slot_takes_the_place_of_one_that_failed() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(5, -60).await;
    forbid_deleting(db.pool()).await;
    let baseline = schedule("every 1s").latest(now(db.pool()).await).expect("a slot");
    deal_with(db.pool(), "every 1s", baseline).await;
    // It would wait for ten minutes before it tries the same slot again.
    let daemon =
        Maintd::on(&db).env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").env("MAINTD_LEASE__TTL", "10m").start();
    eventually("four slots to fail", async || failed(db.pool()).await.len() >= 4).await;
    allow_deleting(db.pool()).await;
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 5);
    eventually("the last of them to be closed", async || attempts(db.pool()).await.0 == 0).await;
    daemon.stop();
    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();
    let failed = failed(db.pool()).await;
    assert!(failed.is_sorted_by(|earlier, later| earlier.0 < later.0), "{failed:#?}");
    // Nobody was away.
    let passed = passed(db.pool()).await;
    assert!(passed.len() < failed.len(), "{passed:#?}");
}

#[tokio::test]
async fn a_slot_that_ends_its_process_each_time_is_given_up_as_well() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(5, -60).await;
    let (baseline, slot) = let_one_be_due(db.pool(), YEARLY).await;
    let fatal = || {
        Maintd::on(&db)
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY)
            .env("MAINTD_JOBS__TTL_CLEANUP__RETRIES", "2")
            .env("MAINTD_LEASE__TTL", "1s")
            .env("FAILPOINTS", "postgresql.cutoff.begin.before=return(abort)")
    };
    for life in 0..3 {
        let (code, log) = fatal().start_to_end().wait();
        assert_eq!(code, 128 + Signal::SIGABRT as i32, "life {life}: {log}");
        assert_eq!(last_slot(db.pool()).await, Some(baseline));
    }
    let daemon = fatal().start();
    eventually("the slot to be given up", async || last_slot(db.pool()).await == Some(slot)).await;
    daemon.until("it to be counted", |daemon| {
        daemon.metric("maintd_schedule_slots_total", &[("fate", "ran")]) == Some(1.0)
            && daemon.metric("maintd_job_runs_total", &[("outcome", "lost")]) == Some(1.0)
    });
    daemon.until_said("the slot is given up");
    daemon.stop();
    assert_eq!(Maintd::on(&db).run(&["job", "run", "ttl_cleanup"]).code, 0);
    let ledger = ledger(db.pool(), YEARLY, baseline, &[]).await;
    ledger.assert_holds();
    assert_eq!(ledger.ended("lost"), 3);
}
