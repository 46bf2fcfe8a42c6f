//! Several daemons on one database.

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Daemon;
use crate::harness::eventually;
use crate::harness::store::{add_attributes, count_attributes};

#[tokio::test]
async fn of_several_daemons_one_runs_each_slot() {
    let db = TestDb::new().await;
    let daemons = [Daemon::start(&db), Daemon::start(&db), Daemon::start(&db)];
    for round in 0..4 {
        add_attributes(&db, &format!("round_{round}"), 100, -60).await;
        eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    }
    eventually("five slots to be done", async || finished_slots(&db).await.len() >= 5).await;
    let counted = || daemons.iter().map(Daemon::rows_deleted).sum::<u64>();
    daemons[0].until("each row to be counted once", |_| counted() == 400);
    let logs = daemons.map(Daemon::stop);

    let slots = finished_slots(&db).await;
    let mut distinct = slots.clone();
    distinct.dedup();
    assert_eq!(slots, distinct, "a slot ran twice");
    let told: i64 = sqlx::query_scalar("SELECT sum((report->>'deleted')::bigint)::bigint FROM maintd.runs")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(told, 400);
    // The end of the daemons may have come in the middle of one.
    let unwell: Vec<serde_json::Value> = sqlx::query_scalar(
        "SELECT to_jsonb(run) FROM maintd.runs AS run WHERE outcome IS DISTINCT FROM 'succeeded' \
           AND report->>'stopped' IS DISTINCT FROM 'shutdown'",
    )
    .fetch_all(db.pool())
    .await
    .unwrap();
    assert!(unwell.is_empty(), "{unwell:#?}");
    let succeeded: i64 = sqlx::query_scalar("SELECT count(*) FROM maintd.runs WHERE outcome = 'succeeded'")
        .fetch_one(db.pool())
        .await
        .unwrap();
    // One line for each run, by the daemon that ran it.
    let lines: usize = logs.iter().map(|log| log.matches("ttl_cleanup succeeded").count()).sum();
    assert_eq!(lines, usize::try_from(succeeded).unwrap());
}

#[tokio::test]
async fn a_daemon_takes_over_from_one_that_ended() {
    let db = TestDb::new().await;
    let first = Daemon::start(&db);
    let second = Daemon::start(&db);
    first.stop();
    add_attributes(&db, "expired", 10, -60).await;
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    second.until("them to be counted", |second| second.rows_deleted() == 10);
    second.stop();
}

/// The slots of runs that ended, in order. Those that the end of a daemon cut short, another one may take up.
async fn finished_slots(db: &TestDb) -> Vec<chrono::DateTime<chrono::Utc>> {
    sqlx::query_scalar(
        "SELECT slot FROM maintd.runs \
         WHERE outcome IS NOT NULL AND report->>'stopped' IS DISTINCT FROM 'shutdown' ORDER BY slot",
    )
    .fetch_all(db.pool())
    .await
    .unwrap()
}
