//! What only DynamoDB has: items as the library writes them, rows that it cannot read, and its ways
//! of finding things.

use std::collections::HashMap;
use std::sync::Arc;

use actingweb_maintd::model::row::{
    Actor, PeerTrustee, Property, Subscription, SubscriptionChange, SubscriptionDiff, Trust, TrustChange, subid_seqnr,
};
use actingweb_maintd::model::{Indexing, Table, json, wire};
use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::storage::{
    Actors, AttributeKey, Attributes, Bulk, ErrorKind, Indexed, Lookup, NewValue, PeerTrustees, Place, Properties,
    Segment, SubscriptionDiffs, Subscriptions, Suspensions, Trusts,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use crate::harness::dynamodb::{Item, TestTables};

async fn tables() -> (TestTables, Arc<DynamoDb>) {
    let tables = TestTables::empty().await;
    let store = tables.store();
    store.apply_schema(true).await.unwrap();
    (tables, store)
}

/// An item from the form in which the protocol spells it.
fn item(text: &str) -> Item {
    let values: HashMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let values = values.into_iter().map(|(name, value)| {
        let (r#type, value) = value.as_object().unwrap().iter().next().unwrap();
        let value = match (r#type.as_str(), value) {
            ("S", text) => AttributeValue::S(text.as_str().unwrap().to_owned()),
            ("N", number) => AttributeValue::N(number.as_str().unwrap().to_owned()),
            ("BOOL", truth) => AttributeValue::Bool(truth.as_bool().unwrap()),
            ("NULL", _) => AttributeValue::Null(true),
            other => panic!("{other:?}"),
        };
        (name, value)
    });
    values.collect()
}

fn key<'a>(bucket: &'a str, name: &'a str) -> AttributeKey<'a> {
    AttributeKey { id: "1111", bucket, name }
}

fn value(data: &json::Value) -> NewValue<'_> {
    NewValue { data, timestamp: None, ttl_seconds: None }
}

fn property(id: &str, name: &str, value: &str) -> Property {
    Property { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() }
}

fn diff(subid: &str, seqnr: i64) -> SubscriptionDiff {
    SubscriptionDiff {
        id: "1111".to_owned(),
        subid_seqnr: subid_seqnr(subid, seqnr),
        subid: subid.to_owned(),
        timestamp: wire::parse_time("2026-11-22T14:43:15.484670+0000").unwrap(),
        diff: format!(r#"{{"x": {seqnr}}}"#),
        seqnr,
    }
}

#[tokio::test]
async fn items_are_written_exactly_as_the_library_writes_them() {
    let (tables, store) = tables().await;
    let actor =
        Actor { id: "1111".into(), creator: "Alice@Example.com".into(), passphrase: "pw".into(), ..Actor::default() };
    assert!(store.create_actor(&actor).await.unwrap());
    assert_eq!(
        tables.raw(Table::Actors, "1111", None).await.unwrap(),
        item(r#"{"id":{"S":"1111"},"creator":{"S":"alice@example.com"},"passphrase":{"S":"pw"}}"#)
    );

    assert_eq!(store.set_property(&property("1111", "email", "alice@example.com")).await.unwrap(), Indexed::Yes);
    let digest = "7bbad615f82b19fbd522cd0cd2255adf97842ff4a9a57b720a6ef3e912234ba3";
    assert_eq!(
        tables.raw(Table::PropertyLookup, digest, None).await.unwrap(),
        item(&format!(
            r#"{{"lookup_key":{{"S":"{digest}"}},"actor_id":{{"S":"1111"}},"property_name":{{"S":"email"}}}}"#
        ))
    );

    let text =
        r#"{"b": 1, "a": 2, "expires_at": 123, "f": 1.5, "u": "\u00e9", "nul": "\u0000", "n": null, "inf": Infinity}"#;
    let data = json::parse(text).unwrap();
    let timestamp = wire::parse_time("2026-01-02T03:04:05.000678+0000");
    let stored = NewValue { data: &data, timestamp, ttl_seconds: Some(60) };
    store.set_attribute(key("mcp_tokens", "aw_tok"), &stored).await.unwrap();
    let mut raw = tables.raw(Table::Attributes, "1111", Some("mcp_tokens:aw_tok")).await.unwrap();
    let ttl: i64 = raw.remove("ttl_timestamp").unwrap().as_n().unwrap().parse().unwrap();
    let left = ttl - actingweb_maintd::model::clock::now().timestamp();
    assert!((3600..=3661).contains(&left), "{left}");
    assert_eq!(raw.remove("data").unwrap().as_s().unwrap(), text);
    assert_eq!(
        raw,
        item(
            r#"{"id":{"S":"1111"},"bucket_name":{"S":"mcp_tokens:aw_tok"},"bucket":{"S":"mcp_tokens"},
                "name":{"S":"aw_tok"},"timestamp":{"S":"2026-01-02T03:04:05.000678+0000"}}"#
        )
    );
    // Without an end it has none any more.
    store.set_attribute(key("mcp_tokens", "aw_tok"), &value(&json::Value::Bool(true))).await.unwrap();
    let raw = tables.raw(Table::Attributes, "1111", Some("mcp_tokens:aw_tok")).await.unwrap();
    assert!(!raw.contains_key("ttl_timestamp") && !raw.contains_key("timestamp"), "{raw:?}");

    let created = wire::parse_time("2026-11-22T14:43:16.507406+0000");
    let trust = Trust {
        id: "1111".into(),
        peerid: "peer1".into(),
        baseuri: "https://p/1".into(),
        r#type: "urn:x".into(),
        relationship: "friend".into(),
        secret: "s3cr3t".into(),
        approved: true,
        peer_approved: true,
        established_via: Some("oauth2_client".into()),
        created_at: created,
        ..Trust::default()
    };
    assert!(store.create_trust(&trust).await.unwrap());
    assert_eq!(
        tables.raw(Table::Trusts, "1111", Some("peer1")).await.unwrap(),
        item(
            r#"{"id":{"S":"1111"},"peerid":{"S":"peer1"},"baseuri":{"S":"https://p/1"},"type":{"S":"urn:x"},
                "relationship":{"S":"friend"},"secret":{"S":"s3cr3t"},"desc":{"S":""},"approved":{"BOOL":true},
                "peer_approved":{"BOOL":true},"verified":{"BOOL":false},"verification_token":{"S":""},
                "established_via":{"S":"oauth2_client"},"created_at":{"S":"2026-11-22T14:43:16.507406+0000"},
                "last_accessed":{"S":"2026-11-22T14:43:16.507406+0000"},"last_connected_via":{"S":"oauth"}}"#
        )
    );

    let peer = PeerTrustee {
        id: "1111".into(),
        peerid: "peer9".into(),
        baseuri: "https://p/9".into(),
        r#type: "urn:y".into(),
        passphrase: "pp".into(),
    };
    assert!(store.create_peer_trustee(&peer).await.unwrap());
    assert_eq!(
        tables.raw(Table::PeerTrustees, "1111", Some("peer9")).await.unwrap(),
        item(
            r#"{"id":{"S":"1111"},"peerid":{"S":"peer9"},"baseuri":{"S":"https://p/9"},"type":{"S":"urn:y"},
                "passphrase":{"S":"pp"}}"#
        )
    );

    let subscription = Subscription {
        granularity: Some("high".into()),
        target: Some("properties".into()),
        subtarget: Some(String::new()),
        ..Subscription::new("1111", "peer1", "sub1")
    };
    assert!(store.create_subscription(&subscription).await.unwrap());
    let raw = item(
        r#"{"id":{"S":"1111"},"peer_sub_id":{"S":"peer1:sub1"},"peerid":{"S":"peer1"},"subid":{"S":"sub1"},
            "granularity":{"S":"high"},"target":{"S":"properties"},"seqnr":{"N":"0"},"callback":{"BOOL":false}}"#,
    );
    assert_eq!(tables.raw(Table::Subscriptions, "1111", Some("peer1:sub1")).await.unwrap(), raw);

    assert!(store.create_diff(&diff("sub1", 10)).await.unwrap());
    assert_eq!(
        tables.raw(Table::SubscriptionDiffs, "1111", Some("sub1:10")).await.unwrap(),
        item(
            r#"{"id":{"S":"1111"},"subid_seqnr":{"S":"sub1:10"},"subid":{"S":"sub1"},
                "timestamp":{"S":"2026-11-22T14:43:15.484670+0000"},"diff":{"S":"{\"x\": 10}"},"seqnr":{"N":"10"}}"#
        )
    );

    assert!(store.suspend("1111", "properties", "email").await.unwrap());
    let mut raw = tables.raw(Table::SubscriptionSuspensions, "1111", Some("properties:email")).await.unwrap();
    assert_eq!(raw.remove("suspended_at").unwrap().as_s().unwrap().len(), 31);
    assert_eq!(
        raw,
        item(
            r#"{"id":{"S":"1111"},"target_key":{"S":"properties:email"},"target":{"S":"properties"},
                "subtarget":{"S":"email"}}"#
        )
    );
    assert!(store.suspend("1111", "properties", "").await.unwrap());
    let raw = tables.raw(Table::SubscriptionSuspensions, "1111", Some("properties")).await.unwrap();
    assert!(!raw.contains_key("subtarget"), "{raw:?}");
}

