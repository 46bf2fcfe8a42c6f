//! Whole tables.

use std::collections::BTreeSet;

use actingweb_maintd::model::row::{Attribute, LookupEntry, LookupOwner, Suspension};
use actingweb_maintd::model::{BackendKind, Record, Row, Table};
use actingweb_maintd::storage::{Place, Segment, Store, Written};

use super::fixtures::{
    actor, at, diff, int, kept, object, peer_trustee, property, refused, rows, state, subscription, trust, walk,
};

/// `count` rows of every table, of as many actors.
pub(super) fn some_of_each(count: usize) -> Vec<Record> {
    let row = |table, n: usize| {
        let id = &format!("actor {n}");
        match table {
            Table::Actors => Row::Actor(actor(id)),
            Table::Properties => Row::Property(property(id, "é", "value")),
            Table::PropertyLookup => Row::Lookup(LookupEntry {
                owner: LookupOwner::Value(format!("{n}@example.com")),
                property_name: "email".to_owned(),
                actor_id: id.clone(),
            }),
            Table::Attributes => {
                let data = Some(object(&[("n", int(n as i64))]));
                Row::Attribute(Attribute { timestamp: Some(at(n as i64)), ..Attribute::new(id, "a:b", "c", data) })
            }
            Table::Trusts => Row::Trust(Box::new(trust(id, "peer"))),
            Table::PeerTrustees => Row::PeerTrustee(peer_trustee(id, "peer")),
            Table::Subscriptions => Row::Subscription(subscription(id, "peer", "sub")),
            Table::SubscriptionDiffs => Row::Diff(diff(id, "sub", n as i64)),
            Table::SubscriptionSuspensions => Row::Suspension(Suspension {
                id: id.clone(),
                target: "properties".to_owned(),
                subtarget: if n.is_multiple_of(2) { String::new() } else { "é".to_owned() },
                suspended_at: at(n as i64),
            }),
        }
    };
    Table::ALL.iter().flat_map(|table| (0..count).map(move |n| row(*table, n))).map(Record::from).collect()
}

/// Writes them table by table.
pub(super) async fn write_all(store: &dyn Store, records: &[Record]) {
    for of_one_table in records.chunk_by(|one, other| one.table == other.table) {
        let written = store.write(of_one_table).await.expect("writing");
        assert_eq!(written.records, of_one_table.len() as u64);
    }
}

/// Each row's meaning, in some fixed order.
pub(super) fn meanings(records: &[Record]) -> Vec<String> {
    let meaning = |record: &Record| format!("{:?}", record.meaning.as_ref().expect("a row that can be read"));
    let mut meanings: Vec<String> = records.iter().map(meaning).collect();
    meanings.sort();
    meanings
}

/// What a backend makes of a look-up entry: DynamoDB only keeps its key.
fn found(backend: BackendKind, row: Row) -> Row {
    match kept(backend, row) {
        Row::Lookup(entry) if backend == BackendKind::Dynamodb => {
            Row::Lookup(LookupEntry { owner: LookupOwner::Key(entry.key()), ..entry })
        }
        row => row,
    }
}

pub(super) async fn an_empty_table_has_no_rows(store: &dyn Store) {
    for table in Table::ALL {
        assert_eq!(rows(store, table).await.len(), 0);
        assert_eq!(store.count(table).await.unwrap(), 0);
        assert_eq!(store.read_all(table, "a").await.unwrap().len(), 0);
    }
    assert_eq!(store.write(&[]).await.unwrap(), Written::default());
}

pub(super) async fn what_was_written_is_scanned(store: &dyn Store) {
    let records = some_of_each(60);
    write_all(store, &records).await;
    for table in Table::ALL {
        let scanned = rows(store, table).await;
        assert!(scanned.iter().all(|record| record.table == table));
        let written = records.iter().filter(|record| record.table == table);
        let expected: Vec<Record> =
            written.map(|record| found(store.backend(), record.meaning.clone().unwrap()).into()).collect();
        assert_eq!(meanings(&scanned), meanings(&expected), "{table}");
        assert_eq!(store.count(table).await.unwrap(), 60);
    }
    let before = state(store).await;
    write_all(store, &records).await;
    assert_eq!(state(store).await, before, "writing them again changes nothing");
}

