//! The entries of the reverse look-up by themselves.

use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::Store;

use super::fixtures::{NASTY, actor, incompressible, property, refused, state};

pub(super) async fn an_entry_is_of_whoever_made_it_first(store: &dyn Store) {
    for id in ["a", "b"] {
        store.create_actor(&actor(id)).await.unwrap();
    }
    assert_eq!(store.lookup("email", "x").await.unwrap(), None);
    assert!(store.create_lookup("email", "x", "a").await.unwrap());
    let before = state(store).await;
    assert!(!store.create_lookup("email", "x", "b").await.unwrap());
    assert!(!store.create_lookup("email", "x", "a").await.unwrap());
    assert_eq!(state(store).await, before);
    assert_eq!(store.lookup("email", "x").await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.property("a", "email").await.unwrap(), None, "it says nothing of a property");
}

pub(super) async fn only_ones_own_entry_is_deleted(store: &dyn Store) {
    for id in ["a", "b"] {
        store.create_actor(&actor(id)).await.unwrap();
    }
    store.create_lookup("email", "x", "a").await.unwrap();
    assert!(!store.delete_lookup("email", "x", "b").await.unwrap());
    assert!(!store.delete_lookup("email", "y", "a").await.unwrap());
    assert!(!store.delete_lookup("oauthId", "x", "a").await.unwrap());
    assert_eq!(store.lookup("email", "x").await.unwrap().as_deref(), Some("a"));
    assert!(store.delete_lookup("email", "x", "a").await.unwrap());
    assert!(!store.delete_lookup("email", "x", "a").await.unwrap());
    assert_eq!(store.lookup("email", "x").await.unwrap(), None);
    assert!(store.create_lookup("email", "x", "b").await.unwrap(), "it is free for the next");
}

pub(super) async fn names_and_values_are_told_apart_exactly(store: &dyn Store) {
    let pairs: Vec<(&str, &str)> = NASTY
        .iter()
        .flat_map(|text| [(*text, "value"), ("name", *text)])
        .chain([("ab", "c"), ("a", "bc"), ("name", "Value"), ("name", "VALUE"), ("name", "")])
        .collect();
    for (n, (name, value)) in pairs.iter().enumerate() {
        let id = format!("actor {n}");
        store.create_actor(&actor(&id)).await.unwrap();
        assert!(store.create_lookup(name, value, &id).await.unwrap(), "{name} {value}");
    }
    for (n, (name, value)) in pairs.iter().enumerate() {
        assert_eq!(store.lookup(name, value).await.unwrap(), Some(format!("actor {n}")), "{name} {value}");
    }
    assert_eq!(store.count(Table::PropertyLookup).await.unwrap(), pairs.len() as u64);
}

pub(super) async fn an_entry_outlives_what_it_says(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    store.set_property(&property("a", "email", "x")).await.unwrap();
    assert!(store.swap_property(&property("a", "email", "y"), "x").await.unwrap());
    assert_eq!(store.lookup("email", "x").await.unwrap().as_deref(), Some("a"), "list items have no entries to keep");
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    let fits = "é".repeat(255);
    assert!(store.create_lookup(&fits, "x", "a").await.unwrap());
    let long_name = "é".repeat(256);
    let long_value = incompressible(10_000);
    let begin = &long_value[..20];
    match store.backend() {
        BackendKind::Postgresql => {
            let table = Table::PropertyLookup;
            refused(store, (table, "actor_id", ""), store.create_lookup("email", "x", "nobody")).await;
            refused(store, (table, "property_name", "éé"), store.create_lookup(&long_name, "x", "a")).await;
            refused(store, (table, "value", begin), store.create_lookup("email", &long_value, "a")).await;
            refused(store, (table, "value", "before"), store.create_lookup("email", "before\0after", "a")).await;
            // Nothing can be there, so nothing is found.
            assert_eq!(store.lookup("email", &long_value).await.unwrap(), None);
            assert!(!store.delete_lookup("email", &long_value, "a").await.unwrap());
        }
        BackendKind::Dynamodb => {
            for (name, value, id) in [
                ("email", "x", "nobody"),
                (&*long_name, "x", "a"),
                ("email", &*long_value, "a"),
                ("email", "before\0after", "a"),
            ] {
                assert!(store.create_lookup(name, value, id).await.unwrap());
                assert_eq!(store.lookup(name, value).await.unwrap().as_deref(), Some(id));
            }
        }
    }
}
