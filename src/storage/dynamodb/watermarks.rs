//! Watermarks in our own table. A subscription goes by the digest of its names, which may hold
//! anything and be long; digests are spread over so many `pk`s as there are hexadecimal digits.

use std::fmt::Write;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::own::{Condition, Fields, Item, Range, key, number, text, time};
use super::{DynamoDb, Op};
use crate::storage::{Result, Watermark, Watermarks};

/// Requests at once.
const AT_ONCE: usize = 16;

/// The digest of a subscription's names, as text.
pub(super) fn digest(id: &str, subid: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    // With its length before it, so that no other pair has the same bytes.
    hasher.update(&(id.len() as u64).to_le_bytes()).update(id.as_bytes()).update(subid.as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// Where watermarks with this first digit are.
fn part(digit: &str) -> String {
    format!("watermark#{digit}")
}

/// The numbers of a subscription, in their order.
fn place(digest: &str, seqnr: i64) -> String {
    // Shifted, so that negative ones come first.
    let shifted = seqnr.cast_unsigned() ^ (1 << 63);
    let mut place = digest.to_owned();
    // Writing to a text cannot fail.
    let _written = write!(place, "#{shifted:020}");
    place
}

fn read(item: &Item, op: Op) -> Result<Watermark> {
    let fields = Fields(item, op);
    Ok(Watermark {
        id: fields.text("id")?,
        subid: fields.text("subid")?,
        seqnr: fields.number("seqnr")?,
        seen_at: fields.time("seen_at")?,
    })
}

#[async_trait]
impl Watermarks for DynamoDb {
    async fn mark(&self, newest: &[(String, String, i64)]) -> Result<()> {
        const OP: Op = Op { name: "mark", phrase: "remember the newest changes" };
        self.measured(OP, async {
            // So that the server's clock is known.
            if !self.date.is_known() {
                self.own_item(key("deployment", "identity"), OP).await?;
            }
            let seen_at = self.now();
            let items = newest.iter().map(|(id, subid, seqnr)| {
                let digest = digest(id, subid);
                let mut item = key(part(&digest[..1]), place(&digest, *seqnr));
                item.insert("id".to_owned(), text(id));
                item.insert("subid".to_owned(), text(subid));
                item.insert("seqnr".to_owned(), number(seqnr));
                item.insert("seen_at".to_owned(), time(seen_at));
                item
            });
            let puts: Vec<_> = items.map(|item| self.put_own(item, Condition::absent(), OP)).collect();
            stream::iter(puts).buffer_unordered(AT_ONCE).try_for_each(|_is_new| async { Ok(()) }).await
        })
        .await
    }

    async fn watermark(&self, id: &str, subid: &str, before: DateTime<Utc>) -> Result<Option<Watermark>> {
        const OP: Op = Op { name: "watermark", phrase: "read a watermark" };
        self.measured(OP, async {
            let filter = Condition::holds("seen_at < :before", [(":before", time(before))]);
            let range = Range { backwards: true, filter: Some(filter), ..range_of(id, subid) };
            let items = self.own_items(range, Some(1), OP).await?;
            items.first().map(|item| read(item, OP)).transpose()
        })
        .await
    }

    async fn watermarks(&self, id: &str, subid: &str) -> Result<Vec<Watermark>> {
        const OP: Op = Op { name: "watermarks", phrase: "read the watermarks" };
        self.measured(OP, async {
            let items = self.own_items(range_of(id, subid), None, OP).await?;
            let marks: Result<Vec<_>> = items.iter().map(|item| read(item, OP)).collect();
            let mut marks = marks?;
            marks.sort_by_key(|mark| (mark.seen_at, mark.seqnr));
            Ok(marks)
        })
        .await
    }

    async fn forget_watermarks_of(&self, id: &str, subid: &str) -> Result<u64> {
        const OP: Op = Op { name: "forget_watermarks_of", phrase: "forget the watermarks of a subscription" };
        self.measured(OP, async {
            let items = self.own_items(range_of(id, subid), None, OP).await?;
            let same = Condition::holds("id = :id AND subid = :subid", [(":id", text(id)), (":subid", text(subid))]);
            self.forget_items(items, &same, OP).await
        })
        .await
    }

    async fn forget_watermarks(&self, before: DateTime<Utc>) -> Result<u64> {
        const OP: Op = Op { name: "forget_watermarks", phrase: "forget old watermarks" };
        self.measured(OP, async {
            let old = Condition::holds("seen_at < :before", [(":before", time(before))]);
            let mut forgotten = 0;
            for digit in "0123456789abcdef".chars() {
                let mut range = Range::all(part(digit.encode_utf8(&mut [0; 4])));
                // The highest of its subscription so far that is old.
                let mut last: Option<(Item, Watermark)> = None;
                loop {
                    let (page, next) = self.own_page(&range, OP).await?;
                    let mut stale = Vec::new();
                    for item in page {
                        let mark = read(&item, OP)?;
                        if mark.seen_at >= before {
                            continue;
                        }
                        let names = (mark.id.clone(), mark.subid.clone());
                        if let Some((item, last)) = last.replace((item, mark))
                            && (last.id, last.subid) == names
                        {
                            stale.push(item);
                        }
                    }
                    forgotten += self.forget_items(stale, &old, OP).await?;
                    if next.is_none() {
                        break;
                    }
                    range.from = next;
                }
            }
            Ok(forgotten)
        })
        .await
    }
}

/// All watermarks of a subscription.
fn range_of(id: &str, subid: &str) -> Range {
    let digest = digest(id, subid);
    let pk = part(&digest[..1]);
    Range { sk: Some(("begins_with(sk, :sk)", format!("{digest}#"))), ..Range::all(pk) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_texts() {
        let places: Vec<String> = [i64::MIN, -1, 0, 1, 9, 10, i64::MAX].map(|seqnr| place("d", seqnr)).into();
        assert!(places.is_sorted());
    }

    #[test]
    fn no_two_subscriptions_share_a_digest() {
        assert_ne!(digest("a", "bc"), digest("ab", "c"));
        assert_ne!(digest("", "abc"), digest("abc", ""));
    }
}
