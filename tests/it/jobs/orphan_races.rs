//! Actors come and go during scans, and are never taken for orphans.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actingweb_maintd::jobs::orphan_scan::Settings;
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::model::{BackendKind, Row};
use actingweb_maintd::storage::Store;
use actingweb_maintd::work::Outcome;

use super::on_each_backend;
use super::scene::{Scene, TABLES, property, property_of, rows_of, whole};
use crate::harness::daemon::Maintd;
use crate::harness::python::{on_postgresql, python_script};

on_each_backend! {
    an_actor_that_comes_or_goes_is_never_an_orphan
}

/// Scans beside whoever makes and deletes actors.
const SCANS: usize = 10;

/// How long a brief actor does not exist between two lives.
const DEATH: Duration = Duration::from_millis(15);

/// The same scan with time between a row and its actor, in which lives end and begin: what seems to be
/// an orphan at first is common then.
fn slow_scan(scene: &Scene, n: usize) -> Maintd {
    let faults = match scene.backend() {
        BackendKind::Postgresql => {
            "postgresql.rows_by_key.begin.before=return(delay:25);postgresql.orphans.begin.before=return(delay:3)"
        }
        BackendKind::Dynamodb => "dynamodb.rows_by_key.before=return(delay:25);dynamodb.orphans.after=return(delay:3)",
    };
    let maintd = scene.maintd().env("FAILPOINTS", faults).env("MAINTD_JOBS__ORPHAN_SCAN__SETTLE", "0s");
    maintd.env("MAINTD_JOBS__ORPHAN_SCAN__BATCH_SIZE", (1 + n % 4).to_string())
}

/// Actors are made first and deleted last, as the library does it, again and again under the same ids:
/// the hardest case, as what was seen to have no actor may have one and lose it again.
async fn an_actor_that_comes_or_goes_is_never_an_orphan(scene: &Scene) {
    scene.write(whole("steady")).await;
    scene.write(rows_of("lost-1")).await;
    scene.write(vec![property("lost-2", "x", "y")]).await;
    let over = Arc::new(AtomicBool::new(false));
    let lives = Arc::new(AtomicU64::new(0));
    let living = (0..6).map(|n| {
        tokio::spawn(live_and_die(scene.application(), format!("brief-{n}"), Arc::clone(&over), Arc::clone(&lives)))
    });
    let living: Vec<_> = living.collect();
    let mut expected: BTreeMap<String, u64> = TABLES.map(|table| (table.name().to_owned(), 1)).into();
    expected.insert("properties".to_owned(), 2);
    for n in 0..SCANS {
        let settings =
            Settings { batch_size: Bounded::new(1 + n as u64 % 4), settle: Span::secs(0), ..Settings::default() };
        let run = scene.scan(settings).await;
        assert_eq!(run.outcome, Some(Outcome::Succeeded), "{run:?}");
        assert_eq!(run.report.findings.as_ref().unwrap().counts, expected, "scan {n}: {run:#?}");
        let slow = slow_scan(scene, n);
        let output = tokio::task::spawn_blocking(move || slow.run(&["orphan", "scan", "--json"])).await.unwrap();
        assert_eq!(output.code, 2, "{output:?}");
        let found = output.json()["report"]["findings"]["counts"].clone();
        assert_eq!(found, serde_json::json!(expected), "slow scan {n}: {output:#?}");
    }
    over.store(true, Ordering::Relaxed);
    for life in living {
        life.await.unwrap();
    }
    let lives = lives.load(Ordering::Relaxed);
    assert!(lives >= SCANS as u64, "only {lives} actors came and went during {SCANS} scans");
}

async fn live_and_die(store: Arc<dyn Store>, id: String, over: Arc<AtomicBool>, lives: Arc<AtomicU64>) {
    let rows = whole(&id);
    while !over.load(Ordering::Relaxed) {
        for row in &rows {
            match row {
                Row::Actor(actor) => assert!(store.create_actor(actor).await.unwrap()),
                other => {
                    store.write(&[other.clone().into()]).await.unwrap();
                }
            }
        }
        store.set_property(&property_of(&id, "email", &format!("{id}@example.com"))).await.unwrap();
        store.delete_peer_trustees(&id).await.unwrap();
        store.delete_all_properties(&id).await.unwrap();
        store.clear_diffs(&id, None, actingweb_maintd::storage::Through::All).await.unwrap();
        store.delete_subscriptions(&id).await.unwrap();
        store.delete_suspensions(&id).await.unwrap();
        store.delete_trusts(&id).await.unwrap();
        store.delete_attributes(&id).await.unwrap();
        assert!(store.delete_actor(&id).await.unwrap());
        lives.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(DEATH).await;
    }
}

/// The library itself makes and deletes actors. What it leaves behind of a suspension it leaves for
/// ever, so it makes none here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_of_the_librarys_that_comes_or_goes_is_never_an_orphan() {
    let scene = Scene::postgresql().await;
    let Scene::Postgresql(db) = &scene else { unreachable!("it is on PostgreSQL") };
    scene.write(whole("steady")).await;
    scene.write(vec![property("lost", "x", "y")]).await;
    let script = "
from actingweb.actor import Actor
from actingweb.config import Config

config = Config(database='postgresql')
for n in range(60):
    actor = Actor(config=config)
    assert actor.create(url='https://example.com/', creator=f'c{n}@example.com', passphrase='p', actor_id=f'brief-{n % 5}')
    for name in ('email', 'mood', 'more'):
        setattr(actor.property, name, f'{name} {n}')
    actor.delete()
print('lived')
";
    let (environment, over) = (on_postgresql(db, ""), Arc::new(AtomicBool::new(false)));
    let living = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let printed = python_script(&environment, script).await;
            over.store(true, Ordering::Relaxed);
            printed
        }
    });
    let mut scans = 0;
    while !over.load(Ordering::Relaxed) {
        let settings = Settings { batch_size: Bounded::new(2), settle: Span::secs(0), ..Settings::default() };
        let run = scene.scan(settings).await;
        let counts = run.report.findings.as_ref().map(|findings| findings.counts.clone());
        assert_eq!(counts, Some([("properties".to_owned(), 1)].into()), "{run:#?}");
        scans += 1;
    }
    assert!(living.await.unwrap().ends_with("lived\n"));
    assert!(scans > 1, "only {scans} scans beside the library");
}
