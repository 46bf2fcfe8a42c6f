//! Targets for which no changes are recorded.

use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::Store;

use super::fixtures::{NASTY, refused, state};

async fn targets(store: &dyn Store, id: &str) -> Vec<(String, String)> {
    store.suspensions(id).await.unwrap().into_iter().map(|row| (row.target, row.subtarget)).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(target, subtarget)| ((*target).to_owned(), (*subtarget).to_owned())).collect()
}

pub(super) async fn a_target_is_suspended_with_all_its_parts(store: &dyn Store) {
    assert!(!store.is_suspended("a", "properties", "").await.unwrap());
    assert!(store.suspend("a", "properties", "").await.unwrap());
    for (id, target, subtarget, suspended) in [
        ("a", "properties", "", true),
        ("a", "properties", "email", true),
        ("a", "properties", "é", true),
        ("a", "propertie", "", false),
        ("a", "properties2", "", false),
        ("a", "Properties", "", false),
        ("a", "trust", "email", false),
        ("b", "properties", "", false),
    ] {
        assert_eq!(store.is_suspended(id, target, subtarget).await.unwrap(), suspended, "{id} {target} {subtarget}");
    }
}

pub(super) async fn a_part_is_suspended_alone(store: &dyn Store) {
    assert!(store.suspend("a", "properties", "email").await.unwrap());
    for (target, subtarget, suspended) in [
        ("properties", "email", true),
        ("properties", "", false),
        ("properties", "Email", false),
        ("properties", "email2", false),
        ("email", "", false),
    ] {
        assert_eq!(store.is_suspended("a", target, subtarget).await.unwrap(), suspended, "{target} {subtarget}");
    }
}

pub(super) async fn it_is_suspended_once_and_resumed_once(store: &dyn Store) {
    let before = store.time().await.unwrap();
    assert!(store.suspend("a", "t", "").await.unwrap());
    let after = store.time().await.unwrap();
    let second = chrono::TimeDelta::seconds(1);
    let since = store.suspensions("a").await.unwrap()[0].suspended_at;
    assert!(before - second <= since && since <= after + second, "{before} {since} {after}");
    let first = state(store).await;
    assert!(!store.suspend("a", "t", "").await.unwrap());
    assert_eq!(state(store).await, first, "since then and not again");
    assert!(store.suspend("a", "t", "s").await.unwrap(), "that the whole is suspended does not count");
    assert!(!store.resume_target("a", "t", "other").await.unwrap());
    assert!(!store.resume_target("b", "t", "").await.unwrap());
    assert!(store.resume_target("a", "t", "").await.unwrap());
    assert!(!store.resume_target("a", "t", "").await.unwrap());
    assert!(!store.is_suspended("a", "t", "").await.unwrap());
    assert!(store.is_suspended("a", "t", "s").await.unwrap(), "the part is still");
    assert!(store.suspend("a", "t", "").await.unwrap());
    assert!(store.resume_target("a", "t", "s").await.unwrap());
    assert!(store.is_suspended("a", "t", "s").await.unwrap(), "with the whole");
}

pub(super) async fn they_come_by_target_and_part(store: &dyn Store) {
    // As keys, `a:a` comes after `a-b`.
    let all = [("Zz", ""), ("a", ""), ("a", "a"), ("a", "é"), ("a-b", ""), ("a0", ""), ("é", "")];
    for (target, subtarget) in all.iter().rev() {
        assert!(store.suspend("x", target, subtarget).await.unwrap());
    }
    store.suspend("xy", "a", "").await.unwrap();
    assert_eq!(targets(store, "x").await, pairs(&all));
    assert_eq!(targets(store, "nobody").await, []);
    assert_eq!(store.delete_suspensions("x").await.unwrap(), all.len() as u64);
    assert_eq!(store.delete_suspensions("x").await.unwrap(), 0);
    assert_eq!(targets(store, "xy").await, pairs(&[("a", "")]));
}

pub(super) async fn texts_are_kept(store: &dyn Store) {
    for nasty in NASTY {
        assert!(store.suspend(nasty, "target", nasty).await.unwrap());
        assert!(store.suspend(nasty, nasty, "").await.unwrap());
        assert!(store.is_suspended(nasty, "target", nasty).await.unwrap());
        assert!(!store.is_suspended(nasty, "target", "").await.unwrap());
        assert!(store.is_suspended(nasty, nasty, "part").await.unwrap());
        assert!(store.resume_target(nasty, nasty, "").await.unwrap());
        assert_eq!(targets(store, nasty).await, pairs(&[("target", nasty)]));
    }
}

/// (`a:b`, nothing) and (`a`, `b`) have one key in DynamoDB.
pub(super) async fn of_two_with_one_key_dynamodb_keeps_the_first(store: &dyn Store) {
    assert!(store.suspend("x", "a:b", "").await.unwrap());
    let second = store.suspend("x", "a", "b").await;
    match store.backend() {
        BackendKind::Postgresql => {
            assert!(second.unwrap());
            assert_eq!(targets(store, "x").await, pairs(&[("a", "b"), ("a:b", "")]));
            assert!(store.resume_target("x", "a", "b").await.unwrap());
        }
        BackendKind::Dynamodb => {
            assert!(!second.unwrap_or(false));
            assert!(!store.is_suspended("x", "a", "b").await.unwrap());
            assert!(!store.resume_target("x", "a", "b").await.unwrap());
        }
    }
    assert_eq!(targets(store, "x").await, pairs(&[("a:b", "")]));
}

pub(super) async fn many_are_deleted_together(store: &dyn Store) {
    for n in 0..60 {
        assert!(store.suspend("a", "t", &n.to_string()).await.unwrap());
    }
    assert_eq!(store.delete_suspensions("a").await.unwrap(), 60);
    assert_eq!(store.count(Table::SubscriptionSuspensions).await.unwrap(), 0);
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let table = Table::SubscriptionSuspensions;
    let (fits, long) = ("é".repeat(255), "é".repeat(256));
    assert!(store.suspend("a", &fits, &fits).await.unwrap());
    assert!(store.is_suspended("a", &fits, &fits).await.unwrap());
    match store.backend() {
        BackendKind::Postgresql => {
            refused(store, (table, "target", "éé"), store.suspend("a", &long, "")).await;
            refused(store, (table, "subtarget", "éé"), store.suspend("a", "t", &long)).await;
            refused(store, (table, "target", "h1dden"), store.suspend("a", "h1dden\0", "")).await;
            assert!(!store.is_suspended("a", &long, "").await.unwrap(), "it cannot be");
        }
        BackendKind::Dynamodb => {
            assert!(store.suspend("a", &long, "").await.unwrap());
            assert!(store.suspend("a", "t", &long).await.unwrap());
            assert!(store.suspend("a", "h1dden\0", "").await.unwrap());
            assert!(store.is_suspended("a", "h1dden\0", "part").await.unwrap());
            refused(store, (table, "target_key", ""), store.suspend("a", "", "")).await;
        }
    }
    let over_long = "h1dden".repeat(200);
    refused(store, (table, "target", "h1dden"), store.suspend("a", &over_long, "")).await;
    let id = "h1dden".repeat(400);
    refused(store, (table, "id", "h1dden"), store.suspend(&id, "t", "")).await;
}
