//! What others build, or have left, is theirs.

use std::time::Duration;

use actingweb_maintd::health::{self, Cure, Finding};
use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::Table;
use actingweb_maintd::storage::postgres::{Begin, Repair, Workbench};
use actingweb_maintd::work::{RepairOutcome, Repaired, StopReason};
use sqlx::PgPool;

use super::repair::{Scene, create, execute, open, rebuild, seen};
use crate::harness::cluster::TestDb;
use crate::harness::eventually;
use crate::harness::store::store;

const INDEX: &str = "idx_attributes_ttl";

/// An index that somebody has left when it was cut off.
async fn leave(pool: &PgPool, name: &str) {
    execute(pool, &format!("CREATE INDEX {name} ON attributes (ttl_timestamp) WHERE ttl_timestamp IS NOT NULL")).await;
    execute(pool, &format!("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")).await;
}

async fn names(pool: &PgPool) -> Vec<String> {
    seen(pool).await.into_iter().map(|index| index.name).collect()
}

/// Writes down a repair that nobody works at, as if it had been cut off just after.
pub(super) async fn cut_off(scene: &Scene, bench: &Workbench<'_>, index: &str) -> Repair {
    let room = scene.store.repair_room(Table::Attributes, index, Duration::from_secs(3600)).await;
    let room = room.unwrap().expect("the table");
    let begin = Begin {
        finding: "index_bloat",
        table: (Table::Attributes, room.table),
        index,
        creates: false,
        old: room.index,
        beside: &room.beside,
        backend: bench.backend,
        run: None,
    };
    scene.store.begin_repair(begin).await.unwrap().expect("none is open")
}

#[tokio::test]
async fn an_index_that_somebody_left_stays() {
    let db = TestDb::repairing().await;
    for name in ["idx_attributes_ttl_ccnew", "maintd_0123456789ab", "somebody_was_here"] {
        leave(db.pool(), name).await;
    }
    let before = seen(db.pool()).await;
    let scene = Scene::on(store(&db));
    assert_eq!(scene.repair(&rebuild(INDEX)).await.outcome, RepairOutcome::Done);
    assert_eq!(seen(db.pool()).await, before);

    // Nor does it go when ours is cut off and named almost alike.
    let bench = scene.store.workbench(Duration::from_secs(1)).await.unwrap();
    cut_off(&scene, &bench, INDEX).await;
    bench.close().await;
    leave(db.pool(), "idx_attributes_ttl_ccnew1").await;
    let recovered = scene.recover().await;
    assert_eq!(recovered[0].outcome, RepairOutcome::CleanedUp, "{recovered:?}");
    assert!(recovered[0].what.ends_with("idx_attributes_ttl_ccnew1"), "{recovered:?}");
    assert_eq!(seen(db.pool()).await, before);
}

#[tokio::test]
async fn what_nobody_can_tell_apart_stays() {
    let db = TestDb::repairing().await;
    let scene = Scene::on(store(&db));
    let bench = scene.store.workbench(Duration::from_secs(1)).await.unwrap();
    cut_off(&scene, &bench, INDEX).await;
    bench.close().await;
    for name in ["idx_attributes_ttl_ccnew", "idx_attributes_ttl_ccnew1"] {
        leave(db.pool(), name).await;
    }
    let before = seen(db.pool()).await;
    let recovered = scene.recover().await;
    assert_eq!(recovered[0].outcome, RepairOutcome::Failed, "{recovered:?}");
    assert!(recovered[0].what.contains("idx_attributes_ttl_ccnew, idx_attributes_ttl_ccnew1"), "{recovered:?}");
    assert_eq!((seen(db.pool()).await, open(db.pool()).await), (before, 0));
}

#[tokio::test]
async fn an_index_that_somebody_makes_meanwhile_is_left_to_them() {
    let db = TestDb::repairing().await;
    execute(db.pool(), &format!("DROP INDEX {INDEX}")).await;
    let mut writer = db.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE attributes IN ROW EXCLUSIVE MODE").execute(&mut *writer).await.unwrap();
    let pool = db.pool().clone();
    let theirs = tokio::spawn(async move {
        execute(&pool, "CREATE INDEX CONCURRENTLY theirs ON attributes (bucket)").await;
    });
    eventually("somebody makes an index", async || names(db.pool()).await.contains(&"theirs".to_owned())).await;

    let mut scene = Scene::on(store(&db));
    scene.limits.lock_wait = Duration::from_millis(200);
    for cure in [create(INDEX), rebuild("attributes_pkey")] {
        let repaired = scene.repair(&cure).await;
        assert_eq!(repaired.outcome, RepairOutcome::Failed, "{repaired:?}");
        assert!(repaired.what.ends_with("nothing of it is left"), "{repaired:?}");
    }
    assert_eq!((scene.recover().await, open(db.pool()).await), (Vec::new(), 0));
    assert!(!theirs.is_finished());
    writer.rollback().await.unwrap();
    theirs.await.unwrap();
    let after = seen(db.pool()).await;
    assert!(after.iter().any(|index| index.name == "theirs" && index.is_valid), "{after:?}");
}

