//! Thinning out the changes of subscriptions, actor by actor.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue as Sdk, ReturnConsumedCapacity};

use super::deletion::Deletion;
use super::error::{Context, refused};
use super::expression::{Condition, Expression, Key};
use super::fields::Fields;
use super::query::Range;
use super::requests::from_sdk;
use super::watch::Known;
use super::{DynamoDb, Op};
use crate::model::limits::{MAX_HASH_KEY, MAX_RANGE_KEY};
use crate::model::row::subid_seqnr;
use crate::model::{AttributeValue, Item, Table};
use crate::storage::{
    Batch, Cut, DiffOwners, DiffText, ErrorKind, Fence, NumberedDiff, NumberedDiffs, Pruning, Result,
};

const TABLE: Table = Table::SubscriptionDiffs;

#[async_trait]
impl Pruning for DynamoDb {
    async fn diff_owners(&self, after: Option<&str>, limit: u32) -> Result<DiffOwners> {
        const OP: Op = Op { name: "diff_owners", phrase: "look for actors that have changes" };
        self.measured(OP, async {
            // No key is empty or longer.
            let after = after.filter(|after| (1..=MAX_HASH_KEY).contains(&after.len()));
            let request = self
                .clients()
                .await
                .work
                .scan()
                .table_name(self.table(TABLE))
                .projection_expression("id")
                .limit(count(limit))
                .set_exclusive_start_key(after.map(behind))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.send(OP, request.send()).await?.op(OP)?;
            let read_units = self.read_units(TABLE.name(), answer.consumed_capacity());
            let next = answer.last_evaluated_key().and_then(id_of);
            // What the page ended with is one of its items, and the rest of that actor's is jumped over.
            let mut ids: Vec<String> = answer.items().iter().filter_map(id_of).chain(next.clone()).collect();
            ids.dedup();
            Ok(DiffOwners { ids, next, read_units })
        })
        .await
    }

    async fn diff_numbers(&self, id: &str, after: Option<&str>, limit: u32) -> Result<NumberedDiffs> {
        const OP: Op = Op { name: "diff_numbers", phrase: "read the numbers of changes" };
        self.measured(OP, async {
            let start = match after {
                Some(after) => Key::new(TABLE, &[id, after]).map(|key| key.attributes()),
                None => None,
            };
            if id.is_empty() || id.len() > MAX_HASH_KEY {
                return Ok(NumberedDiffs::default());
            }
            let mut expression = Expression::default();
            let key = format!("{} = {}", expression.name("id"), expression.text(id));
            let attributes = ["subid_seqnr", "subid", "seqnr", "timestamp"].map(|name| expression.name(name));
            let (names, values) = expression.split();
            let request = self
                .clients()
                .await
                .work
                .query()
                .table_name(self.table(TABLE))
                .key_condition_expression(key)
                .projection_expression(attributes.join(", "))
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .consistent_read(true)
                .limit(count(limit))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = self.send(OP, request.send()).await?.op(OP)?;
            let read_units = self.read_units(TABLE.name(), answer.consumed_capacity());
            let next = answer.last_evaluated_key().and_then(|key| key.get("subid_seqnr")?.as_s().ok().cloned());
            let items = answer.items.unwrap_or_default().into_iter();
            let diffs = items.map(|item| Ok(numbered(&from_sdk(OP, TABLE, item)?))).collect::<Result<_>>()?;
            Ok(NumberedDiffs { diffs, next, read_units })
        })
        .await
    }

    async fn diff_texts(&self, id: &str, subid: &str, numbers: &[i64]) -> Result<Vec<DiffText>> {
        const OP: Op = Op { name: "diff_texts", phrase: "read changes" };
        self.measured(OP, async {
            let keys = numbers.iter().filter_map(|seqnr| Key::new(TABLE, &[id, &subid_seqnr(subid, *seqnr)]));
            let keys: Vec<Key> = keys.collect();
            let mut texts = Vec::new();
            for item in self.get_all(OP, TABLE, keys).await? {
                let fields = Fields::of(TABLE, &item);
                let (Ok(of), Ok(seqnr)) = (fields.text("subid"), fields.number("seqnr")) else { continue };
                if of == subid {
                    let text = |name| fields.optional_text(name).ok().flatten();
                    texts.push(DiffText { seqnr, timestamp: text("timestamp"), diff: text("diff") });
                }
            }
            texts.sort_by_key(|text| text.seqnr);
            Ok(texts)
        })
        .await
    }

