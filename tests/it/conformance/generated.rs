//! What was stored is what is read, whatever it is.

use actingweb_maintd::model::digest::{Digest, Kind};
use actingweb_maintd::model::row::{TTL_CLOCK_SKEW_BUFFER, Trust, canonical_connection_method};
use actingweb_maintd::model::{Record, Row, Table};
use actingweb_maintd::storage::{AttributeKey, NewValue, Store};

use super::fixtures::{kept, rows, state};
use super::strategies::{rows_of_each_table, samples};
use super::values::{assert_same, assert_same_value};

/// How many rows of each table.
const ROWS: usize = 64;

/// What the store keeps of a row.
fn expected(store: &dyn Store, row: &Row) -> Row {
    kept(store.backend(), row.clone())
}

/// The digest of records by what they mean.
pub(super) fn digest<'a>(records: impl IntoIterator<Item = &'a Record>) -> Digest {
    let mut digest = Digest::new(Kind::Meaning);
    for record in records {
        digest.add(record);
    }
    digest
}

/// Each row is found in the order of its id.
pub(super) fn by_id(records: Vec<Record>) -> Vec<Row> {
    let mut rows: Vec<Row> = records.into_iter().map(|record| record.meaning.expect("a row")).collect();
    rows.sort_by(|one, other| one.id().cmp(other.id()));
    rows
}

pub(super) async fn rows_that_are_written_are_scanned_and_read(store: &dyn Store) {
    for mut given in rows_of_each_table(Some(store.backend()), ROWS) {
        let table = given[0].table();
        let records: Vec<Record> = given.iter().cloned().map(Record::from).collect();
        assert_eq!(store.write(&records).await.unwrap().records, ROWS as u64, "{table}");
        given.sort_by(|one, other| one.id().cmp(other.id()));
        let scanned = rows(store, table).await;
        assert_eq!(digest(&scanned), digest(&records), "{table}");
        for (n, (found, given)) in by_id(scanned).iter().zip(&given).enumerate() {
            assert_same(store.backend(), found, &expected(store, given));
            if n % 8 > 0 {
                continue;
            }
            let read = store.read_all(table, given.id()).await.unwrap();
            assert_eq!(read.len(), 1, "{table}");
            assert_same(store.backend(), read[0].meaning.as_ref().unwrap(), found);
        }
    }
    let before = state(store).await;
    for table in Table::ALL {
        // They come back as the backend has them.
        let mut all = rows(store, table).await;
        all.reverse();
        store.write(&all).await.unwrap();
    }
    assert_eq!(state(store).await, before);
}

pub(super) async fn rows_that_are_written_are_found_by_their_keys(store: &dyn Store) {
    for given in rows_of_each_table(Some(store.backend()), ROWS) {
        let records: Vec<Record> = given.iter().cloned().map(Record::from).collect();
        store.write(&records).await.unwrap();
        for row in &given {
            let found = found_by_key(store, row).await.unwrap_or_else(|| panic!("{row:?} is not there"));
            assert_same(store.backend(), &found, &expected(store, row));
        }
    }
}

async fn found_by_key(store: &dyn Store, row: &Row) -> Option<Row> {
    Some(match row {
        Row::Actor(row) => Row::Actor(store.actor(&row.id).await.unwrap()?),
        Row::Property(row) => {
            let value = store.property(&row.id, &row.name).await.unwrap()?;
            Row::Property(super::fixtures::property(&row.id, &row.name, &value))
        }
        Row::Attribute(row) => {
            let key = AttributeKey { id: &row.id, bucket: &row.bucket, name: &row.name };
            Row::Attribute(store.attribute(key).await.unwrap()?)
        }
        Row::Trust(row) => Row::Trust(Box::new(store.trust(&row.id, &row.peerid).await.unwrap()?)),
        Row::PeerTrustee(row) => Row::PeerTrustee(store.peer_trustee(&row.id, &row.peerid).await.unwrap()?),
        Row::Subscription(row) => {
            Row::Subscription(store.subscription(&row.id, &row.peerid, &row.subid).await.unwrap()?)
        }
        Row::Diff(row) => Row::Diff(store.diff(&row.id, &row.subid, row.seqnr).await.unwrap()?),
        Row::Suspension(row) => Row::Suspension(store.suspensions(&row.id).await.unwrap().into_iter().next()?),
        Row::Lookup(_) => return None,
    })
}

