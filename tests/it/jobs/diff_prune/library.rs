//! The library's own subscriber, after any pruning.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::harness::cluster::TestDb;
use crate::harness::python::{on_postgresql, python_file};

/// How a history ended.
#[derive(Debug, Deserialize)]
struct Ended {
    /// Whether the subscriber has all that was published, as it was published last.
    is_equal: bool,
    /// Changes that a report has named as lost.
    lost: u64,
    pruned: u64,
}

/// Plays histories with these seeds, and has the subscriber keep what it hears in the library's `storage`
/// or with `hooks` of its own.
async fn play(keeps: &str, seeds: &str) -> BTreeMap<u64, Ended> {
    let db = TestDb::new().await;
    let mut environment = on_postgresql(&db, "");
    let set = |value: &str| Some(value.to_owned());
    environment.extend([
        ("KEEPS", set(keeps)),
        ("SEEDS", set(seeds)),
        ("MAINTD", set(env!("CARGO_BIN_EXE_actingweb-maintd"))),
        ("MAINTD_CONFIG", set("/dev/null")),
        ("MAINTD_STORAGE__POSTGRESQL__USER", set(db.role())),
        ("SUPERUSER", set(db.superuser())),
        ("PGSSLMODE", set("disable")),
    ]);
    let told = python_file(&environment, "tests/it/jobs/diff_prune/histories.py").await;
    let ended: BTreeMap<u64, Ended> = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    for (seed, Ended { is_equal, lost, .. }) in &ended {
        assert!(*is_equal || *lost > 0, "seed {seed}: changes were lost, and nobody was told:\n{told}");
    }
    assert!(ended.values().filter(|ended| ended.pruned > 0).count() > ended.len() / 2, "hardly any was pruned: {told}");
    ended
}

/// What is missing is fetched anew, so that nothing is ever lost.
#[tokio::test]
async fn who_keeps_it_in_the_librarys_storage_ends_with_all_of_it() {
    let ended = play("storage", "0-18").await;
    assert!(ended.values().all(|ended| ended.is_equal), "{ended:?}");
    assert!(ended.values().any(|ended| ended.lost > 0), "nobody had to begin anew: {ended:?}");
}

/// Nothing is fetched anew, so that who has lost something is to be told.
#[tokio::test]
async fn who_keeps_it_elsewhere_ends_with_all_of_it_or_is_named() {
    let ended = play("hooks", "100-118").await;
    assert!(ended.values().any(|ended| !ended.is_equal), "nobody has lost anything: {ended:?}");
    assert!(ended.values().any(|ended| ended.lost == 0 && ended.pruned > 0), "all are named: {ended:?}");
}
