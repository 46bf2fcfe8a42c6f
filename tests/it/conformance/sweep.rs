//! Finding and deleting what has expired.

use std::collections::BTreeMap;
use std::time::Duration;

use actingweb_maintd::model::row::Attribute;
use actingweb_maintd::model::{Record, Row, Table};
use actingweb_maintd::storage::{
    Candidate, Claim, Claimed, Cursor, ErrorKind, Expired, Finish, Lease, Segment, SlotAfter, Store,
};
use actingweb_maintd::work::{Outcome, Report};

use super::fixtures::{int, key, state};

/// Adds attributes that expire `from_now` seconds from now.
async fn add(store: &dyn Store, bucket: &str, count: usize, from_now: i64) {
    let ttl = store.time().await.unwrap().timestamp() + from_now;
    let attribute = |n: usize| {
        let new = Attribute::new(&format!("actor {}", n % 7), bucket, &format!("name {n}"), Some(int(1)));
        Record::from(Row::Attribute(Attribute { ttl_timestamp: Some(ttl), ..new }))
    };
    store.write(&(0..count).map(attribute).collect::<Vec<_>>()).await.unwrap();
}

pub(super) async fn lease(store: &dyn Store) -> Lease {
    let claim =
        Claim { job: "ttl_cleanup", due: None, holder: "test".to_owned(), workers: 1, ttl: Duration::from_secs(60) };
    match store.claim(&claim).await.unwrap() {
        Claimed::Won(won) => won.lease,
        other => panic!("{other:?}"),
    }
}

async fn which(store: &dyn Store, buckets: &[&str]) -> Expired {
    let cutoff = store.cutoff(Duration::ZERO).await.unwrap().epoch;
    Expired { cutoff, buckets: buckets.iter().map(|bucket| (*bucket).to_owned()).collect() }
}

async fn all(store: &dyn Store, which: &Expired, limit: u32) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let page = store.expired(which, Segment::WHOLE, &cursor, limit).await.unwrap();
        assert!(page.candidates.len() <= limit as usize);
        found.extend(page.candidates);
        next = page.next;
    }
    found
}

pub(super) async fn only_what_has_expired_is_deleted(store: &dyn Store) {
    add(store, "sessions", 45, -60).await;
    add(store, "tokens", 5, -3600).await;
    add(store, "live", 20, 600).await;
    store.set_attribute(key("a", "for ever", "name"), &super::fixtures::plain(&int(1))).await.unwrap();
    let which = which(store, &[]).await;
    assert!(store.any_expired(&which).await.unwrap());
    let counted = store.count_expired(&which).await.unwrap();
    assert_eq!(counted, BTreeMap::from([("sessions".to_owned(), 45), ("tokens".to_owned(), 5)]));
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.expired_rows, backlog.capped), (50, false));
    assert!(backlog.oldest_age_seconds.is_some_and(|age| (3590..3700).contains(&age)), "{backlog:?}");

    let lease = lease(store).await;
    let candidates = all(store, &which, 7).await;
    assert_eq!(candidates.len(), 50);
    let batch = store.delete_expired(&which, &candidates, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 50);
    let again = store.delete_expired(&which, &candidates, &lease.fence(0)).await.unwrap();
    assert_eq!(again.deleted, 0, "they are gone");
    assert!(!store.any_expired(&which).await.unwrap());
    assert_eq!(store.backlog().await.unwrap().expired_rows, 0);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 21);
    let finish = Finish { outcome: Outcome::Succeeded, error: None, report: Report::default(), slot: SlotAfter::Done };
    let run = store.finish(&lease, &finish).await.unwrap();
    assert_eq!(run.report.deleted, 50, "the store has counted itself");
}

pub(super) async fn other_buckets_are_left_alone(store: &dyn Store) {
    for bucket in ["remote:abc", "remote:abcd", "remote", "é"] {
        add(store, bucket, 10, -60).await;
    }
    let which = which(store, &["remote:abc", "é"]).await;
    assert_eq!(store.count_expired(&which).await.unwrap().values().sum::<u64>(), 20);
    let candidates = all(store, &which, 100).await;
    assert_eq!(candidates.len(), 20);
    let lease = lease(store).await;
    assert_eq!(store.delete_expired(&which, &candidates, &lease.fence(0)).await.unwrap().deleted, 20);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 20);
}

pub(super) async fn what_was_extended_meanwhile_stays(store: &dyn Store) {
    add(store, "sessions", 10, -60).await;
    let which = which(store, &[]).await;
    let candidates = all(store, &which, 100).await;
    add(store, "sessions", 3, 600).await;
    let lease = lease(store).await;
    assert_eq!(store.delete_expired(&which, &candidates, &lease.fence(0)).await.unwrap().deleted, 7);
    assert_eq!(store.count(Table::Attributes).await.unwrap(), 3);
}

pub(super) async fn without_the_lease_nothing_is_deleted(store: &dyn Store) {
    add(store, "sessions", 10, -60).await;
    let which = which(store, &[]).await;
    let candidates = all(store, &which, 100).await;
    let lease = lease(store).await;
    let finish = Finish { outcome: Outcome::Partial, error: None, report: Report::default(), slot: SlotAfter::Done };
    store.finish(&lease, &finish).await.unwrap();
    let before = state(store).await;
    let refused = store.delete_expired(&which, &candidates, &lease.fence(0)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Fenced);
    assert_eq!(state(store).await, before);
}
