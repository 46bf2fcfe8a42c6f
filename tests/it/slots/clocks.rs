//! Clocks that are wrong, and that are put right.

use chrono::{DateTime, TimeDelta, Utc};

use super::{deal_with, last_slot, ledger, now, passed, passed_for};
use crate::harness::clock::Clock;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::witness::Witness;

/// How far the clocks may be apart; after a jump jobs rest for ten times this.
const MAX_SKEW: &str = "500ms";
const REST: TimeDelta = TimeDelta::seconds(5);

fn with(clock: &Clock, db: &TestDb) -> Maintd {
    Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_CLOCK__MAX_SKEW", MAX_SKEW)
        .env(Clock::VARIABLE, clock.path())
}

fn finding(daemon: &Daemon) -> Option<f64> {
    daemon.metric("maintd_findings", &[("check", "clock_skew")])
}

/// Waits until the daemon has looked at the clocks several times more.
fn until_it_has_looked_again(daemon: &Daemon) {
    let looks = || daemon.metric("maintd_store_operation_seconds_count", &[("op", "time")]).expect("it has looked");
    let before = looks();
    daemon.until("it to look at the clocks again", |_| looks() >= before + 2.0);
}

/// A daemon that has run a slot or two, whose clock is then set, rests and says why, and goes on
/// when the clock is right again.
async fn a_wrong_clock(ahead: TimeDelta, told: &str) {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    let clock = Clock::right();
    let daemon = with(&clock, &db).start().ready();
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    daemon.until("a run", |daemon| daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]) > Some(0.0));
    assert_eq!(finding(&daemon), Some(0.0));

    clock.set(ahead);
    daemon.until("it not to be ready any more", |daemon| {
        let (code, body) = daemon.get("/readyz");
        code == 503 && body.contains(told) && finding(daemon) == Some(1.0)
    });
    daemon.until_said("jobs that delete rest");
    let (last, slots) = (last_slot(db.pool()).await, passed(db.pool()).await);
    witness.add(10, -60).await;
    until_it_has_looked_again(&daemon);
    assert_eq!((last_slot(db.pool()).await, passed(db.pool()).await), (last, slots), "nothing is passed over");
    assert_eq!(witness.fate(0).await.gone, 0);
    let by_hand = with(&clock, &db).run(&["job", "run", "ttl_cleanup"]);
    assert_eq!(by_hand.code, 1);
    assert!(by_hand.stderr.contains(told), "{}", by_hand.stderr);
    assert_eq!(witness.fate(0).await.gone, 0);

    let put_right = now(db.pool()).await;
    clock.set(TimeDelta::zero());
    // That is a jump as well.
    daemon.until_said("this machine's clock jumped");
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 10);
    let daemon = daemon.ready();
    daemon.until("the finding to be gone", |daemon| finding(daemon) == Some(0.0));
    daemon.stop();
    let ledger = ledger(db.pool(), "every 1s", baseline, &[]).await;
    ledger.assert_holds();
    let first = ledger.runs().find(|run| run.started_at > put_right).expect("a run");
    assert!(first.started_at > put_right + REST, "{first:#?}, and the clock was put right at {put_right}");
    let skipped = passed_for(db.pool(), "skipped/clock").await;
    let skipped = skipped.iter().find(|skipped| skipped.last > put_right).unwrap_or_else(|| panic!("{skipped:#?}"));
    assert!(skipped.count >= 4, "{skipped:?}");
    // By a clock that is behind nothing was due before that.
    assert!(ahead < TimeDelta::zero() || skipped.first < put_right, "{skipped:?}, put right at {put_right}");
    // In the end each slot is that of a time that has been.
    assert!(last_slot(db.pool()).await < Some(now(db.pool()).await));
}

#[tokio::test]
async fn a_clock_that_is_an_hour_ahead_stops_what_deletes_until_it_is_right() {
    a_wrong_clock(TimeDelta::hours(1), "ahead").await;
}

#[tokio::test]
async fn a_clock_that_is_an_hour_behind_stops_what_deletes_until_it_is_right() {
    a_wrong_clock(TimeDelta::hours(-1), "behind").await;
}

#[tokio::test]
async fn a_daemon_that_starts_with_a_wrong_clock_begins_nothing() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(10, -60).await;
    let clock = Clock::ahead_by(TimeDelta::minutes(20));
    let daemon = with(&clock, &db).start();
    daemon.until("it to be not ready for that", |daemon| {
        let (code, body) = daemon.get("/readyz");
        code == 503 && body.contains("ahead of the database's")
    });
    daemon.until_said("ttl_cleanup does not run: this machine's clock is 20m ahead of the database's");
    until_it_has_looked_again(&daemon);
    assert_eq!((witness.fate(0).await.gone, last_slot(db.pool()).await), (0, None));
    // Within the limit it may be wrong.
    let near = Clock::ahead_by(TimeDelta::seconds(-20));
    let by_hand = with(&near, &db).env("MAINTD_CLOCK__MAX_SKEW", "30s").run(&["job", "run", "ttl_cleanup"]);
    assert_eq!(by_hand.code, 0, "{by_hand:?}");
    daemon.stop();
}

/// Slots up to tomorrow are told to be dealt with, by daemons whose clock, and the server's, were
/// a day ahead.
async fn a_day_ahead(db: &TestDb) -> DateTime<Utc> {
    let start = now(db.pool()).await;
    deal_with(db.pool(), "every 1s", start + TimeDelta::days(1)).await;
    sqlx::query(
        "INSERT INTO maintd.passed_slots \
             (deployment, backend, job, first_slot, last_slot, count, fate, reason, recorded_by) \
         SELECT 'public', 'postgresql', 'ttl_cleanup', first, first + interval '1h', 3601, 'missed', 'downtime', 'host/1' \
         FROM generate_series($1, $1 + interval '23h', interval '1s') AS first",
    )
    .bind(start.date_naive().and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc()))
    .execute(db.pool())
    .await
    .expect("passing slots over");
    start
}

#[tokio::test]
async fn a_schedule_that_is_a_day_ahead_goes_back_and_goes_on() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(10, -60).await;
    let start = a_day_ahead(&db).await;
    let daemon = Daemon::start(&db);
    daemon.until_said("which lies in the future: a clock was wrong");
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 10);
    // What becomes of slots from now on can be written down.
    assert_eq!(Maintd::on(&db).run(&["job", "pause", "ttl_cleanup"]).code, 0);
    eventually("slots to be skipped", async || {
        passed_for(db.pool(), "skipped/paused").await.iter().any(|stretch| stretch.count >= 2)
    })
    .await;
    daemon.stop();
    let last = last_slot(db.pool()).await.expect("a slot");
    assert!(start - TimeDelta::seconds(1) < last && last <= now(db.pool()).await, "{last}");
    assert_eq!(passed(db.pool()).await.into_iter().filter(|stretch| stretch.first > last).count(), 0);
}
