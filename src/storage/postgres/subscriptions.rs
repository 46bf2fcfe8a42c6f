//! Subscriptions.

use async_trait::async_trait;

use super::{Op, Postgres};
use crate::model::Row;
use crate::model::row::{Subscription, SubscriptionChange};
use crate::storage::{Result, Subscriptions};

#[async_trait]
impl Subscriptions for Postgres {
    async fn subscription(&self, id: &str, peerid: &str, subid: &str) -> Result<Option<Subscription>> {
        const OP: Op = Op { name: "subscription", phrase: "read a subscription" };
        self.select_one(OP, |s| &s.subscription, &[id, &key(peerid, subid), peerid, subid]).await
    }

    async fn subscriptions(&self, id: &str) -> Result<Vec<Subscription>> {
        const OP: Op = Op { name: "subscriptions", phrase: "list subscriptions" };
        self.select(OP, |s| &s.subscriptions, &[id]).await
    }

    async fn create_subscription(&self, subscription: &Subscription) -> Result<bool> {
        const OP: Op = Op { name: "create_subscription", phrase: "make a subscription" };
        self.create(OP, |s| &s.create_subscription, &Row::Subscription(subscription.clone())).await
    }

    async fn modify_subscription(
        &self,
        id: &str,
        peerid: &str,
        subid: &str,
        change: &SubscriptionChange,
    ) -> Result<bool> {
        const OP: Op = Op { name: "modify_subscription", phrase: "change a subscription" };
        let SubscriptionChange { granularity, target, subtarget, resource, seqnr, callback } = change.clone();
        let changes = vec![
            granularity.clone(),
            target.clone(),
            subtarget.clone(),
            resource.clone(),
            seqnr.map(|seqnr| seqnr.to_string()),
            callback.map(|callback| callback.to_string()),
        ];
        let subscription = Subscription::new(id, peerid, subid);
        let seqnr = seqnr.unwrap_or_default();
        let changed = Subscription { granularity, target, subtarget, resource, seqnr, ..subscription };
        let key = [id, &key(peerid, subid), peerid, subid];
        self.modify(OP, |s| &s.modify_subscription, &key, &Row::Subscription(changed), &changes).await
    }

    async fn delete_subscription(&self, id: &str, peerid: &str, subid: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_subscription", phrase: "delete a subscription" };
        let key = key(peerid, subid);
        Ok(self.change(OP, |s| &s.delete_subscription, &[id, &key, peerid, subid]).await? > 0)
    }

    async fn delete_subscriptions(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_subscriptions", phrase: "delete an actor's subscriptions" };
        self.change(OP, |s| &s.delete_subscriptions, &[id]).await
    }
}

/// The second part of the key.
fn key(peerid: &str, subid: &str) -> String {
    format!("{peerid}:{subid}")
}
