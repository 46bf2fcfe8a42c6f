//! Schemas that the daemon finds, and what it makes of them.

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, maintd};
use crate::harness::eventually;
use crate::harness::python::alembic;
use crate::harness::store::{add_attributes, count_attributes};

/// The daemon that says why it is not ready.
fn start(maintd: Maintd, arguments: &[&str], why: &str) -> Daemon {
    let daemon = maintd.env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start_with(arguments);
    daemon.until("the reason to be told", |daemon| daemon.get("/readyz").1.contains(why));
    assert_eq!(daemon.get("/readyz").0, 503);
    daemon.until_said(why);
    assert!(daemon.get("/").1.contains("not ready"));
    daemon
}

fn findings(daemon: &Daemon) -> Option<f64> {
    daemon.metric("maintd_findings", &[("check", "schema_revision"), ("severity", "critical")])
}

#[tokio::test]
async fn an_unknown_revision_stops_what_deletes_until_it_is_known_again() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5, -60).await;
    set_revision(&db, "ffff00000000").await;
    let daemon = start(Maintd::on(&db), &[], "ffff00000000");
    assert!(daemon.get("/readyz").1.contains("accept_revisions"));
    assert_eq!(findings(&daemon), Some(1.0));
    daemon.until_said("ttl_cleanup does not run");
    let run = maintd(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("accept_revisions"), "{run:?}");
    let status = maintd(&db, &["schema", "status"]);
    assert_eq!(status.code, 2);
    assert!(status.stdout.contains("ffff00000000"), "{status:?}");
    assert_eq!(count_attributes(&db).await, 5);
    assert_eq!(daemon.rows_deleted(), 0);
    // What that leaves behind is watched all the same.
    daemon.until("the backlog to be told", |daemon| daemon.metric("maintd_expired_rows", &[]) == Some(5.0));

    set_revision(&db, actingweb_maintd::model::schema::HEAD).await;
    let daemon = daemon.ready();
    assert_eq!(findings(&daemon), Some(0.0));
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.stop();
}

#[tokio::test]
async fn an_accepted_revision_is_worked_on() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5, -60).await;
    set_revision(&db, "ffff00000000").await;
    let daemon = Maintd::on(&db)
        .config("[storage.postgresql]\naccept_revisions = [\"ffff00000000\"]\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n")
        .start()
        .ready();
    assert_eq!(findings(&daemon), Some(0.0));
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.stop();
}

#[tokio::test]
async fn without_its_own_schema_the_daemon_says_how_to_make_it_and_waits() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", "head"]).await;
    add_attributes(&db, "expired", 5, -60).await;
    let daemon = start(Maintd::on(&db), &[], "actingweb-maintd schema apply");
    assert_eq!(schemas(&db).await, ["public"]);
    let applied = maintd(&db, &["schema", "apply"]);
    assert_eq!(applied.code, 0, "{applied:?}");
    let daemon = daemon.ready();
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.stop();
}

#[tokio::test]
async fn asked_to_the_daemon_makes_its_own_schema_and_never_the_applications() {
    let db = TestDb::empty().await;
    let daemon = start(Maintd::on(&db), &["--apply-schema"], "holds no ActingWeb tables");
    daemon.until_said("made the daemon's own schema");
    assert_eq!(schemas(&db).await, ["maintd", "public"]);
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(tables, 0);
    alembic(&db, &["upgrade", "head"]).await;
    add_attributes(&db, "expired", 5, -60).await;
    let daemon = daemon.ready();
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.stop();
}

#[tokio::test]
async fn a_known_older_revision_is_worked_on_and_left_as_it_is() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", "70d60420526"]).await;
    add_attributes(&db, "expired", 5, -60).await;
    let daemon =
        Maintd::on(&db).env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start_with(&["--apply-schema"]).ready();
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.stop();
    assert!(alembic(&db, &["current"]).await.starts_with("70d60420526"));
}

async fn set_revision(db: &TestDb, revision: &str) {
    sqlx::query("UPDATE alembic_version SET version_num = $1").bind(revision).execute(db.pool()).await.unwrap();
}

/// The schemas that are not the server's own.
async fn schemas(db: &TestDb) -> Vec<String> {
    sqlx::query_scalar("SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema' ORDER BY 1")
        .fetch_all(db.pool())
        .await
        .unwrap()
}

/// From the first answer on, so also when nothing was ever wrong.
#[tokio::test]
async fn a_daemon_that_is_ready_at_once_says_so_and_records_who_the_deployment_is() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).start();
    daemon.until_said("ready");
    assert!(!daemon.has_said("not ready"));
    daemon.stop();
    let recorded: Vec<(String, String)> =
        sqlx::query_as("SELECT deployment, database FROM maintd.deployments").fetch_all(db.pool()).await.unwrap();
    assert_eq!(recorded, [("public".to_owned(), db.name().to_owned())]);
}
