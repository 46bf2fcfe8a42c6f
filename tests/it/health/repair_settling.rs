//! Bringing repairs to their end while others are in the way, or the server lacks the means.

use std::time::Duration;

use actingweb_maintd::storage::ErrorKind;
use serde_json::Value;
use sqlx::PgPool;

use super::repair::{Scene, execute, open, seen};
use super::repair_foreign::cut_off;
use super::repair_kills::{Holder, dies, end, killed_at, terminate, until_it_waits};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::pooler::Pooler;
use crate::harness::store::{add_attributes, store};

/// Longer than an answer may be lost before its session is given up.
const SETTINGS: &str = "[jobs.index_health]\nlock_wait = \"13s\"\n";

/// A rebuild whose daemon was killed, and the server's process as well: it leaves an index.
async fn cut_off_at_both_ends(db: &TestDb) {
    let held = Holder::Reader.begin(db.pool()).await;
    dies(killed_at(db, "rebuild", "repair::seen=1*return(abort)")).await;
    until_it_waits(db.pool()).await;
    terminate(db.pool()).await;
    end(held).await;
}

/// The first repair that a document tells of, and the kinds of its findings.
fn told(document: &Value) -> (Value, Vec<String>) {
    let report = &document["report"];
    let defects = report["defects"].as_array().cloned().unwrap_or_default();
    let kinds = defects.iter().map(|defect| defect["kind"].as_str().unwrap().to_owned()).collect();
    (report["health"]["repairs"][0].clone(), kinds)
}

#[tokio::test]
async fn what_is_left_is_removed_as_soon_as_others_let_it_and_looked_at_until_then() {
    let db = TestDb::repairing().await;
    let whole = seen(db.pool()).await;
    cut_off_at_both_ends(&db).await;
    let held = Holder::Writer.begin(db.pool()).await;
    let run = Maintd::on(&db).config(SETTINGS).run(&["index", "check", "--repair", "--json"]);
    let (repaired, kinds) = told(&run.json());
    assert_eq!(repaired["outcome"], "failed", "{run:?}");
    assert!(repaired["what"].as_str().unwrap().contains("which the next run removes"), "{run:?}");
    assert_eq!(kinds, ["index_leftover"], "{run:?}");
    end(held).await;
    let run = Maintd::on(&db).config(SETTINGS).run(&["index", "check", "--repair", "--json"]);
    let (repaired, kinds) = told(&run.json());
    assert_eq!((&repaired["outcome"], kinds.len()), (&"cleaned_up".into(), 0), "{run:?}");
    assert_eq!((seen(db.pool()).await, open(db.pool()).await), (whole, 0));
}

#[tokio::test]
async fn who_finds_no_way_past_a_pooler_leaves_what_is_open_and_looks() {
    let db = TestDb::repairing().await;
    let whole = seen(db.pool()).await;
    cut_off_at_both_ends(&db).await;
    // Whoever should be there is not.
    let nowhere = "[storage.postgresql.direct]\nport = 1\n";
    let run = Maintd::on(&db).config(nowhere).run(&["index", "check", "--json"]);
    assert_eq!((run.code, told(&run.json()).1), (2, vec!["index_leftover".to_owned()]), "{run:?}");
    assert!(run.stdout.contains("repairs that were cut short are as they were"), "{run:?}");
    assert_eq!(open(db.pool()).await, 1);

    let pooler = Pooler::start(&db, 4);
    let maintd = || Maintd::at(db.host(), pooler.port, db.name());
    let run = maintd().run(&["index", "check", "--repair", "--json"]);
    let (repaired, kinds) = told(&run.json());
    assert_eq!(repaired["outcome"], "put_off", "{run:?}");
    assert!(repaired["what"].as_str().unwrap().contains("storage.postgresql.direct"), "{run:?}");
    assert_eq!((kinds, open(db.pool()).await), (vec!["index_leftover".to_owned()], 1), "{run:?}");
    let direct = format!("[storage.postgresql.direct]\nport = {}\n", db.port());
    let run = maintd().config(&direct).run(&["index", "check", "--repair", "--json"]);
    assert_eq!(told(&run.json()).0["outcome"], "cleaned_up", "{run:?}");
    assert_eq!((seen(db.pool()).await, open(db.pool()).await), (whole, 0));
}

/// What an index needs while it is built is more than the server may keep on its disk.
async fn leave_no_space(db: &TestDb, pool: &PgPool) {
    add_attributes(db, "many", 30_000, 3600).await;
    let settings =
        [("temp_file_limit", "0"), ("maintenance_work_mem", "'1MB'"), ("max_parallel_maintenance_workers", "0")];
    for (name, value) in settings {
        execute(pool, &format!("ALTER DATABASE {} SET {name} = {value}", db.name())).await;
    }
}

#[tokio::test]
async fn a_session_that_has_no_space_left_is_as_good_as_before() {
    let db = TestDb::repairing().await;
    leave_no_space(&db, db.pool()).await;
    let scene = Scene::on(store(&db));
    let mut bench = scene.store.workbench(Duration::from_secs(60)).await.unwrap();
    let repair = cut_off(&scene, &bench, "attributes_pkey").await;
    let error = bench.rebuild(&repair).await.expect_err("there is no space");
    assert!(error.source.to_string().contains("SQLSTATE 53400"), "{error:?}");
    assert_eq!(error.kind, ErrorKind::Other);
    assert!(bench.try_lock().await.unwrap());
    bench.close().await;
    scene.recover().await;
    assert_eq!(open(db.pool()).await, 0);
}