#[tokio::test]
async fn what_nobody_knows_survives_a_change() {
    let (tables, store) = tables().await;
    let raw = item(
        r#"{"id":{"S":"1111"},"peer_sub_id":{"S":"p:s"},"peerid":{"S":"p"},"subid":{"S":"s"},"target":{"S":"t"},
            "seqnr":{"N":"3"},"callback":{"BOOL":false},"more":{"S":"of it"},"resource":{"NULL":true}}"#,
    );
    tables.put_raw(Table::Subscriptions, raw.clone()).await;
    let change = SubscriptionChange { seqnr: Some(4), target: Some(String::new()), ..SubscriptionChange::default() };
    assert!(store.modify_subscription("1111", "p", "s", &change).await.unwrap());
    let mut expected = raw;
    expected.insert("seqnr".to_owned(), AttributeValue::N("4".to_owned()));
    expected.remove("target");
    assert_eq!(tables.raw(Table::Subscriptions, "1111", Some("p:s")).await.unwrap(), expected);
    assert_eq!(store.subscription("1111", "p", "s").await.unwrap().unwrap().resource, None);
    assert!(!store.modify_subscription("1111", "p", "other", &change).await.unwrap());
    assert!(store.modify_subscription("1111", "p", "s", &SubscriptionChange::default()).await.unwrap());
    assert!(!store.modify_subscription("1111", "p", "other", &SubscriptionChange::default()).await.unwrap());

    let records = store.read_all(Table::Subscriptions, "1111").await.unwrap();
    assert_eq!(store.delete_subscriptions("1111").await.unwrap(), 1);
    store.write(&records).await.unwrap();
    assert_eq!(tables.raw(Table::Subscriptions, "1111", Some("p:s")).await.unwrap(), expected);
}

