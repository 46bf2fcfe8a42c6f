//! Repairs of the look-up table beside an application that writes, and repairs that are killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actingweb_maintd::model::Table;
use actingweb_maintd::storage::Store;
use actingweb_maintd::work::Outcome;

use super::on_each_backend;
use super::scene::{Scene, actor, property, property_of};
use crate::harness::eventually;

on_each_backend! {
    no_entry_of_a_live_property_is_lost_beside_an_application
    two_steps_of_an_application_are_no_finding
    a_repair_that_is_killed_is_finished_by_the_next
}

const ACTORS: u64 = 6;

/// Values move between actors, go and come back, while repairs go on. Each actor has values of its own,
/// so each that is left at the end must be found.
async fn no_entry_of_a_live_property_is_lost_beside_an_application(scene: &Scene) {
    for n in 0..ACTORS {
        scene.write(vec![actor(&format!("actor-{n}"))]).await;
        // Something for the repairs to do as well.
        scene.write(vec![scene.entry("oauthId", &format!("lie {n}"), &format!("actor-{n}"))]).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let writers = (0..ACTORS).map(|n| tokio::spawn(write(scene.application(), n, Arc::clone(&over))));
    let writers: Vec<_> = writers.collect();
    for _ in 0..6 {
        let run = scene.check(true).await;
        assert_eq!(run.outcome, Some(Outcome::Succeeded), "{run:?}");
    }
    over.store(true, Ordering::Relaxed);
    let store = scene.application();
    for (n, writer) in writers.into_iter().enumerate() {
        let last = writer.await.unwrap();
        for (name, value) in last {
            let id = format!("actor-{n}");
            assert_eq!(store.property(&id, &name).await.unwrap(), Some(value.clone()), "{id} {name}");
            assert_eq!(store.lookup(&name, &value).await.unwrap(), Some(id), "{name} {value}");
        }
    }
    // What was in the application's hands each time goes now.
    scene.check(true).await;
    let run = scene.check(false).await;
    assert_eq!((run.report.remaining(), store.lookup("oauthId", "lie 0").await.unwrap()), (0, None), "{run:?}");
}

/// Writes until it is over, and more than ten times. Returns what it left.
async fn write(store: Arc<dyn Store>, n: u64, over: Arc<AtomicBool>) -> BTreeMap<String, String> {
    let (id, mut last, mut rounds) = (format!("actor-{n}"), BTreeMap::new(), 0_u64);
    while !over.load(Ordering::Relaxed) || rounds <= 10 {
        rounds += 1;
        for name in ["email", "oauthId"] {
            // Back and forth between few values, so that what was stale is soon none.
            let value = format!("{id} {name} {}", rounds % 3);
            store.set_property(&property_of(&id, name, &value)).await.unwrap();
            last.insert(name.to_owned(), value);
        }
        if rounds.is_multiple_of(5) {
            store.delete_property(&id, "email").await.unwrap();
            last.remove("email");
        }
    }
    last
}

/// The library on DynamoDB writes the property, then deletes the old entry and makes the new one.
async fn two_steps_of_an_application_are_no_finding(scene: &Scene) {
    for n in 0..ACTORS {
        scene.write(vec![actor(&format!("actor-{n}"))]).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let writers = (0..ACTORS).map(|n| {
        let (store, over) = (scene.application(), Arc::clone(&over));
        tokio::spawn(async move {
            let (id, mut old, mut rounds) = (format!("actor-{n}"), None::<String>, 0_u64);
            while !over.load(Ordering::Relaxed) || rounds < 3 {
                rounds += 1;
                let value = format!("{id} {rounds}");
                store.write(&[property(&id, "email", &value).into()]).await.unwrap();
                tokio::task::yield_now().await;
                if let Some(old) = old.replace(value.clone()) {
                    store.delete_lookup("email", &old, &id).await.unwrap();
                }
                store.create_lookup("email", &value, &id).await.unwrap();
            }
            old.map(|value| (id, value))
        })
    });
    let writers: Vec<_> = writers.collect();
    for repair in [false, false, true, true] {
        let run = scene.check(repair).await;
        assert_eq!(run.report.findings.as_ref().map(|findings| findings.total()), Some(0), "{run:?}");
    }
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        let (id, value) = writer.await.unwrap().expect("it has written");
        assert_eq!(scene.application().lookup("email", &value).await.unwrap(), Some(id));
    }
}

async fn a_repair_that_is_killed_is_finished_by_the_next(scene: &Scene) {
    let count = 200_u64;
    for n in 0..count {
        let id = format!("actor-{n}");
        scene.write(vec![actor(&id), property(&id, "email", &format!("v{n}")), scene.entry("oauthId", &id, &id)]).await;
    }
    let maintd = || {
        let maintd = scene.maintd().env("MAINTD_LEASE__TTL", "1s");
        maintd.env("MAINTD_JOBS__LOOKUP_CHECK__BATCH_SIZE", "10")
    };
    let store = scene.application();
    let entries = async || store.count(Table::PropertyLookup).await.unwrap();
    let found = async || {
        for n in 0..count {
            if store.lookup("email", &format!("v{n}")).await.unwrap().is_some() {
                return true;
            }
        }
        false
    };
    for is_first in [true, false] {
        let slow = maintd().env("MAINTD_JOBS__LOOKUP_CHECK__MAX_ROWS_PER_SECOND", "200");
        let mut child = slow.into_command(&["lookup", "check", "--repair"]).spawn().expect("starting");
        if is_first {
            eventually("stale ones go", async || entries().await < count).await;
        } else {
            eventually("missing ones come", found).await;
        }
        child.kill().expect("killing");
        child.wait().expect("waiting");
        eventually("the lease is free", async || store.standing("lookup_check").await.unwrap().held.is_none()).await;
    }
    eventually("the rest is repaired", async || maintd().run(&["lookup", "check", "--repair"]).code == 0).await;
    assert_eq!(entries().await, count);
    for n in 0..count {
        assert_eq!(store.lookup("email", &format!("v{n}")).await.unwrap(), Some(format!("actor-{n}")));
    }
}
