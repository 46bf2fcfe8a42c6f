//! With no more than what the README asks for.

use actingweb_maintd::jobs::ttl_cleanup::Settings;
use actingweb_maintd::storage::postgres;
use actingweb_maintd::storage::{Sweep, Upkeep};
use actingweb_maintd::work::Outcome;
use sqlx::AssertSqlSafe;

use crate::harness::cluster::TestDb;
use crate::harness::runner::{clean_up, runner};
use crate::harness::store::{add_attributes, open, settings};

#[tokio::test]
async fn a_role_with_the_documented_privileges_is_enough() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 50, -60).await;
    let role = format!("maintenance_{}", db.name());
    sqlx::raw_sql(AssertSqlSafe(format!(
        "CREATE ROLE {role} LOGIN; \
         GRANT SELECT, UPDATE, DELETE ON attributes TO {role}; \
         GRANT SELECT ON alembic_version TO {role}; \
         GRANT USAGE ON SCHEMA maintd TO {role}; \
         GRANT ALL ON ALL TABLES IN SCHEMA maintd TO {role}"
    )))
    .execute(db.pool())
    .await
    .unwrap();
    let store = open(postgres::Settings { user: role.clone(), ..settings(&db) });
    store.identity().await.unwrap();
    assert_eq!(store.backlog().await.unwrap().expired_rows, 50);
    let run = clean_up(&runner(&store), Settings::default()).await;
    assert_eq!((run.outcome, run.report.deleted), (Some(Outcome::Succeeded), 50), "{:?}", run.error);

    sqlx::raw_sql(AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).execute(db.pool()).await.unwrap();
}
