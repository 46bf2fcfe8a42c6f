//! Actors that are found by what they store.

use actingweb_maintd::model::BackendKind;
use actingweb_maintd::storage::{Indexed, Store};

use super::fixtures::{actor, incompressible, property, state};

async fn actors(store: &dyn Store, ids: &[&str]) {
    for id in ids {
        store.create_actor(&actor(id)).await.unwrap();
    }
}

async fn set(store: &dyn Store, id: &str, name: &str, value: &str) -> Indexed {
    store.set_property(&property(id, name, value)).await.unwrap()
}

async fn found(store: &dyn Store, value: &str) -> Option<String> {
    store.actor_by_property("email", value).await.unwrap()
}

pub(super) async fn an_actor_is_found_by_its_value(store: &dyn Store) {
    actors(store, &["a"]).await;
    assert_eq!(found(store, "x").await, None);
    for name in ["oauthId", "email", "externalUserId"] {
        assert_eq!(set(store, "a", name, "x").await, Indexed::Yes);
        assert_eq!(set(store, "a", name, "x").await, Indexed::Yes, "once more");
        assert_eq!(store.actor_by_property(name, "x").await.unwrap().as_deref(), Some("a"));
    }
    assert_eq!(found(store, "X").await, None);
    for name in ["Email", "other", "list:email"] {
        assert_eq!(set(store, "a", name, "x").await, Indexed::No);
        assert_eq!(store.lookup(name, "x").await.unwrap(), None);
    }
}

pub(super) async fn the_first_owner_keeps_the_entry(store: &dyn Store) {
    actors(store, &["a", "b"]).await;
    assert_eq!(set(store, "b", "email", "x").await, Indexed::Yes);
    assert_eq!(set(store, "a", "email", "x").await, Indexed::Taken("b".to_owned()));
    assert_eq!(store.property("a", "email").await.unwrap().as_deref(), Some("x"), "it is stored all the same");
    assert_eq!(found(store, "x").await.as_deref(), Some("b"));
    // Who is not the owner takes nothing away.
    assert!(store.delete_property("a", "email").await.unwrap());
    assert_eq!(found(store, "x").await.as_deref(), Some("b"));
    set(store, "a", "email", "x").await;
    assert_eq!(set(store, "a", "email", "y").await, Indexed::Yes);
    assert_eq!(found(store, "x").await.as_deref(), Some("b"));
    set(store, "a", "email", "x").await;
    set(store, "a", "email", "").await;
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 0);
    assert_eq!(found(store, "x").await.as_deref(), Some("b"));
}

pub(super) async fn another_value_moves_the_entry(store: &dyn Store) {
    actors(store, &["a", "b"]).await;
    set(store, "a", "email", "x").await;
    assert_eq!(set(store, "a", "email", "y").await, Indexed::Yes);
    assert_eq!((found(store, "x").await, found(store, "y").await.as_deref()), (None, Some("a")));
    assert_eq!(store.lookup("email", "x").await.unwrap(), None);
    assert_eq!(set(store, "b", "email", "x").await, Indexed::Yes, "the value is free");
    assert_eq!(set(store, "a", "email", "x").await, Indexed::Taken("b".to_owned()));
    assert_eq!(store.lookup("email", "y").await.unwrap(), None, "its own entry has gone with its value");
}

pub(super) async fn deleting_frees_the_value_for_the_next(store: &dyn Store) {
    actors(store, &["a", "b"]).await;
    for round in 0..3 {
        assert_eq!(set(store, "a", "email", "x").await, Indexed::Yes);
        match round {
            0 => assert!(store.delete_property("a", "email").await.unwrap()),
            1 => drop(set(store, "a", "email", "").await),
            _ => assert_eq!(store.delete_all_properties("a").await.unwrap(), 1),
        }
        assert_eq!(store.lookup("email", "x").await.unwrap(), None, "round {round}");
        assert_eq!(found(store, "x").await, None, "round {round}");
    }
    assert_eq!(set(store, "b", "email", "x").await, Indexed::Yes);
    assert_eq!(found(store, "x").await.as_deref(), Some("b"));
}

