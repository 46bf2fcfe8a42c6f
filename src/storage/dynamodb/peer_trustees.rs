//! Peers that actors may act for.

use async_trait::async_trait;

use super::expression::{Change, Condition, Key};
use super::fields::Written;
use super::query::Range;
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::model::row::{PeerTrustee, PeerTrusteeChange};
use crate::storage::{PeerTrustees, Result};

fn key(id: &str, peerid: &str) -> Option<Key> {
    Key::new(Table::PeerTrustees, &[id, peerid])
}

#[async_trait]
impl PeerTrustees for DynamoDb {
    async fn peer_trustee(&self, id: &str, peerid: &str) -> Result<Option<PeerTrustee>> {
        const OP: Op = Op { name: "peer_trustee", phrase: "read a peer trustee" };
        self.measured(OP, self.read(OP, key(id, peerid))).await
    }

    async fn peer_trustees_of_type(&self, id: &str, r#type: &str) -> Result<Vec<PeerTrustee>> {
        const OP: Op = Op { name: "peer_trustees_of_type", phrase: "find peer trustees by their type" };
        self.measured(OP, async {
            let mut peers: Vec<PeerTrustee> = self.rows(OP, id, Range::All).await?;
            peers.retain(|peer| peer.r#type == r#type);
            Ok(peers)
        })
        .await
    }

    async fn peer_trustees(&self, id: &str) -> Result<Vec<PeerTrustee>> {
        const OP: Op = Op { name: "peer_trustees", phrase: "list peer trustees" };
        self.measured(OP, self.rows(OP, id, Range::All)).await
    }

    async fn create_peer_trustee(&self, peer: &PeerTrustee) -> Result<bool> {
        const OP: Op = Op { name: "create_peer_trustee", phrase: "make a peer trustee" };
        self.measured(OP, self.create(OP, peer)).await
    }

    async fn modify_peer_trustee(&self, id: &str, peerid: &str, change: &PeerTrusteeChange) -> Result<bool> {
        const OP: Op = Op { name: "modify_peer_trustee", phrase: "change a peer trustee" };
        let set = Written::default()
            .optional_text("baseuri", change.baseuri.as_deref())
            .optional_text("type", change.r#type.as_deref())
            .optional_text("passphrase", change.passphrase.as_deref())
            .item();
        let change = Change { set, ..Change::default() };
        self.measured(OP, self.modify(OP, key(id, peerid), change, Condition::Present)).await
    }

    async fn delete_peer_trustee(&self, id: &str, peerid: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_peer_trustee", phrase: "delete a peer trustee" };
        self.measured(OP, self.delete(OP, key(id, peerid), Condition::Present)).await
    }

    async fn delete_peer_trustees(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_peer_trustees", phrase: "delete all peer trustees" };
        self.measured(OP, self.delete_items(OP, Table::PeerTrustees, id, Range::All, |_| true)).await
    }
}
