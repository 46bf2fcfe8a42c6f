//! Which tokens and index entries go: exactly those that the oracle names, and none that the library's
//! own clean-up would still find.

mod faults;
mod kills;
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use actingweb_maintd::jobs::{self, token_cleanup, ttl_cleanup};
use actingweb_maintd::model::clock;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::work::{Outcome, Run};
use serde_json::{Value, json};

use self::scene::Scene;
use super::place::{Kind, Place};
use crate::harness::runner::{job_of, run_job, runner_of};

/// Where a row is: its id and the second part of its key.
type Key = (String, String);

/// What the oracle says.
struct Sentence {
    gone: BTreeSet<Key>,
    left: BTreeMap<String, u64>,
}

fn keys(rows: &[Value]) -> BTreeSet<Key> {
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    rows.iter().map(|row| (text(row, "id"), text(row, "bucket_name"))).collect()
}

/// Asks the oracle about everything that is stored.
async fn sentence(place: &Place, rows: &[Value]) -> Sentence {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let scene = json!({ "now": clock::now().timestamp(), "grace": 3600, "rows": rows });
    file.write_all(scene.to_string().as_bytes()).expect("writing");
    let path = file.path().to_string_lossy().into_owned();
    let said = place.python_with("cleanup/oracle", vec![("SCENE", Some(path))]).await;
    let gone = serde_json::from_value(said["gone"].clone()).expect("keys");
    Sentence { gone, left: serde_json::from_value(said["left"].clone()).expect("counts") }
}

fn settings() -> jobs::Settings {
    // Small batches and several segments, so that there are seams.
    let token_cleanup =
        token_cleanup::Settings { batch_size: Bounded::new(7), segments: Bounded::new(3), ..Default::default() };
    jobs::Settings { token_cleanup, ..jobs::Settings::default() }
}

async fn clean_up(place: &Place) -> Run {
    run_job(&runner_of(place.shared_store()), token_cleanup::NAME, &settings()).await
}

/// Runs the job on what is stored and holds it to the oracle. Returns how many rows went.
async fn assert_just(place: &Place) -> u64 {
    let before = place.attributes().await;
    let said = sentence(place, &before).await;
    let runner = runner_of(place.shared_store());

    let preview = job_of(&runner, token_cleanup::NAME, &settings()).preview(place.store()).await.expect("a preview");
    assert_eq!(preview.passed_over, said.left);
    let mut buckets: BTreeMap<String, u64> = BTreeMap::new();
    for row in &before {
        if said
            .gone
            .contains(&(row["id"].as_str().unwrap().to_owned(), row["bucket_name"].as_str().unwrap().to_owned()))
        {
            *buckets.entry(row["bucket"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(preview.buckets, Some(buckets));
    assert_eq!(place.attributes().await, before, "a preview changes nothing");

    let run = clean_up(place).await;
    let after = keys(&place.attributes().await);
    let gone: BTreeSet<Key> = keys(&before).difference(&after).cloned().collect();
    assert_eq!(gone.difference(&said.gone).collect::<Vec<_>>(), [] as [&Key; 0], "they were to stay");
    assert_eq!(said.gone.difference(&gone).collect::<Vec<_>>(), [] as [&Key; 0], "they were to go");
    assert_eq!((run.outcome, run.report.more), (Some(Outcome::Succeeded), false), "{run:#?}");
    assert_eq!(run.report.deleted, gone.len() as u64);
    assert_eq!(run.report.reasons.values().sum::<u64>(), run.report.deleted);
    for why in ["undated", "undecided"] {
        assert_eq!(run.report.passed_over.get(why), said.left.get(why), "{why}");
    }
    let again = clean_up(place).await;
    assert_eq!((again.report.deleted, again.report.skipped, again.report.batches), (0, 0, 0));
    gone.len() as u64
}

/// What the library's own clean-up would still delete.
async fn left_for_the_library(place: &Place) -> Value {
    let runner = runner_of(place.shared_store());
    let ttl_cleanup = ttl_cleanup::Settings { backends: vec![place.backend().name().to_owned()], ..Default::default() };
    let settings = jobs::Settings { ttl_cleanup, ..jobs::Settings::default() };
    run_job(&runner, ttl_cleanup::NAME, &settings).await;
    // What has gone by its TTL was the target of index entries.
    clean_up(place).await;
    place.python("cleanup/library").await
}

async fn held_to_the_oracle(kind: Kind) {
    for seed in 0..6 {
        let place = Place::of_ours(kind).await;
        place.store().write(&Scene::new(seed, true).records()).await.expect("writing");
        let gone = assert_just(&place).await;
        assert!(gone > 100, "seed {seed}: {gone}");
    }
}

async fn nothing_is_left_for_the_library(kind: Kind) {
    for seed in 100..102 {
        let place = Place::of_ours(kind).await;
        place.store().write(&Scene::new(seed, false).records()).await.expect("writing");
        let before = place.attributes().await.len();
        let gone = assert_just(&place).await;
        assert!(gone > 50, "seed {seed}: {gone}");
        assert_eq!(left_for_the_library(&place).await, json!({ "sessions": 0, "spa": 0, "mcp": 0 }), "seed {seed}");
        let after = place.attributes().await.len();
        assert!(0 < after && after < before, "seed {seed}: {after} of {before}");
    }
}

async fn what_the_library_wrote_goes_by_the_same_rules(kind: Kind) {
    let place = Place::of_ours(kind).await;
    let written = place.python("cleanup/writing").await;
    assert_eq!(written.as_object().expect("counts").len(), 13, "{written}");
    assert!(assert_just(&place).await > 20);
    assert_eq!(left_for_the_library(&place).await, json!({ "sessions": 0, "spa": 0, "mcp": 0 }));
}

#[tokio::test]
async fn on_postgresql_exactly_those_go_that_the_oracle_names() {
    held_to_the_oracle(Kind::Postgresql).await;
}

#[tokio::test]
async fn on_dynamodb_exactly_those_go_that_the_oracle_names() {
    held_to_the_oracle(Kind::InProcess).await;
}

#[tokio::test]
async fn on_postgresql_nothing_is_left_for_the_library_to_clean_up() {
    nothing_is_left_for_the_library(Kind::Postgresql).await;
}

#[tokio::test]
async fn on_dynamodb_nothing_is_left_for_the_library_to_clean_up() {
    nothing_is_left_for_the_library(Kind::InProcess).await;
}

#[tokio::test]
async fn on_postgresql_what_the_library_wrote_goes_by_the_same_rules() {
    what_the_library_wrote_goes_by_the_same_rules(Kind::Postgresql).await;
}

#[tokio::test]
async fn on_dynamodb_what_the_library_wrote_goes_by_the_same_rules() {
    what_the_library_wrote_goes_by_the_same_rules(Kind::InProcess).await;
}
