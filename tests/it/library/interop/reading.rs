//! Everything that is stored, as the traits find it.

use std::collections::BTreeSet;

use actingweb_maintd::model::row::{LookupEntry, LookupOwner, Row, lookup_key};
use actingweb_maintd::model::{BackendKind, Record, Table};
use actingweb_maintd::storage::{AttributeKey, Place as At, Segment};

use super::contents::{Contents, text};
use super::place::Place;

/// In so many parts the tables are walked over, so many rows at a time.
const SEGMENTS: u32 = 3;
const LIMIT: u32 = 4;

/// Every row, by walking over the tables.
pub(super) async fn scanned(place: &Place) -> Vec<Record> {
    let mut records = Vec::new();
    for table in Table::ALL {
        for index in 0..SEGMENTS {
            let mut at = At::default();
            loop {
                let segment = Segment { index, of: SEGMENTS };
                let stretch = place.store().scan(table, segment, &at, LIMIT).await.expect("scanning");
                assert!(stretch.records.len() <= LIMIT as usize);
                records.extend(stretch.records);
                let Some(next) = stretch.next else { break };
                at = next;
            }
        }
        let of_table = records.iter().filter(|record| record.table == table).count() as u64;
        assert_eq!(place.store().count(table).await.expect("counting"), of_table, "{table}");
    }
    records
}

/// Every row, by its actor; and each of them by its key alone is the same.
pub(super) async fn rows(place: &Place, contents: &Contents) -> Vec<Row> {
    let store = place.store();
    let mut rows = Vec::new();
    for id in contents.ids() {
        rows.extend(store.actor(&id).await.unwrap().map(Row::Actor));
        for property in store.all_properties(&id).await.unwrap() {
            let value = store.property(&id, &property.name).await.unwrap();
            assert_eq!(value.as_ref(), Some(&property.value), "{}", property.name);
            rows.push(Row::Property(property));
        }
        for attribute in store.buckets(&id).await.unwrap() {
            let key = AttributeKey { id: &id, bucket: &attribute.bucket, name: &attribute.name };
            let alone = store.attribute(key).await.unwrap();
            assert_eq!(format!("{alone:?}"), format!("{:?}", Some(&attribute)));
            let bucket = store.bucket(&id, &attribute.bucket).await.unwrap();
            assert!(bucket.iter().any(|one| format!("{one:?}") == format!("{attribute:?}")));
            rows.push(Row::Attribute(attribute));
        }
        for trust in store.trusts(&id).await.unwrap() {
            assert_eq!(store.trust(&id, &trust.peerid).await.unwrap().as_ref(), Some(&trust));
            rows.push(Row::Trust(Box::new(trust)));
        }
        for peer in store.peer_trustees(&id).await.unwrap() {
            assert_eq!(store.peer_trustee(&id, &peer.peerid).await.unwrap().as_ref(), Some(&peer));
            rows.push(Row::PeerTrustee(peer));
        }
        for one in store.subscriptions(&id).await.unwrap() {
            assert_eq!(store.subscription(&id, &one.peerid, &one.subid).await.unwrap().as_ref(), Some(&one));
            rows.push(Row::Subscription(one));
        }
        for diff in store.diffs(&id, None).await.unwrap() {
            assert_eq!(store.diff(&id, &diff.subid, diff.seqnr).await.unwrap().as_ref(), Some(&diff));
            rows.push(Row::Diff(diff));
        }
        rows.extend(store.suspensions(&id).await.unwrap().into_iter().map(Row::Suspension));
    }
    rows.extend(lookups(place, contents).await);
    rows
}

/// The entries of the look-up table for every value that a property ever has.
async fn lookups(place: &Place, contents: &Contents) -> Vec<Row> {
    let properties = contents.rows("properties").iter();
    let values: BTreeSet<(String, String)> = properties
        .map(|row| (text(row, "name"), text(row, "value")))
        .flat_map(|(name, value)| [(name.clone(), value.clone() + "~"), (name, value)])
        .collect();
    let mut rows = Vec::new();
    for (property_name, value) in values {
        // The look-up has a limit, and only PostgreSQL keeps the value.
        let Some(actor_id) = place.store().lookup(&property_name, &value).await.unwrap() else { continue };
        let owner = match place.backend() {
            BackendKind::Postgresql => LookupOwner::Value(value),
            BackendKind::Dynamodb => LookupOwner::Key(lookup_key(&property_name, &value)),
        };
        rows.push(Row::Lookup(LookupEntry { owner, property_name, actor_id }));
    }
    rows
}
