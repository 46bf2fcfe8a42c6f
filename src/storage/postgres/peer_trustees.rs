//! Peer trustees.

use async_trait::async_trait;

use super::{Op, Postgres};
use crate::model::Row;
use crate::model::row::{PeerTrustee, PeerTrusteeChange};
use crate::storage::{PeerTrustees, Result};

#[async_trait]
impl PeerTrustees for Postgres {
    async fn peer_trustee(&self, id: &str, peerid: &str) -> Result<Option<PeerTrustee>> {
        const OP: Op = Op { name: "peer_trustee", phrase: "read a peer trustee" };
        self.select_one(OP, |s| &s.peer_trustee, &[id, peerid]).await
    }

    async fn peer_trustees_of_type(&self, id: &str, r#type: &str) -> Result<Vec<PeerTrustee>> {
        const OP: Op = Op { name: "peer_trustees_of_type", phrase: "look for the peer trustees of a type" };
        self.select(OP, |s| &s.peer_trustees_of_type, &[id, r#type]).await
    }

    async fn peer_trustees(&self, id: &str) -> Result<Vec<PeerTrustee>> {
        const OP: Op = Op { name: "peer_trustees", phrase: "list peer trustees" };
        self.select(OP, |s| &s.peer_trustees, &[id]).await
    }

    async fn create_peer_trustee(&self, peer: &PeerTrustee) -> Result<bool> {
        const OP: Op = Op { name: "create_peer_trustee", phrase: "make a peer trustee" };
        self.create(OP, |s| &s.create_peer_trustee, &Row::PeerTrustee(peer.clone())).await
    }

    async fn modify_peer_trustee(&self, id: &str, peerid: &str, change: &PeerTrusteeChange) -> Result<bool> {
        const OP: Op = Op { name: "modify_peer_trustee", phrase: "change a peer trustee" };
        let PeerTrusteeChange { baseuri, r#type, passphrase } = change.clone();
        let changed = PeerTrustee {
            id: id.to_owned(),
            peerid: peerid.to_owned(),
            baseuri: baseuri.clone().unwrap_or_default(),
            r#type: r#type.clone().unwrap_or_default(),
            passphrase: passphrase.clone().unwrap_or_default(),
        };
        let changes = vec![baseuri, r#type, passphrase];
        self.modify(OP, |s| &s.modify_peer_trustee, &[id, peerid], &Row::PeerTrustee(changed), &changes).await
    }

    async fn delete_peer_trustee(&self, id: &str, peerid: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_peer_trustee", phrase: "delete a peer trustee" };
        Ok(self.change(OP, |s| &s.delete_peer_trustee, &[id, peerid]).await? > 0)
    }

    async fn delete_peer_trustees(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_peer_trustees", phrase: "delete an actor's peer trustees" };
        self.change(OP, |s| &s.delete_peer_trustees, &[id]).await
    }
}
