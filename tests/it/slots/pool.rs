//! A pool with no connection to spare.

use chrono::{DateTime, TimeDelta, Utc};

use super::{YEARLY, last_slot, ledger, let_one_be_due, now};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::witness::Witness;

/// With as few connections as a job with one worker can have.
fn cramped(db: &TestDb) -> Daemon {
    Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY)
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "200")
        .env("MAINTD_LEASE__TTL", "5s")
        .env("MAINTD_STORAGE__POSTGRESQL__POOL__MIN_SIZE", "0")
        .env("MAINTD_STORAGE__POSTGRESQL__POOL__MAX_SIZE", "3")
        .start()
}

/// The lease's term, and when it runs out.
async fn lease(db: &TestDb) -> (i64, DateTime<Utc>) {
    sqlx::query_as("SELECT term, expires_at FROM maintd.leases WHERE job = 'ttl_cleanup'")
        .fetch_one(db.pool())
        .await
        .expect("reading the lease")
}

#[tokio::test]
async fn a_lease_is_kept_while_every_other_connection_waits_for_a_lock() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(400, -60).await;
    let (baseline, slot) = let_one_be_due(db.pool(), YEARLY).await;
    let first = cramped(&db);
    first.until("rows to go", |first| first.rows_deleted() > 0);
    let second = cramped(&db);
    let (term, _) = lease(&db).await;
    let mut migration = db.pool().begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE attributes IN ACCESS EXCLUSIVE MODE").execute(&mut *migration).await.expect("locking");
    let locked = now(db.pool()).await;
    // Three times as long as a lease lasts.
    eventually("the lease to be renewed again and again", async || {
        lease(&db).await.1 > locked + TimeDelta::seconds(15) + TimeDelta::seconds(5)
    })
    .await;
    assert_eq!(lease(&db).await.0, term, "nobody has taken it over");
    assert_eq!(first.metric("maintd_job_running", &[]), Some(1.0));
    let connections: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'actingweb-maintd'",
    )
    .fetch_one(db.pool())
    .await
    .expect("counting connections");
    // Each may have one more beside its pool, to ask whether the server is there.
    assert!(connections <= 8, "two daemons with three connections each have {connections}");
    migration.rollback().await.expect("the end of the migration");
    eventually("the slot to be done", async || last_slot(db.pool()).await == Some(slot)).await;
    first.stop();
    second.stop();
    let ledger = ledger(db.pool(), YEARLY, baseline, &[]).await;
    ledger.assert_holds();
    let runs: Vec<_> = ledger.runs().map(|run| (run.outcome.as_deref(), run.deleted)).collect();
    assert_eq!(runs, [(Some("succeeded"), 400)]);
}
