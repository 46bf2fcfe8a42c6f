//! `kill -9` while tokens are cleaned up: in the end exactly those are gone that the oracle names.

use std::collections::BTreeSet;

use actingweb_maintd::jobs::token_cleanup;
use actingweb_maintd::model::Table;
use fastrand::Rng;

use super::super::place::{Kind, Place};
use super::scene::Scene;
use super::{Key, keys, sentence};
use crate::harness::daemon::Daemon;
use crate::harness::eventually;

/// How often somebody is killed.
const KILLS: usize = 4;

fn start(place: &Place) -> Daemon {
    place
        .maintd()
        .env("MAINTD_JOBS__TTL_CLEANUP__ENABLED", "false")
        .env("MAINTD_JOBS__TOKEN_CLEANUP__ENABLED", "true")
        .env("MAINTD_JOBS__TOKEN_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TOKEN_CLEANUP__BATCH_SIZE", "5")
        .env("MAINTD_JOBS__TOKEN_CLEANUP__MAX_ROWS_PER_SECOND", "100")
        .env("MAINTD_LEASE__TTL", "1s")
        .start()
}

async fn exactly_those_go_whoever_is_killed(kind: Kind, seed: u64) {
    let place = Place::of_ours(kind).await;
    place.store().write(&Scene::new(seed, true).records()).await.expect("writing");
    let before = place.attributes().await;
    let said = sentence(&place, &before).await;
    let left: BTreeSet<Key> = keys(&before).difference(&said.gone).cloned().collect();
    let (mut rng, total, gone) = (Rng::with_seed(seed), before.len() as u64, said.gone.len() as u64);

    let mut daemons = vec![start(&place), start(&place)];
    for kill in 1..=KILLS as u64 {
        // Somewhere in the stretch that is to be over by the next kill.
        let at = total - gone * kill / (KILLS as u64 + 2) + rng.u64(0..10);
        eventually("rows to go", async || place.store().count(Table::Attributes).await.unwrap() <= at).await;
        daemons.remove(rng.usize(0..daemons.len())).kill();
        daemons.push(start(&place));
    }
    let rest = left.len() as u64;
    eventually("the rows to be gone", async || place.store().count(Table::Attributes).await.unwrap() <= rest).await;
    // A run over what is left finds nothing more.
    let is_quiet = async || {
        let newest = place.store().history(Some(token_cleanup::NAME), 1).await.unwrap().remove(0);
        newest.outcome.is_some() && newest.report.deleted == 0
    };
    eventually("a run that deletes nothing", is_quiet).await;
    let log: String = daemons.into_iter().map(Daemon::stop).collect();
    assert_eq!(keys(&place.attributes().await), left);
    let runs = place.store().history(Some(token_cleanup::NAME), 10_000).await.unwrap();
    let counted: u64 = runs.iter().map(|run| run.report.deleted).sum();
    // On DynamoDB a row may be gone whose deletion was not counted any more.
    assert!(counted <= gone && (kind != Kind::Postgresql || counted == gone), "{counted} of {gone} were counted");
    for row in &before {
        let name = row["name"].as_str().unwrap();
        assert!(!name.starts_with("token ") || !log.contains(name), "names are bearer tokens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_exactly_those_go_whoever_is_killed() {
    exactly_those_go_whoever_is_killed(Kind::Postgresql, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_dynamodb_exactly_those_go_whoever_is_killed() {
    exactly_those_go_whoever_is_killed(Kind::InProcess, 8).await;
}
