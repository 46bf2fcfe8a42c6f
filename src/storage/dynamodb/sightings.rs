//! What was seen once, and where walks were cut off, in our own table. A sighting goes by the digest of
//! the actor's id, then of both names, as watermarks do.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::own::{Condition, Fields, Item, Range, key, number, text, time};
use super::watermarks::digest;
use super::{DynamoDb, Op};
use crate::storage::{Cursors, Result, Sighting, Sightings};

/// Requests at once.
const AT_ONCE: usize = 16;

/// Where cursors are.
const CURSOR: &str = "cursor";

/// Where the sightings of an actor are, and what their places begin with.
fn place(id: &str) -> (String, String) {
    let actor = digest(id, "");
    (part(&actor[..1]), format!("{actor}#"))
}

fn part(digit: &str) -> String {
    format!("sighting#{digit}")
}

fn key_of(id: &str, subid: &str) -> Item {
    let (pk, actor) = place(id);
    key(pk, format!("{actor}{}", digest(id, subid)))
}

fn read(item: &Item, op: Op) -> Result<Sighting> {
    let fields = Fields(item, op);
    Ok(Sighting {
        id: fields.text("id")?,
        subid: fields.text("subid")?,
        through: fields.number("through")?,
        seen_at: fields.time("seen_at")?,
    })
}

#[async_trait]
impl Sightings for DynamoDb {
    async fn sightings(&self, id: &str) -> Result<Vec<Sighting>> {
        const OP: Op = Op { name: "sightings", phrase: "read what was seen before" };
        self.measured(OP, async {
            let (pk, actor) = place(id);
            let range = Range { sk: Some(("begins_with(sk, :sk)", actor)), ..Range::all(pk) };
            let items = self.own_items(range, None, OP).await?;
            items.iter().map(|item| read(item, OP)).collect()
        })
        .await
    }

    async fn sight(&self, seen: &[(String, String, i64)]) -> Result<()> {
        const OP: Op = Op { name: "sight", phrase: "remember what was seen" };
        self.measured(OP, async {
            // So that the server's clock is known.
            if !self.date.is_known() {
                self.own_item(key("deployment", "identity"), OP).await?;
            }
            let now = self.now();
            let seen: Vec<_> =
                seen.iter().map(|(id, subid, through)| self.sight_one(OP, id, subid, *through, now)).collect();
            stream::iter(seen).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await
        })
        .await
    }

    async fn forget_sighting(&self, id: &str, subid: &str) -> Result<()> {
        const OP: Op = Op { name: "forget_sighting", phrase: "forget what was seen" };
        self.measured(OP, async {
            let condition =
                Condition::holds("id = :id AND subid = :subid", [(":id", text(id)), (":subid", text(subid))]);
            self.delete_own(key_of(id, subid), condition, OP).await?;
            Ok(())
        })
        .await
    }

    async fn forget_sightings(&self, since: DateTime<Utc>) -> Result<u64> {
        const OP: Op = Op { name: "forget_sightings", phrase: "forget what was not seen again" };
        self.measured(OP, async {
            let old = Condition::holds("again_at < :since", [(":since", time(since))]);
            let mut forgotten = 0;
            for digit in "0123456789abcdef".chars() {
                let pk = part(digit.encode_utf8(&mut [0; 4]));
                let mut range = Range { filter: Some(old.clone()), ..Range::all(pk) };
                loop {
                    let (page, next) = self.own_page(&range, OP).await?;
                    forgotten += self.forget_items(page, &old, OP).await?;
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

impl DynamoDb {
    async fn sight_one(&self, op: Op, id: &str, subid: &str, through: i64, now: DateTime<Utc>) -> Result<()> {
        let mut item = key_of(id, subid);
        item.insert("id".to_owned(), text(id));
        item.insert("subid".to_owned(), text(subid));
        item.insert("through".to_owned(), number(through));
        item.insert("seen_at".to_owned(), time(now));
        item.insert("again_at".to_owned(), time(now));
        if self.put_own(item, Condition::absent(), op).await? {
            return Ok(());
        }
        if let Some(mut known) = self.own_item(key_of(id, subid), op).await? {
            let seen_at = known.get("seen_at").cloned().unwrap_or_else(|| time(now));
            known.insert("again_at".to_owned(), time(now));
            // Whoever has changed it in between has seen it as well.
            self.put_own(known, Condition::holds("seen_at = :seen_at", [(":seen_at", seen_at)]), op).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Cursors for DynamoDb {
    async fn cursor(&self, job: &str) -> Result<Option<String>> {
        const OP: Op = Op { name: "cursor", phrase: "read where the walk was" };
        self.measured(OP, async {
            let item = self.own_item(key(CURSOR, job), OP).await?;
            Ok(item.and_then(|item| Fields(&item, OP).maybe_text("place")))
        })
        .await
    }

    async fn keep_cursor(&self, job: &str, place: Option<&str>) -> Result<()> {
        const OP: Op = Op { name: "keep_cursor", phrase: "remember where the walk is" };
        self.measured(OP, async {
            match place {
                Some(place) => {
                    let mut item = key(CURSOR, job);
                    item.insert("place".to_owned(), text(place));
                    // Whatever is there.
                    let any = "attribute_not_exists(pk) OR pk = :pk";
                    self.put_own(item, Condition::holds(any, [(":pk", text(CURSOR))]), OP).await?;
                }
                None => {
                    let any = Condition::holds("pk = :pk", [(":pk", text(CURSOR))]);
                    self.delete_own(key(CURSOR, job), any, OP).await?;
                }
            }
            Ok(())
        })
        .await
    }
}