#[tokio::test]
async fn what_somebody_builds_or_has_built_since_the_look_is_not_repaired() {
    let db = TestDb::repairing().await;
    let scene = Scene::on(store(&db));
    let putoff = |repaired: Repaired, why: &str| {
        assert_eq!(repaired.outcome, RepairOutcome::PutOff, "{repaired:?}");
        assert!(repaired.what.contains(why), "{repaired:?}");
    };
    execute(db.pool(), &format!("DROP INDEX {INDEX}")).await;
    let mut writer = db.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE attributes IN ROW EXCLUSIVE MODE").execute(&mut *writer).await.unwrap();
    let pool = db.pool().clone();
    let theirs = tokio::spawn(async move {
        let make = "CREATE INDEX CONCURRENTLY theirs ON attributes (ttl_timestamp) WHERE ttl_timestamp IS NOT NULL";
        execute(&pool, make).await;
    });
    eventually("somebody makes an index", async || names(db.pool()).await.contains(&"theirs".to_owned())).await;
    putoff(scene.repair(&create(INDEX)).await, "somebody is building an index of the table attributes right now");
    writer.rollback().await.unwrap();
    theirs.await.unwrap();
    putoff(scene.repair(&create(INDEX)).await, "somebody was faster");

    // One that is in use again.
    let invalid = Finding::new(Check::IndexInvalid, "theirs", "it was out of use", "repair it");
    let repaired = health::repair(&*scene.store, scene.visit(), &invalid, &rebuild("theirs")).await.unwrap();
    putoff(repaired, "somebody was faster");

    // One that was bloated, and was built anew.
    let room = scene.store.repair_room(Table::Attributes, "theirs", Duration::from_secs(3600)).await.unwrap();
    let oid = room.and_then(|room| room.index).expect("the index").0.into();
    let cure =
        Cure::RebuildIndex { table: Table::Attributes, index: "theirs".to_owned(), oid, bytes: 1, expected: None };
    execute(db.pool(), "REINDEX INDEX CONCURRENTLY theirs").await;
    putoff(scene.repair_as_found(&cure).await, "is not the one any more that was looked at");
    assert_eq!(open(db.pool()).await, 0);
}

#[tokio::test]
async fn somebody_elses_rebuild_of_the_same_index_is_left_to_them() {
    let db = TestDb::repairing().await;
    let scene = Scene::on(store(&db));
    let bench = scene.store.workbench(Duration::from_secs(1)).await.unwrap();
    cut_off(&scene, &bench, INDEX).await;
    bench.close().await;
    let before = seen(db.pool()).await;
    let mut writer = db.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE attributes IN ROW EXCLUSIVE MODE").execute(&mut *writer).await.unwrap();
    let pool = db.pool().clone();
    let theirs = tokio::spawn(async move { execute(&pool, &format!("REINDEX INDEX CONCURRENTLY {INDEX}")).await });
    eventually("somebody builds it anew", async || names(db.pool()).await.len() > before.len()).await;
    let recovered = scene.recover().await;
    assert_eq!(recovered[0].outcome, RepairOutcome::CleanedUp, "{recovered:?}");
    assert_eq!(names(db.pool()).await.len(), before.len() + 1);
    assert!(!theirs.is_finished());
    writer.rollback().await.unwrap();
    theirs.await.unwrap();
    assert_eq!(seen(db.pool()).await, before);
}

#[tokio::test]
async fn one_repairs_at_a_time() {
    let db = TestDb::repairing().await;
    let (one, other) = (Scene::on(store(&db)), Scene::on(store(&db)));
    let mut reader = db.pool().begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM actors")
        .execute(&mut *reader)
        .await
        .unwrap();
    let cure = rebuild(INDEX);
    let meanwhile = async {
        eventually("one repairs", async || open(db.pool()).await == 1).await;
        let repaired = other.repair(&rebuild("attributes_pkey")).await;
        assert_eq!(repaired.outcome, RepairOutcome::PutOff, "{repaired:?}");
        assert!(repaired.what.contains("another process repairs"), "{repaired:?}");
        other.stop.request(StopReason::Deadline);
        let recovered = other.recover().await;
        assert_eq!(recovered[0].outcome, RepairOutcome::GoingOn, "{recovered:?}");
        reader.rollback().await.unwrap();
    };
    let (repaired, ()) = tokio::join!(one.repair(&cure), meanwhile);
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    let other = Scene::on(store(&db));
    assert_eq!(other.repair(&rebuild("attributes_pkey")).await.outcome, RepairOutcome::Done);
    assert_eq!(open(db.pool()).await, 0);
}

#[tokio::test]
async fn a_name_that_somebody_takes_meanwhile_is_theirs() {
    let db = TestDb::repairing().await;
    execute(db.pool(), &format!("DROP INDEX {INDEX}")).await;
    let before = seen(db.pool()).await;
    let scene = Scene::on(store(&db));
    let mut reader = db.pool().begin().await.unwrap();
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM actors")
        .execute(&mut *reader)
        .await
        .unwrap();
    let meanwhile = async {
        eventually("it is made", async || names(db.pool()).await.len() > before.len()).await;
        execute(db.pool(), &format!("CREATE TABLE {INDEX} (n int)")).await;
        reader.rollback().await.unwrap();
    };
    let cure = create(INDEX);
    let (repaired, ()) = tokio::join!(scene.repair(&cure), meanwhile);
    assert_eq!(repaired.outcome, RepairOutcome::Failed, "{repaired:?}");
    assert!(repaired.what.contains("already exists"), "{repaired:?}");
    assert_eq!((seen(db.pool()).await, open(db.pool()).await), (before, 0));
}
