//! The changes of `modifying.py`, by the traits.

use actingweb_maintd::model::clock;
use actingweb_maintd::model::json;
use actingweb_maintd::model::row::{
    ActorChange, PeerTrusteeChange, Property, SubscriptionChange, SubscriptionDiff, TrustChange, subid_seqnr,
};
use actingweb_maintd::storage::{AttributeKey, Indexed, NewValue, Store, Through};

use super::contents::{self, Contents, data, flag, moment, text, time};
use super::place::Place;

const AT: &str = "2026-03-04T05:06:07.000008";

/// Changes everything that the contents became.
pub(super) async fn modify(place: &Place, contents: &Contents) {
    let store = place.store();
    actors(store, contents).await;
    properties(store, contents).await;
    attributes(store, contents).await;
    trusts(store, contents).await;
    peer_trustees(store, contents).await;
    subscriptions(store, contents).await;
    diffs(store).await;
    suspensions(store).await;
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn actors(store: &dyn Store, contents: &Contents) {
    for row in contents.rows("actors") {
        let actor = store.actor(&text(row, "id")).await.unwrap().expect("an actor");
        assert!(!store.create_actor(&actor).await.unwrap());
        let change = ActorChange {
            creator: some(&(text(row, "creator") + "~")),
            passphrase: some(&(text(row, "passphrase") + "~")),
        };
        assert!(store.modify_actor(&actor.id, &change).await.unwrap(), "{row}");
    }
    let change = ActorChange { creator: some("NEW@example.com"), passphrase: None };
    assert!(store.modify_actor("actor-3", &change).await.unwrap());
    assert!(!store.modify_actor("nobody", &change).await.unwrap());
}

async fn properties(store: &dyn Store, contents: &Contents) {
    for row in contents.rows("properties") {
        let property = contents::property(row);
        let value = property.value.clone();
        assert!(!store.create_property(&property).await.unwrap());
        let changed = Property { value: value.clone() + "~", ..property };
        if ["email", "oauthId", "externalUserId"].contains(&changed.name.as_str()) {
            let indexed = store.set_property(&changed).await.unwrap();
            let is_second = changed.id == "actor-2";
            assert_eq!(indexed, if is_second { Indexed::Taken("actor-1".to_owned()) } else { Indexed::Yes });
            continue;
        }
        let other = value.clone() + " ";
        assert!(!store.swap_property(&changed, &other).await.unwrap());
        assert!(!store.delete_property_if(&changed.id, &changed.name, &other).await.unwrap());
        assert!(store.swap_property(&changed, &value).await.unwrap(), "{row}");
    }
    let id = "actor-1";
    let item = |name: &str, value: &str| Property { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() };
    assert!(store.create_property(&item("list:x-#a1", "{\"new\": true}")).await.unwrap());
    assert!(store.delete_property_if(id, "list:x-#Zz", "{\"k\": 1}~").await.unwrap());
    assert!(!store.delete_property_if(id, "list:x-#Zz", "{\"k\": 1}~").await.unwrap());
    let names = ["list:ü-0", "list:ü-1", "list:ü-7"].map(str::to_owned);
    store.delete_properties(id, &names).await.unwrap();
    assert_eq!(store.set_property(&item("plain", "")).await.unwrap(), Indexed::No);
    assert!(store.delete_property("actor-Zürich-𝄞", "externalUserId").await.unwrap());
}

async fn attributes(store: &dyn Store, contents: &Contents) {
    for row in contents.attributes() {
        let (id, bucket, name) = (text(row, "id"), text(row, "bucket"), text(row, "name"));
        let key = AttributeKey { id: &id, bucket: &bucket, name: &name };
        let (old, one) = (data(row), parsed("1"));
        let new = parsed(&format!("{{\"before\": {old}, \"n\": 1.5}}"));
        let newer = parsed(&format!("{{\"before\": {old}, \"n\": 2}}"));
        let timestamp = time(row, "timestamp");
        let with = |data| NewValue { data, timestamp, ttl_seconds: None };
        assert!(!store.swap_attribute(key, &parsed("{\"other\": 1}"), &with(&one)).await.unwrap());
        assert!(store.swap_attribute(key, &backwards(&old), &with(&new)).await.unwrap(), "{row}");
        assert!(!store.swap_attribute(key, &old, &with(&one)).await.unwrap());
        let ttl_seconds = (bucket == "spa_refresh_tokens").then_some(86400);
        let value = NewValue { data: &newer, timestamp, ttl_seconds };
        assert!(store.swap_attribute(key, &new, &value).await.unwrap(), "{row}");
    }
    let key = |bucket, name| AttributeKey { id: "actor-1", bucket, name };
    let one = parsed("1");
    let plain = |data, ttl_seconds| NewValue { data, timestamp: None, ttl_seconds };
    let lost = key("a", "b:c");
    assert_eq!(store.attribute(lost).await.unwrap(), None);
    assert!(!store.swap_attribute(lost, &parsed("{\"n\": 2}"), &plain(&one, None)).await.unwrap());
    assert!(!store.delete_attribute(lost).await.unwrap());
    let single = key("remote:abc", "x");
    assert!(store.delete_attribute(single).await.unwrap());
    assert!(!store.delete_attribute(single).await.unwrap());
    let chained = parsed("{\"chain_id\": \"chain-3\", \"n\": 1}");
    store.set_attribute(key("types", "int"), &plain(&chained, Some(60))).await.unwrap();
    let nothing = parsed("[]");
    store.set_attribute(key("types", "big"), &plain(&nothing, Some(60))).await.unwrap();
    let buckets = ["types", "remote:abc"].map(str::to_owned);
    assert_eq!(store.delete_chain("actor-1", &buckets, "chain-3", Some("int")).await.unwrap(), 1);
    let endless = parsed("{\"no\": \"end\"}");
    store.set_attribute(key("bücket ☃", "nämé 𝄞"), &plain(&endless, None)).await.unwrap();
}

fn parsed(text: &str) -> json::Value {
    json::parse(text).expect("JSON")
}

/// The same for Python, with all keys in another order.
fn backwards(value: &json::Value) -> json::Value {
    match value {
        json::Value::Array(values) => json::Value::Array(values.iter().map(backwards).collect()),
        json::Value::Object(pairs) => {
            json::Value::Object(pairs.iter().rev().map(|(key, value)| (key.clone(), backwards(value))).collect())
        }
        other => other.clone(),
    }
}

async fn trusts(store: &dyn Store, contents: &Contents) {
    for row in contents.rows("trusts") {
        let change = TrustChange {
            baseuri: some(&(text(row, "baseuri") + "~")),
            secret: some(&(text(row, "secret") + "~")),
            desc: some(&(text(row, "desc") + "~")),
            approved: Some(!flag(row, "approved")),
            peer_approved: Some(!flag(row, "peer_approved")),
            verified: Some(!flag(row, "verified")),
            verification_token: some("vt~"),
            last_accessed: Some(moment(AT)),
            last_connected_via: some("oauth2:interactive"),
            client_name: some("ñ"),
            aw_version: some("9.9"),
            capabilities_fetched_at: Some(moment(AT)),
            ..TrustChange::default()
        };
        assert!(store.modify_trust(&text(row, "id"), &text(row, "peerid"), &change).await.unwrap(), "{row}");
    }
    let change = TrustChange {
        peer_identifier: some("x"),
        established_via: some("trust"),
        created_at: Some(moment(AT)),
        client_version: some("2"),
        client_platform: some("p"),
        oauth_client_id: some("o"),
        aw_supported: some("a,b"),
        ..TrustChange::default()
    };
    assert!(store.modify_trust("actor-2", "actor-1", &change).await.unwrap());
    assert!(!store.modify_trust("actor-2", "nobody", &change).await.unwrap());
}

async fn peer_trustees(store: &dyn Store, contents: &Contents) {
    for row in contents.rows("peertrustees") {
        let change = PeerTrusteeChange {
            baseuri: some(&(text(row, "baseuri") + "~")),
            r#type: some(&(text(row, "type") + "~")),
            passphrase: some("new"),
        };
        assert!(store.modify_peer_trustee(&text(row, "id"), &text(row, "peerid"), &change).await.unwrap(), "{row}");
    }
}

async fn subscriptions(store: &dyn Store, contents: &Contents) {
    for row in contents.rows("subscriptions") {
        let subscription = contents::subscription(row);
        assert!(!store.create_subscription(&subscription).await.unwrap());
        let change = SubscriptionChange {
            seqnr: Some(subscription.seqnr + 1),
            granularity: some("low"),
            callback: Some(!subscription.callback),
            subtarget: some("ß"),
            ..SubscriptionChange::default()
        };
        let (id, peerid, subid) = (&subscription.id, &subscription.peerid, &subscription.subid);
        assert!(store.modify_subscription(id, peerid, subid, &change).await.unwrap(), "{row}");
    }
}

async fn diffs(store: &dyn Store) {
    let (id, subid) = ("actor-1", "sub");
    assert_eq!(store.clear_diffs(id, Some(subid), Through::from_sequence(9)).await.unwrap(), 3);
    assert!(store.delete_diff(id, subid, 12).await.unwrap());
    assert!(!store.delete_diff(id, subid, 12).await.unwrap());
    let diff = SubscriptionDiff {
        id: id.to_owned(),
        subid_seqnr: subid_seqnr(subid, 13),
        subid: subid.to_owned(),
        timestamp: clock::now(),
        diff: "{\"new\": 1}".to_owned(),
        seqnr: 13,
    };
    assert!(store.create_diff(&diff).await.unwrap());
    assert!(!store.create_diff(&diff).await.unwrap());
}

async fn suspensions(store: &dyn Store) {
    assert!(!store.suspend("actor-1", "properties", "email").await.unwrap());
    assert!(store.resume_target("actor-1", "properties", "").await.unwrap());
    assert!(!store.resume_target("actor-1", "properties", "").await.unwrap());
    assert!(store.resume_target("actor-1", "ressources/ü", "a:b").await.unwrap());
    assert!(store.suspend("actor-3", "properties", "").await.unwrap());
}
