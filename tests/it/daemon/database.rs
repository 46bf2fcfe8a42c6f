//! A database that comes and goes.

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::private::Private;

/// The daemon says that it is down, and where it looked.
fn assert_down(daemon: &Daemon, private: &Private) {
    let place = format!("{}:{}", private.cluster().host(), private.cluster().port());
    daemon.until("the reason to be told", |daemon| {
        let (code, body) = daemon.get("/readyz");
        code == 503 && body.contains(&place) && body.contains("refused") && daemon.metric("maintd_up", &[]) == Some(0.0)
    });
    assert_eq!(daemon.status()["backends"][0]["up"], false);
    assert_eq!(daemon.get("/healthz").0, 200, "a database that is down is no reason to be killed");
    let (code, page) = daemon.get("/");
    assert!(code == 200 && page.contains("refused"), "{page}");
}

/// Something expires, and goes.
async fn assert_works(private: &Private) {
    sqlx::query(
        "INSERT INTO attributes (id, bucket_name, bucket, name, ttl_timestamp) VALUES ('a', 'b:n', 'b', 'n', 1000)",
    )
    .execute(private.pool())
    .await
    .unwrap();
    eventually("the expired row to be gone", async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(private.pool()).await.unwrap();
        left == 0
    })
    .await;
}

#[tokio::test]
async fn the_daemon_starts_without_its_database_and_works_when_that_comes_up() {
    let mut private = Private::start(&[], &[]).await;
    private.stop().await;
    let daemon = private.maintd().env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start();
    assert_down(&daemon, &private);
    daemon.until_said("not ready");
    // None of this was measured.
    assert_eq!(daemon.metric("maintd_expired_rows", &[]), None);
    assert_eq!(daemon.metric("maintd_findings", &[]), None);

    private.start_again().await;
    let daemon = daemon.ready();
    assert_works(&private).await;
    assert_eq!(daemon.metric("maintd_up", &[]), Some(1.0));
    daemon.until("the backlog to be measured", |daemon| daemon.metric("maintd_expired_rows", &[]).is_some());

    private.stop().await;
    assert_down(&daemon, &private);
    // What was true before would hide what is now.
    daemon.until("nothing to be told of the backlog", |daemon| daemon.metric("maintd_expired_rows", &[]).is_none());
    private.start_again().await;
    let daemon = daemon.ready();
    assert_works(&private).await;
    daemon.until("both rows to be counted", |daemon| daemon.rows_deleted() == 2);

    private.stop().await;
    assert_down(&daemon, &private);
    daemon.stop();
}

/// A lasting problem is told once, not every few seconds.
#[tokio::test]
async fn a_lasting_problem_is_told_once() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).env("PG_DB_USER", "nobody_like_this").start();
    daemon.until_said("nobody_like_this");
    daemon.until("it to be asked again and again", |daemon| {
        daemon.metric("maintd_store_errors_total", &[("op", "connect"), ("kind", "denied")]).unwrap() >= 2.0
    });
    for about in ["not ready", "ttl_cleanup does not run"] {
        assert_eq!(daemon.log().matches(about).count(), 1, "{}", daemon.log());
    }
    daemon.stop();
}

#[tokio::test]
async fn a_server_that_restarts_in_the_middle_of_a_run_costs_nothing() {
    let mut private = Private::start(&[], &[]).await;
    sqlx::query(
        "INSERT INTO attributes (id, bucket_name, bucket, name, ttl_timestamp) \
         SELECT 'a', n::text, 'b', n::text, 1000 FROM generate_series(1, 2000) AS n",
    )
    .execute(private.pool())
    .await
    .unwrap();
    let daemon = private
        .maintd()
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "1000")
        .env("MAINTD_LEASE__TTL", "2s")
        .start();
    daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    private.stop().await;
    private.start_again().await;
    eventually("the expired rows to be gone", async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(private.pool()).await.unwrap();
        left == 0
    })
    .await;
    eventually("the reports to say so", async || {
        let told: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum((report->>'deleted')::bigint), 0)::bigint FROM maintd.runs WHERE outcome IS NOT NULL",
        )
        .fetch_one(private.pool())
        .await
        .unwrap();
        told == 2000
    })
    .await;
    let daemon = daemon.ready();
    daemon.stop();
}

#[tokio::test]
async fn a_database_that_hangs_keeps_neither_the_page_nor_the_end_waiting() {
    // A listener that accepts and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let daemon = Maintd::at("127.0.0.1", port, "actingweb").start();
    for path in ["/", "/metrics", "/api/v1/status", "/healthz"] {
        assert_eq!(daemon.get(path).0, 200, "{path}");
    }
    assert_eq!(daemon.get("/readyz").0, 503);
    daemon.until("the silence to be told", |daemon| daemon.get("/readyz").1.contains("did not answer"));
    daemon.stop();
    drop(silent);
}
