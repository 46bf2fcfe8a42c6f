//! Backups whose process ends in the middle, as by `kill -9`, or that two daemons want to take at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use actingweb_maintd::storage::Actors;
use serde_json::Value;
use tempfile::TempDir;

use super::workbench::processes_with;
use crate::conformance::fixtures::actor;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};
use crate::harness::dynamodb::TestTables;
use crate::harness::eventually;

/// What a backup of PostgreSQL does, in order, each step with a point at which it can be cut off.
const DUMPING: [&str; 8] = [
    "backup::begin",
    "backup::snapshot",
    "backup::dump",
    "backup::digests",
    "backup::adopt",
    "backup::before_manifest",
    "backup::before_publish",
    "backup::after_publish",
];

/// The same of an archive of DynamoDB.
const SCANNING: [&str; 5] =
    ["backup::begin", "backup::scan", "backup::before_manifest", "backup::before_publish", "backup::after_publish"];

/// A deployment with a place for its backups.
struct Scene {
    store: Store,
    place: TempDir,
}

enum Store {
    Postgresql(TestDb),
    Dynamodb(TestTables),
}

impl Scene {
    async fn on_dynamodb() -> Self {
        let tables = TestTables::new().await;
        let store = tables.store();
        for n in 0..50 {
            store.create_actor(&actor(&format!("actor {n}"))).await.expect("an actor");
        }
        Self { store: Store::Dynamodb(tables), place: TempDir::new().expect("a directory") }
    }

    async fn on_postgresql() -> Self {
        let db = TestDb::new().await;
        sqlx::query(
            "INSERT INTO attributes (id, bucket_name, bucket, name, data) \
             SELECT n::text, 'b:' || n, 'b', n::text, '{\"a\": 1}' FROM generate_series(1, 500) n",
        )
        .execute(db.pool())
        .await
        .expect("rows");
        Self { store: Store::Postgresql(db), place: TempDir::new().expect("a directory") }
    }

    fn maintd(&self) -> Maintd {
        let path = self.place.path();
        let config = format!(
            "[backup]\nwhere = \"{0}/sets\"\nwork_dir = \"{0}/work\"\nkeep_free = \"1MiB\"\n\
             [backup.retention]\nenabled = false\n",
            path.display()
        );
        std::fs::create_dir_all(path.join("work")).expect("a directory");
        let beside = match &self.store {
            Store::Postgresql(db) => Maintd::on(db),
            Store::Dynamodb(tables) => Maintd::beside(tables),
        };
        beside.with_programs().config(&config)
    }

    fn create(&self) -> Output {
        self.maintd().run(&["backup", "create", "--json"])
    }

    /// The sets that there are, each with how far it has been proven.
    fn sets(&self) -> Vec<(String, String)> {
        let list = self.maintd().run(&["backup", "list", "--json"]);
        let text = |set: &Value, key: &str| set[key].as_str().expect("text").to_owned();
        let document = list.json();
        let sets = document["deployments"][0]["sets"].as_array().cloned().unwrap_or_default();
        sets.iter().map(|set| (text(set, "set"), text(set, "level"))).collect()
    }

    /// Everything that lies in the place and is no set.
    fn leftovers(&self, sets: &[(String, String)]) -> Vec<PathBuf> {
        let known: BTreeSet<&str> = sets.iter().map(|(set, _)| set.as_str()).collect();
        let deployments = below(&self.place.path().join("sets"));
        let mut found: Vec<PathBuf> = deployments.iter().flat_map(|deployment| below(deployment)).collect();
        found.retain(|path| !known.contains(path.file_name().and_then(|name| name.to_str()).unwrap_or_default()));
        found.extend(below(&self.place.path().join("work")));
        found
    }
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_killed_at_any_step_leaves_earlier_sets_alone_and_the_next_one_clean() {
    killed_at_each_of(&DUMPING, &Scene::on_postgresql().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_is_killed_at_any_step_leaves_earlier_sets_alone_and_the_next_one_clean() {
    killed_at_each_of(&SCANNING, &Scene::on_dynamodb().await).await;
}

async fn killed_at_each_of(steps: &[&str], scene: &Scene) {
    let first = scene.create();
    assert_eq!(first.code, 0, "{first:?}");
    let mut proven = scene.sets();
    assert_eq!(proven.len(), 1);
    for step in steps {
        // Its lease lasts no longer than a test waits.
        let killed = scene.maintd().env("FAILPOINTS", format!("{step}=1*return(abort)")).env("MAINTD_LEASE__TTL", "1s");
        let killed = killed.run(&["backup", "create"]);
        assert_ne!(killed.code, 0, "{step} was not met: {killed:?}");
        // pg_dump goes with whoever has started it.
        eventually(&format!("nobody to work for the backup that was killed at {step}"), async || {
            processes_with(scene.place.path().to_str().expect("UTF-8")).is_empty()
        })
        .await;
        // Whoever is killed right after publishing has left a set that nobody has verified.
        let left: Vec<_> = scene.sets().into_iter().filter(|set| !proven.contains(set)).collect();
        let is_published = *step == "backup::after_publish";
        assert_eq!(left.len(), usize::from(is_published), "{step}: {left:?}");
        assert!(left.iter().all(|(_, level)| level == "taken"), "{step}: {left:?}");

        let next = eventually_done(scene).await;
        assert_eq!(next.code, 0, "after {step}: {next:?}");
        let sets = scene.sets();
        assert!(proven.iter().all(|set| sets.contains(set)), "after {step}: {sets:?}");
        assert_eq!(scene.leftovers(&sets), [] as [PathBuf; 0], "after {step}");
        proven = sets;
    }
}

/// Takes a backup as soon as the lease of whoever was killed is over.
async fn eventually_done(scene: &Scene) -> Output {
    let mut done = None;
    eventually("the lease of the killed to end", async || {
        let output = scene.create();
        let is_held = output.code == 1 && output.stderr.contains("is being run by");
        done = Some(output);
        !is_held
    })
    .await;
    done.expect("it was tried")
}

#[tokio::test]
async fn of_two_backups_at_once_one_is_taken() {
    let scene = Scene::on_postgresql().await;
    let slow = scene.maintd().env("FAILPOINTS", "backup::before_manifest=1*return(delay:6000)");
    let slow = slow.launch(&["backup", "create"]);
    eventually("the first to have begun", async || !scene.leftovers(&[]).is_empty()).await;
    let other = scene.create();
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stderr.contains("is being run by"), "{other:?}");
    assert_eq!(slow.wait().0, 0);
    let sets = scene.sets();
    assert_eq!((sets.len(), scene.leftovers(&sets).len()), (1, 0), "{sets:?}");
}
