//! Attributes that are changed only where something certain stands.

use actingweb_maintd::model::Table;
use actingweb_maintd::model::json::{Value, parse};
use actingweb_maintd::model::row::TTL_CLOCK_SKEW_BUFFER;
use actingweb_maintd::storage::{AttributeKey, NewValue, Store};

use super::fixtures::{NASTY, at, int, key, object, plain, state, text};

const KEY: AttributeKey<'_> = key("a", "bucket", "name");

async fn set(store: &dyn Store, data: &Value) {
    store.set_attribute(KEY, &plain(data)).await.unwrap();
}

async fn swap(store: &dyn Store, expected: &Value, data: &Value) -> bool {
    store.swap_attribute(KEY, expected, &plain(data)).await.unwrap()
}

pub(super) async fn a_swap_never_makes_one(store: &dyn Store) {
    for expected in [Value::Null, text(""), int(1), Value::Object(Vec::new())] {
        assert!(!swap(store, &expected, &int(2)).await);
    }
    set(store, &int(1)).await;
    assert!(store.delete_attribute(KEY).await.unwrap());
    assert!(!swap(store, &int(1), &int(2)).await);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 0);
}

pub(super) async fn a_swap_wants_what_python_finds_equal(store: &dyn Store) {
    let stands = |json: &str| parse(json).unwrap();
    for (stored, expected, equal) in [
        (r#"{"b": 1, "a": [1, 2]}"#, r#"{"a": [1, 2], "b": 1}"#, true),
        (r#"{"b": 1, "a": [1, 2]}"#, r#"{"a": [2, 1], "b": 1}"#, false),
        (r#"{"b": 1, "a": 2}"#, r#"{"b": 1}"#, false),
        (r#"{"b": 1}"#, r#"{"b": 1, "a": null}"#, false),
        (r#"{"deep": {"y": 1, "x": {"q": [], "p": {}}}}"#, r#"{"deep": {"x": {"p": {}, "q": []}, "y": 1}}"#, true),
        ("1", "1.0", true),
        ("[1.0]", "[1]", true),
        ("1", "true", true),
        (r#"{"n": true}"#, r#"{"n": 1}"#, true),
        ("1", "2", false),
        ("1", r#""1""#, false),
        ("1.5", "1.50", true),
        ("100", "1e2", true),
        ("0.1", "0.1", true),
        ("0.1", "0.10000000000000001", true),
        ("1e22", "1e22", true),
        ("1e23", "1e23", true),
        ("1.7976931348623157e308", "1.7976931348623157e308", true),
        ("5e-324", "5e-324", true),
        ("123456789012345678901234567890", "123456789012345678901234567890", true),
        ("123456789012345678901234567890", "123456789012345678901234567891", false),
        (r#""é""#, r#""\u00e9""#, true),
        (r#""é""#, r#""e\u0301""#, false),
        (r#""\ud83d\ude00""#, "\"\u{1f600}\"", true),
        (r#"{"é\"\\": "\n\t\u007f"}"#, r#"{"é\"\\": "\n\t\u007f"}"#, true),
    ] {
        let (before, other) = (stands(stored), text("swapped"));
        set(store, &before).await;
        assert_eq!(swap(store, &stands(expected), &other).await, equal, "{expected} where {stored} stands");
        let now = store.attribute(KEY).await.unwrap().unwrap().data.unwrap();
        if equal {
            assert_eq!(now, other);
        } else {
            super::values::assert_same_value(store.backend(), &now, &before);
        }
    }
}

pub(super) async fn every_text_can_be_expected(store: &dyn Store) {
    for nasty in NASTY {
        let at_key = key(nasty, nasty, nasty);
        let value = object(&[(nasty, text(nasty)), ("n", Value::Array(vec![text(nasty), Value::Null]))]);
        store.set_attribute(at_key, &plain(&value)).await.unwrap();
        assert!(!store.swap_attribute(at_key, &text(nasty), &plain(&int(1))).await.unwrap());
        assert!(store.swap_attribute(at_key, &value, &plain(&text(nasty))).await.unwrap());
        assert!(store.swap_attribute(at_key, &text(nasty), &plain(&value)).await.unwrap());
        assert!(store.delete_attribute(at_key).await.unwrap());
    }
}

pub(super) async fn what_is_read_can_be_expected(store: &dyn Store) {
    let mut last = object(&[("z", Value::Float(1e16)), ("a", Value::Float(-0.5)), ("used", Value::Bool(false))]);
    set(store, &last).await;
    for round in 0..4 {
        let read = store.attribute(KEY).await.unwrap().unwrap().data.unwrap();
        last = object(&[("round", int(round)), ("before", read.clone())]);
        assert!(swap(store, &read, &last).await, "round {round}");
    }
}

/// The library on PostgreSQL takes the time away.
pub(super) async fn what_a_swap_does_not_name_stays(store: &dyn Store) {
    let first = NewValue { data: &int(1), timestamp: Some(at(1)), ttl_seconds: Some(60) };
    store.set_attribute(KEY, &first).await.unwrap();
    let before = store.attribute(KEY).await.unwrap().unwrap();
    assert!(swap(store, &int(1), &int(2)).await);
    let after = store.attribute(KEY).await.unwrap().unwrap();
    assert_eq!((after.timestamp, after.ttl_timestamp), (Some(at(1)), before.ttl_timestamp));
    assert_eq!(after.data, Some(int(2)));

    let later = NewValue { data: &int(3), timestamp: Some(at(2)), ttl_seconds: Some(6000) };
    let now = store.time().await.unwrap().timestamp();
    assert!(store.swap_attribute(KEY, &int(2), &later).await.unwrap());
    let after = store.attribute(KEY).await.unwrap().unwrap();
    assert_eq!(after.timestamp, Some(at(2)));
    let ends = after.ttl_timestamp.unwrap() - now - TTL_CLOCK_SKEW_BUFFER;
    assert!((6000..6060).contains(&ends), "{ends}");
    assert!(!store.swap_attribute(KEY, &int(2), &first).await.unwrap());
    assert_eq!(store.attribute(KEY).await.unwrap().unwrap(), after);
}

pub(super) async fn a_swap_changes_one_row(store: &dyn Store) {
    set(store, &int(1)).await;
    for other in [key("a", "bucket", "name2"), key("a", "bucket2", "name"), key("b", "bucket", "name")] {
        store.set_attribute(other, &plain(&int(1))).await.unwrap();
    }
    assert!(swap(store, &int(1), &int(2)).await);
    let left = state(store).await;
    assert_eq!(left.len(), 4);
    assert_eq!(store.bucket("a", "bucket").await.unwrap().iter().filter(|row| row.data == Some(int(2))).count(), 1);
}

/// What has expired can be swapped, as the library does: only who reads decides by the TTL.
pub(super) async fn an_expired_one_is_swapped_like_any(store: &dyn Store) {
    let expired = NewValue { data: &int(1), timestamp: None, ttl_seconds: Some(-TTL_CLOCK_SKEW_BUFFER - 60) };
    store.set_attribute(KEY, &expired).await.unwrap();
    assert!(swap(store, &int(1), &int(2)).await);
    assert_eq!(store.live_attribute(KEY).await.unwrap(), None);
    assert_eq!(store.attribute(KEY).await.unwrap().unwrap().data, Some(int(2)));
}
