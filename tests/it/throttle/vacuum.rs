//! What follows a large purge.

use std::sync::Arc;

use actingweb_maintd::jobs::ttl_cleanup::Settings;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::runner::Runner;
use actingweb_maintd::storage::postgres;
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Outcome, Progress, Run, Stop, StopReason};
use sqlx::AssertSqlSafe;

use super::add_expired;
use super::log::Log;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::sum;
use crate::harness::eventually;
use crate::harness::runner::{clean_up, clean_up_until, runner};
use crate::harness::store::{open, settings, store};

/// A database in which nobody but us vacuums the attributes: autovacuum would keep us from it.
pub(super) async fn unvacuumed() -> TestDb {
    let db = TestDb::repairing().await;
    sqlx::query("ALTER TABLE attributes SET (autovacuum_enabled = off)").execute(db.pool()).await.unwrap();
    db
}

/// Deletes a hundred rows, and vacuums after that.
async fn purge(runner: &Runner, db: &TestDb) -> Run {
    add_expired(db.pool(), 100).await;
    let run = clean_up(runner, Settings { vacuum_after: Bounded::new(100), ..Settings::default() }).await;
    assert_eq!((run.outcome, run.report.deleted), (Some(Outcome::Succeeded), 100), "{run:?}");
    run
}

async fn vacuums(db: &TestDb) -> i64 {
    sqlx::query_scalar("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'attributes'")
        .fetch_one(db.pool())
        .await
        .unwrap()
}

fn findings(runner: &Runner, check: &str) -> Option<f64> {
    sum(&runner.metrics.encode(), "maintd_findings", &[("check", check), ("severity", "warning")])
}

#[tokio::test]
async fn the_table_is_vacuumed_after_as_many_rows_as_were_asked_for() {
    let db = unvacuumed().await;
    let runner = runner(&store(&db));
    add_expired(db.pool(), 99).await;
    clean_up(&runner, Settings { vacuum_after: Bounded::new(100), ..Settings::default() }).await;
    clean_up(&runner, Settings::default()).await;
    assert_eq!((vacuums(&db).await, findings(&runner, "vacuum")), (0, None));
    purge(&runner, &db).await;
    assert_eq!((vacuums(&db).await, findings(&runner, "vacuum")), (1, Some(0.0)));
    // What was dead is gone.
    sqlx::query("CREATE EXTENSION pgstattuple").execute(db.pool()).await.unwrap();
    let dead: i64 = sqlx::query_scalar("SELECT dead_tuple_count FROM pgstattuple('attributes')")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!(dead, 0);
}

#[tokio::test]
async fn a_table_that_may_not_be_vacuumed_is_a_finding_and_no_failure() {
    let db = unvacuumed().await;
    let role = format!("stranger_{}", db.name());
    sqlx::raw_sql(AssertSqlSafe(format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
         GRANT USAGE ON SCHEMA maintd TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA maintd TO {role}"
    )))
    .execute(db.pool())
    .await
    .unwrap();
    let runner = runner(&open(postgres::Settings { user: role.clone(), ..settings(&db) }));
    let log = Log::listen();
    purge(&runner, &db).await;
    assert_eq!((vacuums(&db).await, findings(&runner, "vacuum")), (0, Some(1.0)));
    let told = log.with("attributes was not vacuumed");
    assert!(told.len() == 1 && told[0].contains("may not vacuum it"), "{told:?}");
    sqlx::raw_sql(AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).execute(db.pool()).await.unwrap();
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_leaves_no_vacuum_behind() {
    let db = unvacuumed().await;
    // A page, then a rest.
    let slow = format!(
        "ALTER DATABASE {name} SET vacuum_cost_delay = 100; ALTER DATABASE {name} SET vacuum_cost_limit = 1",
        name = db.name()
    );
    sqlx::raw_sql(AssertSqlSafe(slow)).execute(db.pool()).await.unwrap();
    let (runner, stop) = (Arc::new(runner(&store(&db))), Stop::new());
    // More pages than it comes to before the test gives up.
    add_expired(db.pool(), 50_000).await;
    let running = tokio::spawn({
        let (runner, stop) = (Arc::clone(&runner), stop.clone());
        let settings = Settings { vacuum_after: Bounded::new(1), ..Settings::default() };
        async move { clean_up_until(&runner, settings, throttle::Settings::default(), &stop, &Progress::new()).await }
    });
    let at_work = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE datname = current_database()";
    let is_at_work = async || sqlx::query_scalar::<_, i64>(at_work).fetch_one(db.pool()).await.unwrap() > 0;
    eventually("the vacuum to begin", async || is_at_work().await).await;
    stop.request(StopReason::Shutdown);
    let run = running.await.unwrap();
    assert!(!is_at_work().await, "the vacuum goes on");
    // The rows were gone before.
    assert_eq!((run.outcome, run.report.deleted), (Some(Outcome::Succeeded), 50_000));
    assert_eq!(findings(&runner, "vacuum"), Some(1.0));
}

#[tokio::test]
async fn a_table_that_nobody_vacuums_is_a_finding() {
    let db = TestDb::new().await;
    let runner = runner(&store(&db));
    let log = Log::listen();
    add_expired(db.pool(), 10).await;
    clean_up(&runner, Settings::default()).await;
    assert_eq!((findings(&runner, "autovacuum"), log.with("autovacuum").len()), (Some(0.0), 0));
    sqlx::query("ALTER TABLE attributes SET (autovacuum_enabled = off, autovacuum_vacuum_threshold = 50)")
        .execute(db.pool())
        .await
        .unwrap();
    add_expired(db.pool(), 10).await;
    clean_up(&runner, Settings::default()).await;
    assert_eq!((findings(&runner, "autovacuum"), log.with("autovacuum does not come to it").len()), (Some(1.0), 1));
}
