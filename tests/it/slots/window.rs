//! The hours when a job may run.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::{last_slot, ledger, now, passed, passed_for};
use crate::harness::clock::Clock;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::witness::Witness;

/// The hours from one time to another.
fn hours(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    format!("{}-{}", from.format("%H:%M"), to.format("%H:%M"))
}

fn within(db: &TestDb, hours: &str) -> Maintd {
    Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__WINDOW", hours)
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "20")
}

#[tokio::test]
async fn outside_of_its_window_a_jobs_slots_are_skipped() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(5, -60).await;
    let start = now(db.pool()).await;
    let daemon = within(&db, &hours(start + TimeDelta::hours(2), start + TimeDelta::hours(3))).start();
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    daemon.until_said("skipped: it was outside the job's window");
    eventually("slots to be skipped", async || {
        passed_for(db.pool(), "skipped/window").await.iter().map(|stretch| stretch.count).sum::<i64>() >= 3
    })
    .await;
    assert_eq!(witness.fate(witness.now().await).await.gone, 0);
    let counted = || daemon.metric("maintd_schedule_slots_total", &[("fate", "skipped")]);
    daemon.until("them to be counted", |_| counted() >= Some(3.0));
    daemon.stop();
    // By hand it runs at any hour, and then there is nothing left.
    assert_eq!(Maintd::on(&db).run(&["job", "run", "ttl_cleanup"]).code, 0);
    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();

    let daemon = within(&db, &hours(start - TimeDelta::hours(1), start + TimeDelta::hours(2))).start();
    daemon.until("the job to run", |daemon| {
        daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]) > Some(0.0)
    });
    daemon.stop();
    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();
}

#[tokio::test]
async fn a_run_ends_when_its_window_closes() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(2_000, -60).await;
    // Windows close at full minutes, and this daemon believes that one is not far.
    let start = now(db.pool()).await;
    let minute = start.duration_trunc(TimeDelta::minutes(1)).expect("a minute") + TimeDelta::minutes(1);
    let clock = Clock::ahead_by(minute - TimeDelta::seconds(10) - start);
    let daemon = within(&db, &hours(minute - TimeDelta::hours(1), minute))
        .env("MAINTD_CLOCK__MAX_SKEW", "10m")
        .env(Clock::VARIABLE, clock.path())
        .start();
    daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    daemon.until("the run to end", |daemon| {
        daemon.metric("maintd_job_runs_total", &[("outcome", "partial")]) == Some(1.0)
    });
    eventually("slots to be skipped", async || !passed_for(db.pool(), "skipped/window").await.is_empty()).await;
    let gone = witness.fate(0).await.gone;
    eventually("more slots to be skipped", async || {
        passed_for(db.pool(), "skipped/window").await.iter().any(|stretch| stretch.count >= 3)
    })
    .await;
    daemon.stop();
    let history = Maintd::on(&db).run(&["job", "history", "--json"]).json();
    let run = &history["runs"][0];
    assert_eq!((&run["outcome"], &run["report"]["stopped"]), (&"partial".into(), &"window".into()), "{history:#}");
    assert_eq!(run["report"]["more"], true);
    assert_eq!((run["report"]["deleted"].as_i64(), witness.fate(0).await.gone), (Some(gone), gone));
    assert_eq!(history["runs"].as_array().map(Vec::len), Some(1), "its slot is done, and no other has begun");
    let closed =
        passed(db.pool()).await.into_iter().find(|stretch| stretch.why == "skipped/window").expect("a stretch");
    assert!(closed.first >= minute, "{closed:?} and the window closes at {minute}");
}
