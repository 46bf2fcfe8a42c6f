//! From one backend to the other and back.

use actingweb_maintd::model::row::{LookupEntry, LookupOwner};
use actingweb_maintd::model::{BackendKind, Record, Row, Source, Table};
use actingweb_maintd::storage::{Bulk, ErrorKind, Lookup, Store};

use super::bulk::{meanings, some_of_each, write_all};
use super::fixtures::{kept, rows};
use super::generated::{by_id, digest};
use super::strategies::rows_of_each_table;
use super::values::assert_same;
use crate::harness::cluster::TestDb;
use crate::harness::dynamodb::TestTables;
use crate::harness::store::unlimited;

/// Copies a table; returns what stands in the other store then.
async fn copy(from: &dyn Store, to: &dyn Store, table: Table) -> Vec<Record> {
    let mut records = rows(from, table).await;
    records.reverse();
    assert_eq!(to.write(&records).await.expect("copying").records, records.len() as u64);
    let copied = rows(to, table).await;
    assert_eq!(digest(&copied), digest(&records), "{table} means something else now");
    copied
}

#[tokio::test]
async fn rows_that_both_can_hold_come_back_as_they_were() {
    let (first_db, tables, last_db) = (TestDb::new().await, TestTables::new().await, TestDb::new().await);
    let (first, between, last) = (unlimited(&first_db), tables.store(), unlimited(&last_db));
    for given in rows_of_each_table(None, 64) {
        let table = given[0].table();
        let records: Vec<Record> = given.into_iter().map(Record::from).collect();
        first.write(&records).await.unwrap();
        let there = rows(&*first, table).await;
        assert_eq!(digest(&there), digest(&records), "{table}");
        let copied = copy(&*first, &*between, table).await;
        assert!(copied.iter().all(|record| matches!(record.source, Source::Dynamodb(_))));
        let back = copy(&*between, &*last, table).await;
        for (back, there) in by_id(back).iter().zip(by_id(there)) {
            // What DynamoDB does not tell apart cannot come back.
            let there = kept(BackendKind::Dynamodb, there);
            assert_same(BackendKind::Postgresql, &kept(BackendKind::Dynamodb, back.clone()), &there);
        }
    }
}

#[tokio::test]
async fn and_the_other_way_round() {
    let (first_tables, db, last_tables) = (TestTables::new().await, TestDb::new().await, TestTables::new().await);
    let (first, between, last) = (first_tables.store(), unlimited(&db), last_tables.store());
    for given in rows_of_each_table(None, 64) {
        let table = given[0].table();
        first.write(&given.into_iter().map(Record::from).collect::<Vec<_>>()).await.unwrap();
        let there = rows(&*first, table).await;
        copy(&*first, &*between, table).await;
        let back = copy(&*between, &*last, table).await;
        for (back, there) in by_id(back).iter().zip(by_id(there)) {
            assert_same(BackendKind::Postgresql, back, &there);
        }
    }
}

#[tokio::test]
async fn look_up_entries_go_one_way() {
    let (db, tables) = (TestDb::new().await, TestTables::new().await);
    let (from, to) = (unlimited(&db), tables.store());
    write_all(&*from, &some_of_each(30)).await;
    let copied = copy(&*from, &*to, Table::PropertyLookup).await;
    let expected = rows(&*from, Table::PropertyLookup).await.into_iter().map(|record| match record.meaning.unwrap() {
        Row::Lookup(entry) => Row::Lookup(LookupEntry { owner: LookupOwner::Key(entry.key()), ..entry }).into(),
        other => panic!("{other:?}"),
    });
    assert_eq!(meanings(&copied), meanings(&expected.collect::<Vec<Record>>()));
    for n in 0..30 {
        let found = to.lookup("email", &format!("{n}@example.com")).await.unwrap();
        assert_eq!(found, Some(format!("actor {n}")));
    }
    let refused = from.write(&copied).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Limit);
}