#[tokio::test]
async fn rows_that_the_library_cannot_read_are_told_apart_and_never_lost() {
    let (tables, store) = tables().await;
    let strange = [
        (
            Table::Trusts,
            "approved",
            r#"{"id":{"S":"1111"},"peerid":{"S":"p"},"secret":{"S":"s"},"approved":{"N":"1"}}"#,
        ),
        (
            Table::Attributes,
            "timestamp",
            r#"{"id":{"S":"1111"},"bucket_name":{"S":"b:n"},"bucket":{"S":"b"},"name":{"S":"n"},
                "timestamp":{"S":"2026-01-02T03:04:05Z"}}"#,
        ),
        (
            Table::SubscriptionDiffs,
            "seqnr",
            r#"{"id":{"S":"1111"},"subid_seqnr":{"S":"s:1"},"subid":{"S":"s"},"diff":{"S":""},"seqnr":{"S":"1"},
                "timestamp":{"S":"2026-11-22T14:43:15.484670+0000"}}"#,
        ),
    ];
    for (table, attribute, raw) in strange {
        let raw = item(raw);
        tables.put_raw(table, raw.clone()).await;
        let stretch = store.scan(table, Segment::WHOLE, &Place::default(), 10).await.unwrap();
        let [record] = stretch.records.as_slice() else { panic!("{table}: {stretch:?}") };
        let why = record.meaning.as_ref().unwrap_err();
        assert_eq!((why.table, why.attribute.as_str()), (table, attribute));
        store.write(&stretch.records).await.unwrap();
        assert_eq!(tables.dump(&tables.name(table)).await, [raw]);
    }
    let error = store.trust("1111", "p").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Other);
    assert_eq!(error.chain(), "dynamodb: cannot read a trust: trusts: approved is neither true nor false");
    let error = store.bucket("1111", "b").await.unwrap_err();
    assert!(error.chain().contains("timestamp is not a time"), "{}", error.chain());
    // They can still be deleted.
    assert!(store.delete_attribute(key("b", "n")).await.unwrap());
    assert_eq!(store.delete_trusts("1111").await.unwrap(), 1);
}

