//! Deleting single rows, each only as it was read.

use actingweb_maintd::model::{Record, Row, Table};
use actingweb_maintd::storage::{ErrorKind, Finish, Guard, Place, Removal, Segment, SlotAfter, Store};
use actingweb_maintd::work::{Outcome, Report};

use super::bulk::some_of_each;
use super::fixtures::{actor, int, key, plain, property, text};
use super::sweep::lease;

/// The rows of an actor in a table, to be removed as they are now.
async fn rows(store: &dyn Store, table: Table, id: &str) -> Vec<Removal> {
    let records = store.read_all(table, id).await.unwrap();
    records.into_iter().map(|record| Removal { record, guard: None }).collect()
}

async fn removed(store: &dyn Store, removals: &[Removal]) -> Vec<bool> {
    let lease = lease(store).await;
    let removed = store.remove(removals, &lease.fence(0)).await.unwrap();
    let deleted = removed.rows.iter().filter(|deleted| **deleted).count() as u64;
    assert_eq!(removed.batch.deleted, deleted);
    let finish = Finish { outcome: Outcome::Succeeded, error: None, report: Report::default(), slot: SlotAfter::Done };
    let report = store.finish(&lease, &finish).await.unwrap().report;
    let skipped = removals.len() as u64 - deleted;
    assert_eq!((report.deleted, report.skipped, report.batches), (deleted, skipped, 1), "the store has counted itself");
    removed.rows
}

pub(super) async fn a_row_of_every_table_goes_as_it_was_read(store: &dyn Store) {
    let records = some_of_each(3);
    for table in Table::ALL {
        let of_table: Vec<Record> = records.iter().filter(|record| record.table == table).cloned().collect();
        store.write(&of_table).await.unwrap();
    }
    // What refers to an actor goes before it.
    let mut removals = Vec::new();
    for table in Table::ALL.into_iter().rev() {
        let all = store.scan(table, Segment::WHOLE, &Place::default(), 1000).await.unwrap().records;
        removals.extend(all.into_iter().map(|record| Removal { record, guard: None }));
    }
    assert_eq!(removals.len(), records.len());
    assert_eq!(removed(store, &removals).await, vec![true; records.len()]);
    for table in Table::ALL {
        assert_eq!(store.count(table).await.unwrap(), 0, "{table}");
    }
    assert_eq!(removed(store, &removals).await, vec![false; records.len()], "they are gone");
}

pub(super) async fn what_has_changed_since_stays(store: &dyn Store) {
    for name in ["same", "changed", "ends", "gone"] {
        store.set_attribute(key("a", "bucket", name), &plain(&int(1))).await.unwrap();
    }
    let removals = rows(store, Table::Attributes, "a").await;
    let name = |removal: &Removal| match &removal.record.meaning {
        Ok(Row::Attribute(row)) => row.name.clone(),
        other => panic!("{other:?}"),
    };
    store.set_attribute(key("a", "bucket", "changed"), &plain(&int(2))).await.unwrap();
    let one = int(1);
    let mut ends = plain(&one);
    ends.ttl_seconds = Some(60);
    store.set_attribute(key("a", "bucket", "ends"), &ends).await.unwrap();
    store.delete_attribute(key("a", "bucket", "gone")).await.unwrap();
    let deleted = removed(store, &removals).await;
    let deleted: Vec<String> =
        removals.iter().zip(deleted).filter(|(_, deleted)| *deleted).map(|(removal, _)| name(removal)).collect();
    assert_eq!(deleted, ["same"]);
    let left: Vec<String> = store.bucket("a", "bucket").await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(left, ["changed", "ends"]);
}

pub(super) async fn what_was_read_twice_goes_once(store: &dyn Store) {
    store.set_property(&property("a", "name", "value")).await.unwrap();
    let one = rows(store, Table::Properties, "a").await.remove(0);
    let deleted = removed(store, &[one.clone(), one]).await;
    assert_eq!(deleted.iter().filter(|deleted| **deleted).count(), 1, "{deleted:?}");
}

pub(super) async fn a_row_goes_only_while_another_is_absent(store: &dyn Store) {
    store.create_actor(&actor("there")).await.unwrap();
    store.set_attribute(key("there", "a:b", "c"), &plain(&int(1))).await.unwrap();
    let absent = |table, parts: &[&str]| {
        Some(Guard::Absent { table, key: parts.iter().map(|part| (*part).to_owned()).collect() })
    };
    let guards = [
        (absent(Table::Actors, &["there"]), false),
        (absent(Table::Actors, &["not there"]), true),
        (absent(Table::Actors, &[""]), true),
        (absent(Table::Attributes, &["there", "a:b:c"]), false),
        (absent(Table::Attributes, &["there", "a:b"]), true),
        (absent(Table::Properties, &["n 0", "of it"]), false),
        (absent(Table::Properties, &["n 1", "of it"]), true),
    ];
    let mut removals = Vec::new();
    for (number, (guard, _)) in guards.iter().enumerate() {
        let id = format!("n {number}");
        store.create_property(&property(&id, if number == 0 { "of it" } else { "another" }, "value")).await.unwrap();
        let row = rows(store, Table::Properties, &id).await.remove(0);
        removals.push(Removal { guard: guard.clone(), ..row });
    }
    let wanted: Vec<bool> = guards.iter().map(|(_, goes)| *goes).collect();
    assert_eq!(removed(store, &removals).await, wanted);
}

pub(super) async fn a_row_goes_only_while_a_property_has_its_value(store: &dyn Store) {
    store.create_property(&property("a", "email", "new")).await.unwrap();
    store.set_attribute(key("a", "bucket", "name"), &plain(&text("x"))).await.unwrap();
    let guarded = |row: &Removal, name: &str, value: &str| Removal {
        guard: Some(Guard::Property { id: "a".to_owned(), name: name.to_owned(), value: value.to_owned() }),
        ..row.clone()
    };
    let row = rows(store, Table::Attributes, "a").await.remove(0);
    assert_eq!(removed(store, &[guarded(&row, "email", "old")]).await, [false]);
    assert_eq!(removed(store, &[guarded(&row, "mail", "new")]).await, [false]);
    assert_eq!(removed(store, &[guarded(&row, "email", "new")]).await, [true]);
}

pub(super) async fn without_the_lease_nothing_goes(store: &dyn Store) {
    store.create_property(&property("a", "name", "value")).await.unwrap();
    let removals = rows(store, Table::Properties, "a").await;
    let mut fence = lease(store).await.fence(0);
    fence.secret = uuid::Uuid::new_v4();
    let error = store.remove(&removals, &fence).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Fenced, "{error:?}");
    assert_eq!(store.count(Table::Properties).await.unwrap(), 1);
}
