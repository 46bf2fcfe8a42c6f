//! Subscriptions.

use async_trait::async_trait;

use super::expression::{Change, Condition, Key};
use super::fields::Written;
use super::query::Range;
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::model::row::{Subscription, SubscriptionChange};
use crate::storage::{Result, Subscriptions};

fn key(id: &str, peerid: &str, subid: &str) -> Option<Key> {
    Key::new(Table::Subscriptions, &[id, &format!("{peerid}:{subid}")])
}

/// The item is this peer's: two pairs of peer and subscription can share one key.
fn of_peer(peerid: &str) -> Condition {
    Condition::text("peerid", peerid)
}

#[async_trait]
impl Subscriptions for DynamoDb {
    async fn subscription(&self, id: &str, peerid: &str, subid: &str) -> Result<Option<Subscription>> {
        const OP: Op = Op { name: "subscription", phrase: "read a subscription" };
        self.measured(OP, async {
            let found: Option<Subscription> = self.read(OP, key(id, peerid, subid)).await?;
            Ok(found.filter(|found| found.peerid == peerid))
        })
        .await
    }

    async fn subscriptions(&self, id: &str) -> Result<Vec<Subscription>> {
        const OP: Op = Op { name: "subscriptions", phrase: "list subscriptions" };
        self.measured(OP, self.rows(OP, id, Range::All)).await
    }

    async fn create_subscription(&self, subscription: &Subscription) -> Result<bool> {
        const OP: Op = Op { name: "create_subscription", phrase: "make a subscription" };
        self.measured(OP, self.create(OP, subscription)).await
    }

    async fn modify_subscription(
        &self,
        id: &str,
        peerid: &str,
        subid: &str,
        change: &SubscriptionChange,
    ) -> Result<bool> {
        const OP: Op = Op { name: "modify_subscription", phrase: "change a subscription" };
        self.measured(OP, self.modify(OP, key(id, peerid, subid), changed(change), of_peer(peerid))).await
    }

    async fn delete_subscription(&self, id: &str, peerid: &str, subid: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_subscription", phrase: "delete a subscription" };
        self.measured(OP, self.delete(OP, key(id, peerid, subid), of_peer(peerid))).await
    }

    async fn delete_subscriptions(&self, id: &str) -> Result<u64> {
        const OP: Op = Op { name: "delete_subscriptions", phrase: "delete all subscriptions" };
        self.measured(OP, self.delete_items(OP, Table::Subscriptions, id, Range::All, |_| true)).await
    }
}

/// An empty text is left out, as the library does.
fn changed(change: &SubscriptionChange) -> Change {
    let texts = [
        ("granularity", &change.granularity),
        ("target", &change.target),
        ("subtarget", &change.subtarget),
        ("resource", &change.resource),
    ];
    let mut set = Written::default().number("seqnr", change.seqnr).truth("callback", change.callback);
    let mut remove = Vec::new();
    for (name, text) in texts {
        match text.as_deref() {
            Some("") => remove.push(name),
            text => set = set.optional_text(name, text),
        }
    }
    Change { set: set.item(), remove }
}
