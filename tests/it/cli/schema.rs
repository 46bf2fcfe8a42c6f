//! `schema`.

use actingweb_maintd::model::schema::{HEAD, REVISIONS};

use crate::harness::cluster::TestDb;
use crate::harness::daemon::maintd;
use crate::harness::python::alembic;

#[tokio::test]
async fn an_empty_database_is_brought_to_the_newest_revision() {
    let db = TestDb::empty().await;
    let status = || maintd(&db, &["schema", "status"]).stdout;
    insta::assert_snapshot!("schema_of_nothing", status());
    insta::assert_snapshot!("schema_apply", maintd(&db, &["schema", "apply"]).stdout);
    insta::assert_snapshot!("schema_complete", status());
    let again = maintd(&db, &["schema", "apply"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "nothing to do: everything is at its newest revision\n"));
    assert_eq!(alembic(&db, &["current"]).await.trim(), format!("{HEAD} (head)"));
}

#[tokio::test]
async fn both_commands_have_their_documents() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", REVISIONS[4].id]).await;
    let status = maintd(&db, &["schema", "status", "--json"]);
    assert_eq!(status.code, 2, "revisions are missing");
    let document = status.json();
    let postgresql = &document["backends"]["postgresql"];
    assert_eq!(postgresql["revisions"], serde_json::json!([REVISIONS[4].id]));
    assert_eq!((&postgresql["schema"], &postgresql["known_head"]), (&"public".into(), &HEAD.into()));
    assert!(postgresql["maintd_version"].is_null());
    assert!(document["problem"].as_str().unwrap().contains("schema apply"));

    let applied = maintd(&db, &["schema", "apply", "--json"]).json();
    let expected = serde_json::json!({ "revisions": [REVISIONS[5].id, REVISIONS[6].id], "maintd": [1, 2, 3, 4, 5] });
    assert_eq!(applied["applied"]["postgresql"], expected);
    let status = maintd(&db, &["schema", "status", "--json"]);
    assert_eq!((status.code, &status.json()["problem"]), (0, &serde_json::Value::Null));
}

#[tokio::test]
async fn tables_that_are_not_actingwebs_are_left_alone() {
    let db = TestDb::empty().await;
    sqlx::query("CREATE TABLE actors (id int)").execute(db.pool()).await.unwrap();
    let apply = maintd(&db, &["schema", "apply"]);
    assert_eq!(apply.code, 1);
    assert!(apply.stderr.contains("alembic stamp"), "{apply:?}");
}
