//! Peer trustees, as an application uses them.

use async_trait::async_trait;

use super::Result;
use crate::model::row::{PeerTrustee, PeerTrusteeChange};

/// Peer trustees.
#[async_trait]
pub trait PeerTrustees: Send + Sync {
    /// The peer trustee, read consistently.
    async fn peer_trustee(&self, id: &str, peerid: &str) -> Result<Option<PeerTrustee>>;

    /// Those of this type, in the order of the bytes of their peers. (The library wants exactly one
    /// and fails on several; here whoever asks sees how many there are.)
    async fn peer_trustees_of_type(&self, id: &str, r#type: &str) -> Result<Vec<PeerTrustee>>;

    /// All of an actor, read consistently, in the order of the bytes of their peers.
    async fn peer_trustees(&self, id: &str) -> Result<Vec<PeerTrustee>>;

    /// Makes one, unless there is one with this peer (false). Atomic. (The library on DynamoDB
    /// overwrites it.)
    async fn create_peer_trustee(&self, peer: &PeerTrustee) -> Result<bool>;

    /// Changes one that there is (else false). Atomic; never brings one back.
    async fn modify_peer_trustee(&self, id: &str, peerid: &str, change: &PeerTrusteeChange) -> Result<bool>;

    /// Deletes one; false when there was none.
    async fn delete_peer_trustee(&self, id: &str, peerid: &str) -> Result<bool>;

    /// Deletes all of an actor; returns how many there were. On PostgreSQL atomic.
    async fn delete_peer_trustees(&self, id: &str) -> Result<u64>;
}
