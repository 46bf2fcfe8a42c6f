//! Nobody was there.

use chrono::TimeDelta;
use nix::sys::signal::Signal;

use super::{deal_with, last_slot, ledger, now, passed, passed_for, schedule};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::witness::Witness;

#[tokio::test]
async fn a_daemon_that_was_down_records_one_stretch_and_runs_one_slot() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(50, -60).await;
    let baseline = schedule("every 1s").latest(now(db.pool()).await - TimeDelta::hours(1)).expect("a slot");
    deal_with(db.pool(), "every 1s", baseline).await;
    let daemon = Daemon::start(&db);
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 50);
    daemon.until_said("missed: no daemon was there to run it");
    daemon.stop();

    let ledger = ledger(db.pool(), "every 1s", baseline, &[]).await;
    ledger.assert_holds();
    let missed = passed(db.pool()).await.into_iter().next().expect("a stretch");
    assert_eq!(missed.why, "missed/downtime");
    assert_eq!(missed.first, baseline + TimeDelta::seconds(1));
    assert!(missed.count >= 3599, "{missed:?}");
    // One slot catches up for all of them, and it is the newest.
    let first = ledger.runs().next().expect("a run");
    assert_eq!(first.slot, Some(missed.last + TimeDelta::seconds(1)));
    assert_eq!(first.deleted, 50);
}

#[tokio::test]
async fn a_daemon_that_was_suspended_was_down() {
    let db = TestDb::new().await;
    Witness::new(db.pool()).await;
    let daemon = Daemon::start(&db);
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    daemon.until("a run", |daemon| daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]) > Some(0.0));
    eventually("it to be stopped between two runs", async || {
        daemon.signal(Signal::SIGSTOP);
        let is_at_work: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM maintd.runs WHERE outcome IS NULL) \
                 OR EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'actingweb-maintd' AND xact_start IS NOT NULL)",
        )
        .fetch_one(db.pool())
        .await
        .expect("looking what it does");
        if is_at_work {
            daemon.signal(Signal::SIGCONT);
        }
        !is_at_work
    })
    .await;
    let stopped = now(db.pool()).await;
    eventually("slots to pass", async || now(db.pool()).await > stopped + TimeDelta::seconds(4)).await;
    daemon.signal(Signal::SIGCONT);
    let went_on = now(db.pool()).await;
    eventually("it to go on", async || last_slot(db.pool()).await > Some(went_on)).await;
    daemon.stop();

    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();
    let missed = passed_for(db.pool(), "missed/downtime").await;
    let suspended = missed.iter().find(|missed| missed.count >= 3).unwrap_or_else(|| panic!("{missed:#?}"));
    assert!(suspended.first > stopped - TimeDelta::seconds(1), "{missed:#?}, stopped at {stopped}");
    assert!(suspended.last <= went_on + TimeDelta::seconds(30), "{missed:#?}, went on at {went_on}");
}

/// A fixed time of the day that has passed ten minutes ago.
async fn ten_minutes_ago(db: &TestDb) -> String {
    (now(db.pool()).await - TimeDelta::minutes(10)).format("%-M %-H * * *").to_string()
}

async fn after_three_days(db: &TestDb, catch_up: &str) -> (usize, i64) {
    let text = ten_minutes_ago(db).await;
    let schedule = schedule(&text);
    let latest = schedule.latest(now(db.pool()).await).expect("a slot");
    let baseline = latest - TimeDelta::days(3);
    deal_with(db.pool(), &text, baseline).await;
    let daemon = Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", &text)
        .env("MAINTD_SCHEDULE__CATCH_UP", catch_up)
        .start();
    eventually("the slot to be dealt with", async || last_slot(db.pool()).await == Some(latest)).await;
    daemon.stop();
    let ledger = ledger(db.pool(), &text, baseline, &[]).await;
    let missed = passed_for(db.pool(), "missed/downtime").await;
    assert_eq!((missed.len(), passed(db.pool()).await.len()), (1, 1), "{missed:#?}");
    (ledger.runs().count(), missed[0].count)
}

#[tokio::test]
async fn one_slot_catches_up_unless_none_is_wanted() {
    let db = TestDb::new().await;
    Witness::new(db.pool()).await;
    assert_eq!(after_three_days(&db, "latest").await, (1, 2));
    let db = TestDb::new().await;
    Witness::new(db.pool()).await.add(5, -60).await;
    assert_eq!(after_three_days(&db, "none").await, (0, 3));
}

#[tokio::test]
async fn slots_that_found_the_database_down_are_missed_for_that() {
    let mut private = Private::start(&[], &[]).await;
    let witness = Witness::new(private.pool()).await;
    let daemon = private.maintd().env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start();
    eventually("the schedule to begin", async || last_slot(private.pool()).await.is_some()).await;
    let baseline = last_slot(private.pool()).await.expect("it was waited for");
    daemon.until("a run", |daemon| daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]) > Some(0.0));
    let before = now(private.pool()).await;
    private.stop().await;
    daemon.until_said("ttl_cleanup does not run");
    let refused = || daemon.metric("maintd_store_errors_total", &[("op", "standing")]).expect("it begins at zero");
    let already = refused();
    daemon.until("it to be refused again and again", |_| refused() >= already + 2.0);
    private.start_again().await;
    witness.add(20, -60).await;
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 20);
    daemon.until_said("missed: the database could not be used");
    daemon.stop();

    ledger(private.pool(), "every 1s", baseline, &[]).await.assert_holds();
    let missed = passed_for(private.pool(), "missed/unavailable").await;
    assert!(missed.iter().any(|missed| missed.count >= 3 && missed.last > before), "{missed:#?}");
}
