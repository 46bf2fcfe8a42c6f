//! Another configuration for a daemon that runs.

mod applied;
mod mutated;
mod mutation;
mod password;
mod refused;
mod signals;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::{Postgres, Transaction};

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Daemon;
use crate::harness::eventually;

/// Writes another configuration and has it loaded. Returns the line that tells what came of it.
fn reload(daemon: &Daemon, toml: &str) -> Value {
    fs::write(daemon.config(), toml).expect("writing the configuration");
    load_again(daemon)
}

/// Has the configuration loaded again. Returns the line that tells what came of it.
fn load_again(daemon: &Daemon) -> Value {
    let before = outcomes(daemon).len();
    daemon.signal(Signal::SIGHUP);
    daemon.until_some("the outcome of a reload", |daemon| outcomes(daemon).into_iter().nth(before))
}

/// The lines that tell what came of a reload.
fn outcomes(daemon: &Daemon) -> Vec<Value> {
    daemon.lines().into_iter().filter(|line| line["reload"].is_string()).collect()
}

/// What came of it, in a word, and the text of it.
fn told(line: &Value) -> (&str, &str) {
    (line["reload"].as_str().expect("a word"), line["message"].as_str().expect("a message"))
}

/// Whether the configuration could be used when it was last loaded, as the metric tells.
fn success(daemon: &Daemon) -> f64 {
    daemon.metric("maintd_config_reload_success", &[]).expect("it is there from the start")
}

/// When it could last be used.
fn last_success(daemon: &Daemon) -> f64 {
    daemon.metric("maintd_config_last_reload_timestamp_seconds", &[]).expect("it is there from the start")
}

/// Keeps every batch waiting until the transaction is over.
async fn hold_batches(db: &TestDb) -> Transaction<'static, Postgres> {
    let mut migration = db.pool().begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE attributes IN SHARE MODE").execute(&mut *migration).await.expect("locking");
    migration
}

/// Waits until a batch waits for it.
async fn until_a_batch_waits(db: &TestDb) {
    eventually("a batch to wait", async || {
        // Copies of one template have the same numbers for their tables.
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
             WHERE NOT granted AND relation = 'attributes'::regclass AND datname = current_database()",
        )
        .fetch_one(db.pool())
        .await
        .expect("reading pg_locks");
        waiting == 1
    })
    .await;
}
