//! Two deployments in one database.

use sqlx::{AssertSqlSafe, PgPool};

use super::{YEARLY, schedule};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;

/// The binary beside the deployment with this prefix.
fn beside(db: &TestDb, prefix: &str) -> Maintd {
    Maintd::on(db).env("PG_DB_PREFIX", prefix).env("PG_DB_SCHEMA", "public")
}

/// A database with the deployments `a_public` and `b_public`.
async fn two() -> TestDb {
    let db = TestDb::empty().await;
    for prefix in ["a_", "b_"] {
        let applied = beside(&db, prefix).run(&["schema", "apply"]);
        assert_eq!(applied.code, 0, "{applied:?}");
    }
    db
}

async fn expire(pool: &PgPool, schema: &str, rows: i64) {
    let sql = format!(
        "INSERT INTO {schema}.attributes (id, bucket_name, bucket, name, ttl_timestamp) \
         SELECT 'a', n::text, 'b', n::text, 1000 FROM generate_series(1, $1) AS n"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(rows).execute(pool).await.expect("adding attributes");
}

async fn left(pool: &PgPool, schema: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {schema}.attributes");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("counting")
}

fn each_second(maintd: Maintd) -> Maintd {
    maintd.env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
}

#[tokio::test]
async fn both_work_at_the_same_time_under_leases_of_their_own() {
    let db = two().await;
    for schema in ["a_public", "b_public"] {
        expire(db.pool(), schema, 1_000).await;
    }
    let daemons = ["a_", "b_"].map(|prefix| {
        each_second(beside(&db, prefix)).env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "100").start()
    });
    eventually("both to be at work", async || {
        let held: Vec<String> = sqlx::query_scalar(
            "SELECT deployment FROM maintd.leases WHERE secret IS NOT NULL AND expires_at > now() ORDER BY 1",
        )
        .fetch_all(db.pool())
        .await
        .expect("reading the leases");
        held == ["a_public", "b_public"]
    })
    .await;
    // Whoever looks at one sees its run, and would have to wait for it.
    for (prefix, daemon) in ["a_", "b_"].into_iter().zip(&daemons) {
        let refused = beside(&db, prefix).run(&["job", "run", "ttl_cleanup"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(&format!("/{} since", daemon.pid())), "{refused:?}");
    }
    for daemon in &daemons {
        daemon.until("its own rows to go", |daemon| daemon.rows_deleted() == 1_000);
    }
    for daemon in daemons {
        daemon.stop();
    }
    assert_eq!((left(db.pool(), "a_public").await, left(db.pool(), "b_public").await), (0, 0));
}

#[tokio::test]
async fn neither_sees_the_pauses_the_slots_and_the_history_of_the_other() {
    let db = two().await;
    assert_eq!(beside(&db, "a_").run(&["job", "pause", "ttl_cleanup"]).code, 0);
    assert!(beside(&db, "b_").run(&["job", "list", "--json"]).json()["jobs"][0]["paused"].is_null());
    for schema in ["a_public", "b_public"] {
        expire(db.pool(), schema, 20).await;
    }
    let (a, b) = (each_second(beside(&db, "a_")).start(), each_second(beside(&db, "b_")).start());
    b.until("its rows to go", |b| b.rows_deleted() == 20);
    a.until("its slots to be skipped", |a: &Daemon| {
        a.metric("maintd_schedule_slots_total", &[("fate", "skipped")]) >= Some(2.0)
    });
    assert_eq!((left(db.pool(), "a_public").await, left(db.pool(), "b_public").await), (20, 0));
    assert_eq!(b.metric("maintd_job_paused", &[]), Some(0.0));
    a.stop();
    b.stop();
    let history = |prefix: &str| beside(&db, prefix).run(&["job", "history", "--json", "--limit", "1000"]).json();
    let (of_a, of_b) = (history("a_"), history("b_"));
    assert_eq!(of_a["runs"].as_array().map(Vec::len), Some(0), "{of_a:#}");
    assert_eq!(of_a["passed_slots"][0]["reason"], "paused");
    assert!(of_b["runs"].as_array().is_some_and(|runs| !runs.is_empty()), "{of_b:#}");
    let reasons = of_b["passed_slots"].as_array().expect("a list").iter().map(|slots| slots["reason"].clone());
    assert!(!reasons.collect::<Vec<_>>().contains(&"paused".into()), "{of_b:#}");
}

#[tokio::test]
async fn each_has_its_own_schedule() {
    let db = two().await;
    let often = each_second(beside(&db, "a_")).start();
    let rarely = beside(&db, "b_").env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", YEARLY).start();
    often.until("it to run", |often| often.metric("maintd_job_runs_total", &[("outcome", "succeeded")]) >= Some(2.0));
    eventually("the other to begin as well", async || {
        let begun = "SELECT count(*) FROM maintd.leases WHERE job = 'ttl_cleanup' AND schedule IS NOT NULL";
        sqlx::query_scalar::<_, i64>(begun).fetch_one(db.pool()).await.expect("reading the leases") == 2
    })
    .await;
    rarely.stop();
    often.stop();
    let described: Vec<(String, String)> =
        sqlx::query_as("SELECT deployment, schedule FROM maintd.leases WHERE job = 'ttl_cleanup' ORDER BY 1")
            .fetch_all(db.pool())
            .await
            .expect("reading the leases");
    let schedules = [("a_public", "every 1s"), ("b_public", YEARLY)];
    let expected = schedules.map(|(deployment, text)| (deployment.to_owned(), schedule(text).describe()));
    assert_eq!(described, expected);
    let runs: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT deployment FROM maintd.runs").fetch_all(db.pool()).await.expect("reading");
    assert_eq!(runs, ["a_public"]);
}
