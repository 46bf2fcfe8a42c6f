//! Subscriptions.

use actingweb_maintd::model::row::{Subscription, SubscriptionChange};
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::Store;

use super::fixtures::{NASTY, diff, kept_subscription, refused, state, subscription};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn read(store: &dyn Store, id: &str, peerid: &str, subid: &str) -> Subscription {
    store.subscription(id, peerid, subid).await.unwrap().expect("the subscription is there")
}

pub(super) async fn what_was_created_is_read(store: &dyn Store) {
    assert_eq!(store.subscription("a", "p", "s").await.unwrap(), None);
    for (n, nasty) in NASTY.iter().enumerate() {
        let created = Subscription {
            granularity: some(nasty),
            target: some(nasty),
            subtarget: some(nasty),
            resource: some(nasty),
            seqnr: n as i64,
            callback: n % 2 == 0,
            ..Subscription::new(nasty, nasty, nasty)
        };
        assert!(store.create_subscription(&created).await.unwrap());
        assert_eq!(read(store, nasty, nasty, nasty).await, created);
    }
    for (n, seqnr) in [i64::from(i32::MAX), i64::from(i32::MIN), -1].into_iter().enumerate() {
        let created = Subscription { seqnr, ..subscription("a", "p", &n.to_string()) };
        assert!(store.create_subscription(&created).await.unwrap());
        assert_eq!(read(store, "a", "p", &n.to_string()).await, created);
    }
}

pub(super) async fn what_is_empty_reads_as_nothing(store: &dyn Store) {
    let none = Subscription::new("a", "p", "none");
    let empty = Subscription {
        granularity: some(""),
        target: some(""),
        subtarget: some(""),
        resource: some(""),
        ..Subscription::new("a", "p", "empty")
    };
    for created in [&none, &empty] {
        assert!(store.create_subscription(created).await.unwrap());
        assert_eq!(read(store, "a", "p", &created.subid).await, kept_subscription(store, created));
    }
    let change =
        SubscriptionChange { target: some("properties"), subtarget: some("x"), ..SubscriptionChange::default() };
    let back = SubscriptionChange { target: some(""), ..SubscriptionChange::default() };
    assert!(store.modify_subscription("a", "p", "none", &change).await.unwrap());
    assert!(store.modify_subscription("a", "p", "none", &back).await.unwrap());
    let read = read(store, "a", "p", "none").await;
    assert_eq!(read, kept_subscription(store, &Subscription { target: some(""), subtarget: some("x"), ..none }));
}

pub(super) async fn the_first_to_create_stays(store: &dyn Store) {
    assert!(store.create_subscription(&subscription("a", "p", "s")).await.unwrap());
    let before = state(store).await;
    let other = Subscription { seqnr: 7, callback: true, ..Subscription::new("a", "p", "s") };
    assert!(!store.create_subscription(&other).await.unwrap());
    assert_eq!(state(store).await, before);
    for (id, peer, subid) in [("b", "p", "s"), ("a", "q", "s"), ("a", "p", "t")] {
        assert!(store.create_subscription(&subscription(id, peer, subid)).await.unwrap());
    }
}

/// (`p`, `q:s`) and (`p:q`, `s`) have one key.
pub(super) async fn of_two_with_one_key_the_first_stays(store: &dyn Store) {
    let first = subscription("a", "p", "q:s");
    assert!(store.create_subscription(&first).await.unwrap());
    assert!(!store.create_subscription(&subscription("a", "p:q", "s")).await.unwrap_or(false));
    assert_eq!(store.subscriptions("a").await.unwrap(), [first]);
}

pub(super) async fn siblings_are_told_apart(store: &dyn Store) {
    let all =
        [("p", "sub1"), ("p", "sub10"), ("p", "sub1:2"), ("p1", "sub1"), ("P", "sub1"), ("p", "SUB1"), ("é", "z")];
    for (n, (peer, subid)) in all.iter().enumerate() {
        let created = Subscription { seqnr: n as i64, ..subscription("a", peer, subid) };
        store.create_subscription(&created).await.unwrap();
    }
    store.create_subscription(&subscription("ab", "p", "sub1")).await.unwrap();
    for (n, (peer, subid)) in all.iter().enumerate() {
        assert_eq!(read(store, "a", peer, subid).await.seqnr, n as i64);
    }
    let keys: Vec<String> = store.subscriptions("a").await.unwrap().into_iter().map(|row| row.peer_sub_id).collect();
    assert_eq!(keys, ["P:sub1", "p1:sub1", "p:SUB1", "p:sub1", "p:sub10", "p:sub1:2", "é:z"]);
    assert!(store.delete_subscription("a", "p", "sub1").await.unwrap());
    assert_eq!(store.subscriptions("a").await.unwrap().len(), all.len() - 1);
}

