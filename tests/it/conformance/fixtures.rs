//! Rows to store, and what all checks ask of a store.

use std::fmt::Debug;

use actingweb_maintd::model::json::{Text, Value};
use actingweb_maintd::model::row::{Actor, PeerTrustee, Property, Subscription, SubscriptionDiff, Trust, subid_seqnr};
use actingweb_maintd::model::{BackendKind, Record, Row, Table};
use actingweb_maintd::storage::{AttributeKey, ErrorKind, NewValue, Place, Result, Segment, Store};
use chrono::{DateTime, Utc};

/// Texts that are easily mistaken for something else on the way.
pub(super) const NASTY: [&str; 14] = [
    "a:b:c",
    "it's \"quoted\"",
    "back\\slash \\u0041 \\",
    "100% _under_ *",
    "line\nbreak\tand\r",
    "é",
    "e\u{301}",
    "日本語",
    "\u{1f600}\u{1f468}\u{200d}\u{1f469}",
    "\u{7f}\u{1}\u{ffff}",
    " leading and trailing ",
    "list:#%$",
    "{\"not\": \"json",
    "null",
];

/// Names whose order by bytes is not the order of any language.
pub(super) const ORDERED: [&str; 13] =
    ["A", "Zz", "_", "a", "a0", "b", "e\u{301}", "z", "{", "\u{7f}", "é", "日", "\u{1f600}"];

/// What a bad language would do to [`ORDERED`]: the same names, in another order.
pub(super) fn shuffled() -> Vec<&'static str> {
    let mut names = ORDERED.to_vec();
    names.reverse();
    names.rotate_left(5);
    names
}

pub(crate) fn actor(id: &str) -> Actor {
    Actor {
        id: id.to_owned(),
        creator: format!("creator of {id}"),
        passphrase: format!("passphrase of {id}"),
        created_at: None,
    }
}

pub(super) fn property(id: &str, name: &str, value: &str) -> Property {
    Property { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() }
}

pub(super) const fn key<'a>(id: &'a str, bucket: &'a str, name: &'a str) -> AttributeKey<'a> {
    AttributeKey { id, bucket, name }
}

/// A value without a time and without an end.
pub(super) const fn plain(data: &Value) -> NewValue<'_> {
    NewValue { data, timestamp: None, ttl_seconds: None }
}

pub(super) fn text(text: &str) -> Value {
    Value::String(Text::from(text))
}

pub(super) fn int(number: i64) -> Value {
    Value::Int(number.to_string())
}

pub(super) fn object(members: &[(&str, Value)]) -> Value {
    Value::Object(members.iter().map(|(name, value)| (Text::from(*name), value.clone())).collect())
}

/// A trust with a text in every field that must have one.
pub(super) fn trust(id: &str, peerid: &str) -> Trust {
    Trust {
        id: id.to_owned(),
        peerid: peerid.to_owned(),
        baseuri: format!("https://{peerid}.example.com"),
        r#type: "urn:actingweb:example.com:demo".to_owned(),
        relationship: "friend".to_owned(),
        secret: format!("secret of {id} and {peerid}"),
        desc: Some("a friend".to_owned()),
        verification_token: Some("token".to_owned()),
        ..Trust::default()
    }
}

/// A trust with something in every field.
pub(super) fn full_trust(id: &str, peerid: &str) -> Trust {
    let some = |text: &str| Some(text.to_owned());
    Trust {
        approved: true,
        peer_approved: false,
        verified: true,
        peer_identifier: some("peer@example.com"),
        established_via: some("oauth2_client"),
        created_at: Some(at(1)),
        last_accessed: Some(at(2)),
        last_connected_via: some("oauth"),
        client_name: some("Client \"é\""),
        client_version: some("1.0"),
        client_platform: some("Mozilla/5.0 (X11; Linux)"),
        oauth_client_id: some("mcp_1"),
        aw_supported: some("www,oauth,callbacks"),
        aw_version: some("1.4"),
        capabilities_fetched_at: Some(at(3)),
        ..trust(id, peerid)
    }
}

pub(super) fn peer_trustee(id: &str, peerid: &str) -> PeerTrustee {
    PeerTrustee {
        id: id.to_owned(),
        peerid: peerid.to_owned(),
        baseuri: format!("https://{peerid}.example.com"),
        r#type: "urn:actingweb:example.com:bank".to_owned(),
        passphrase: format!("passphrase of {peerid}"),
    }
}

