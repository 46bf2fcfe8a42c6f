//! When no repair is begun, and why.

use std::time::Duration;

use actingweb_maintd::health::Cure;
use actingweb_maintd::model::setting::{Bounded, Size};
use actingweb_maintd::storage::postgres::{Direct, Settings};
use actingweb_maintd::work::RepairOutcome;
use sqlx::Connection;

use super::repair::{Scene, create, execute, open, rebuild, seen};
use crate::harness::archiving::failing;
use crate::harness::cluster::{TestDb, server};
use crate::harness::eventually;
use crate::harness::pooler::Pooler;
use crate::harness::private::Private;
use crate::harness::replica::{Replica, lag};
use crate::harness::store::{open as open_store, settings, settings_of, store};

const INDEX: &str = "idx_attributes_ttl";

/// Why a repair is not begun.
async fn objection(scene: &Scene, cure: &Cure) -> String {
    let repaired = scene.repair(cure).await;
    assert_eq!(repaired.outcome, RepairOutcome::PutOff, "{repaired:?}");
    repaired.what
}

#[tokio::test]
async fn what_is_not_there_is_not_rebuilt_and_what_is_there_not_made() {
    let db = TestDb::repairing().await;
    let scene = Scene::on(store(&db));
    let why = objection(&scene, &rebuild("ix_of_yesterday")).await;
    assert!(why.contains("no index ix_of_yesterday on the table attributes"), "{why}");
    let why = objection(&scene, &create(INDEX)).await;
    assert!(why.contains("somebody was faster"), "{why}");
    execute(db.pool(), &format!("DROP INDEX {INDEX}; CREATE TABLE {INDEX} (n int)")).await;
    let why = objection(&scene, &create(INDEX)).await;
    assert!(why.contains("the name idx_attributes_ttl is taken"), "{why}");
    execute(db.pool(), "DROP TABLE attributes").await;
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.contains("no table attributes"), "{why}");
    let why = objection(&scene, &Cure::EnableTimeToLive).await;
    assert!(why.contains("DynamoDB"), "{why}");
    assert_eq!(open(db.pool()).await, 0);
}

#[tokio::test]
async fn only_the_owner_may_and_is_told_how_to_become_it() {
    let db = TestDb::repairing().await;
    let (role, owner) = (format!("maintainer_{}", db.name()), format!("owner_{}", db.name()));
    execute(
        db.pool(),
        &format!(
            "CREATE ROLE {role} LOGIN; CREATE ROLE {owner}; ALTER TABLE attributes OWNER TO {owner}; \
             REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA maintd TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA maintd TO {role}; \
             GRANT SELECT ON alembic_version TO {role}"
        ),
    )
    .await;
    let mut scene = Scene::on(open_store(Settings { user: role.clone(), ..settings(&db) }));
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.ends_with(&format!("GRANT \"{owner}\" TO \"{role}\"")), "{why}");
    execute(db.pool(), &format!("GRANT {owner} TO {role}")).await;
    execute(db.pool(), &format!("DROP INDEX {INDEX}")).await;
    let why = objection(&scene, &create(INDEX)).await;
    assert!(why.ends_with(&format!("GRANT CREATE ON SCHEMA public TO \"{role}\"")), "{why}");

    // Such a role may not know where the files are.
    scene.limits.unseen_space = 1;
    let why = objection(&scene, &rebuild("attributes_pkey")).await;
    assert!(why.contains("jobs.index_health.unseen_space"), "{why}");
    scene.limits.unseen_space = 1 << 30;
    let repaired = scene.repair(&rebuild("attributes_pkey")).await;
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    execute(db.pool(), &format!("GRANT CREATE ON SCHEMA public TO {owner}")).await;
    let repaired = scene.repair(&create(INDEX)).await;
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    execute(
        db.pool(),
        &format!("REASSIGN OWNED BY {owner} TO postgres; DROP OWNED BY {role}, {owner}; DROP ROLE {role}, {owner}"),
    )
    .await;
}

#[tokio::test]
async fn space_is_looked_at_where_the_server_is_here() {
    let db = TestDb::repairing().await;
    let mut scene = Scene::on(store(&db));
    // Where it can be seen, that decides.
    (scene.limits.unseen_space, scene.limits.keep_free) = (0, 1 << 60);
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.contains("are free where the server keeps the index"), "{why}");
    scene.limits.keep_free = 0;
    assert_eq!(scene.repair(&rebuild(INDEX)).await.outcome, RepairOutcome::Done);
}

/// A role or a database may have what it makes put elsewhere, where nobody has looked for space.
#[tokio::test]
async fn an_index_is_made_where_space_was_looked_for() {
    let server = Private::start(&[("allow_in_place_tablespaces", "on")], &[]).await;
    let cluster = server.cluster();
    let scene = Scene::on(open_store(settings_of(cluster.host(), cluster.port(), "postgres")));
    for statement in [
        "CREATE TABLESPACE elsewhere LOCATION ''".to_owned(),
        format!("DROP INDEX {INDEX}"),
        "ALTER DATABASE postgres SET default_tablespace = elsewhere".to_owned(),
    ] {
        execute(server.pool(), &statement).await;
    }
    assert_eq!(scene.repair(&create(INDEX)).await.outcome, RepairOutcome::Done);
    let elsewhere = "SELECT reltablespace <> 0 FROM pg_class WHERE relname = $1";
    assert!(!sqlx::query_scalar::<_, bool>(elsewhere).bind(INDEX).fetch_one(server.pool()).await.unwrap());
}

