//! What is kept of what goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use actingweb_maintd::jobs::diff_prune;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::work::{Outcome, Stop};
use serde_json::Value;

use super::scene::{Scene, keeping};

fn kept_in(directory: &std::path::Path, newest: u64) -> diff_prune::Settings {
    diff_prune::Settings { archive: Some(directory.to_owned()), batch_size: Bounded::new(7), ..keeping(newest) }
}

fn files(directory: &std::path::Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub(super) async fn what_goes_is_written_down_before(scene: &Scene) {
    let directory = tempfile::tempdir().unwrap();
    scene.history("a", "b", "s", 30).await;
    scene.mirror("a", "b", "s", 20).await;
    let before = scene.store.diffs("a", Some("s")).await.unwrap();
    assert_eq!(scene.prune(&kept_in(directory.path(), 1)).await.deleted, 20);
    let files = files(directory.path());
    assert_eq!(files.len(), 1, "one file for a run");
    let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with(&format!("diff_prune-{}-", scene.backend())) && name.ends_with(".jsonl"), "{name}");
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    for (line, diff) in lines.iter().zip(&before) {
        assert_eq!((line["id"].as_str(), line["subid"].as_str()), (Some("a"), Some("s")));
        assert_eq!((line["seqnr"].as_i64(), line["diff"].as_str()), (Some(diff.seqnr), Some(&*diff.diff)));
        assert_eq!(line["reason"], "confirmed");
        assert!(line["timestamp"].as_str().is_some_and(|time| time.starts_with("20")), "{line}");
    }
}

pub(super) async fn without_its_directory_nothing_goes(scene: &Scene) {
    let directory = tempfile::tempdir().unwrap();
    scene.history("a", "b", "s", 30).await;
    scene.mirror("a", "b", "s", 20).await;
    let missing = directory.path().join("missing");
    let run = scene.run_until(&kept_in(&missing, 1), &Stop::new()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    let error = run.error.unwrap();
    assert!(error.contains(&*missing.to_string_lossy()) && error.contains("jobs.diff_prune.archive"), "{error}");
    assert_eq!(scene.count().await, 30);
    // A file in its place is no directory.
    fs::write(&missing, "").unwrap();
    let run = scene.run_until(&kept_in(&missing, 1), &Stop::new()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    assert_eq!(scene.count().await, 30);
}

pub(super) async fn nothing_is_left_of_a_run_that_deletes_nothing(scene: &Scene) {
    let directory = tempfile::tempdir().unwrap();
    scene.history("a", "b", "s", 3).await;
    scene.prune(&kept_in(directory.path(), 1)).await;
    assert_eq!(files(directory.path()), [] as [PathBuf; 0]);
}
