use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::json::{self, strategies};
use crate::model::row::{Actor, Attribute, LookupEntry, LookupOwner, Subscription, Suspension, Trust, lookup_key};
use crate::model::{AttributeValue, Item, Row, Source, Unreadable};

fn nowhere(row: Row) -> Record {
    Record::from(row)
}

fn property(id: &str, value: &str) -> Record {
    use crate::model::row::Property;
    nowhere(Row::Property(Property { id: id.to_owned(), name: "n".to_owned(), value: value.to_owned() }))
}

fn attribute(data: Option<&str>) -> Record {
    nowhere(Row::Attribute(Attribute::new("a", "b", "n", data.map(|text| json::parse(text).unwrap()))))
}

fn digest(kind: Kind, records: &[Record]) -> Digest {
    let mut digest = Digest::new(kind);
    for record in records {
        digest.add(record);
    }
    digest
}

/// Whether two records mean the same.
fn same(one: &Record, other: &Record) -> bool {
    canonical::meaning(one) == canonical::meaning(other)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn data_means_what_python_reads_on_either_backend() {
    for (one, other, expected) in [
        (None, Some("null"), true),
        (None, Some("false"), false),
        (Some("null"), Some("\"\""), false),
        (Some("1"), Some("1.0"), true),
        (Some("1"), Some("true"), false),
        (Some("0.0"), Some("-0.0"), true),
        (Some("1.50"), Some("1.5"), true),
        (Some("1"), Some("\"1\""), false),
        // What jsonb makes of floats without a fraction.
        (Some("1e22"), Some("10000000000000000000000"), true),
        (Some("1e+23"), Some("100000000000000000000000"), true),
        (Some("9007199254740993"), Some("9007199254740992"), false),
        (Some("0.1"), Some("0.10000000000000002"), false),
        (Some("NaN"), Some("NaN"), true),
        (Some(r#"{"a": 1, "b": 2}"#), Some(r#"{"b": 2, "a": 1}"#), true),
        (Some(r#"{"a": {"b": 1}}"#), Some(r#"{"a": {}, "b": 1}"#), false),
        (Some("[1, 2]"), Some("[2, 1]"), false),
        (Some("[[], 1]"), Some("[[1]]"), false),
        (Some(r#"["ab", "c"]"#), Some(r#"["a", "bc"]"#), false),
        (Some(r#""\ud83d\ude00""#), Some("\"\u{1f600}\""), true),
        (Some(r#""\ud800""#), Some("\"\u{fffd}\""), false),
    ] {
        assert_eq!(same(&attribute(one), &attribute(other)), expected, "{one:?} {other:?}");
    }
}

#[test]
fn rows_mean_what_both_backends_can_keep() {
    let made = |created_at| nowhere(Row::Actor(Actor { id: "a".into(), created_at, ..Actor::default() }));
    assert!(same(&made(None), &made(Some(at("2026-01-02T03:04:05Z")))));

    let trust = |change: fn(&mut Trust)| {
        let mut trust = Trust { id: "a".into(), peerid: "p".into(), ..Trust::default() };
        change(&mut trust);
        nowhere(Row::Trust(Box::new(trust)))
    };
    let plain = trust(|_| ());
    assert!(same(&plain, &trust(|trust| trust.desc = Some(String::new()))));
    assert!(same(&plain, &trust(|trust| trust.verification_token = Some(String::new()))));
    assert!(same(&plain, &trust(|trust| trust.client_name = Some(String::new()))));
    assert!(!same(&plain, &trust(|trust| trust.client_name = Some("c".into()))));
    assert!(!same(&plain, &trust(|trust| trust.verified = true)));
    assert!(!same(&plain, &trust(|trust| trust.created_at = Some(DateTime::UNIX_EPOCH))));
    let moved = trust(|trust| trust.client_version = Some("c".into()));
    assert!(!same(&trust(|trust| trust.client_name = Some("c".into())), &moved));
    let fine = trust(|trust| trust.last_accessed = Some(at("2026-01-02T03:04:05.000001999Z")));
    assert!(same(&fine, &trust(|trust| trust.last_accessed = Some(at("2026-01-02T03:04:05.000001Z")))));
    assert!(!same(&fine, &trust(|trust| trust.last_accessed = Some(at("2026-01-02T03:04:05.000002Z")))));

    let subscription = |subtarget: Option<&str>, resource: Option<&str>| {
        let optional = |text: Option<&str>| text.map(str::to_owned);
        let new = Subscription::new("a", "p", "s");
        nowhere(Row::Subscription(Subscription { subtarget: optional(subtarget), resource: optional(resource), ..new }))
    };
    assert!(same(&subscription(None, Some("")), &subscription(Some(""), None)));
    assert!(!same(&subscription(None, Some("x")), &subscription(Some("x"), None)));

    let suspension = |target: &str, subtarget: &str| {
        let (target, subtarget) = (target.to_owned(), subtarget.to_owned());
        nowhere(Row::Suspension(Suspension { id: "a".into(), target, subtarget, ..Suspension::default() }))
    };
    assert!(!same(&suspension("a:b", ""), &suspension("a", "b")), "they share a key and differ");

    let entry =
        |owner| nowhere(Row::Lookup(LookupEntry { owner, property_name: "email".into(), actor_id: "a".into() }));
    let key = lookup_key("email", "alice@example.com");
    let by_value = entry(LookupOwner::Value("alice@example.com".into()));
    assert!(same(&by_value, &entry(LookupOwner::Key(key))));
    assert!(!same(&by_value, &entry(LookupOwner::Value("bob@example.com".into()))));
}

/// A record in each backend whose meaning is the given one.
fn stored(source: Source, meaning: Record) -> Record {
    Record { source, ..meaning }
}

#[test]
fn an_exact_digest_sees_what_a_meaning_does_not_tell() {
    let item = |data: &str, more: &[&str]| {
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let mut item = Item::from([("id".into(), s("a")), ("data".into(), s(data))]);
        item.extend(more.iter().map(|name| ((*name).to_owned(), s(""))));
        stored(Source::Dynamodb(item), attribute(Some(data)))
    };
    let column = |data: Option<&str>| {
        stored(Source::Postgresql(vec![Some("a".into()), data.map(str::to_owned)]), attribute(data))
    };
    for (one, other) in [
        (item("1", &[]), item("1.0", &[])),
        (item("1", &[]), item("1", &["unknown"])),
        (column(Some("1")), column(Some("1.0"))),
        (column(None), column(Some("null"))),
        (column(Some("1")), item("1", &[])),
    ] {
        assert!(same(&one, &other));
        assert_ne!(canonical::exact(&one), canonical::exact(&other));
    }
    let set = |elements: [&str; 2]| {
        let elements = AttributeValue::Ss(elements.map(str::to_owned).into());
        stored(Source::Dynamodb(Item::from([("set".into(), elements)])), attribute(None))
    };
    assert_eq!(canonical::exact(&set(["a", "b"])), canonical::exact(&set(["b", "a"])));
}

#[test]
fn a_row_that_nobody_can_read_counts_as_it_is() {
    let unreadable = |text: &str, id: &str| {
        let s = |text: &str| AttributeValue::S(text.to_owned());
        let why = Unreadable { table: Table::Attributes, attribute: "timestamp".into(), why: "is no time".into() };
        let source = Source::Dynamodb(Item::from([("id".into(), s(id)), ("timestamp".into(), s(text))]));
        Record { table: Table::Attributes, source, meaning: Err(why) }
    };
    assert!(same(&unreadable("x", "a"), &unreadable("x", "a")));
    assert!(!same(&unreadable("x", "a"), &unreadable("y", "a")));
    let [one, other] = ["x", "y"].map(|text| digest(Kind::Meaning, &[unreadable(text, "a")]));
    assert_eq!(one.differing(&other).unwrap(), [bucket_of("a")]);
    let columns = vec![Some("email".into()), None, Some("actor".into())];
    let why = Unreadable { table: Table::PropertyLookup, attribute: "value".into(), why: "is missing".into() };
    let record = Record { table: Table::PropertyLookup, source: Source::Postgresql(columns), meaning: Err(why) };
    let empty = Digest::new(Kind::Exact);
    assert_eq!(digest(Kind::Exact, &[record]).differing(&empty).unwrap(), [bucket_of("actor")]);
}

#[test]
fn only_the_buckets_of_what_differs_are_told() {
    let mut rows: Vec<Record> = (0..10_000).map(|n| property(&n.to_string(), "v")).collect();
    let before = digest(Kind::Meaning, &rows);
    assert_eq!(before.count(), 10_000);
    rows[17] = property("17", "w");
    rows.remove(4711);
    rows.push(rows[23].clone());
    let mut expected = ["17", "4711", "23"].map(bucket_of);
    expected.sort_unstable();
    assert_eq!(before.differing(&digest(Kind::Meaning, &rows)).unwrap(), expected);
    let exact = digest(Kind::Exact, &rows);
    assert_eq!(before.differing(&exact), Err(Incomparable));
    assert_eq!(exact.clone().merge(&before), Err(Incomparable));
}

/// If this fails, digests that were stored can no longer be compared: change [`ALGORITHM`] as well.
#[test]
fn the_same_rows_have_the_same_digest_for_ever() {
    let text = r#"{"z": [1, 1.5, true, null], "a": {"\u00e9": "\ud800"}}"#;
    let digest = digest(Kind::Meaning, &[attribute(Some(text)), property("a", "v"), property("b", "v")]);
    let written = serde_json::to_string(&digest).unwrap();
    let buckets = r#"{"10e":"1:d2abcf898db427b99268bd7faff47f01","177":"2:425e183a036e2f7a7de5f82601a98f8c"}"#;
    assert_eq!(written, format!(r#"{{"algorithm":"{ALGORITHM}","kind":"meaning","buckets":{buckets}}}"#));
}

#[test]
fn a_digest_from_elsewhere_is_read_only_if_it_is_one() {
    let sum = "0".repeat(32);
    let read = |algorithm: &str, buckets: &str| {
        let text = format!(r#"{{"algorithm": "{algorithm}", "kind": "exact", "buckets": {{{buckets}}}}}"#);
        serde_json::from_str::<Digest>(&text).map_err(|error| error.to_string())
    };
    assert_eq!(read(ALGORITHM, ""), Ok(Digest::new(Kind::Exact)));
    assert_eq!(read(ALGORITHM, &format!(r#""0a3": "2:{sum}""#)).unwrap().count(), 2);
    assert!(read("blake4", "").unwrap_err().contains("make it again"));
    for (index, bucket) in [
        ("a3", format!("2:{sum}")),
        ("0A3", format!("2:{sum}")),
        ("fff0", format!("2:{sum}")),
        ("0a3", format!("0:{sum}")),
        ("0a3", format!("+2:{sum}")),
        ("0a3", "2:0".to_owned()),
        ("0a3", sum.clone()),
    ] {
        assert!(read(ALGORITHM, &format!(r#""{index}": "{bucket}""#)).is_err(), "{index} {bucket}");
    }
}

proptest! {
    #[test]
    fn rows_come_in_any_order_and_in_parts(
        rows in vec(("[a-e]{1,3}", "[a-z]{0,3}"), 0..20).prop_shuffle(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut records: Vec<Record> = rows.iter().map(|(id, value)| property(id, value)).collect();
        let whole = digest(Kind::Meaning, &records);
        records.reverse();
        let (one, other) = records.split_at(at.index(records.len() + 1));
        let mut parts = digest(Kind::Meaning, one);
        parts.merge(&digest(Kind::Meaning, other)).unwrap();
        prop_assert_eq!(&parts, &whole);
        prop_assert_eq!(parts.count(), rows.len() as u64);
        let written = serde_json::to_string(&whole).unwrap();
        prop_assert_eq!(serde_json::from_str::<Digest>(&written).unwrap(), whole);
    }

    /// DynamoDB has the text that Python writes; `jsonb` gives back the same numbers and another order.
    #[test]
    fn data_means_the_same_after_it_was_written(value in strategies::value()) {
        let text = value.to_string();
        prop_assert!(same(&attribute(Some(&text)), &nowhere(Row::Attribute(Attribute::new("a", "b", "n", Some(value))))));
    }

    #[test]
    fn what_differs_in_python_differs_in_meaning(one in strategies::value(), other in strategies::value()) {
        let record = |value| nowhere(Row::Attribute(Attribute::new("a", "b", "n", Some(value))));
        let has_nan = one.to_string().contains("NaN");
        if same(&record(one.clone()), &record(other.clone())) {
            // An integer that is a float's shortest text may be another number to Python.
            prop_assert!(has_nan || one == other || one.to_string().contains("e+"), "{} {}", one, other);
        }
    }
}