#[tokio::test]
async fn older_ways_to_find_an_actor_are_tried_where_they_exist() {
    let tables = TestTables::empty().await;
    let legacy = tables.indexed(Indexing { by_table: false, ..Indexing::default() });
    legacy.apply_schema(true).await.unwrap();
    for (id, name) in [("2", "email"), ("1", "email"), ("0", "other")] {
        assert_eq!(legacy.set_property(&property(id, name, "a@b")).await.unwrap(), Indexed::No);
    }
    assert_eq!(legacy.actor_by_property("email", "a@b").await.unwrap().as_deref(), Some("1"));
    let too_long = property("1", "email", &"x".repeat(2049));
    assert_eq!(legacy.set_property(&too_long).await.unwrap_err().kind, ErrorKind::Limit);

    let store = tables.store();
    assert_eq!(store.actor_by_property("email", "a@b").await.unwrap().as_deref(), Some("1"));
    let part = |name: &str, r#type| KeySchemaElement::builder().attribute_name(name).key_type(r#type).build().unwrap();
    let text = |name: &str| {
        let text = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        text.build().unwrap()
    };
    let first = format!("{}_property_lookup", tables.prefix());
    let create = tables.client().create_table().table_name(&first).billing_mode(BillingMode::PayPerRequest);
    let create = create.key_schema(part("property_name", KeyType::Hash)).key_schema(part("value", KeyType::Range));
    create.attribute_definitions(text("property_name")).attribute_definitions(text("value")).send().await.unwrap();
    let put = tables.client().put_item().table_name(&first);
    let entry = r#"{"property_name":{"S":"email"},"value":{"S":"a@b"},"actor_id":{"S":"2"}}"#;
    put.set_item(Some(item(entry))).send().await.unwrap();
    assert_eq!(tables.store().actor_by_property("email", "a@b").await.unwrap().as_deref(), Some("2"));
    // A newer entry counts before it.
    assert!(store.create_lookup("email", "a@b", "1").await.unwrap());
    assert_eq!(store.actor_by_property("email", "a@b").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn indexes_find_and_what_they_find_is_looked_at_again() {
    let (_tables, store) = tables().await;
    for id in ["b", "a"] {
        let actor = Actor { id: id.into(), creator: "me@x".into(), ..Actor::default() };
        assert!(store.create_actor(&actor).await.unwrap());
    }
    let found = store.actors_by_creator("ME@x").await.unwrap();
    assert_eq!(found.iter().map(|actor| actor.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(store.actors_by_creator("").await.unwrap(), []);
    for (id, peerid) in [("1", "q"), ("1", "p"), ("2", "a")] {
        let trust = Trust { id: id.into(), peerid: peerid.into(), secret: "s".into(), ..Trust::default() };
        assert!(store.create_trust(&trust).await.unwrap());
    }
    assert_eq!(store.trust_by_secret("1", "s").await.unwrap().unwrap().peerid, "p");
    assert_eq!(store.trust_by_secret("3", "s").await.unwrap(), None);
    assert_eq!(store.trust_by_secret("1", "").await.unwrap(), None);
    let change = TrustChange { secret: Some(String::new()), ..TrustChange::default() };
    assert_eq!(store.modify_trust("1", "p", &change).await.unwrap_err().kind, ErrorKind::Limit);
    let via = Some("  ".to_owned());
    let change = TrustChange { last_connected_via: via, verified: Some(true), ..TrustChange::default() };
    assert!(store.modify_trust("1", "p", &change).await.unwrap());
    assert_eq!(store.trust("1", "p").await.unwrap().unwrap().last_connected_via, None);
}
