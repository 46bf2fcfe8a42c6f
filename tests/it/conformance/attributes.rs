//! Attributes.

use actingweb_maintd::model::json::Value;
use actingweb_maintd::model::row::{Attribute, TTL_CLOCK_SKEW_BUFFER};
use actingweb_maintd::model::{Row, Table};
use actingweb_maintd::storage::{AttributeKey, NewValue, Store};

use super::fixtures::{NASTY, at, int, key, object, plain, state, text};

async fn set(store: &dyn Store, key: AttributeKey<'_>, data: &Value) {
    store.set_attribute(key, &plain(data)).await.unwrap();
}

async fn data(store: &dyn Store, key: AttributeKey<'_>) -> Option<Value> {
    store.attribute(key).await.unwrap().and_then(|attribute| attribute.data)
}

fn names(attributes: &[Attribute]) -> Vec<(&str, &str)> {
    attributes.iter().map(|attribute| (&*attribute.bucket, &*attribute.name)).collect()
}

pub(super) async fn what_was_stored_is_read(store: &dyn Store) {
    let one = object(&[("n", int(1)), ("f", Value::Float(1.5)), ("none", Value::Null), ("u", text("\u{1f600}é"))]);
    for nasty in NASTY {
        for (id, bucket, name) in [(nasty, "bucket", "name"), ("a", nasty, "name"), ("a", "bucket", nasty)] {
            let timestamp = Some(at(5));
            store
                .set_attribute(key(id, bucket, name), &NewValue { data: &one, timestamp, ttl_seconds: None })
                .await
                .unwrap();
            let expected = Attribute { timestamp, ..Attribute::new(id, bucket, name, Some(one.clone())) };
            let read = store.attribute(key(id, bucket, name)).await.unwrap().expect("it is there");
            super::values::assert_same(store.backend(), &Row::Attribute(read), &Row::Attribute(expected));
        }
    }
    assert_eq!(store.attribute(key("a", "bucket", "never there")).await.unwrap(), None);
    assert_eq!(store.attribute(key("a", "Bucket", "é")).await.unwrap(), None);
}

pub(super) async fn a_new_value_replaces_all_of_the_old_one(store: &dyn Store) {
    let at_key = key("a", "bucket", "name");
    let first = NewValue { data: &int(1), timestamp: Some(at(1)), ttl_seconds: Some(60) };
    store.set_attribute(at_key, &first).await.unwrap();
    set(store, at_key, &int(2)).await;
    let read = store.attribute(at_key).await.unwrap().unwrap();
    assert_eq!(read, Attribute::new("a", "bucket", "name", Some(int(2))));
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 1);
}

pub(super) async fn what_python_takes_for_false_deletes(store: &dyn Store) {
    let falsy = [
        Value::Null,
        Value::Bool(false),
        int(0),
        Value::Float(0.0),
        Value::Float(-0.0),
        text(""),
        Value::Array(Vec::new()),
        Value::Object(Vec::new()),
    ];
    for nothing in falsy {
        set(store, key("a", "bucket", "name"), &int(1)).await;
        set(store, key("a", "bucket", "other"), &int(1)).await;
        set(store, key("a", "bucket", "name"), &nothing).await;
        set(store, key("a", "bucket", "never there"), &nothing).await;
        assert_eq!(names(&store.buckets("a").await.unwrap()), [("bucket", "other")], "{nothing:?}");
    }
    for something in [Value::Bool(true), int(-1), text("0"), text("false"), Value::Array(vec![Value::Null])] {
        set(store, key("a", "bucket", "name"), &something).await;
        assert_eq!(data(store, key("a", "bucket", "name")).await, Some(something));
    }
}

pub(super) async fn a_ttl_ends_an_hour_after_it_seems_to(store: &dyn Store) {
    for (name, seconds) in
        [("later", 60), ("in an hour", 0), ("before", -60), ("long ago", -TTL_CLOCK_SKEW_BUFFER - 60)]
    {
        let value = NewValue { data: &int(1), timestamp: None, ttl_seconds: Some(seconds) };
        let before = store.time().await.unwrap().timestamp();
        store.set_attribute(key("a", "bucket", name), &value).await.unwrap();
        let after = store.time().await.unwrap().timestamp();
        let end = store.attribute(key("a", "bucket", name)).await.unwrap().unwrap().ttl_timestamp.unwrap();
        let expected = before + seconds + TTL_CLOCK_SKEW_BUFFER..=after + seconds + TTL_CLOCK_SKEW_BUFFER;
        assert!(expected.contains(&end), "{name}: {end} is not in {expected:?}");
        let live = store.live_attribute(key("a", "bucket", name)).await.unwrap();
        assert_eq!(live.is_some(), name != "long ago", "{name}");
    }
    set(store, key("a", "bucket", "for ever"), &int(1)).await;
    assert!(store.live_attribute(key("a", "bucket", "for ever")).await.unwrap().is_some());
    assert_eq!(store.live_attribute(key("a", "bucket", "never there")).await.unwrap(), None);
    assert_eq!(store.bucket("a", "bucket").await.unwrap().len(), 5, "what has expired is there until it is deleted");
    assert_eq!(store.buckets("a").await.unwrap().len(), 5);
}