    async fn prune_diffs(&self, cut: &Cut, fence: &Fence) -> Result<Batch> {
        const OP: Op = Op { name: "prune_diffs", phrase: "delete changes" };
        self.measured(OP, async {
            // Nothing here can hold the absence of a subscription whose peer is not known; so it is looked
            // for at the last moment.
            if cut.is_orphaned && self.has_subscription(OP, &cut.id, &cut.subid).await? {
                return Ok(Batch::default());
            }
            let keys = cut.numbers.iter().map(|seqnr| subid_seqnr(&cut.subid, *seqnr));
            let names: Vec<String> = keys.map(|key| format!("{}\n{key}", cut.id)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let delete = |index: usize, is_doubtful| self.delete_diff_of(OP, cut, cut.numbers[index], is_doubtful);
            Ok(self.delete_each(&names, 1, fence, OP, delete).await?.batch)
        })
        .await
    }
}

impl DynamoDb {
    /// Whether there is a subscription with this id and `subid`, whoever's. One that cannot be read may
    /// be it.
    async fn has_subscription(&self, op: Op, id: &str, subid: &str) -> Result<bool> {
        let items = self.items(op, Table::Subscriptions, id, Range::All).await?;
        Ok(items.iter().any(|item| {
            let found = Fields::of(Table::Subscriptions, item).text("subid");
            found.map_or(true, |found| found == subid)
        }))
    }

    /// Deletes a change. `is_doubtful`: an earlier attempt had no answer. Whatever is not certain ends the
    /// batch: the next one must not go before this one has.
    async fn delete_diff_of(&self, op: Op, cut: &Cut, seqnr: i64, is_doubtful: bool) -> Deletion {
        let gone = |known, units| Deletion { known: Some(known), units, ..Deletion::default() };
        let Some(key) = Key::new(TABLE, &[&cut.id, &subid_seqnr(&cut.subid, seqnr)]) else {
            return Deletion::failed(refused(op, ErrorKind::Other, "no item has such a key"));
        };
        let condition = Condition::Has(vec![
            ("subid", Some(AttributeValue::S(cut.subid.clone()))),
            ("seqnr", Some(AttributeValue::N(seqnr.to_string()))),
        ]);
        let error = match self.delete_metered(op, &key, &condition).await {
            Ok((true, units)) => return gone(Known::Deleted, units),
            Ok((false, _)) if !is_doubtful => return gone(Known::Skipped, 0.0),
            Ok((false, _)) => match self.get(op, &key).await {
                // It is gone, and one of our own attempts had no answer: that was it.
                Ok(None) => return gone(Known::Deleted, 0.0),
                Ok(Some(_)) => return gone(Known::Skipped, 0.0),
                Err(error) => error,
            },
            Err(error) => error,
        };
        // In these cases the answer says that nothing was done; in any other it may have been.
        let undone = [ErrorKind::Throttled, ErrorKind::Conflict, ErrorKind::Denied, ErrorKind::Schema];
        let known = (is_doubtful || !undone.contains(&error.kind)).then_some(Known::Unanswered);
        Deletion { known, ..Deletion::failed(error) }
    }
}

/// A place behind every change of an actor: no key is greater.
fn behind(id: &str) -> HashMap<String, Sdk> {
    let last = char::MAX.to_string().repeat(MAX_RANGE_KEY / char::MAX.len_utf8());
    HashMap::from([("id".to_owned(), Sdk::S(id.to_owned())), ("subid_seqnr".to_owned(), Sdk::S(last))])
}

fn count(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX).max(1)
}

fn id_of(item: &HashMap<String, Sdk>) -> Option<String> {
    item.get("id")?.as_s().ok().cloned()
}

/// A change that the library could not read either is under no key that follows from it.
fn numbered(item: &Item) -> NumberedDiff {
    let fields = Fields::of(TABLE, item);
    let (subid, seqnr) = (fields.text("subid").unwrap_or_default(), fields.number("seqnr"));
    let key = fields.text("subid_seqnr").unwrap_or_default();
    let is_under_its_key = seqnr.as_ref().is_ok_and(|seqnr| key == subid_seqnr(&subid, *seqnr));
    let timestamp = fields.optional_time("timestamp").ok().flatten();
    NumberedDiff { subid, seqnr: seqnr.unwrap_or_default(), timestamp, is_under_its_key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_by_the_key_that_follows_from_it() {
        let item = |key: &str, seqnr: Option<AttributeValue>| {
            let mut item = Item::from([
                ("subid".to_owned(), AttributeValue::S("s:1".to_owned())),
                ("subid_seqnr".to_owned(), AttributeValue::S(key.to_owned())),
            ]);
            item.extend(seqnr.map(|seqnr| ("seqnr".to_owned(), seqnr)));
            item
        };
        let number = |digits: &str| Some(AttributeValue::N(digits.to_owned()));
        assert!(numbered(&item("s:1:10", number("10"))).is_under_its_key);
        assert!(!numbered(&item("s:1:010", number("10"))).is_under_its_key);
        assert!(!numbered(&item("s:10", number("10"))).is_under_its_key);
        assert!(!numbered(&item("s:1:0", None)).is_under_its_key);
        assert!(!numbered(&item("s:1:0", Some(AttributeValue::S("0".to_owned())))).is_under_its_key);
    }

    #[test]
    fn behind_an_actor_is_the_longest_and_greatest_key() {
        let key = behind("a");
        let range = key["subid_seqnr"].as_s().unwrap();
        assert_eq!(range.len(), MAX_RANGE_KEY);
        assert!(range.as_str() > "\u{10ffff}\u{10ffff}:1");
    }
}
