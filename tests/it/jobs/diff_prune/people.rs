//! What the command says for people.

use actingweb_maintd::model::clock;
use chrono::TimeDelta;

use super::scene::{Database, Scene, two_days};
use crate::harness::daemon::{Maintd, Output};

/// Runs the command, with an age of two days.
fn run(scene: &Scene, arguments: &[&str]) -> Output {
    let Database::Postgresql(db) = &scene.database else { unreachable!("these are on PostgreSQL") };
    let configuration = "[jobs.diff_prune]\nkeep_newest = 2\nmax_age = \"2d\"\n";
    Maintd::on(db).config(configuration).run(&[&["job", "run", "diff_prune"], arguments].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_and_who_has_to_begin_anew_are_told() {
    let scene = Scene::on_postgresql().await;
    scene.subscribe("alice", "elsewhere", "s1", 20).await;
    scene.publish_at("alice", "s1", 1..=20, || clock::now() - TimeDelta::days(9)).await;
    scene.publish("alice", "gone", 1..=3).await;
    scene.prune(&two_days(2)).await;
    scene.hours_pass(60).await;
    scene.publish("bob", "gone", 1..=4).await;
    let looked = run(&scene, &["--dry-run"]);
    assert_eq!(looked.code, 2, "work remains: {}", looked.stderr);
    let lines = |output: &Output| -> Vec<String> {
        output.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let told = [
        "reason rows to delete",
        "aged 18",
        "orphan 3",
        "all 21",
        "This would be deleted; nothing was.",
        "1 subscriptions would lose 18 changes that nobody is known to have; who subscribes may have to fetch \
         everything anew:",
        "actor subscription peers changes up to",
        "alice s1 elsewhere 18 18",
        "4 changes without a subscription wait to be seen so once more.",
    ];
    for line in told {
        assert!(lines(&looked).iter().any(|said| said == line), "{line}\n{}", looked.stdout);
    }
    let ran = run(&scene, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for line in ["rows deleted 21", "aged 18", "orphan 3", "alice s1 elsewhere 18 18"] {
        assert!(lines(&ran).iter().any(|said| said == line), "{line}\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("TTL"), "{}", ran.stdout);
    assert_eq!(scene.numbers("alice", "s1").await, [19, 20]);
}
