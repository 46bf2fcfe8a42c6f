//! Trusts.

use async_trait::async_trait;

use super::{Op, Postgres};
use crate::model::row::{Trust, TrustChange, canonical_connection_method};
use crate::model::{Row, wire};
use crate::storage::{Result, Trusts};

#[async_trait]
impl Trusts for Postgres {
    async fn trust(&self, id: &str, peerid: &str) -> Result<Option<Trust>> {
        const OP: Op = Op { name: "trust", phrase: "read a trust" };
        self.select_one(OP, |s| &s.trust, &[id, peerid]).await
    }

    async fn trust_by_secret(&self, id: &str, secret: &str) -> Result<Option<Trust>> {
        const OP: Op = Op { name: "trust_by_secret", phrase: "look for a trust by its secret" };
        if secret.is_empty() {
            return self.measured(OP, async { Ok(None) }).await;
        }
        self.select_one(OP, |s| &s.trust_by_secret, &[id, secret]).await
    }

    async fn trusts(&self, id: &str) -> Result<Vec<Trust>> {
        const OP: Op = Op { name: "trusts", phrase: "list trusts" };
        self.select(OP, |s| &s.trusts, &[id]).await
    }

    async fn create_trust(&self, trust: &Trust) -> Result<bool> {
        const OP: Op = Op { name: "create_trust", phrase: "make a trust" };
        let method = trust.last_connected_via.as_deref().filter(|method| !method.is_empty());
        let method = method.or(trust.established_via.as_deref());
        let trust = Trust { last_connected_via: method.and_then(canonical_connection_method), ..trust.clone() };
        self.create(OP, |s| &s.create_trust, &Row::Trust(Box::new(trust))).await
    }

    async fn modify_trust(&self, id: &str, peerid: &str, change: &TrustChange) -> Result<bool> {
        const OP: Op = Op { name: "modify_trust", phrase: "change a trust" };
        // Nothing but white space takes it away: the library reads an empty text as none.
        let method = change.last_connected_via.as_deref();
        let method = method.map(|method| canonical_connection_method(method).unwrap_or_default());
        let change = TrustChange { last_connected_via: method, ..change.clone() };
        let changes = vec![
            change.baseuri.clone(),
            change.secret.clone(),
            change.desc.clone(),
            change.approved.map(|flag| flag.to_string()),
            change.peer_approved.map(|flag| flag.to_string()),
            change.verified.map(|flag| flag.to_string()),
            change.verification_token.clone(),
            change.peer_identifier.clone(),
            change.established_via.clone(),
            change.created_at.map(wire::format_pg_timestamp),
            change.last_accessed.map(wire::format_pg_timestamp),
            change.last_connected_via.clone(),
            change.client_name.clone(),
            change.client_version.clone(),
            change.client_platform.clone(),
            change.oauth_client_id.clone(),
            change.aw_supported.clone(),
            change.aw_version.clone(),
            change.capabilities_fetched_at.map(wire::format_pg_timestamptz),
        ];
        let changed = Row::Trust(Box::new(changed(id, peerid, change)));
        self.modify(OP, |s| &s.modify_trust, &[id, peerid], &changed, &changes).await
    }

    async fn delete_trust(&self, id: &str, peerid: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_trust", phrase: "delete a trust" };
        Ok(self.change(OP, |s| &s.delete_trust, &[id, peerid]).await? > 0)
    }

    async fn delete_trusts(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_trusts", phrase: "delete an actor's trusts" };
        self.change(OP, |s| &s.delete_trusts, &[id]).await
    }
}

/// A trust with nothing but its key and what changes.
fn changed(id: &str, peerid: &str, change: TrustChange) -> Trust {
    Trust {
        id: id.to_owned(),
        peerid: peerid.to_owned(),
        baseuri: change.baseuri.unwrap_or_default(),
        secret: change.secret.unwrap_or_default(),
        desc: change.desc,
        verification_token: change.verification_token,
        peer_identifier: change.peer_identifier,
        established_via: change.established_via,
        created_at: change.created_at,
        last_accessed: change.last_accessed,
        last_connected_via: change.last_connected_via,
        client_name: change.client_name,
        client_version: change.client_version,
        client_platform: change.client_platform,
        oauth_client_id: change.oauth_client_id,
        aw_supported: change.aw_supported,
        aw_version: change.aw_version,
        capabilities_fetched_at: change.capabilities_fetched_at,
        ..Trust::default()
    }
}
