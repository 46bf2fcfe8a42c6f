//! Beside the Python library: what it wrote and what has expired goes, and nothing else.

mod interop;
mod json;

use actingweb_maintd::model::clock;
use serde_json::Value;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, maintd};
use crate::harness::eventually;
use crate::harness::python::{alembic, python};
use crate::harness::store::{add_attributes, count_attributes};

const ROWS: i64 = 200_000;

/// What the purge of the library would leave of `kept.before`, and what is left now, differ by
/// this many rows.
const DIFFERENCE: &str = "SELECT count(*) FROM (
    (SELECT * FROM kept.before WHERE ttl_timestamp IS NULL OR ttl_timestamp >= $1 EXCEPT SELECT * FROM attributes)
    UNION ALL
    (SELECT * FROM attributes EXCEPT SELECT * FROM kept.before WHERE ttl_timestamp IS NULL OR ttl_timestamp >= $1)) d";

#[tokio::test]
async fn of_two_hundred_thousand_rows_exactly_the_expired_go_and_every_number_agrees() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", "head"]).await;
    let applied = maintd(&db, &["schema", "apply", "--json"]).json();
    assert_eq!(applied["applied"]["postgresql"]["revisions"], serde_json::json!([]), "Alembic had done that");

    let written = python(&db, include_str!("write.py")).await;
    let by_library = count_attributes(&db).await;
    assert!(by_library > 3_000, "{by_library}");
    add_rows(&db, ROWS - by_library).await;
    sqlx::raw_sql("CREATE SCHEMA kept; CREATE TABLE kept.before AS TABLE attributes; ANALYZE")
        .execute(db.pool())
        .await
        .unwrap();

    let daemon = Daemon::start(&db);
    eventually("the run to have ended", async || {
        runs(&db).iter().any(|run| is_done(run) && run["report"]["deleted"] != 0)
    })
    .await;
    let runs = runs(&db);
    let worked: Vec<&Value> = runs.iter().filter(|run| is_done(run) && run["report"]["deleted"] != 0).collect();
    let [run] = worked[..] else { panic!("{worked:#?}") };
    assert_eq!(run["outcome"], "succeeded", "{run:#}");
    let cutoff =
        run["report"]["cutoff"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp();
    let left = count_attributes(&db).await;
    let deleted = ROWS - left;
    assert!((90_000..110_000).contains(&deleted), "{deleted}");
    assert_eq!(difference(&db, cutoff).await, 0);

    assert_eq!(run["report"]["deleted"], deleted);
    assert_eq!(run["report"]["examined"], deleted);
    daemon.until("the run to be counted", |daemon| daemon.rows_deleted() == deleted as u64);
    let of_table = [("table", "attributes"), ("reason", "expired")];
    assert_eq!(daemon.metric("maintd_rows_deleted_total", &of_table), Some(deleted as f64));
    assert_eq!(daemon.metric("maintd_rows_examined_total", &of_table[..1]), Some(deleted as f64));
    daemon.stop();

    // The library's own purge has nothing left to do, and would have done the same.
    assert_eq!(purge(&db, cutoff).await, 0);
    let read = format!("written = {written}\n{}", include_str!("read.py"));
    assert_eq!(python(&db, &read).await, "1200\n");
    sqlx::raw_sql("TRUNCATE attributes; INSERT INTO attributes SELECT * FROM kept.before")
        .execute(db.pool())
        .await
        .unwrap();
    assert_eq!(purge(&db, cutoff).await, deleted);
    assert_eq!(difference(&db, cutoff).await, 0);
}

/// The daemon's clean-up and the library's at the same time share the rows between them.
#[tokio::test]
async fn the_librarys_own_purge_at_the_same_time_does_no_harm() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 20_000, -60).await;
    add_attributes(&db, "alive", 100, 3600).await;
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "300")
        .start();
    daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    let by_library = purge(&db, clock::now().timestamp()).await;
    assert!(by_library > 0, "the daemon was to be in the middle of it");
    assert_eq!(count_attributes(&db).await, 100);
    eventually("the run to have ended", async || runs(&db).iter().all(is_done)).await;
    assert_eq!(by_library + daemon.rows_deleted() as i64, 20_000);
    let told: i64 = runs(&db).iter().map(|run| run["report"]["deleted"].as_i64().unwrap()).sum();
    assert_eq!(by_library + told, 20_000);
    daemon.stop();
}

/// Rows of every age, half of them expired, as an application's SQL would have made them.
async fn add_rows(db: &TestDb, rows: i64) {
    sqlx::query(
        "INSERT INTO attributes (id, bucket_name, bucket, name, data, \"timestamp\", ttl_timestamp) \
         SELECT md5((n % 500)::text), bucket || ':' || n, bucket, n::text, \
             jsonb_build_object('actor_id', md5((n % 500)::text), 'created_at', n, 'used', n % 3 = 0), \
             CASE WHEN n % 5 = 0 THEN now() AT TIME ZONE 'UTC' END, \
             CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN at + 600 + n * 7 ELSE at - 1 - n * n % 100000000 END \
         FROM generate_series(1, $1) AS n, floor(extract(epoch FROM now())) AS at, LATERAL ( \
             SELECT (ARRAY['spa_access_tokens', '_oauth_sessions', 'mcp_tokens', 'remote:abc'])[1 + n % 3]) AS b (bucket)",
    )
    .bind(rows)
    .execute(db.pool())
    .await
    .unwrap();
}

async fn difference(db: &TestDb, cutoff: i64) -> i64 {
    sqlx::query_scalar(DIFFERENCE).bind(cutoff).fetch_one(db.pool()).await.unwrap()
}

/// Purges as the library does in this second. Returns how many rows that deleted.
async fn purge(db: &TestDb, now: i64) -> i64 {
    let script =
        format!("from actingweb.db.postgresql.attribute import DbAttribute; print(DbAttribute.delete_expired({now}))");
    python(db, &script).await.trim().parse().unwrap()
}

fn is_done(run: &Value) -> bool {
    run["outcome"].is_string()
}

fn runs(db: &TestDb) -> Vec<Value> {
    maintd(db, &["job", "history", "--json", "--limit", "1000"]).json()["runs"].as_array().unwrap().clone()
}
