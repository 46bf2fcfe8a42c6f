//! What an attribute cannot be.

use actingweb_maintd::model::json::{Text, Value};
use actingweb_maintd::model::row::{Attribute, SubscriptionDiff, Trust, TrustChange};
use actingweb_maintd::model::{BackendKind, Row, Table};
use actingweb_maintd::storage::{AttributeKey, NewValue, Store};
use chrono::DateTime;

use super::fixtures::{diff, incompressible, int, key, object, plain, refused, text, trust};
use super::values::assert_same_value;

const TABLE: Table = Table::Attributes;

async fn is_kept(store: &dyn Store, key: AttributeKey<'_>, data: &Value) {
    store.set_attribute(key, &plain(data)).await.unwrap();
    let read = store.attribute(key).await.unwrap().and_then(|row| row.data).expect("it is there");
    assert_same_value(store.backend(), &read, data);
    assert!(store.delete_attribute(key).await.unwrap());
}

pub(super) async fn a_key_that_does_not_fit_is_refused(store: &dyn Store) {
    let (most, half) = ("é".repeat(255), "é".repeat(127));
    let (more, token) = ("é".repeat(256), "t0ken".repeat(60));
    is_kept(store, key(&most, &half, &half), &int(1)).await;
    let long = [
        ("id", key(&more, "bucket", "name")),
        ("bucket", key("a", &more, "name")),
        ("bucket_name", key("a", &half, &half[2..])),
        ("name", key("a", "bucket", &token)),
        ("name", key("a", "bucket", "t0ken\0t0ken")),
    ];
    for (attribute, key) in long {
        // That of the third is 254 characters long: it fits.
        if store.backend() == BackendKind::Dynamodb || attribute == "bucket_name" {
            is_kept(store, key, &int(1)).await;
            continue;
        }
        refused(store, (TABLE, attribute, "t0ken"), store.set_attribute(key, &plain(&int(1)))).await;
    }
    // Both parts fit, and together they do not.
    let (bucket, name) = ("b".repeat(200), "t0ken".repeat(20));
    let together = key("a", &bucket, &name);
    let (large_id, large_name) = ("x".repeat(2049), "t0ken".repeat(250));
    match store.backend() {
        BackendKind::Postgresql => {
            refused(store, (TABLE, "bucket_name", "t0ken"), store.set_attribute(together, &plain(&int(1)))).await;
        }
        BackendKind::Dynamodb => is_kept(store, together, &int(1)).await,
    }
    refused(store, (TABLE, "id", "xxx"), store.set_attribute(key(&large_id, "b", "n"), &plain(&int(1)))).await;
    let large = key("a", "bucket", &large_name);
    refused(store, (TABLE, "name", "t0ken"), store.set_attribute(large, &plain(&int(1)))).await;
}

pub(super) async fn no_id_is_none_where_that_cannot_be_stored(store: &dyn Store) {
    let empty = key("", "bucket", "name");
    match store.backend() {
        BackendKind::Postgresql => is_kept(store, empty, &int(1)).await,
        BackendKind::Dynamodb => refused(store, (TABLE, "id", ""), store.set_attribute(empty, &plain(&int(1)))).await,
    }
    // An empty bucket and an empty name still make a key: the colon.
    is_kept(store, key("a", "", ""), &int(1)).await;
}

pub(super) async fn what_jsonb_cannot_hold_is_refused_by_postgresql(store: &dyn Store) {
    let lone = Value::String(Text::Surrogates(vec![0x48, 0xd800, 0x49]));
    let odd = [
        ("h1dden", text("h1dden\0")),
        ("h1dden", object(&[("h1dden\0", int(1))])),
        ("", lone.clone()),
        ("", Value::Object(vec![(Text::Surrogates(vec![0xdc00]), int(1))])),
        ("h1dden", Value::Array(vec![text("h1dden"), lone])),
        ("", Value::Float(f64::INFINITY)),
        ("h1dden", object(&[("h1dden", Value::Array(vec![Value::Float(f64::NEG_INFINITY)]))])),
    ];
    let stands = key("a", "bucket", "stands");
    store.set_attribute(stands, &plain(&int(1))).await.unwrap();
    for (hidden, data) in odd {
        match store.backend() {
            BackendKind::Postgresql => {
                let why = (TABLE, "data", hidden);
                refused(store, why, store.set_attribute(key("a", "bucket", "t0ken"), &plain(&data))).await;
                refused(store, why, store.set_attribute(stands, &plain(&data))).await;
                refused(store, why, store.swap_attribute(stands, &int(1), &plain(&data))).await;
                // Where this is expected, something else stands.
                assert!(!store.swap_attribute(stands, &data, &plain(&int(2))).await.unwrap());
            }
            BackendKind::Dynamodb => {
                is_kept(store, key("a", "bucket", "t0ken"), &data).await;
                assert!(store.swap_attribute(stands, &int(1), &plain(&data)).await.unwrap());
                assert!(store.swap_attribute(stands, &data, &plain(&int(1))).await.unwrap());
            }
        }
    }
}

