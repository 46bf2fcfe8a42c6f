//! Many who do the same at once: exactly one of them does it.

use actingweb_maintd::model::json::Value;
use actingweb_maintd::model::row::{Actor, PeerTrustee, Property, Subscription, SubscriptionDiff, Trust};
use actingweb_maintd::storage::{Error, ErrorKind, Indexed, NewValue, Store};
use futures_util::future::join_all;

use super::fixtures::{actor, at, diff, int, key, peer_trustee, plain, property, rows, subscription, trust};

/// How many there are.
const WRITERS: i64 = 16;
/// How often they meet.
const ROUNDS: usize = 4;

/// Lets all writers do `attempt` at once; returns the one who did it.
async fn winner(attempt: impl AsyncFn(i64) -> Result<bool, Error>) -> i64 {
    let results = join_all((0..WRITERS).map(|writer| attempt(writer))).await;
    let mut winners = Vec::new();
    for (writer, result) in (0..).zip(results) {
        match result {
            Ok(true) => winners.push(writer),
            Ok(false) => (),
            // Who gives up has written nothing.
            Err(error) if error.kind == ErrorKind::Conflict => (),
            Err(error) => panic!("{}", error.chain()),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?} have won");
    winners[0]
}

/// A text that tells who wrote it.
fn by(writer: i64) -> String {
    format!("written by {writer}")
}

pub(super) async fn creating_an_actor(store: &dyn Store) {
    for round in 0..ROUNDS {
        let id = format!("actor {round}");
        let new = |writer| Actor { passphrase: by(writer), ..actor(&id) };
        let won = winner(async |writer| store.create_actor(&new(writer)).await).await;
        assert_eq!(store.actor(&id).await.unwrap().unwrap().passphrase, by(won));
        winner(async |_| store.delete_actor(&id).await).await;
        assert_eq!(store.actor(&id).await.unwrap(), None);
    }
}

pub(super) async fn creating_a_property(store: &dyn Store) {
    let with = |name: &str, writer| Property { value: by(writer), ..property("a", name, "") };
    for round in 0..ROUNDS {
        let name = format!("list:x-#{round}");
        let won = winner(async |writer| store.create_property(&with(&name, writer)).await).await;
        assert_eq!(store.property("a", &name).await.unwrap(), Some(by(won)));
        let next = winner(async |writer| store.swap_property(&with(&name, writer + 100), &by(won)).await).await;
        assert_eq!(store.property("a", &name).await.unwrap(), Some(by(next + 100)));
        winner(async |_| store.delete_property_if("a", &name, &by(next + 100)).await).await;
        assert_eq!(store.property("a", &name).await.unwrap(), None);
        store.create_property(&with(&name, 7)).await.unwrap();
        winner(async |_| store.delete_property("a", &name).await).await;
        assert_eq!(store.property("a", &name).await.unwrap(), None);
    }
}

/// Each adds one, and tries again until it could.
pub(super) async fn counting_in_a_property(store: &dyn Store) {
    store.set_property(&property("a", "count", "0")).await.unwrap();
    join_all((0..WRITERS).map(async |_| {
        loop {
            let stands = store.property("a", "count").await.unwrap().unwrap();
            let next = (stands.parse::<i64>().unwrap() + 1).to_string();
            match store.swap_property(&property("a", "count", &next), &stands).await {
                Ok(true) => break,
                Ok(false) => (),
                Err(error) => assert_eq!(error.kind, ErrorKind::Conflict),
            }
        }
    }))
    .await;
    assert_eq!(store.property("a", "count").await.unwrap(), Some(WRITERS.to_string()));
}

pub(super) async fn deleting_a_property_that_is_found_by(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    for _ in 0..ROUNDS {
        store.set_property(&property("a", "email", "x")).await.unwrap();
        winner(async |_| store.delete_property("a", "email").await).await;
        assert_eq!(store.lookup("email", "x").await.unwrap(), None);
    }
}

pub(super) async fn creating_an_entry(store: &dyn Store) {
    for writer in 0..WRITERS {
        store.create_actor(&actor(&by(writer))).await.unwrap();
    }
    for round in 0..ROUNDS {
        let value = format!("value {round}");
        let won = winner(async |writer| store.create_lookup("email", &value, &by(writer)).await).await;
        assert_eq!(store.lookup("email", &value).await.unwrap(), Some(by(won)));
        winner(async |_| store.delete_lookup("email", &value, &by(won)).await).await;
        assert_eq!(store.lookup("email", &value).await.unwrap(), None);
    }
}

/// Several store one value: one is found by it, and the others are told who.
pub(super) async fn storing_a_value_that_is_looked_up(store: &dyn Store) {
    for writer in 0..WRITERS {
        store.create_actor(&actor(&by(writer))).await.unwrap();
    }
    for round in 0..ROUNDS {
        let value = format!("value {round}");
        let set = async |writer| {
            loop {
                match store.set_property(&property(&by(writer), "email", &value)).await {
                    Ok(indexed) => return indexed,
                    Err(error) => assert_eq!(error.kind, ErrorKind::Conflict, "{}", error.chain()),
                }
            }
        };
        let results = join_all((0..WRITERS).map(set)).await;
        let owner = store.lookup("email", &value).await.unwrap().expect("somebody is found");
        for (writer, indexed) in (0..).zip(results) {
            let expected = if by(writer) == owner { Indexed::Yes } else { Indexed::Taken(owner.clone()) };
            assert_eq!(indexed, expected, "{writer}");
            assert_eq!(store.property(&by(writer), "email").await.unwrap().as_ref(), Some(&value));
        }
        assert_eq!(store.actor_by_property("email", &value).await.unwrap(), Some(owner));
        assert_eq!(rows(store, actingweb_maintd::model::Table::PropertyLookup).await.len(), 1, "the old ones are gone");
    }
}

/// One actor stores other values at once: it is found by the one that stands, and by no other.
pub(super) async fn changing_a_value_that_is_looked_up(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    for _ in 0..ROUNDS {
        join_all((0..WRITERS).map(async |writer| {
            while let Err(error) = store.set_property(&property("a", "email", &by(writer))).await {
                assert_eq!(error.kind, ErrorKind::Conflict, "{}", error.chain());
            }
        }))
        .await;
        let stands = store.property("a", "email").await.unwrap().expect("one of them");
        assert_eq!(store.actor_by_property("email", &stands).await.unwrap().as_deref(), Some("a"));
        for writer in 0..WRITERS {
            let entry = store.lookup("email", &by(writer)).await.unwrap();
            assert_eq!(entry.is_some(), by(writer) == stands, "{entry:?} for {writer} where {stands:?} stands");
        }
    }
}

pub(super) async fn swapping_an_attribute(store: &dyn Store) {
    let at_key = key("a", "bucket", "name");
    let used = |writer| super::fixtures::object(&[("used", Value::Bool(true)), ("by", int(writer))]);
    for _ in 0..ROUNDS {
        let fresh = super::fixtures::object(&[("used", Value::Bool(false)), ("é", Value::Float(1.5))]);
        let first = NewValue { data: &fresh, timestamp: Some(at(1)), ttl_seconds: Some(60) };
        store.set_attribute(at_key, &first).await.unwrap();
        let won = winner(async |writer| store.swap_attribute(at_key, &fresh, &plain(&used(writer))).await).await;
        assert_eq!(store.attribute(at_key).await.unwrap().unwrap().data, Some(used(won)));
        winner(async |_| store.delete_attribute(at_key).await).await;
        assert_eq!(store.attribute(at_key).await.unwrap(), None);
    }
}

/// A token is used by one, though another takes it away.
pub(super) async fn swapping_and_deleting_an_attribute(store: &dyn Store) {
    let at_key = key("a", "bucket", "name");
    for _ in 0..ROUNDS {
        store.set_attribute(at_key, &plain(&int(1))).await.unwrap();
        let (swapped, deleted) = futures_util::future::join(
            join_all((0..WRITERS).map(async |writer| {
                store.swap_attribute(at_key, &int(1), &plain(&int(writer + 2))).await.unwrap_or(false)
            })),
            store.delete_attribute(at_key),
        )
        .await;
        assert!(deleted.unwrap(), "it is there, whatever its value");
        assert!(swapped.iter().filter(|swapped| **swapped).count() <= 1);
        assert_eq!(store.attribute(at_key).await.unwrap(), None, "nobody brings it back");
    }
}

pub(super) async fn creating_a_trust(store: &dyn Store) {
    for round in 0..ROUNDS {
        let peer = format!("peer {round}");
        let new = |writer| Trust { secret: by(writer), ..trust("a", &peer) };
        let won = winner(async |writer| store.create_trust(&new(writer)).await).await;
        assert_eq!(store.trust("a", &peer).await.unwrap().unwrap().secret, by(won));
        winner(async |_| store.delete_trust("a", &peer).await).await;
        assert_eq!(store.trust("a", &peer).await.unwrap(), None);
    }
}

pub(super) async fn creating_a_peer_trustee(store: &dyn Store) {
    for _ in 0..ROUNDS {
        let new = |writer| PeerTrustee { passphrase: by(writer), ..peer_trustee("a", "p") };
        let won = winner(async |writer| store.create_peer_trustee(&new(writer)).await).await;
        assert_eq!(store.peer_trustee("a", "p").await.unwrap().unwrap().passphrase, by(won));
        winner(async |_| store.delete_peer_trustee("a", "p").await).await;
        assert_eq!(store.peer_trustee("a", "p").await.unwrap(), None);
    }
}

pub(super) async fn creating_a_subscription(store: &dyn Store) {
    for _ in 0..ROUNDS {
        let new = |writer| Subscription { seqnr: writer, ..subscription("a", "p", "s") };
        let won = winner(async |writer| store.create_subscription(&new(writer)).await).await;
        assert_eq!(store.subscription("a", "p", "s").await.unwrap().unwrap().seqnr, won);
        winner(async |_| store.delete_subscription("a", "p", "s").await).await;
        assert_eq!(store.subscription("a", "p", "s").await.unwrap(), None);
    }
}

pub(super) async fn adding_a_change(store: &dyn Store) {
    for number in 1..=ROUNDS as i64 {
        let new = |writer| SubscriptionDiff { diff: by(writer), ..diff("a", "s", number) };
        let won = winner(async |writer| store.create_diff(&new(writer)).await).await;
        assert_eq!(store.diff("a", "s", number).await.unwrap().unwrap().diff, by(won));
        winner(async |_| store.delete_diff("a", "s", number).await).await;
        assert_eq!(store.diff("a", "s", number).await.unwrap(), None);
    }
}

pub(super) async fn suspending_a_target(store: &dyn Store) {
    for subtarget in ["", "email", "é", ""] {
        winner(async |_| store.suspend("a", "properties", subtarget).await).await;
        assert!(store.is_suspended("a", "properties", subtarget).await.unwrap());
        winner(async |_| store.resume_target("a", "properties", subtarget).await).await;
        assert!(!store.is_suspended("a", "properties", subtarget).await.unwrap());
    }
}

/// What is deleted while somebody changes it stays deleted.
pub(super) async fn changing_what_is_deleted(store: &dyn Store) {
    use actingweb_maintd::model::row::{ActorChange, PeerTrusteeChange, SubscriptionChange, TrustChange};
    for round in 0..ROUNDS {
        store.create_actor(&actor("a")).await.unwrap();
        store.create_trust(&trust("a", "p")).await.unwrap();
        store.create_peer_trustee(&peer_trustee("a", "p")).await.unwrap();
        store.create_subscription(&subscription("a", "p", "s")).await.unwrap();
        let change = async |writer: i64| {
            let text = Some(by(writer));
            let actor = ActorChange { passphrase: text.clone(), ..ActorChange::default() };
            store.modify_actor("a", &actor).await.unwrap();
            let trust = TrustChange { secret: text.clone(), ..TrustChange::default() };
            store.modify_trust("a", "p", &trust).await.unwrap();
            let peer = PeerTrusteeChange { passphrase: text, ..PeerTrusteeChange::default() };
            store.modify_peer_trustee("a", "p", &peer).await.unwrap();
            let subscription = SubscriptionChange { seqnr: Some(writer), ..SubscriptionChange::default() };
            store.modify_subscription("a", "p", "s", &subscription).await.unwrap();
        };
        let delete = async {
            assert!(store.delete_actor("a").await.unwrap());
            assert!(store.delete_trust("a", "p").await.unwrap());
            assert!(store.delete_peer_trustee("a", "p").await.unwrap());
            assert!(store.delete_subscription("a", "p", "s").await.unwrap());
        };
        futures_util::future::join(join_all((0..WRITERS).map(change)), delete).await;
        assert_eq!(super::fixtures::state(store).await, [] as [String; 0], "round {round}");
    }
}