/// A subscription with a text everywhere, since an empty one may be left out.
pub(super) fn subscription(id: &str, peerid: &str, subid: &str) -> Subscription {
    Subscription {
        granularity: Some("high".to_owned()),
        target: Some("properties".to_owned()),
        subtarget: Some("email".to_owned()),
        resource: Some("resource".to_owned()),
        ..Subscription::new(id, peerid, subid)
    }
}

pub(super) fn diff(id: &str, subid: &str, seqnr: i64) -> SubscriptionDiff {
    SubscriptionDiff {
        id: id.to_owned(),
        subid_seqnr: subid_seqnr(subid, seqnr),
        subid: subid.to_owned(),
        // Far numbers would be times that nobody can write down.
        timestamp: at(seqnr % 1000),
        diff: format!("{{\"change\": {seqnr}}}"),
        seqnr,
    }
}

/// A time with microseconds, `n` days and a little from another.
pub(super) fn at(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_800_000_000_000_006 + n * 86_400_000_000 + n * 1_001).expect("a time")
}

/// A text that no compression makes smaller.
pub(super) fn incompressible(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.alphanumeric()).take(length).collect()
}

/// The row as the backend keeps it: some know no difference between empty and missing.
pub(super) fn kept(backend: BackendKind, row: Row) -> Row {
    if backend == BackendKind::Postgresql {
        return row;
    }
    match row {
        Row::Actor(row) => Row::Actor(Actor { created_at: None, ..row }),
        Row::Trust(mut row) => {
            row.desc.get_or_insert_default();
            row.verification_token.get_or_insert_default();
            Row::Trust(row)
        }
        Row::Subscription(mut row) => {
            for part in [&mut row.granularity, &mut row.target, &mut row.subtarget, &mut row.resource] {
                part.take_if(|text| text.is_empty());
            }
            Row::Subscription(row)
        }
        row => row,
    }
}

pub(super) fn kept_trust(store: &dyn Store, trust: &Trust) -> Trust {
    match kept(store.backend(), Row::Trust(Box::new(trust.clone()))) {
        Row::Trust(trust) => *trust,
        other => panic!("not a trust: {other:?}"),
    }
}

pub(super) fn kept_subscription(store: &dyn Store, subscription: &Subscription) -> Subscription {
    match kept(store.backend(), Row::Subscription(subscription.clone())) {
        Row::Subscription(subscription) => subscription,
        other => panic!("not a subscription: {other:?}"),
    }
}

/// All rows of a segment, read in stretches of `limit`.
pub(super) async fn walk(store: &dyn Store, table: Table, segment: Segment, limit: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut next = Some(Place::default());
    while let Some(place) = next {
        let stretch = store.scan(table, segment, &place, limit).await.expect("scanning");
        assert!(stretch.records.len() <= limit as usize, "more than was asked for");
        records.extend(stretch.records);
        next = stretch.next;
    }
    records
}

/// All rows of a table.
pub(super) async fn rows(store: &dyn Store, table: Table) -> Vec<Record> {
    walk(store, table, Segment::WHOLE, 1000).await
}

/// Everything that is stored, verbatim and in some fixed order.
pub(super) async fn state(store: &dyn Store) -> Vec<String> {
    let mut state = Vec::new();
    for table in Table::ALL {
        state.extend(rows(store, table).await.iter().map(|record| format!("{table}: {:?}", record.source)));
    }
    state.sort();
    state
}

/// `attempt` must be refused because of `attribute`, without showing `hidden`, and change nothing.
/// Empty, they are not looked for.
pub(super) async fn refused<T: Debug>(
    store: &dyn Store,
    (table, attribute, hidden): (Table, &str, &str),
    attempt: impl Future<Output = Result<T>>,
) {
    let before = state(store).await;
    let error = match attempt.await {
        Err(error) => error,
        Ok(done) => panic!("{table}.{attribute} was taken: {done:?}"),
    };
    let chain = error.chain();
    assert_eq!(error.kind, ErrorKind::Limit, "{chain}");
    assert_eq!(error.backend, store.backend());
    assert!(chain.contains(table.name()) || chain.contains(table.suffix()), "no {table} in: {chain}");
    assert!(chain.contains(attribute), "no {attribute} in: {chain}");
    assert!(hidden.is_empty() || !chain.contains(hidden), "the value shows in: {chain}");
    assert!(chain.len() < 500, "too long: {chain}");
    assert_eq!(state(store).await, before, "something was changed");
}

/// The names are in the order of their bytes.
pub(super) fn assert_ordered<T: AsRef<str>>(names: &[T]) {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
}
