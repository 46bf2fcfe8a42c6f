//! `orphan scan --output` and `orphan delete`: only what was looked through, is unchanged, and still has
//! no actor goes.

use std::fs;

use actingweb_maintd::model::Table;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::on_each_backend;
use super::scene::{Scene, actor, attribute, property, rows_of, whole};
use crate::harness::daemon::{Maintd, Output};
use crate::harness::eventually;

on_each_backend! {
    what_was_listed_goes_and_the_rest_stays
    what_has_changed_or_has_an_actor_by_now_stays
    a_list_shows_no_secrets
    a_clean_deployment_has_an_empty_list
    a_scan_that_refuses_leaves_no_list
    a_wrong_list_deletes_nothing
    a_dry_run_deletes_nothing
    a_deletion_that_is_killed_is_finished_by_the_next
    nobody_deletes_while_somebody_scans
}

/// A directory for lists.
struct Lists(TempDir);

impl Lists {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    /// Scans into a list and returns its path.
    fn scan(&self, scene: &Scene) -> (Output, String) {
        let path = self.path("orphans.jsonl");
        (scene.maintd().run(&["orphan", "scan", "--output", &path]), path)
    }
}

fn delete(scene: &Scene, list: &str) -> Output {
    scene.maintd().run(&["orphan", "delete", "--from", list, "--json"])
}

/// How many rows there are but the actors' own.
async fn rows(scene: &Scene) -> u64 {
    let store = scene.store();
    let mut rows = 0;
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Actors) {
        rows += store.count(table).await.unwrap();
    }
    rows
}

async fn what_was_listed_goes_and_the_rest_stays(scene: &Scene) {
    scene.write(whole("actor")).await;
    for id in ["gone-1", "gone-2", "gone-3"] {
        scene.write(rows_of(id)).await;
    }
    if let Scene::Dynamodb(_) = scene {
        scene.write(vec![scene.entry("email", "v", "gone-1")]).await;
    }
    let lists = Lists::new();
    let (scan, path) = lists.scan(scene);
    assert_eq!(scan.code, 2, "{scan:?}");
    assert!(scan.stdout.contains("The list is in ") && scan.stdout.contains("gone-2"), "{scan:?}");
    // Somebody has looked through it and keeps one of them.
    let text = fs::read_to_string(&path).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("\"id\":\"gone-2\"")).collect();
    let listed = kept.len() as u64 - 1;
    assert_eq!(listed, if let Scene::Dynamodb(_) = scene { 15 } else { 14 });
    fs::write(&path, kept.join("\n")).unwrap();
    let done = delete(scene, &path);
    assert_eq!(done.code, 0, "{done:?}");
    let report = &done.json()["report"];
    assert_eq!((&report["deleted"], &report["more"]), (&json!(listed), &json!(false)), "{done:?}");
    assert_eq!(rows(scene).await, 14);
    // Once more there is nothing left to do.
    let again = delete(scene, &path);
    assert_eq!((again.code, &again.json()["report"]["passed_over"]), (0, &json!({ "gone": listed })), "{again:?}");
    let (scan, _) = lists.scan(scene);
    assert_eq!(scan.code, 2, "{scan:?}");
}

async fn what_has_changed_or_has_an_actor_by_now_stays(scene: &Scene) {
    scene.write(whole("actor")).await;
    for id in ["changed", "made", "gone"] {
        scene.write(vec![property(id, "x", "1"), property(id, "y", "1")]).await;
    }
    let lists = Lists::new();
    let (_, path) = lists.scan(scene);
    scene.write(vec![property("changed", "x", "2"), actor("made")]).await;
    let output = delete(scene, &path);
    assert_eq!(output.code, 2, "{output:?}");
    let report = &output.json()["report"];
    assert_eq!((&report["deleted"], &report["passed_over"]), (&json!(3), &json!({ "changed": 1, "has_actor": 2 })));
    let store = scene.store();
    assert_eq!(store.property("changed", "x").await.unwrap().as_deref(), Some("2"));
    assert_eq!(store.all_properties("made").await.unwrap().len(), 2);
    assert_eq!(store.all_properties("gone").await.unwrap(), []);
}

