//! `doctor`.

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, maintd};
use crate::harness::dynamodb::TestTables;

#[tokio::test]
async fn a_copy_is_told_from_the_original_and_adopted() {
    let original = TestDb::new().await;
    let well = maintd(&original, &["doctor", "--json"]);
    assert_eq!(well.code, 0, "{well:?}");
    let id = |document: &serde_json::Value| {
        let checks = document["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["check"] == "identity").unwrap()
    };
    assert_eq!(id(&well.json())["state"], "ok");

    let copy = original.clone().await;
    let copied = maintd(&copy, &["doctor"]);
    assert_eq!(copied.code, 2);
    for part in ["FAILURE", "was first seen in the database", original.name(), "--adopt moved", "--adopt copied"] {
        assert!(copied.stdout.contains(part), "{part}: {copied:?}");
    }

    let adopted = maintd(&copy, &["doctor", "--adopt", "copied", "--json"]);
    assert_eq!(adopted.code, 0, "{adopted:?}");
    assert_eq!(adopted.json()["database"], copy.name());
    assert_eq!(maintd(&copy, &["doctor"]).code, 0);
    let again = maintd(&original, &["doctor", "--json"]);
    assert_eq!(again.code, 0);
    assert_ne!(id(&again.json())["what"], id(&maintd(&copy, &["doctor", "--json"]).json())["what"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_store_is_looked_at_as_far_as_it_answers() {
    let (db, tables) = (TestDb::empty().await, TestTables::new().await);
    let found = Maintd::on(&db).and(&tables).run(&["doctor", "--json"]);
    assert_eq!(found.code, 2);
    let checks: Vec<(String, String, String)> = found.json()["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            let text = |key: &str| check[key].as_str().unwrap().to_owned();
            (text("backend"), text("check"), text("state"))
        })
        .collect();
    let of = |backend: &str| -> Vec<(&str, &str)> {
        checks.iter().filter(|check| check.0 == backend).map(|check| (&*check.1, &*check.2)).collect()
    };
    assert_eq!(of("postgresql"), [("connection", "ok"), ("schema", "failure")]);
    let all = ["connection", "schema", "identity", "complete", "clocks"];
    assert_eq!(of("dynamodb"), all.map(|check| (check, "ok")));

    let which = Maintd::on(&db).and(&tables).run(&["doctor", "--adopt", "moved"]);
    assert_eq!(which.code, 64);
    assert!(which.stderr.contains("--backend postgresql"), "{which:?}");
}