pub(super) async fn what_was_scanned_is_written_verbatim(store: &dyn Store) {
    write_all(store, &some_of_each(30)).await;
    let mut all = Vec::new();
    for table in Table::ALL {
        all.extend(rows(store, table).await);
    }
    let before = state(store).await;
    write_all(store, &all).await;
    assert_eq!(state(store).await, before);
    for record in &all {
        if let Ok(Row::Actor(actor)) = &record.meaning {
            store.delete_actor(&actor.id).await.unwrap();
        }
    }
    write_all(store, &all).await;
    assert_eq!(state(store).await, before);
}

pub(super) async fn whatever_stands_is_replaced(store: &dyn Store) {
    let first =
        Attribute { timestamp: Some(at(1)), ttl_timestamp: Some(7), ..Attribute::new("a", "b", "c:d", Some(int(1))) };
    let second = Attribute::new("a", "b", "c:d", Some(int(2)));
    // The same key of another bucket.
    let third = Attribute::new("a", "b:c", "d", None);
    for attribute in [first, second, third] {
        store.write(&[Row::Attribute(attribute.clone()).into()]).await.unwrap();
        let left = rows(store, Table::Attributes).await;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].meaning, Ok(Row::Attribute(attribute)));
    }
}

pub(super) async fn segments_are_the_whole_table(store: &dyn Store) {
    write_all(store, &some_of_each(24)).await;
    for table in Table::ALL {
        let whole = meanings(&rows(store, table).await);
        for of in [1, 3, 7] {
            for limit in [1, 5, 1000] {
                let mut seen = Vec::new();
                // In no promised order: neither of the rows nor of the segments.
                for index in (0..of).rev() {
                    seen.extend(walk(store, table, Segment { index, of }, limit).await);
                }
                seen.reverse();
                assert_eq!(meanings(&seen), whole, "{table} in {of} segments by {limit}");
            }
        }
    }
}

pub(super) async fn segments_are_read_at_the_same_time(store: &dyn Store) {
    let records: Vec<Record> =
        (0..120).map(|n| Row::Property(property(&format!("actor {n}"), "name", "value")).into()).collect();
    store.write(&records).await.unwrap();
    let walks = (0..7).map(|index| walk(store, Table::Properties, Segment { index, of: 7 }, 5));
    let seen: Vec<Record> = futures_util::future::join_all(walks).await.into_iter().flatten().collect();
    assert_eq!(meanings(&seen), meanings(&records));
}

pub(super) async fn one_actors_rows_stay_in_one_walk(store: &dyn Store) {
    let records: Vec<Record> =
        (0..40).map(|n| Row::Property(property("one", &format!("name {n}"), "value")).into()).collect();
    store.write(&records).await.unwrap();
    let mut seen = Vec::new();
    for index in 0..3 {
        seen.extend(walk(store, Table::Properties, Segment { index, of: 3 }, 3).await);
    }
    assert_eq!(meanings(&seen), meanings(&records));
}

pub(super) async fn who_writes_meanwhile_does_no_harm(store: &dyn Store) {
    let name = |n: usize| format!("name {n:03}");
    let records: Vec<Record> = (0..60).map(|n| Row::Property(property("a", &name(n), "value")).into()).collect();
    store.write(&records).await.unwrap();
    let mut seen: Vec<String> = Vec::new();
    let (mut next, mut round) = (Some(Place::default()), 0);
    while let Some(place) = next {
        assert!(round < 200, "this walk goes on for ever");
        let stretch = store.scan(Table::Properties, Segment::WHOLE, &place, 7).await.unwrap();
        for record in stretch.records {
            let Ok(Row::Property(property)) = record.meaning else { panic!("no property: {record:?}") };
            seen.push(property.name);
        }
        // Some before, some behind; one that was seen, and one that may have been.
        for new in [format!("before {round}"), format!("name {round:03} and more"), format!("z {round}")] {
            if round < 20 {
                store.set_property(&property("a", &new, "new")).await.unwrap();
            }
        }
        if round < 10 {
            store.delete_property("a", &name(round * 6)).await.unwrap();
            store.set_property(&property("a", &name(round * 6 + 1), "changed")).await.unwrap();
        }
        (next, round) = (stretch.next, round + 1);
    }
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "a row was seen twice");
    for n in (0..60).filter(|n| n % 6 > 1) {
        assert!(distinct.contains(&name(n)), "{} was there all the time", name(n));
    }
}

