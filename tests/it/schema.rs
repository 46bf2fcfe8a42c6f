//! Migrations: ours and Alembic's lead to the same tables, from wherever the other stopped.

use actingweb_maintd::model::schema::{HEAD, REVISIONS};
use actingweb_maintd::storage::postgres::Settings;
use actingweb_maintd::storage::{ErrorKind, Home, Upkeep};
use futures_util::future::join_all;
use tokio::process::Command;

use crate::harness::cluster::TestDb;
use crate::harness::python::{alembic, alembic_in};
use crate::harness::store::{open, settings, store};
use crate::harness::tools::tool;

#[tokio::test]
async fn alembic_upgrades_an_empty_database_to_the_head_that_we_know() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", "head"]).await;
    assert_eq!(alembic(&db, &["current"]).await.trim(), format!("{HEAD} (head)"));
    assert_eq!(store(&db).schema().await.unwrap().revisions, [HEAD]);
}

/// The proof that the migrations are Alembic's own: wherever Alembic stopped, ours lead to what
/// Alembic itself would have made, and Alembic agrees that there is nothing left to do.
#[tokio::test]
async fn from_any_revision_the_result_is_what_alembic_makes() {
    let peer = TestDb::empty().await;
    alembic(&peer, &["upgrade", "head"]).await;
    let expected = dump_schema(&peer).await;
    assert!(expected.contains("CREATE TABLE public.subscription_diffs"), "{expected}");

    let cases = (0..=REVISIONS.len()).map(|done| {
        let expected = &expected;
        async move {
            let db = TestDb::empty().await;
            if done > 0 {
                alembic(&db, &["upgrade", REVISIONS[done - 1].id]).await;
            }
            let applied = store(&db).apply(true).await.unwrap();
            let left: Vec<&str> = REVISIONS[done..].iter().map(|revision| revision.id).collect();
            assert_eq!(applied.revisions, left);
            assert_eq!(dump_schema(&db).await, *expected, "after Alembic did {done} revisions");
            assert_eq!(alembic(&db, &["current"]).await.trim(), format!("{HEAD} (head)"));
            alembic(&db, &["upgrade", "head"]).await;
            assert_eq!(dump_schema(&db).await, *expected, "Alembic found something to do after {done}");
        }
    });
    join_all(cases).await;
}

#[tokio::test]
async fn a_prefixed_schema_is_made_as_alembic_makes_it() {
    let peer = TestDb::empty().await;
    alembic_in(&peer, "test_", &["upgrade", "head"]).await;
    let db = TestDb::empty().await;
    let prefixed = open(Settings { schema: "test_public".to_owned(), ..settings(&db) });
    prefixed.apply(true).await.unwrap();
    assert_eq!(dump_schema(&db).await, dump_schema(&peer).await);
    assert_eq!(alembic_in(&db, "test_", &["current"]).await.trim(), format!("{HEAD} (head)"));
    assert_eq!(prefixed.schema().await.unwrap().refusal(), None);
}

#[tokio::test]
async fn of_two_appliers_at_once_one_does_it_and_the_other_finds_it_done() {
    let db = TestDb::empty().await;
    let stores = [store(&db), store(&db), store(&db)];
    let applied = join_all(stores.iter().map(|store| store.apply(true))).await;
    let mut revisions: Vec<usize> = applied.into_iter().map(|applied| applied.unwrap().revisions.len()).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [0, 0, REVISIONS.len()]);
}

#[tokio::test]
async fn our_own_schema_can_be_applied_without_touching_the_application() {
    let db = TestDb::empty().await;
    let store = store(&db);
    let applied = store.apply(false).await.unwrap();
    assert_eq!((applied.revisions.len(), applied.maintd.len()), (0, 5));
    let status = store.schema().await.unwrap();
    assert!(status.revisions.is_empty());
    assert!(status.refusal().unwrap().contains("holds no ActingWeb tables"), "{:?}", status.refusal());
}

#[tokio::test]
async fn a_database_that_is_not_ours_to_change_is_left_alone() {
    let unknown = TestDb::new().await;
    sqlx::query("UPDATE alembic_version SET version_num = 'ffff00000000'").execute(unknown.pool()).await.unwrap();
    let foreign = TestDb::empty().await;
    sqlx::query("CREATE TABLE actors (id int)").execute(foreign.pool()).await.unwrap();
    for (db, says) in [(&unknown, "ffff00000000"), (&foreign, "alembic stamp")] {
        let before = dump_schema(db).await;
        let error = store(db).apply(true).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Schema);
        assert!(error.chain().contains(says), "{}", error.chain());
        assert_eq!(dump_schema(db).await, before);
    }
}

#[tokio::test]
async fn a_deployment_has_one_identity() {
    let db = TestDb::new().await;
    let first = store(&db).identity().await.unwrap();
    let second = store(&db).identity().await.unwrap();
    assert_eq!(first, second);
    assert!(matches!(first.home, Home::Postgresql { database, .. } if database == db.name()));
}

/// The application's schema, as `pg_dump` writes it down.
async fn dump_schema(db: &TestDb) -> String {
    let output = Command::new(tool("pg_dump"))
        .args(["--schema-only", "--exclude-schema=maintd", "--username", db.superuser(), "--dbname", db.name()])
        .args(["--host", db.host(), "--port", &db.port().to_string()])
        .output()
        .await
        .expect("running pg_dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("pg_dump prints UTF-8");
    // Newer versions of pg_dump print a random key against injected psql commands.
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}
