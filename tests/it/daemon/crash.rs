//! `kill -9` in the middle of a run.

use serde_json::Value;

use crate::harness::cluster::{TestDb, done_with_the_killed};
use crate::harness::daemon::{Daemon, Maintd, maintd};
use crate::harness::eventually;
use crate::harness::store::{add_attributes, count_attributes};

const ROWS: i64 = 2_000;

/// A daemon that is deleting, slowly or as fast as it can.
fn deleting(db: &TestDb, rate: &str) -> Daemon {
    Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", rate)
        .env("MAINTD_LEASE__TTL", "5s")
        .start()
}

fn runs(db: &TestDb) -> Vec<Value> {
    maintd(db, &["job", "history", "--json", "--limit", "1000"]).json()["runs"].as_array().unwrap().clone()
}

fn deleted(run: &Value) -> i64 {
    run["report"]["deleted"].as_i64().unwrap()
}

#[tokio::test]
async fn the_next_daemon_marks_the_run_lost_and_finishes_its_work_and_nothing_is_counted_twice() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", ROWS, -60).await;
    add_attributes(&db, "alive", 10, 3600).await;
    // Twice in a row, at whatever point the kill finds it.
    for _ in 0..2 {
        let before = count_attributes(&db).await;
        let daemon = deleting(&db, "200");
        eventually("rows to go", async || count_attributes(&db).await < before).await;
        daemon.kill();
        done_with_the_killed(db.pool()).await;
    }
    let left = count_attributes(&db).await;
    assert!(left > 10, "the runs were to be cut short");
    let open = runs(&db).into_iter().filter(|run| run["outcome"].is_null()).count();
    assert_eq!(open, 1, "the second is still open, the first is lost");

    let daemon = deleting(&db, "0");
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 10).await;
    eventually("the last run to have ended", async || runs(&db).iter().all(|run| !run["outcome"].is_null())).await;
    assert_eq!(daemon.rows_deleted() as i64, left - 10, "the daemon counts what it deleted itself");
    daemon.stop();
    let runs = runs(&db);
    let lost: Vec<&Value> = runs.iter().filter(|run| run["outcome"] == "lost").collect();
    assert_eq!(lost.len(), 2, "{runs:#?}");
    assert!(lost.iter().all(|run| run["finished_at"].is_string() && run["report"]["more"] == true), "{lost:#?}");
    assert_eq!(lost.iter().map(|run| deleted(run)).sum::<i64>(), ROWS + 10 - left);
    assert_eq!(runs.iter().map(deleted).sum::<i64>(), ROWS);
}

#[tokio::test]
async fn a_held_lease_is_named_until_it_runs_out_and_then_taken_over() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", ROWS, -60).await;
    let daemon = deleting(&db, "200");
    daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    daemon.kill();
    let mut refusals = Vec::new();
    eventually("the lease to run out", async || {
        let run = maintd(&db, &["job", "run", "ttl_cleanup"]);
        let done = run.code == 0;
        if !done {
            refusals.push(run.stderr);
        }
        done
    })
    .await;
    assert!(refusals.iter().all(|refusal| refusal.contains("is being run by")), "{refusals:?}");
    assert_eq!(count_attributes(&db).await, 0);
    assert_eq!(runs(&db).iter().map(deleted).sum::<i64>(), ROWS);
}