pub(super) async fn what_is_too_much_for_one_answer_comes_in_several(store: &dyn Store) {
    let large = |n: usize| Row::Property(property(&format!("actor {n}"), "name", &"x".repeat(300 * 1024))).into();
    let records: Vec<Record> = (0..12).map(large).collect();
    // More than one request takes.
    assert_eq!(store.write(&records).await.unwrap().records, 12);
    assert_eq!(rows(store, Table::Properties).await.len(), 12);
    assert_eq!(store.count(Table::Properties).await.unwrap(), 12);
}

pub(super) async fn all_of_an_actor_are_read(store: &dyn Store) {
    write_all(store, &some_of_each(5)).await;
    for name in ["one", "two"] {
        store.set_property(&property("actor 1", name, "value")).await.unwrap();
        store.set_property(&property("actor 11", name, "value")).await.unwrap();
    }
    for table in Table::ALL {
        let all = rows(store, table).await;
        for id in ["actor 1", "actor", "actor 11"] {
            let of_id: Vec<Record> =
                all.iter().filter(|record| record.meaning.as_ref().unwrap().id() == id).cloned().collect();
            let read = store.read_all(table, id).await.unwrap();
            assert_eq!(meanings(&read), meanings(&of_id), "{table} of {id}");
        }
    }
}

pub(super) async fn what_it_costs_is_told_where_it_is_billed(store: &dyn Store) {
    let records = some_of_each(3);
    for of_one_table in records.chunk_by(|one, other| one.table == other.table) {
        let table = of_one_table[0].table;
        let written = store.write(of_one_table).await.unwrap().write_units;
        let read = store.scan(table, Segment::WHOLE, &Place::default(), 10).await.unwrap().read_units;
        match store.backend() {
            BackendKind::Postgresql => assert_eq!((written, read), (0.0, 0.0)),
            BackendKind::Dynamodb => assert!(written >= 3.0 && read >= 0.5, "{table}: {written} and {read}"),
        }
    }
}

pub(super) async fn either_all_can_be_written_or_none_is(store: &dyn Store) {
    store.set_property(&property("actor 3", "name", "stands")).await.unwrap();
    let bad = match store.backend() {
        BackendKind::Postgresql => property("actor 45", "name", "h1dden\0"),
        BackendKind::Dynamodb => property("actor 45", "name", &"h1dden".repeat(70_000)),
    };
    for place in [0, 45, 59] {
        let mut records: Vec<Record> =
            (0..60).map(|n| Row::Property(property(&format!("actor {n}"), "name", "value")).into()).collect();
        records[place] = Row::Property(bad.clone()).into();
        let attribute = if store.backend() == BackendKind::Postgresql { "value" } else { "" };
        refused(store, (Table::Properties, attribute, "h1dden"), store.write(&records)).await;
    }
}

pub(super) async fn what_is_known_as_a_digest_cannot_be_written_to_postgresql(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    let owner = LookupOwner::Key("0".repeat(64));
    let entry = LookupEntry { owner, property_name: "email".to_owned(), actor_id: "a".to_owned() };
    let records = [Row::Lookup(entry).into()];
    match store.backend() {
        BackendKind::Postgresql => {
            refused(store, (Table::PropertyLookup, "value", "0000"), store.write(&records)).await
        }
        BackendKind::Dynamodb => {
            store.write(&records).await.unwrap();
            assert_eq!(meanings(&rows(store, Table::PropertyLookup).await), meanings(&records));
        }
    }
}
