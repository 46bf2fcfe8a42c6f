//! `kill -9` at any moment, with two daemons.

use actingweb_maintd::jobs::diff_prune::NAME;
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::model::row::SubscriptionChange;

use super::scene::{Database, Scene};
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::ledger::is_process;

const ACTORS: usize = 6;
const NEWEST: i64 = 5;
const KILLS: usize = 6;

/// Batches are small and runs are slow, so that most moments are in the middle of one.
const CONFIGURATION: &str = "[jobs.ttl_cleanup]\nenabled = false\n\
     [jobs.diff_prune]\nenabled = true\nschedule = \"every 1s\"\nkeep_newest = 5\nbatch_size = 7\n\
     max_rows_per_second = 200\n[lease]\nttl = \"1s\"\n";

fn start(scene: &Scene) -> Daemon {
    let maintd = match &scene.database {
        Database::Postgresql(db) => Maintd::on(db),
        Database::Dynamodb(tables) => Maintd::beside(tables),
    };
    maintd.config(CONFIGURATION).start()
}

fn id(actor: usize) -> String {
    format!("actor-{actor}")
}

/// Of each actor the numbers that are there end with the newest, and none is missing among them.
async fn assert_no_holes(scene: &Scene, newest: i64) {
    for actor in 0..ACTORS {
        // On DynamoDB a page is read row by row while rows go; so from the highest on.
        let first = scene.numbers(&id(actor), "s").await[0];
        let mut stays = 0;
        for number in (first..=newest).rev() {
            let is_there = scene.store.diff(&id(actor), "s", number).await.unwrap().is_some();
            assert!(!is_there || number == newest - stays, "actor {actor}: a hole above {number} of {newest}");
            stays += i64::from(is_there);
        }
        assert!(stays >= NEWEST, "actor {actor}: only {stays} of the newest are left");
    }
}

pub(super) async fn two_daemons_are_killed_at_any_moment(scene: &Scene) {
    let mut random = fastrand::Rng::with_seed(5);
    for actor in 0..ACTORS {
        scene.subscribe(&id(actor), "b", "s", 0).await;
    }
    let mut newest = 0;
    let mut daemons = vec![start(scene), start(scene)];
    for _ in 0..KILLS {
        let from = newest + 1;
        newest += 40;
        for actor in 0..ACTORS {
            let change = SubscriptionChange { seqnr: Some(newest), ..SubscriptionChange::default() };
            assert!(scene.store.modify_subscription(&id(actor), "b", "s", &change).await.unwrap());
            scene.publish(&id(actor), "s", from..=newest).await;
            scene.mirror(&id(actor), "b", "s", newest).await;
        }
        let goal = scene.count().await.saturating_sub(random.u64(5..120)).max(ACTORS as u64 * NEWEST.unsigned_abs());
        eventually("some of them to go", async || scene.count().await <= goal).await;
        let holder = scene.store.history(Some(NAME), 1).await.unwrap().remove(0).holder;
        let at_work = daemons.iter().position(|daemon| is_process(&holder, daemon.pid().as_raw().unsigned_abs()));
        daemons.swap_remove(at_work.unwrap_or(0)).kill();
        assert_no_holes(scene, newest).await;
        daemons.push(start(scene));
    }
    let least = ACTORS as u64 * NEWEST.unsigned_abs();
    eventually("all of it to go but the newest", async || scene.count().await == least).await;
    for daemon in daemons {
        daemon.stop();
    }
    assert_no_holes(scene, newest).await;
    assert_eq!(scene.count().await, least);
    let gone = ACTORS as u64 * newest.unsigned_abs() - least;
    let runs = scene.store.history(Some(NAME), 1000).await.unwrap();
    let told: u64 = runs.iter().map(|run| run.report.deleted).sum();
    match scene.backend() {
        BackendKind::Postgresql => assert_eq!(told, gone),
        // What a batch has deleted that was never finished is told nowhere.
        BackendKind::Dynamodb => assert!(told <= gone && told >= gone - 60 * KILLS as u64, "{told} of {gone}"),
    }
}
