//! A schedule that takes the place of another one.

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;

use super::{YEARLY, last_slot, now, passed, schedule};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::witness::Witness;

fn config(schedule: &str) -> String {
    format!("[jobs.ttl_cleanup]\nschedule = \"{schedule}\"\nmax_rows_per_second = 100\n")
}

fn reload(daemon: &Daemon, schedule: &str) {
    std::fs::write(daemon.config(), config(schedule)).expect("writing the configuration");
    daemon.signal(Signal::SIGHUP);
    daemon.until_said("the configuration was loaded: jobs.ttl_cleanup.schedule");
}

/// The schedule that the newest slot belongs to.
async fn in_force(db: &TestDb) -> Option<String> {
    sqlx::query_scalar("SELECT schedule FROM maintd.leases WHERE job = 'ttl_cleanup'")
        .fetch_one(db.pool())
        .await
        .expect("reading the lease")
}

/// Otherwise every second until the next new year would be missed, once that comes.
async fn ends_with_the_reload(rows: i64) {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(rows, -60).await;
    let daemon = Maintd::on(&db).config(&config("every 1s")).start();
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    if rows > 0 {
        daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    }
    reload(&daemon, YEARLY);
    let described = schedule(YEARLY).describe();
    eventually("the new schedule to be in force", async || in_force(&db).await.as_ref() == Some(&described)).await;
    assert_eq!(witness.fate(i64::MAX).await.expired_and_left, 0, "the run has come to its end before");
    let began = now(db.pool()).await;
    eventually("some seconds to pass", async || now(db.pool()).await > began + TimeDelta::seconds(4)).await;
    let ended = now(db.pool()).await;
    reload(&daemon, "every 1s");
    eventually("the old schedule to go on", async || last_slot(db.pool()).await > Some(ended)).await;
    daemon.stop();
    // In between there were no slots that anything could become of.
    let between = |slot: DateTime<Utc>| began < slot && slot < ended - TimeDelta::seconds(1);
    let passed = passed(db.pool()).await;
    assert!(!passed.iter().any(|stretch| between(stretch.first) || between(stretch.last)), "{passed:#?}");
    let runs: Vec<DateTime<Utc>> =
        sqlx::query_scalar("SELECT slot FROM maintd.runs").fetch_all(db.pool()).await.expect("reading the runs");
    assert!(!runs.iter().any(|slot| between(*slot)), "{runs:#?}");
}

#[tokio::test]
async fn a_schedule_ends_when_another_one_is_loaded() {
    ends_with_the_reload(0).await;
}

#[tokio::test]
async fn a_schedule_that_is_replaced_during_a_run_ends_with_the_run() {
    ends_with_the_reload(250).await;
}