pub(super) async fn what_ends_now_is_not_live(store: &dyn Store) {
    let now = store.time().await.unwrap().timestamp();
    let ends = |name: &str, ttl| {
        let attribute = Attribute { ttl_timestamp: Some(ttl), ..Attribute::new("a", "bucket", name, Some(int(1))) };
        Row::Attribute(attribute).into()
    };
    store.write(&[ends("now", now), ends("later", now + 600), ends("in 1970", 1)]).await.unwrap();
    for (name, is_live) in [("now", false), ("later", true), ("in 1970", false)] {
        let live = store.live_attribute(key("a", "bucket", name)).await.unwrap();
        assert_eq!(live.is_some(), is_live, "{name}");
        assert!(store.attribute(key("a", "bucket", name)).await.unwrap().is_some());
    }
}

pub(super) async fn buckets_are_told_apart_exactly(store: &dyn Store) {
    for (bucket, name) in [
        ("remote:abc", "list:x:0"),
        ("remote:abcd", "list:x:0"),
        ("remote", "abc2:x"),
        ("remote:abc:list", "x"),
        ("Remote:abc", "x"),
        ("remote:ab", "c:x"),
    ] {
        set(store, key("a", bucket, name), &text(bucket)).await;
        set(store, key("b", bucket, name), &text(bucket)).await;
    }
    assert_eq!(names(&store.bucket("a", "remote:abc").await.unwrap()), [("remote:abc", "list:x:0")]);
    assert_eq!(names(&store.bucket("a", "remote").await.unwrap()), [("remote", "abc2:x")]);
    assert_eq!(store.bucket("a", "remote:").await.unwrap(), []);
    assert_eq!(store.bucket("a", "").await.unwrap(), []);
    assert_eq!(store.delete_bucket("a", "remote").await.unwrap(), 1);
    assert_eq!(store.delete_bucket("a", "remote:abc").await.unwrap(), 1);
    assert_eq!(store.delete_bucket("a", "remote:abc").await.unwrap(), 0);
    let left = store.buckets("a").await.unwrap();
    assert_eq!(
        names(&left),
        [("Remote:abc", "x"), ("remote:ab", "c:x"), ("remote:abc:list", "x"), ("remote:abcd", "list:x:0")]
    );
    assert_eq!(store.buckets("b").await.unwrap().len(), 6);
}

/// (`a`, `b:c`) and (`a:b`, `c`) have one key.
pub(super) async fn of_two_pairs_with_one_key_only_the_last_exists(store: &dyn Store) {
    let (first, second) = (key("x", "a", "b:c"), key("x", "a:b", "c"));
    set(store, first, &int(1)).await;
    set(store, second, &int(2)).await;
    let before = state(store).await;
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 1);
    assert_eq!(data(store, second).await, Some(int(2)));
    assert_eq!(data(store, first).await, None);
    assert_eq!(store.live_attribute(first).await.unwrap(), None);
    assert_eq!(store.bucket("x", "a").await.unwrap(), []);
    assert!(!store.delete_attribute(first).await.unwrap());
    assert!(!store.swap_attribute(first, &int(2), &plain(&int(3))).await.unwrap());
    assert_eq!(store.delete_bucket("x", "a").await.unwrap(), 0);
    store.set_attribute(first, &plain(&Value::Null)).await.unwrap();
    assert_eq!(state(store).await, before, "nothing of this was about the row that is there");
    set(store, first, &int(4)).await;
    assert_eq!((data(store, first).await, data(store, second).await), (Some(int(4)), None));
    assert!(store.delete_attribute(first).await.unwrap());
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 0);
}

pub(super) async fn they_come_by_bucket_and_name(store: &dyn Store) {
    // As keys, `a:b:x` comes before `a:z`.
    for bucket in ["b", "a:b", "a", "Z", "é"] {
        for name in super::fixtures::shuffled() {
            set(store, key("x", bucket, name), &int(1)).await;
        }
    }
    let all = store.buckets("x").await.unwrap();
    let expected: Vec<(&str, &str)> = ["Z", "a", "a:b", "b", "é"]
        .into_iter()
        .flat_map(|bucket| super::fixtures::ORDERED.map(|name| (bucket, name)))
        .collect();
    assert_eq!(names(&all), expected);
    for bucket in ["a", "é"] {
        let one = store.bucket("x", bucket).await.unwrap();
        assert_eq!(names(&one), super::fixtures::ORDERED.map(|name| (bucket, name)));
    }
}

