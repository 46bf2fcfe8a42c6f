//! Coming to an end.

use nix::sys::signal::Signal;
use sqlx::{Postgres, Transaction};

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, maintd};
use crate::harness::eventually;
use crate::harness::store::{add_attributes, count_attributes};

/// A daemon in the middle of a run that would take long.
async fn in_the_middle(db: &TestDb) -> Daemon {
    add_attributes(db, "expired", 5_000, -60).await;
    let daemon = Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "100")
        .start();
    daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    daemon
}

/// A daemon in the middle of a batch that cannot go on until the transaction is over.
async fn in_a_batch_that_waits(db: &TestDb, grace: &str) -> (Daemon, Transaction<'static, Postgres>) {
    add_attributes(db, "expired", 100, -60).await;
    let mut migration = db.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE attributes IN SHARE MODE").execute(&mut *migration).await.unwrap();
    let daemon = Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        // A quarter of it is how long a batch waits for a lock.
        .env("MAINTD_LEASE__TTL", "10m")
        .env("MAINTD_DRAIN__GRACE", grace)
        .start();
    eventually("the batch to wait", async || waiting_batches(db).await == 1).await;
    (daemon, migration)
}

async fn waiting_batches(db: &TestDb) -> i64 {
    // Copies of one template have the same numbers for their tables.
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
         WHERE NOT granted AND relation = 'attributes'::regclass AND datname = current_database()",
    )
    .fetch_one(db.pool())
    .await
    .unwrap()
}

async fn a_run_ends_at_a_batch_boundary(signal: Signal) {
    let db = TestDb::new().await;
    let daemon = in_the_middle(&db).await;
    daemon.signal(signal);
    let (code, log) = daemon.wait();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains(&format!("\"signal\":\"{signal}\"")), "{log}");
    let left = count_attributes(&db).await;
    assert!(left > 0, "the run was to be cut short");
    let history = maintd(&db, &["job", "history", "--json"]).json();
    let run = &history["runs"][0];
    assert_eq!((&run["outcome"], &run["report"]["stopped"]), (&"partial".into(), &"shutdown".into()), "{history:#}");
    assert_eq!(run["report"]["more"], true);
    assert_eq!(run["report"]["deleted"], 5_000 - left);
    // Nothing is held any more: the next run starts at once.
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup"]).code, 0);
    assert_eq!(count_attributes(&db).await, 0);
}

#[tokio::test]
async fn at_sigterm_a_run_ends_at_a_batch_boundary() {
    a_run_ends_at_a_batch_boundary(Signal::SIGTERM).await;
}

#[tokio::test]
async fn at_sigint_a_run_ends_at_a_batch_boundary() {
    a_run_ends_at_a_batch_boundary(Signal::SIGINT).await;
}

/// What was cut: nothing of the batch is left, and the error names the job.
async fn assert_cut(db: &TestDb, daemon: Daemon, migration: Transaction<'static, Postgres>) {
    let (code, log) = daemon.wait();
    assert_eq!(code, 1, "{log}");
    let error = log.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("no error in {log}"));
    assert!(error.contains("ttl_cleanup"), "{error}");
    migration.rollback().await.unwrap();
    eventually("the server to have noticed", async || waiting_batches(db).await == 0).await;
    assert_eq!(count_attributes(db).await, 100);
}

#[tokio::test]
async fn a_second_signal_cuts_what_is_running() {
    let db = TestDb::new().await;
    let (daemon, migration) = in_a_batch_that_waits(&db, "10m").await;
    daemon.signal(Signal::SIGTERM);
    daemon.until_said("waiting for running jobs");
    daemon.signal(Signal::SIGINT);
    assert_cut(&db, daemon, migration).await;
}

#[tokio::test]
async fn a_run_that_outlasts_the_grace_is_cut() {
    let db = TestDb::new().await;
    let (daemon, migration) = in_a_batch_that_waits(&db, "100ms").await;
    daemon.signal(Signal::SIGTERM);
    assert_cut(&db, daemon, migration).await;
}

#[tokio::test]
async fn a_batch_that_can_go_on_within_the_grace_is_waited_for() {
    let db = TestDb::new().await;
    let (daemon, migration) = in_a_batch_that_waits(&db, "10m").await;
    daemon.signal(Signal::SIGTERM);
    daemon.until_said("waiting for running jobs");
    // Until the very end it can be watched.
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.metric("maintd_job_running", &[]), Some(1.0));
    migration.rollback().await.unwrap();
    let (code, log) = daemon.wait();
    assert_eq!(code, 0, "{log}");
    let history = maintd(&db, &["job", "history", "--json"]).json();
    assert_eq!(history["runs"][0]["report"]["deleted"], 100 - count_attributes(&db).await);
}

/// A run that is about to begin is one already: nothing may be left of it that the next daemon
/// would have to wait for.
#[tokio::test]
async fn a_run_that_is_about_to_begin_is_waited_for() {
    let db = TestDb::new().await;
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup"]).code, 0);
    sqlx::query("UPDATE maintd.leases SET last_slot = now() - interval '1 hour'").execute(db.pool()).await.unwrap();
    let mut other = db.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM maintd.leases FOR UPDATE").execute(&mut *other).await.unwrap();
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_LEASE__TTL", "10m")
        .env("MAINTD_DRAIN__GRACE", "10m")
        .start();
    eventually("the claim to wait", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'actingweb-maintd' AND wait_event_type = 'Lock' \
             AND query LIKE '%FROM maintd.leases%FOR UPDATE'",
        )
        .fetch_one(db.pool())
        .await
        .unwrap();
        waiting == 1
    })
    .await;
    daemon.signal(Signal::SIGTERM);
    daemon.until_said("waiting for running jobs");
    other.rollback().await.unwrap();
    let (code, log) = daemon.wait();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("\"ERROR\""), "{log}");
    let runs = maintd(&db, &["job", "history", "--json"]).json()["runs"].as_array().unwrap().clone();
    assert!(runs.iter().all(|run| run["outcome"].is_string() && run["outcome"] != "lost"), "{runs:#?}");
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup"]).code, 0, "the lease is free");
}

#[tokio::test]
async fn an_idle_daemon_ends_at_once() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).start().ready();
    let log = daemon.stop();
    assert!(!log.contains("waiting for running jobs"), "{log}");
    eventually("its connections to be gone", async || connections(&db).await == 0).await;
}

async fn connections(db: &TestDb) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'actingweb-maintd'",
    )
    .fetch_one(db.pool())
    .await
    .unwrap()
}
