use std::collections::BTreeMap;

use super::*;
use crate::model::json;
use crate::model::row::{
    Actor, Attribute, LookupEntry, PeerTrustee, Property, Subscription, SubscriptionDiff, Suspension,
};

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

/// A row of each table with every text present.
fn full(text: &str) -> Vec<Row> {
    let t = || text.to_owned();
    let some = || Some(text.to_owned());
    vec![
        Row::Actor(Actor { id: t(), creator: t(), passphrase: t(), created_at: None }),
        Row::Property(Property { id: t(), name: t(), value: t() }),
        Row::Lookup(LookupEntry { owner: LookupOwner::Value(t()), property_name: t(), actor_id: t() }),
        Row::Attribute(Attribute { id: t(), bucket_name: t(), bucket: t(), name: t(), ..Attribute::default() }),
        Row::Trust(Box::new(Trust {
            id: t(),
            peerid: t(),
            baseuri: t(),
            r#type: t(),
            relationship: t(),
            secret: t(),
            desc: some(),
            verification_token: some(),
            peer_identifier: some(),
            established_via: some(),
            last_connected_via: some(),
            client_name: some(),
            client_version: some(),
            client_platform: some(),
            oauth_client_id: some(),
            aw_supported: some(),
            aw_version: some(),
            ..Trust::default()
        })),
        Row::PeerTrustee(PeerTrustee { id: t(), peerid: t(), baseuri: t(), r#type: t(), passphrase: t() }),
        Row::Subscription(Subscription {
            id: t(),
            peer_sub_id: t(),
            peerid: t(),
            subid: t(),
            granularity: some(),
            target: some(),
            subtarget: some(),
            resource: some(),
            ..Subscription::default()
        }),
        Row::Diff(SubscriptionDiff { id: t(), subid_seqnr: t(), subid: t(), diff: t(), ..SubscriptionDiff::default() }),
        Row::Suspension(Suspension { id: t(), target: t(), subtarget: t(), ..Suspension::default() }),
    ]
}

#[test]
fn every_column_of_text_and_of_time_is_looked_at() {
    for row in full("") {
        let columns = postgresql_columns(row.table()).iter();
        let mut expected: Vec<_> = columns
            .filter(|column| matches!(column.r#type, ColumnType::Varchar(_) | ColumnType::Text))
            .map(|column| column.name)
            .collect();
        let mut found: Vec<_> = texts(&row).into_iter().map(|(name, _)| name).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let far = DateTime::<Utc>::MAX_UTC;
    let trust = Trust { created_at: Some(far), ..Trust::default() };
    for (row, attribute) in [
        (Row::Actor(Actor { created_at: Some(far), ..Actor::default() }), "created_at"),
        (Row::Attribute(Attribute { timestamp: Some(far), ..Attribute::default() }), "timestamp"),
        (Row::Trust(Box::new(trust)), "created_at"),
        (Row::Trust(Box::new(Trust { last_accessed: Some(far), ..Trust::default() })), "last_accessed"),
        (
            Row::Trust(Box::new(Trust { capabilities_fetched_at: Some(far), ..Trust::default() })),
            "capabilities_fetched_at",
        ),
        (Row::Diff(SubscriptionDiff { timestamp: far, ..SubscriptionDiff::default() }), "timestamp"),
        (Row::Suspension(Suspension { suspended_at: far, ..Suspension::default() }), "suspended_at"),
    ] {
        let violation = Violation { table: row.table(), attribute, rule: Rule::Year };
        assert_eq!(for_python(&row), Err(violation));
        assert_eq!(for_postgresql(&row), Err(violation));
    }
}

#[test]
fn postgresql_counts_characters_and_has_no_place_for_nul() {
    // Two bytes each.
    for row in full(&"é".repeat(50)) {
        assert_eq!(for_postgresql(&row), Ok(()));
    }
    for row in full(&"é".repeat(256)) {
        let Violation { rule, .. } = for_postgresql(&row).unwrap_err();
        assert_eq!(rule, Rule::TooLong { chars: 256, limit: 255 });
    }
    for row in full("a\0") {
        assert_eq!(for_postgresql(&row).unwrap_err().rule, Rule::Nul);
    }
    let version = |length| {
        let aw_version = Some("1".repeat(length));
        for_postgresql(&Row::Trust(Box::new(Trust { aw_version, ..Trust::default() })))
    };
    assert_eq!(version(50), Ok(()));
    let violation = version(51).unwrap_err();
    assert_eq!(violation.to_string(), "trusts: aw_version has 51 characters and the column takes 50: shorten it");
    // Neither the names nor the values of properties have a limit, nor has an escape of U+0000.
    let long = Property { id: "a".into(), name: "é".repeat(10_000), value: "\\u0000".repeat(1_000_000) };
    assert_eq!(for_postgresql(&Row::Property(long)), Ok(()));
}

#[test]
fn postgresql_has_its_numbers_and_its_json() {
    for (seqnr, rule) in [
        (i64::from(i32::MAX), None),
        (i64::from(i32::MAX) + 1, Some(Rule::OutOfRange)),
        (i64::from(i32::MIN) - 1, Some(Rule::OutOfRange)),
    ] {
        let diff = Row::Diff(SubscriptionDiff { seqnr, ..SubscriptionDiff::default() });
        let subscription = Row::Subscription(Subscription { seqnr, ..Subscription::default() });
        for row in [diff, subscription] {
            assert_eq!(for_postgresql(&row).err().map(|violation| violation.rule), rule);
        }
    }
    for (data, rule) in [
        (r#"{"a": [1e300, "\\u0000"]}"#, None),
        (r#"{"a": ["\u0000"]}"#, Some(Rule::Jsonb(Unfit::Nul))),
        ("[Infinity]", Some(Rule::Jsonb(Unfit::Infinite))),
    ] {
        let row = Row::Attribute(Attribute::new("a", "b", "n", Some(json::parse(data).unwrap())));
        assert_eq!(for_postgresql(&row).err().map(|violation| violation.rule), rule);
    }
    let ttl_timestamp = Some(i64::MAX);
    assert_eq!(for_postgresql(&Row::Attribute(Attribute { ttl_timestamp, ..Attribute::default() })), Ok(()));
    let entry =
        LookupEntry { owner: LookupOwner::Key("00".into()), property_name: "email".into(), actor_id: "a".into() };
    assert_eq!(for_postgresql(&Row::Lookup(entry)).unwrap_err().rule, Rule::ValueUnknown);
}

#[test]
fn keys_of_dynamodb_are_texts_of_some_bytes() {
    let check = |id: AttributeValue, name: AttributeValue| {
        let item = item([("id", id), ("name", name), ("value", s(""))]);
        for_item(Table::Properties, &item, false).err().map(|violation| (violation.attribute, violation.rule))
    };
    assert_eq!(check(s(&"é".repeat(1024)), s(&"é".repeat(512))), None);
    let too_long = |bytes, limit| Rule::KeyTooLong { bytes, limit };
    assert_eq!(check(s(&"é".repeat(1025)), s("n")), Some(("id", too_long(2050, 2048))));
    assert_eq!(check(s("a"), s(&"é".repeat(513))), Some(("name", too_long(1026, 1024))));
    assert_eq!(check(s(""), s("n")), Some(("id", Rule::Empty)));
    assert_eq!(check(s("a"), s("")), Some(("name", Rule::Empty)));
    assert_eq!(check(s("a"), AttributeValue::N("1".into())), Some(("name", Rule::NotText)));
    assert_eq!(for_item(Table::Actors, &Item::new(), false).unwrap_err().rule, Rule::NotText);
}

#[test]
fn what_dynamodb_has_an_index_on_is_a_key_too() {
    let check = |table, attribute, value, legacy| {
        let keys = item([("id", s("a")), ("name", s("n")), ("peerid", s("p")), (attribute, value)]);
        for_item(table, &keys, legacy).err().map(|violation| (violation.attribute, violation.rule))
    };
    for (table, attribute, legacy) in
        [(Table::Actors, "creator", false), (Table::Trusts, "secret", false), (Table::Properties, "value", true)]
    {
        assert_eq!(check(table, attribute, s(&"a".repeat(2048)), legacy), None);
        assert_eq!(check(table, "passphrase", s(""), legacy), None, "without the attribute");
        assert_eq!(check(table, attribute, s(""), legacy), Some((attribute, Rule::Empty)));
        assert_eq!(check(table, attribute, AttributeValue::Null(true), legacy), Some((attribute, Rule::NotText)));
        let rule = Rule::IndexKeyTooLong { bytes: 2049, limit: 2048 };
        assert_eq!(check(table, attribute, s(&"a".repeat(2049)), legacy), Some((attribute, rule)));
    }
    assert_eq!(check(Table::Properties, "value", s(&"a".repeat(2049)), false), None);
}

#[test]
fn items_are_measured_as_aws_does() {
    let n = |number: &str| AttributeValue::N(number.to_owned());
    for (value, size) in [
        (s("é"), 2),
        (n("0"), 1),
        (n("1"), 2),
        (n("100"), 2),
        (n("1795365796"), 6),
        (n("-12.50"), 3),
        (n("1.5E+40"), 2),
        (AttributeValue::B(vec![0; 5]), 5),
        (AttributeValue::Bool(false), 1),
        (AttributeValue::Null(true), 1),
        (AttributeValue::Ss(vec!["ab".into(), "c".into()]), 3),
        (AttributeValue::Ns(vec!["1".into(), "1234".into()]), 5),
        (AttributeValue::Bs(vec![vec![1], vec![1, 2]]), 3),
        (AttributeValue::L(Vec::new()), 3),
        (AttributeValue::L(vec![s("ab"), s("c")]), 8),
        (AttributeValue::M(BTreeMap::from([("k".into(), s("ab"))])), 7),
    ] {
        assert_eq!(item_size(&item([("näme", value.clone())])), 5 + size, "{value:?}");
    }
    let large = |length| item([("id", s("a")), ("name", s("n")), ("value", s(&"v".repeat(length)))]);
    // The names have 11 bytes, the keys two.
    assert_eq!(for_item(Table::Properties, &large(MAX_ITEM - 13), false), Ok(()));
    let violation = for_item(Table::Properties, &large(MAX_ITEM - 12), false).unwrap_err();
    let text = "properties: the item has 409601 bytes, names included, and DynamoDB takes 409600: split the value";
    assert_eq!(violation.to_string(), text);
}