pub(super) async fn rows_that_are_created_are_read(store: &dyn Store) {
    for given in rows_of_each_table(Some(store.backend()), ROWS) {
        for row in &given {
            let is_new = match row {
                Row::Actor(row) => store.create_actor(row).await.unwrap(),
                Row::Property(row) => store.create_property(row).await.unwrap(),
                Row::Trust(row) => store.create_trust(row).await.unwrap(),
                Row::PeerTrustee(row) => store.create_peer_trustee(row).await.unwrap(),
                Row::Subscription(row) => store.create_subscription(row).await.unwrap(),
                Row::Diff(row) => store.create_diff(row).await.unwrap(),
                Row::Suspension(row) => store.suspend(&row.id, &row.target, &row.subtarget).await.unwrap(),
                // There is no such thing as creating one.
                Row::Attribute(_) | Row::Lookup(_) => continue,
            };
            assert!(is_new, "{row:?}");
            let found = found_by_key(store, row).await.unwrap_or_else(|| panic!("{row:?} is not there"));
            let expected = match (expected(store, row), &found) {
                (Row::Actor(mut row), Row::Actor(found)) => {
                    row.created_at = row.created_at.or(found.created_at);
                    Row::Actor(row)
                }
                (Row::Suspension(mut row), Row::Suspension(found)) => {
                    row.suspended_at = found.suspended_at;
                    Row::Suspension(row)
                }
                (Row::Trust(row), Row::Trust(found)) => Row::Trust(Box::new(completed(*row, found))),
                (row, _) => row,
            };
            assert_eq!(found, expected);
        }
    }
}

/// A new trust with what follows from what it was given.
fn completed(mut trust: Trust, found: &Trust) -> Trust {
    trust.created_at = trust.created_at.or(found.created_at);
    trust.last_accessed = trust.last_accessed.or(trust.created_at);
    let last = trust.last_connected_via.as_deref().filter(|via| !via.is_empty());
    let last = last.or(trust.established_via.as_deref());
    trust.last_connected_via = last.and_then(canonical_connection_method);
    trust
}

pub(super) async fn values_that_are_set_are_read_and_can_be_expected(store: &dyn Store) {
    let strategy = super::strategies::attribute(Some(store.backend()));
    for (n, given) in samples(&strategy, 2 * ROWS).into_iter().enumerate() {
        let id = format!("{n}{}", given.id);
        let key = AttributeKey { id: &id, bucket: &given.bucket, name: &given.name };
        let Some(data) = given.data.filter(|data| data.is_truthy()) else { continue };
        let ttl_seconds = given.ttl_timestamp.map(|seconds| seconds % 1_000_000);
        let value = NewValue { data: &data, timestamp: given.timestamp, ttl_seconds };
        store.set_attribute(key, &value).await.unwrap();
        let read = store.attribute(key).await.unwrap().expect("it is there");
        let found = read.data.clone().expect("a value");
        assert_same_value(store.backend(), &found, &data);
        assert_eq!((read.bucket_name, read.timestamp), (given.bucket_name.clone(), given.timestamp));
        assert_eq!(read.ttl_timestamp.is_some(), ttl_seconds.is_some());
        let is_live = ttl_seconds.is_none_or(|seconds| seconds > -TTL_CLOCK_SKEW_BUFFER);
        assert_eq!(store.live_attribute(key).await.unwrap().is_some(), is_live);

        let next = super::fixtures::plain(&data);
        assert!(store.swap_attribute(key, &found, &next).await.unwrap(), "what was read stands: {found}");
        assert!(store.swap_attribute(key, &data, &next).await.unwrap(), "what was stored stands: {data}");
        let other = super::fixtures::text("something else");
        assert!(!store.swap_attribute(key, &other, &next).await.unwrap() || data == other);
    }
}
