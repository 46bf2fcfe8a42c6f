//! Looking through buckets.

use std::collections::BTreeSet;

use actingweb_maintd::model::row::Attribute;
use actingweb_maintd::model::{BackendKind, Record, Row};
use actingweb_maintd::storage::{AttributePlace, Place, Segment, Store, Walked, Wanted};

use super::fixtures::int;

fn row(id: &str, bucket: &str, name: &str, ttl: Option<i64>) -> Attribute {
    Attribute { ttl_timestamp: ttl, ..Attribute::new(id, bucket, name, Some(int(1))) }
}

/// 30 ids with an attribute in each of these buckets, with a TTL and without.
async fn fill(store: &dyn Store) -> Vec<Attribute> {
    let mut rows = Vec::new();
    for n in 0..30 {
        for bucket in ["all", "all of it", "endless", "other", "all:endless"] {
            rows.push(row(&format!("actor {n}"), bucket, "with", Some(1)));
            rows.push(row(&format!("actor {n}"), bucket, "without", None));
        }
    }
    let records: Vec<Record> = rows.iter().cloned().map(Row::Attribute).map(Record::from).collect();
    store.write(&records).await.expect("writing");
    rows
}

fn wanted(all_of: &[&str], endless_of: &[&str]) -> Wanted {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted { all_of: owned(all_of), endless_of: owned(endless_of) }
}

async fn walked(store: &dyn Store, wanted: &Wanted, of: u32, limit: u32) -> Vec<Walked> {
    let mut pages = Vec::new();
    for index in 0..of {
        let mut next = Some(Place::default());
        while let Some(place) = next {
            let found = store.walk(wanted, Segment { index, of }, &place, limit).await.expect("walking");
            next = found.next.clone();
            pages.push(found);
        }
    }
    pages
}

fn attributes(pages: Vec<Walked>) -> Vec<Attribute> {
    let records = pages.into_iter().flat_map(|page| page.records);
    let attribute = |record: Record| match record.meaning {
        Ok(Row::Attribute(attribute)) => attribute,
        other => panic!("{other:?}"),
    };
    records.map(attribute).collect()
}

fn keys(rows: &[Attribute]) -> Vec<(String, String)> {
    let mut keys: Vec<_> = rows.iter().map(|row| (row.id.clone(), row.bucket_name.clone())).collect();
    keys.sort();
    keys
}

pub(super) async fn exactly_what_is_wanted_is_found_once(store: &dyn Store) {
    let rows = fill(store).await;
    let many: Vec<String> = (0..150).map(|n| format!("bucket {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["endless"]).collect();
    for (all_of, endless_of) in
        [(&["all"][..], &["endless"][..]), (&["all", "other"], &[]), (&[], &["all"]), (&[], &[]), (&["all"], &many)]
    {
        let is_wanted = |row: &&Attribute| {
            let bucket = row.bucket.as_str();
            all_of.contains(&bucket) || (endless_of.contains(&bucket) && row.ttl_timestamp.is_none())
        };
        let expected: Vec<Attribute> = rows.iter().filter(is_wanted).cloned().collect();
        for (of, limit) in [(1, 1000), (1, 41), (3, 29)] {
            let found = attributes(walked(store, &wanted(all_of, endless_of), of, limit).await);
            assert_eq!(keys(&found), keys(&expected), "{all_of:?}, {} segments, {limit} rows", of);
            let whole: BTreeSet<String> = found.iter().map(|row| format!("{row:?}")).collect();
            assert!(expected.iter().all(|row| whole.contains(&format!("{row:?}"))));
        }
    }
}

pub(super) async fn no_more_rows_are_looked_at_than_may_be(store: &dyn Store) {
    let rows = fill(store).await.len() as u64;
    for (of, limit) in [(1, 7), (3, 20), (1, 300), (1, 301), (4, 1000)] {
        let pages = walked(store, &wanted(&["endless"], &[]), of, limit).await;
        assert!(pages.iter().all(|page| page.examined <= u64::from(limit)), "{limit}");
        assert_eq!(pages.iter().map(|page| page.examined).sum::<u64>(), rows, "{of} segments, {limit} rows");
        let units: f64 = pages.iter().map(|page| page.read_units).sum();
        assert_eq!(units > 0.0, store.backend() == BackendKind::Dynamodb);
        assert!(!format!("{pages:?}").contains("Place("), "places name rows");
    }
}

pub(super) async fn rows_are_located_by_their_keys(store: &dyn Store) {
    fill(store).await;
    let place = |id: &str, bucket: &str, name: &str| AttributePlace {
        id: id.to_owned(),
        bucket: bucket.to_owned(),
        name: name.to_owned(),
    };
    let places = [
        place("actor 3", "all", "with"),
        place("actor 3", "nothing", "with"),
        place("actor 3", "all", "with"),
        // Another pair with the same key.
        place("actor 4", "all", "endless:without"),
        place("", "", ""),
        place("zero\0", "all", "with"),
        place(&"x".repeat(3000), "all", "with"),
        place("actor 29", "other", "without"),
    ];
    let located = store.locate(&places).await.expect("locating");
    let found: Vec<Option<(String, String, String)>> = located
        .records
        .into_iter()
        .map(|record| match record?.meaning {
            Ok(Row::Attribute(row)) => Some((row.id, row.bucket, row.name)),
            other => panic!("{other:?}"),
        })
        .collect();
    let some = |id: &str, bucket: &str, name: &str| Some((id.to_owned(), bucket.to_owned(), name.to_owned()));
    assert_eq!(
        found,
        [
            some("actor 3", "all", "with"),
            None,
            some("actor 3", "all", "with"),
            some("actor 4", "all:endless", "without"),
            None,
            None,
            None,
            some("actor 29", "other", "without"),
        ]
    );
    assert_eq!(located.read_units > 0.0, store.backend() == BackendKind::Dynamodb);
    let many: Vec<AttributePlace> = (0..250).map(|n| place(&format!("actor {n}"), "all", "with")).collect();
    let located = store.locate(&many).await.expect("locating");
    assert_eq!(
        located.records.iter().map(Option::is_some).collect::<Vec<_>>(),
        (0..250).map(|n| n < 30).collect::<Vec<_>>()
    );
    assert_eq!(store.locate(&[]).await.expect("locating").records.len(), 0);
    assert!(!format!("{places:?}").contains("with"), "names may be tokens");
}
