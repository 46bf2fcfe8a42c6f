//! Daemons that are ended again and again shortly after their start.

use fastrand::Rng;
use std::time::Duration;

use super::{last_slot, ledger, now};
use crate::harness::cluster::{TestDb, done_with_the_killed};
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::ledger::Killed;
use crate::harness::witness::Witness;

const ROWS: i64 = 600;

/// More lives than it can need.
const LIVES: usize = 60;

async fn lives(seed: u64, end: impl AsyncFn(&TestDb, Daemon, &mut Vec<Killed>)) {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(ROWS, -60).await;
    let mut random = Rng::with_seed(seed);
    let mut killed = Vec::new();
    let mut baseline = None;
    let mut left = Vec::new();
    while left.last() != Some(&0) {
        assert!(left.len() < LIVES, "so much was left after each life: {left:?}");
        let daemon = Maintd::on(&db)
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
            .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "300")
            .env("MAINTD_LEASE__TTL", "1s")
            .start();
        if baseline.is_none() {
            eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
            baseline = last_slot(db.pool()).await;
        }
        // Less than a lease lasts.
        tokio::time::sleep(Duration::from_millis(random.u64(200..700))).await;
        end(&db, daemon, &mut killed).await;
        left.push(witness.fate(i64::MAX).await.expired_and_left);
    }
    // Somebody closes what the last one has left open.
    let last = Daemon::start(&db);
    eventually("the runs to be closed", async || {
        sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM maintd.runs WHERE outcome IS NULL)")
            .fetch_one(db.pool())
            .await
            .expect("reading the runs")
    })
    .await;
    last.stop();
    ledger(db.pool(), "every 1s", baseline.expect("it was waited for"), &killed).await.assert_holds();
}

#[tokio::test]
async fn a_daemon_that_is_killed_again_and_again_makes_progress() {
    lives(1, async |db, daemon, killed| {
        let process = daemon.pid().as_raw().unsigned_abs();
        daemon.kill();
        done_with_the_killed(db.pool()).await;
        killed.push(Killed { process, at: now(db.pool()).await });
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_is_restarted_again_and_again_makes_progress() {
    lives(2, async |_, daemon, _| drop(daemon.stop())).await;
}