pub(super) async fn deleting_items_leaves_entries_alone(store: &dyn Store) {
    actors(store, &["a"]).await;
    set(store, "a", "email", "x").await;
    store.delete_properties("a", &["email".to_owned()]).await.unwrap();
    assert_eq!(store.property("a", "email").await.unwrap(), None);
    assert_eq!(store.lookup("email", "x").await.unwrap().as_deref(), Some("a"));
    assert_eq!(found(store, "x").await, None, "an entry without its property names nobody");
}

pub(super) async fn a_stale_entry_names_nobody(store: &dyn Store) {
    actors(store, &["a", "b"]).await;
    set(store, "a", "email", "x").await;
    assert!(store.swap_property(&property("a", "email", "y"), "x").await.unwrap());
    assert_eq!(store.lookup("email", "x").await.unwrap().as_deref(), Some("a"));
    assert_eq!(found(store, "x").await, None);
    assert!(store.swap_property(&property("a", "email", "x"), "y").await.unwrap());
    assert_eq!(found(store, "x").await.as_deref(), Some("a"));
    assert!(store.delete_property_if("a", "email", "x").await.unwrap());
    assert_eq!(found(store, "x").await, None);
}

pub(super) async fn nobody_is_found_by_what_is_not_looked_up(store: &dyn Store) {
    actors(store, &["a"]).await;
    for name in ["nickname", "list:email", "Email"] {
        assert_eq!(set(store, "a", name, "x").await, Indexed::No);
        assert_eq!(store.actor_by_property(name, "x").await.unwrap(), None);
    }
    set(store, "a", "email", "x").await;
    assert_eq!(found(store, "").await, None);
    assert_eq!(store.actor_by_property("", "x").await.unwrap(), None);
}

pub(super) async fn without_an_entry_postgresql_reads_every_property(store: &dyn Store) {
    actors(store, &["a", "b"]).await;
    for id in ["b", "a"] {
        assert!(store.create_property(&property(id, "email", "x")).await.unwrap());
    }
    match store.backend() {
        BackendKind::Postgresql => assert_eq!(found(store, "x").await.as_deref(), Some("a"), "the first by id"),
        BackendKind::Dynamodb => assert_eq!(found(store, "x").await, None, "neither of the older ways is there"),
    }
    assert_eq!(set(store, "b", "email", "x").await, Indexed::Yes, "an entry can be made at any time");
    assert_eq!(found(store, "x").await.as_deref(), Some("b"));
}

pub(super) async fn an_id_without_an_actor_is_found_where_that_is_possible(store: &dyn Store) {
    let reserved = "_actingweb_system";
    let indexed = set(store, reserved, "email", "x").await;
    assert_eq!(store.property(reserved, "email").await.unwrap().as_deref(), Some("x"), "it is stored all the same");
    match store.backend() {
        BackendKind::Postgresql => assert_eq!(indexed, Indexed::NoActor),
        BackendKind::Dynamodb => assert_eq!(indexed, Indexed::Yes),
    }
    assert_eq!(found(store, "x").await.as_deref(), Some(reserved));
    assert_eq!(set(store, reserved, "other", "x").await, Indexed::No);
    assert_eq!(store.delete_all_properties(reserved).await.unwrap(), 2);
    assert_eq!(state(store).await, [] as [String; 0]);
}

/// The library on PostgreSQL stores nothing of such a value, and reports success.
pub(super) async fn a_value_that_is_too_long_to_be_found_is_stored(store: &dyn Store) {
    actors(store, &["a"]).await;
    set(store, "a", "email", "short").await;
    let long = incompressible(20_000);
    let indexed = set(store, "a", "email", &long).await;
    assert_eq!(store.property("a", "email").await.unwrap().as_ref(), Some(&long));
    match store.backend() {
        BackendKind::Postgresql => assert_eq!(indexed, Indexed::TooLong),
        BackendKind::Dynamodb => assert_eq!(indexed, Indexed::Yes),
    }
    assert_eq!(found(store, &long).await.as_deref(), Some("a"));
    assert_eq!(store.lookup("email", "short").await.unwrap(), None, "the entry of the value before is gone");
    assert_eq!(set(store, "a", "email", "short").await, Indexed::Yes);
    assert_eq!(found(store, &long).await, None);
    assert_eq!(found(store, "short").await.as_deref(), Some("a"));
}
