//! Relationships of actors with peers.

use async_trait::async_trait;

use super::expression::{Change, Condition, Key};
use super::fields::Written;
use super::query::Range;
use super::requests::readable;
use super::{DynamoDb, Op};
use crate::model::row::{Trust, TrustChange, canonical_connection_method};
use crate::model::{Row, Table};
use crate::storage::{Result, Trusts};

fn key(id: &str, peerid: &str) -> Option<Key> {
    Key::new(Table::Trusts, &[id, peerid])
}

#[async_trait]
impl Trusts for DynamoDb {
    async fn trust(&self, id: &str, peerid: &str) -> Result<Option<Trust>> {
        const OP: Op = Op { name: "trust", phrase: "read a trust" };
        self.measured(OP, self.read(OP, key(id, peerid))).await
    }

    async fn trust_by_secret(&self, id: &str, secret: &str) -> Result<Option<Trust>> {
        const OP: Op = Op { name: "trust_by_secret", phrase: "find a trust by its secret" };
        self.measured(OP, async {
            let trusts: Vec<Trust> = self.rows_by_index(OP, secret, Some(("id", id))).await?;
            let trusts = trusts.into_iter().filter(|trust| trust.secret == secret);
            Ok(trusts.min_by(|one, other| one.peerid.cmp(&other.peerid)))
        })
        .await
    }

    async fn trusts(&self, id: &str) -> Result<Vec<Trust>> {
        const OP: Op = Op { name: "trusts", phrase: "list trusts" };
        self.measured(OP, self.rows(OP, id, Range::All)).await
    }

    async fn create_trust(&self, trust: &Trust) -> Result<bool> {
        const OP: Op = Op { name: "create_trust", phrase: "make a trust" };
        let mut trust = trust.clone();
        let created = trust.created_at.unwrap_or_else(|| self.date.now());
        trust.created_at = Some(created);
        trust.last_accessed = trust.last_accessed.or(Some(created));
        let via = trust.last_connected_via.as_deref().filter(|via| !via.is_empty());
        let via = via.or(trust.established_via.as_deref());
        trust.last_connected_via = via.and_then(canonical_connection_method);
        self.measured(OP, self.create(OP, &trust)).await
    }

    async fn modify_trust(&self, id: &str, peerid: &str, change: &TrustChange) -> Result<bool> {
        const OP: Op = Op { name: "modify_trust", phrase: "change a trust" };
        self.measured(OP, async {
            let times = Trust {
                created_at: change.created_at,
                last_accessed: change.last_accessed,
                capabilities_fetched_at: change.capabilities_fetched_at,
                ..Trust::default()
            };
            readable(OP, &Row::Trust(Box::new(times)))?;
            self.modify(OP, key(id, peerid), changed(change), Condition::Present).await
        })
        .await
    }

    async fn delete_trust(&self, id: &str, peerid: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_trust", phrase: "delete a trust" };
        self.measured(OP, self.delete(OP, key(id, peerid), Condition::Present)).await
    }

    async fn delete_trusts(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_trusts", phrase: "delete all trusts" };
        self.measured(OP, self.delete_items(OP, Table::Trusts, id, Range::All, |_| true)).await
    }
}

fn changed(change: &TrustChange) -> Change {
    let via = change.last_connected_via.as_deref().map(canonical_connection_method);
    let set = Written::default()
        .optional_text("baseuri", change.baseuri.as_deref())
        .optional_text("secret", change.secret.as_deref())
        .optional_text("desc", change.desc.as_deref())
        .truth("approved", change.approved)
        .truth("peer_approved", change.peer_approved)
        .truth("verified", change.verified)
        .optional_text("verification_token", change.verification_token.as_deref())
        .optional_text("peer_identifier", change.peer_identifier.as_deref())
        .optional_text("established_via", change.established_via.as_deref())
        .time("created_at", change.created_at)
        .time("last_accessed", change.last_accessed)
        .optional_text("last_connected_via", via.as_ref().and_then(Option::as_deref))
        .optional_text("client_name", change.client_name.as_deref())
        .optional_text("client_version", change.client_version.as_deref())
        .optional_text("client_platform", change.client_platform.as_deref())
        .optional_text("oauth_client_id", change.oauth_client_id.as_deref())
        .optional_text("aw_supported", change.aw_supported.as_deref())
        .optional_text("aw_version", change.aw_version.as_deref())
        .time("capabilities_fetched_at", change.capabilities_fetched_at)
        .item();
    // Nothing but white space is no way of connecting, and what is none is left out.
    let remove = if via == Some(None) { vec!["last_connected_via"] } else { Vec::new() };
    Change { set, remove }
}