pub(super) async fn one_is_deleted_once(store: &dyn Store) {
    for (id, name) in [("a", "one"), ("a", "two"), ("b", "one"), ("_actingweb_oauth2", "one")] {
        set(store, key(id, "bucket", name), &int(1)).await;
    }
    assert!(!store.delete_attribute(key("a", "bucket", "never there")).await.unwrap());
    assert!(store.delete_attribute(key("a", "bucket", "one")).await.unwrap());
    assert!(!store.delete_attribute(key("a", "bucket", "one")).await.unwrap());
    assert!(store.delete_attribute(key("_actingweb_oauth2", "bucket", "one")).await.unwrap());
    assert_eq!(names(&store.buckets("a").await.unwrap()), [("bucket", "two")]);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 2);
}

pub(super) async fn many_are_deleted_together(store: &dyn Store) {
    for n in 0..60 {
        set(store, key("a", "large", &format!("name {n}")), &int(1)).await;
    }
    for (id, bucket) in [("a", "larger"), ("a", "small"), ("ab", "large")] {
        set(store, key(id, bucket, "name"), &int(1)).await;
    }
    assert_eq!(store.delete_bucket("a", "large").await.unwrap(), 60);
    assert_eq!(names(&store.buckets("a").await.unwrap()), [("larger", "name"), ("small", "name")]);
    for n in 0..60 {
        set(store, key("a", "large", &format!("name {n}")), &int(1)).await;
    }
    assert_eq!(store.delete_attributes("a").await.unwrap(), 62);
    assert_eq!(store.delete_attributes("a").await.unwrap(), 0);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 1);
}

pub(super) async fn what_is_too_much_for_one_answer_comes_whole(store: &dyn Store) {
    let large = text(&"x".repeat(300 * 1024));
    for n in 0..5 {
        set(store, key("a", "bucket", &n.to_string()), &large).await;
        set(store, key("a", "bucket:", &n.to_string()), &large).await;
    }
    assert_eq!(store.bucket("a", "bucket").await.unwrap().len(), 5);
    assert_eq!(store.buckets("a").await.unwrap().len(), 10);
    assert_eq!(store.delete_bucket("a", "bucket").await.unwrap(), 5);
    assert_eq!(store.delete_attributes("a").await.unwrap(), 5);
}

pub(super) async fn a_chain_is_deleted_where_it_was_looked_for(store: &dyn Store) {
    let of = |chain: Value| object(&[("token", text("t")), ("chain_id", chain)]);
    let rows = [
        ("refresh", "one", of(text("chain"))),
        ("refresh", "two", of(text("chain"))),
        ("access", "three", of(text("chain"))),
        ("access", "another chain", of(text("chain 2"))),
        ("access", "a number", of(int(7))),
        ("access", "nested", object(&[("inner", of(text("chain")))])),
        ("access", "a text", text("chain")),
        ("access", "a list", Value::Array(vec![of(text("chain"))])),
        ("elsewhere", "four", of(text("chain"))),
        ("access:", "five", of(text("chain"))),
    ];
    for (bucket, name, data) in &rows {
        set(store, key("a", bucket, name), data).await;
        set(store, key("b", bucket, name), data).await;
    }
    let buckets = ["refresh", "access"].map(str::to_owned);
    assert_eq!(store.delete_chain("a", &buckets, "no chain", None).await.unwrap(), 0);
    assert_eq!(store.delete_chain("a", &[], "chain", None).await.unwrap(), 0);
    assert_eq!(store.delete_chain("a", &buckets, "7", None).await.unwrap(), 0, "that one is a number");
    assert_eq!(store.delete_chain("a", &buckets, "chain", Some("one")).await.unwrap(), 3);
    assert_eq!(store.delete_chain("a", &buckets, "chain", Some("one")).await.unwrap(), 0);
    let left = store.buckets("a").await.unwrap();
    assert_eq!(left.len(), rows.len() - 3);
    assert!(names(&left).contains(&("elsewhere", "four")) && names(&left).contains(&("access:", "five")));
    assert_eq!(store.buckets("b").await.unwrap().len(), rows.len());
    // The last one may be in no chain at all.
    assert_eq!(store.delete_chain("b", &buckets, "chain", Some("never there")).await.unwrap(), 3);
}

pub(super) async fn a_long_chain_is_deleted_whole(store: &dyn Store) {
    let data = object(&[("chain_id", text("chain"))]);
    for n in 0..60 {
        set(store, key("a", "refresh", &format!("name {n}")), &data).await;
    }
    let buckets = ["refresh".to_owned()];
    assert_eq!(store.delete_chain("a", &buckets, "chain", Some("name 7")).await.unwrap(), 60);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 0);
}
