//! What becomes of the slots of a schedule, beside real daemons on real databases.

mod another_schedule;
mod broken;
mod clocks;
mod deployments;
mod downtime;
mod hand_over;
mod overlap;
mod pause;
mod pool;
mod pooler;
mod restarts;
mod retries;
mod window;

use actingweb_maintd::schedule::Schedule;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sqlx::PgPool;

use crate::harness::ledger::{Killed, Ledger};
use crate::harness::witness::Witness;

/// So rare that the slot which is due stays the newest.
const YEARLY: &str = "@yearly";

/// Slots that were not run, as the database has them.
#[derive(Clone, Debug, PartialEq)]
struct Stretch {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    count: i64,
    /// Fate and reason, as in `missed/downtime`.
    why: String,
}

/// All of them, in order.
async fn passed(pool: &PgPool) -> Vec<Stretch> {
    let rows: Vec<(DateTime<Utc>, DateTime<Utc>, i64, String)> = sqlx::query_as(
        "SELECT first_slot, last_slot, count, fate || '/' || reason FROM maintd.passed_slots ORDER BY first_slot",
    )
    .fetch_all(pool)
    .await
    .expect("reading the passed slots");
    rows.into_iter().map(|(first, last, count, why)| Stretch { first, last, count, why }).collect()
}

/// Those for this reason.
async fn passed_for(pool: &PgPool, why: &str) -> Vec<Stretch> {
    passed(pool).await.into_iter().filter(|stretch| stretch.why == why).collect()
}

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text, Tz::UTC).expect("a schedule")
}

/// Pretends that the slots of `text` were dealt with up to `last`, and that nobody was there since.
async fn deal_with(pool: &PgPool, text: &str, last: DateTime<Utc>) {
    sqlx::query(
        "INSERT INTO maintd.leases (deployment, backend, job, last_slot, schedule) \
         VALUES ('public', 'postgresql', 'ttl_cleanup', $1, $2)",
    )
    .bind(last)
    .bind(schedule(text).describe())
    .execute(pool)
    .await
    .expect("writing the lease's row");
}

/// Lets one slot of `text` be due, and no other before it. Returns the slot that was the last to be
/// dealt with, and the one that is due.
async fn let_one_be_due(pool: &PgPool, text: &str) -> (DateTime<Utc>, DateTime<Utc>) {
    let schedule = schedule(text);
    let slot = schedule.latest(now(pool).await).expect("a slot");
    let baseline = schedule.latest(slot - TimeDelta::seconds(1)).expect("a slot");
    deal_with(pool, text, baseline).await;
    (baseline, slot)
}

/// The server's clock.
async fn now(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await.expect("asking for the time")
}

/// The newest slot that is dealt with.
async fn last_slot(pool: &PgPool) -> Option<DateTime<Utc>> {
    sqlx::query_scalar("SELECT max(last_slot) FROM maintd.leases WHERE job = 'ttl_cleanup'")
        .fetch_one(pool)
        .await
        .expect("reading the last slot")
}

/// What the daemons have left behind since `baseline`; what has expired by now must be gone.
async fn ledger(pool: &PgPool, text: &str, baseline: DateTime<Utc>, killed: &[Killed]) -> Ledger {
    let now = Witness::of(pool).now().await;
    Ledger::read(pool, &schedule(text), Some(baseline), now, killed).await
}