async fn a_list_shows_no_secrets(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(vec![attribute("gone", "mcp_tokens", "aw_topsecret", "{\"token\": \"aw_topsecret\"}")]).await;
    scene.write(vec![property("gone", "email", "somebody@example.com")]).await;
    let lists = Lists::new();
    let (scan, path) = lists.scan(scene);
    let json = scene.maintd().run(&["job", "history", "--json"]);
    let deletion = delete(scene, &path);
    assert_eq!((scan.code, deletion.code), (2, 0), "{scan:?} {deletion:?}");
    let list = fs::read_to_string(&path).unwrap();
    assert!(list.contains("mcp_tokens") && list.contains("\"email\""), "{list}");
    for text in [&list, &scan.stdout, &scan.stderr, &json.stdout, &deletion.stdout, &deletion.stderr] {
        assert!(!text.contains("topsecret") && !text.contains("somebody@"), "{text}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

async fn a_clean_deployment_has_an_empty_list(scene: &Scene) {
    scene.write(whole("actor")).await;
    let lists = Lists::new();
    let (scan, path) = lists.scan(scene);
    assert_eq!(scan.code, 0, "{scan:?}");
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    assert_eq!(delete(scene, &path).code, 0);
    assert_eq!(fs::read_dir(lists.0.path()).unwrap().count(), 1);
}

async fn a_scan_that_refuses_leaves_no_list(scene: &Scene) {
    scene.write(rows_of("somebody")).await;
    let lists = Lists::new();
    fs::write(lists.path("orphans.jsonl"), "of yesterday").unwrap();
    let (scan, path) = lists.scan(scene);
    assert_eq!(scan.code, 1, "{scan:?}");
    assert!(scan.stdout.contains("not a single actor"), "{scan:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "of yesterday");
    assert_eq!(fs::read_dir(lists.0.path()).unwrap().count(), 1);
}

async fn a_wrong_list_deletes_nothing(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(rows_of("gone")).await;
    let lists = Lists::new();
    let (_, path) = lists.scan(scene);
    let text = fs::read_to_string(&path).unwrap();
    let identity = scene.store().identity().await.unwrap().id.to_string();
    let other = match scene {
        Scene::Postgresql(_) => ("postgresql", "dynamodb"),
        Scene::Dynamodb(_) => ("dynamodb", "postgresql"),
    };
    for (from, to, said) in [
        (identity.as_str(), "00000000-0000-4000-8000-000000000000", "another deployment"),
        (other.0, other.1, "where the deployment is not"),
        ("\"digest\":\"", "\"digest\":\"x", "line 2: digest is not a digest"),
        ("\"table\":\"", "\"table\":\"my_", "line 2: table is none of the tables"),
        ("\"version\":1", "\"version\":9", "line 1: version is not 1"),
    ] {
        let wrong = lists.path("wrong.jsonl");
        fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
        let output = scene.maintd().run(&["orphan", "delete", "--from", &wrong]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains(said), "{said} is not in {output:?}");
    }
    let missing = scene.maintd().run(&["orphan", "delete", "--from", "/nonexistent/list"]);
    assert!(missing.code == 1 && missing.stderr.contains("/nonexistent/list"), "{missing:?}");
    assert_eq!(rows(scene).await, 14);
}

async fn a_dry_run_deletes_nothing(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(vec![property("gone", "x", "1"), property("gone", "y", "1")]).await;
    let lists = Lists::new();
    let (_, path) = lists.scan(scene);
    scene.write(vec![property("gone", "y", "2")]).await;
    let output = scene.maintd().run(&["orphan", "delete", "--from", &path, "--dry-run"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stdout.contains("Nothing was changed"), "{output:?}");
    let output = scene.maintd().run(&["orphan", "delete", "--from", &path, "--dry-run", "--json"]).json();
    let report = &output["report"];
    assert_eq!((&report["deleted"], &report["findings"]["counts"]), (&json!(0), &json!({ "properties": 1 })));
    assert_eq!(report["passed_over"], json!({ "changed": 1 }));
    assert_eq!(rows(scene).await, 9);
}

/// Killed by its clock of rows, at several places.
async fn a_deletion_that_is_killed_is_finished_by_the_next(scene: &Scene) {
    scene.write(whole("actor")).await;
    let total = 1_000_u64;
    scene.write((0..total).map(|n| property(&format!("gone-{}", n / 50), &format!("p{n}"), "v")).collect()).await;
    let lists = Lists::new();
    let (scan, path) = lists.scan(scene);
    assert_eq!(scan.code, 2, "{scan:?}");
    let brief = |maintd: Maintd| {
        let batches = "MAINTD_JOBS__ORPHAN_SCAN__BATCH_SIZE";
        maintd.env("MAINTD_LEASE__TTL", "1s").env(batches, "10")
    };
    let mut left = rows(scene).await;
    for _ in 0..3 {
        let slow = brief(scene.maintd()).env("MAINTD_JOBS__ORPHAN_SCAN__MAX_ROWS_PER_SECOND", "300");
        let mut child = slow.into_command(&["orphan", "delete", "--from", &path]).spawn().expect("starting");
        let before = left;
        eventually("some rows are gone", async || rows(scene).await < before).await;
        child.kill().expect("killing");
        child.wait().expect("waiting");
        // Whoever comes next waits until the lease has run out. By then the store is done with what it was asked.
        let store = scene.store();
        eventually("the lease is free", async || store.standing("orphan_scan").await.unwrap().held.is_none()).await;
        left = rows(scene).await;
    }
    let mut done = Value::Null;
    eventually("the rest goes", async || {
        let output = brief(scene.maintd()).run(&["orphan", "delete", "--from", &path, "--json"]);
        done = output.json();
        output.code == 0
    })
    .await;
    let report = &done["report"];
    assert_eq!(report["deleted"], json!(left - 7), "{done}");
    assert_eq!(report["passed_over"], json!({ "gone": total - (left - 7) }), "{done}");
    assert_eq!(rows(scene).await, 7);
}

async fn nobody_deletes_while_somebody_scans(scene: &Scene) {
    scene.write(whole("actor")).await;
    let lists = Lists::new();
    let (_, path) = lists.scan(scene);
    let ttl = std::time::Duration::from_secs(60);
    let claim = actingweb_maintd::storage::Claim {
        job: "orphan_scan",
        due: None,
        holder: "somebody/1".to_owned(),
        workers: 1,
        ttl,
    };
    scene.store().claim(&claim).await.unwrap();
    let output = delete(scene, &path);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("somebody/1"), "{output:?}");
}