#[tokio::test]
async fn nobody_repairs_behind_an_old_transaction() {
    let db = TestDb::repairing().await;
    let mut scene = Scene::on(store(&db));
    scene.limits.long_transaction = Duration::ZERO;
    let mut reader = db.pool().begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM actors")
        .execute(&mut *reader)
        .await
        .unwrap();
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.contains("jobs.index_health.long_transaction"), "{why}");
    reader.rollback().await.unwrap();

    // Whoever is in another database, or has neither a snapshot nor the table, keeps nobody waiting.
    let mut elsewhere = sqlx::PgConnection::connect_with(&server().options("postgres")).await.unwrap();
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").execute(&mut elsewhere).await.unwrap();
    let mut idle = db.pool().begin().await.unwrap();
    sqlx::query("SELECT pg_sleep(1.1)").execute(&mut *idle).await.unwrap();
    // Both are old by now; whoever gathers statistics just then is not.
    scene.limits.long_transaction = Duration::from_secs(1);
    let repaired = scene.repair(&rebuild(INDEX)).await;
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
}

#[tokio::test]
async fn nobody_repairs_what_a_prepared_transaction_holds() {
    let server = Private::start(&[("max_prepared_transactions", "5")], &[]).await;
    let cluster = server.cluster();
    let mut scene = Scene::on(open_store(settings_of(cluster.host(), cluster.port(), "postgres")));
    scene.limits.long_transaction = Duration::ZERO;
    let prepare = "BEGIN; LOCK TABLE attributes IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'forgotten'";
    execute(server.pool(), prepare).await;
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.contains("`forgotten`") && why.contains("ROLLBACK PREPARED"), "{why}");
    execute(server.pool(), "ROLLBACK PREPARED 'forgotten'").await;
    let elsewhere =
        "BEGIN; LOCK TABLE actors IN ROW EXCLUSIVE MODE; SELECT pg_sleep(1.1); PREPARE TRANSACTION 'elsewhere'";
    execute(server.pool(), elsewhere).await;
    scene.limits.long_transaction = Duration::from_secs(1);
    assert_eq!(scene.repair(&rebuild(INDEX)).await.outcome, RepairOutcome::Done);
}

#[tokio::test]
async fn nobody_repairs_while_the_archive_is_behind() {
    let server = failing().await;
    let cluster = server.cluster();
    let mut scene = Scene::on(open_store(settings_of(cluster.host(), cluster.port(), "postgres")));
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.contains("archive_command fails"), "{why}");
    scene.throttle.wal_archive_backlog = Bounded::new(0);
    assert_eq!(scene.repair(&rebuild(INDEX)).await.outcome, RepairOutcome::Done);
}

#[tokio::test]
async fn nobody_repairs_while_a_replica_is_behind() {
    let server = Private::start(&[], &[]).await;
    let replica = Replica::of(&server).await;
    let cluster = server.cluster();
    let mut scene = Scene::on(open_store(settings_of(cluster.host(), cluster.port(), "postgres")));
    scene.throttle.replication_lag_bytes = Size::mebibytes(2);
    replica.stand_still().await;
    eventually("the replica to be late", async || {
        execute(server.pool(), "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))").await;
        lag(&server).await > 2 << 20
    })
    .await;
    let why = objection(&scene, &rebuild(INDEX)).await;
    assert!(why.contains("throttle.replication_lag_bytes"), "{why}");
    assert_eq!(open(server.pool()).await, 0);
    replica.go_on().await;
    replica.catches_up(&server).await;
    eventually("the replica to say so", async || lag(&server).await < 1 << 20).await;
    assert_eq!(scene.repair(&rebuild(INDEX)).await.outcome, RepairOutcome::Done);
}

#[tokio::test]
async fn a_pooler_is_passed_by() {
    let db = TestDb::repairing().await;
    let pooler = Pooler::start(&db, 4);
    let through = settings_of(db.host(), pooler.port, db.name());
    let before = seen(db.pool()).await;
    let why = objection(&Scene::on(open_store(through.clone())), &rebuild(INDEX)).await;
    assert!(why.contains("is a pooler") && why.contains("storage.postgresql.direct"), "{why}");
    let direct = Direct { host: None, port: Some(Bounded::new(db.port().into())) };
    let scene = Scene::on(open_store(Settings { direct, ..through }));
    assert_eq!(scene.repair(&rebuild(INDEX)).await.outcome, RepairOutcome::Done);
    assert_eq!((seen(db.pool()).await, open(db.pool()).await), (before, 0));
}