/// A row that we store must be one that can be read.
pub(super) async fn what_python_cannot_read_is_refused(store: &dyn Store) {
    let nested = |depth| (0..depth).fold(int(1), |inner, _| Value::Array(vec![inner]));
    let (new, stands) = (key("a", "bucket", "t0ken"), key("a", "bucket", "stands"));
    store.set_attribute(stands, &plain(&int(1))).await.unwrap();
    for fits in [Value::Int("1".repeat(4300)), nested(1000)] {
        is_kept(store, new, &fits).await;
    }
    for (hidden, data) in [("1111", Value::Int(format!("-{}", "1".repeat(4301)))), ("", nested(1001))] {
        let why = (TABLE, "data", hidden);
        refused(store, why, store.set_attribute(new, &plain(&data))).await;
        refused(store, why, store.swap_attribute(stands, &int(1), &plain(&data))).await;
        let row = Row::Attribute(Attribute::new("a", "bucket", "t0ken", Some(data)));
        refused(store, why, store.write(&[row.into()])).await;
    }
    let timestamp = DateTime::from_timestamp(253_402_300_800, 0);
    let year_10000 = NewValue { data: &int(2), timestamp, ttl_seconds: None };
    let why = (TABLE, "timestamp", "10000");
    refused(store, why, store.set_attribute(new, &year_10000)).await;
    refused(store, why, store.swap_attribute(stands, &int(1), &year_10000)).await;
    let far = || Trust { created_at: timestamp, ..trust("a", "p") };
    refused(store, (Table::Trusts, "created_at", "10000"), store.create_trust(&far())).await;
    let row = Row::Trust(Box::new(far()));
    refused(store, (Table::Trusts, "created_at", "10000"), store.write(&[row.into()])).await;
    store.create_trust(&trust("a", "p")).await.unwrap();
    let change = TrustChange { capabilities_fetched_at: timestamp, ..TrustChange::default() };
    let why = (Table::Trusts, "capabilities_fetched_at", "10000");
    refused(store, why, store.modify_trust("a", "p", &change)).await;
    let late = SubscriptionDiff { timestamp: timestamp.unwrap(), ..diff("a", "s", 1) };
    refused(store, (Table::SubscriptionDiffs, "timestamp", "10000"), store.create_diff(&late)).await;
}

/// The index on it, which few know of.
pub(super) async fn a_long_chain_id_is_too_much_for_an_index_of_postgresql(store: &dyn Store) {
    let long = incompressible(10_000);
    let data = object(&[("chain_id", text(&long))]);
    match store.backend() {
        BackendKind::Postgresql => {
            let why = (TABLE, "data", &long[..20]);
            refused(store, why, store.set_attribute(key("a", "bucket", "t0ken"), &plain(&data))).await;
        }
        BackendKind::Dynamodb => is_kept(store, key("a", "bucket", "t0ken"), &data).await,
    }
}

pub(super) async fn what_is_not_a_number_is_kept_on_dynamodb_only(store: &dyn Store) {
    let nan = Value::Array(vec![Value::Float(f64::NAN), text("after")]);
    let at_key = key("a", "bucket", "name");
    match store.backend() {
        BackendKind::Postgresql => {
            refused(store, (TABLE, "data", "after"), store.set_attribute(at_key, &plain(&nan))).await;
        }
        BackendKind::Dynamodb => {
            store.set_attribute(at_key, &plain(&nan)).await.unwrap();
            let read = store.attribute(at_key).await.unwrap().unwrap().data.unwrap();
            assert_eq!(read.to_string(), "[NaN, \"after\"]");
        }
    }
}

pub(super) async fn only_dynamodb_has_a_limit_to_a_row(store: &dyn Store) {
    let (large, stands) = (text(&"h1dden".repeat(70_000)), key("a", "bucket", "stands"));
    let new = key("a", "bucket", "t0ken");
    store.set_attribute(stands, &plain(&int(1))).await.unwrap();
    match store.backend() {
        BackendKind::Postgresql => is_kept(store, new, &large).await,
        BackendKind::Dynamodb => {
            let why = (TABLE, "", "h1dden");
            refused(store, why, store.set_attribute(new, &plain(&large))).await;
            refused(store, why, store.set_attribute(stands, &plain(&large))).await;
            refused(store, why, store.swap_attribute(stands, &int(1), &plain(&large))).await;
        }
    }
}

pub(super) async fn deep_and_wide_values_are_kept(store: &dyn Store) {
    let mut deep = int(1);
    for level in 0..200 {
        deep = if level % 2 == 0 { Value::Array(vec![deep]) } else { object(&[("é", deep)]) };
    }
    let names: Vec<String> = (0..2000).map(|n| format!("{:x}", n * 7919 % 2000)).collect();
    let wide = object(&names.iter().map(|name| (&**name, int(1))).collect::<Vec<_>>());
    for data in [deep, wide] {
        is_kept(store, key("a", "bucket", "name"), &data).await;
    }
}