pub(super) async fn a_change_changes_what_it_names(store: &dyn Store) {
    for subid in ["s", "other"] {
        store.create_subscription(&subscription("a", "p", subid)).await.unwrap();
    }
    let mut expected = subscription("a", "p", "s");
    let none = SubscriptionChange::default();
    for (n, change) in [
        SubscriptionChange { granularity: some("low"), ..none.clone() },
        SubscriptionChange { target: some("new"), ..none.clone() },
        SubscriptionChange { subtarget: some("new"), ..none.clone() },
        SubscriptionChange { resource: some("new"), ..none.clone() },
        SubscriptionChange { seqnr: Some(7), ..none.clone() },
        SubscriptionChange { callback: Some(true), ..none.clone() },
        SubscriptionChange { seqnr: Some(0), callback: Some(false), ..none.clone() },
        none.clone(),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(store.modify_subscription("a", "p", "s", &change).await.unwrap());
        match n {
            0 => expected.granularity = some("low"),
            1 => expected.target = some("new"),
            2 => expected.subtarget = some("new"),
            3 => expected.resource = some("new"),
            4 => expected.seqnr = 7,
            5 => expected.callback = true,
            6 => (expected.seqnr, expected.callback) = (0, false),
            _ => (),
        }
        assert_eq!(read(store, "a", "p", "s").await, expected, "{change:?}");
    }
    assert_eq!(read(store, "a", "p", "other").await, subscription("a", "p", "other"));
}

pub(super) async fn what_is_gone_stays_gone(store: &dyn Store) {
    for n in 0..30 {
        store.create_subscription(&subscription("a", "p", &n.to_string())).await.unwrap();
    }
    store.create_subscription(&subscription("ab", "p", "1")).await.unwrap();
    store.create_diff(&diff("a", "1", 1)).await.unwrap();
    assert!(store.delete_subscription("a", "p", "1").await.unwrap());
    assert!(!store.delete_subscription("a", "p", "1").await.unwrap());
    assert!(!store.delete_subscription("a", "q", "2").await.unwrap());
    for seqnr in [None, Some(7)] {
        let change = SubscriptionChange { seqnr, ..SubscriptionChange::default() };
        assert!(!store.modify_subscription("a", "p", "1", &change).await.unwrap());
    }
    assert_eq!(store.subscription("a", "p", "1").await.unwrap(), None);
    assert_eq!(store.delete_subscriptions("a").await.unwrap(), 29);
    assert_eq!(store.delete_subscriptions("a").await.unwrap(), 0);
    assert_eq!(store.count(Table::Subscriptions).await.unwrap(), 1);
    assert!(store.diff("a", "1", 1).await.unwrap().is_some(), "its changes stay");
    assert!(store.create_subscription(&subscription("a", "p", "1")).await.unwrap());
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let new = || subscription("a", "p", "new");
    let long = Subscription { resource: some(&"é".repeat(256)), ..new() };
    let nul = Subscription { target: some("h1dden\0"), ..new() };
    let number = Subscription { seqnr: i64::from(i32::MAX) + 1, ..new() };
    let low = Subscription { seqnr: i64::MIN, ..new() };
    let together = subscription("a", &"p".repeat(200), &"s".repeat(100));
    let key = subscription("a", &"p".repeat(1000), &"s".repeat(100));
    let fits =
        Subscription { resource: some(&"é".repeat(255)), ..subscription("a", &"p".repeat(127), &"s".repeat(127)) };
    assert!(store.create_subscription(&fits).await.unwrap());
    assert_eq!(read(store, "a", &fits.peerid, &fits.subid).await, fits);
    store.create_subscription(&subscription("a", "p", "stands")).await.unwrap();
    for (attribute, given) in
        [("resource", &long), ("target", &nul), ("seqnr", &number), ("seqnr", &low), ("peer_sub_id", &together)]
    {
        let change = SubscriptionChange {
            target: given.target.clone(),
            resource: given.resource.clone(),
            seqnr: Some(given.seqnr),
            ..SubscriptionChange::default()
        };
        let why = (Table::Subscriptions, attribute, "h1dden");
        match store.backend() {
            BackendKind::Postgresql => {
                refused(store, why, store.create_subscription(given)).await;
                if attribute != "peer_sub_id" {
                    refused(store, why, store.modify_subscription("a", "p", "stands", &change)).await;
                }
            }
            BackendKind::Dynamodb => {
                assert!(store.create_subscription(given).await.unwrap());
                assert_eq!(&read(store, "a", &given.peerid, &given.subid).await, given);
                assert!(store.modify_subscription("a", "p", "stands", &change).await.unwrap());
                assert!(store.delete_subscription("a", &given.peerid, &given.subid).await.unwrap());
            }
        }
    }
    refused(store, (Table::Subscriptions, "peer_sub_id", "pppp"), store.create_subscription(&key)).await;
    if store.backend() == BackendKind::Dynamodb {
        let large = Subscription { resource: some(&"h1dden".repeat(70_000)), ..new() };
        let change = SubscriptionChange { resource: large.resource.clone(), ..SubscriptionChange::default() };
        let why = (Table::Subscriptions, "", "h1dden");
        refused(store, why, store.create_subscription(&large)).await;
        refused(store, why, store.modify_subscription("a", "p", "stands", &change)).await;
    }
}
