//! Everything that is left goes, by the traits.

use actingweb_maintd::storage::{AttributeKey, Through};

use super::contents::Contents;
use super::place::Place;

/// Deletes one row by its key and the others with all of their actor.
pub(super) async fn delete(place: &Place, contents: &Contents) {
    let store = place.store();
    for id in &contents.ids() {
        let subscriptions = store.subscriptions(id).await.unwrap();
        if let Some(first) = subscriptions.first() {
            assert!(store.delete_subscription(id, &first.peerid, &first.subid).await.unwrap());
            let left = subscriptions.len() as u64 - 1;
            assert_eq!(store.delete_subscriptions(id).await.unwrap(), left);
        }
        let diffs = store.diffs(id, None).await.unwrap().len() as u64;
        assert_eq!(store.clear_diffs(id, None, Through::All).await.unwrap(), diffs);
        let suspensions = store.suspensions(id).await.unwrap().len() as u64;
        assert_eq!(store.delete_suspensions(id).await.unwrap(), suspensions);
        let trusts = store.trusts(id).await.unwrap();
        if let Some(first) = trusts.first() {
            assert!(store.delete_trust(id, &first.peerid).await.unwrap());
            assert_eq!(store.delete_trusts(id).await.unwrap(), trusts.len() as u64 - 1);
        }
        let peers = store.peer_trustees(id).await.unwrap();
        if let Some(first) = peers.first() {
            assert!(store.delete_peer_trustee(id, &first.peerid).await.unwrap());
            assert_eq!(store.delete_peer_trustees(id).await.unwrap(), peers.len() as u64 - 1);
        }
        let attributes = store.buckets(id).await.unwrap();
        if let Some(first) = attributes.first() {
            let key = AttributeKey { id, bucket: &first.bucket, name: &first.name };
            assert!(store.delete_attribute(key).await.unwrap());
            let in_bucket = attributes.iter().filter(|one| one.bucket == first.bucket).count() as u64 - 1;
            assert_eq!(store.delete_bucket(id, &first.bucket).await.unwrap(), in_bucket);
            let left = attributes.len() as u64 - 1 - in_bucket;
            assert_eq!(store.delete_attributes(id).await.unwrap(), left);
        }
        let properties = store.all_properties(id).await.unwrap().len() as u64;
        assert_eq!(store.delete_all_properties(id).await.unwrap(), properties);
        let was_there = store.actor(id).await.unwrap().is_some();
        assert_eq!(store.delete_actor(id).await.unwrap(), was_there);
    }
}
