//! Sets that are restored into an empty place.

use super::drill::deployment;
use super::proof::{Proof, done, run};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::dynamodb::TestTables;
use crate::harness::python::python;
use actingweb_maintd::model::Table;

/// A target on a test's database.
pub(super) fn target(db: &TestDb) -> String {
    format!(
        "[targets.elsewhere]\nbackend = \"postgresql\"\nhost = \"{}\"\nport = {}\ndbname = \"{}\"\nuser = \"{}\"\n",
        db.host(),
        db.port(),
        db.name(),
        db.role()
    )
}

/// All rows, as PostgreSQL writes them.
async fn rows(db: &TestDb) -> Vec<String> {
    let mut rows = Vec::new();
    for table in Table::ALL {
        let query = format!("SELECT '{table} ' || t::text FROM {table} AS t ORDER BY 1");
        let found = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(db.pool()).await.unwrap();
        rows.extend::<Vec<String>>(found);
    }
    rows
}

#[tokio::test]
async fn a_restored_deployment_answers_the_library_like_the_original() {
    let (db, other) = (deployment().await, TestDb::empty().await);
    let written = python(&db, include_str!("../library/write.py")).await;
    let proof = Proof::with(&target(&other));
    done(proof.on(&db, &["backup", "create"]));

    // Cut off before and after the rows are there, and begun again by the same words.
    let restore = ["backup", "restore", "latest", "--into", "elsewhere", "--json"];
    for point in ["backup::restore", "backup::compare"] {
        let killed = proof.killed_at(point, Maintd::on(&db));
        assert_ne!(killed.run(&restore).code, 0, "{point}");
        let why: String =
            sqlx::query_scalar("SELECT incomplete_why FROM maintd.deployments").fetch_one(other.pool()).await.unwrap();
        assert!(why.ends_with(" is being restored here"), "{why}");
    }
    let restored = done(proof.on(&db, &restore)).json();
    assert_eq!(restored["compared"], true, "{restored:#}");
    let marks: i64 = sqlx::query_scalar("SELECT count(incomplete_since) FROM maintd.deployments")
        .fetch_one(other.pool())
        .await
        .unwrap();
    assert_eq!(marks, 0);
    assert_eq!(rows(&other).await, rows(&db).await);
    // What has expired goes in both, as the script asks whether it has gone.
    for db in [&db, &other] {
        done(Maintd::on(db).run(&["job", "run", "ttl_cleanup"]));
    }
    let read = format!("written = {written}\n{}", include_str!("../library/read.py"));
    assert_eq!(python(&other, &read).await, python(&db, &read).await);

    // What is complete is not restored into.
    let again = proof.on(&db, &restore);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("holds actors"), "{}", again.stderr);
}

#[tokio::test]
async fn tables_are_restored_beside_those_that_there_are() {
    let tables = TestTables::new().await;
    tables.add_attributes("some", 60, 3600).await;
    let settings = tables.settings();
    let proof = Proof::with(&format!(
        "[targets.elsewhere]\nbackend = \"dynamodb\"\ntable_prefix = \"restored\"\nregion = \"{}\"\nendpoint_url = \"{}\"\n",
        settings.region,
        tables.emulator().endpoint()
    ));
    done(proof.beside(&tables, &["backup", "create"]).await);
    let restore = ["backup", "restore", "latest", "--into", "elsewhere", "--json"];
    let killed = proof.killed_at("backup::compare", Maintd::beside(&tables));
    assert_ne!(run(killed, &restore).await.code, 0);
    let restored = done(proof.beside(&tables, &restore).await).json();
    assert_eq!((&restored["rows"], &restored["compared"]), (&60.into(), &true.into()), "{restored:#}");
    let sorted = async |name: String| {
        let mut items: Vec<String> = tables
            .dump(&name)
            .await
            .into_iter()
            .map(|item| format!("{:?}", item.into_iter().collect::<std::collections::BTreeMap<_, _>>()))
            .collect();
        items.sort_unstable();
        items
    };
    let copy = sorted(format!("restored{}", Table::Attributes.suffix())).await;
    assert_eq!(copy, sorted(tables.name(Table::Attributes)).await);
    // What is complete is not restored into.
    let again = proof.beside(&tables, &restore).await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("holds restored_actors"), "{}", again.stderr);
}
