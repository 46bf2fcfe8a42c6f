//! Expired attributes. DynamoDB finds none by their TTL, so the whole table is read, page by page.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use chrono::TimeDelta;

use super::error::{Context, refused};
use super::native_ttl::ends;
use super::own::{Item, key, number, text};
use super::state::JOBS;
use super::{DynamoDb, Op};
use crate::model::{Table, clock};
use crate::storage::{
    Backlog, Batch, Candidate, Cursor, Cutoff, Ends, ErrorKind, Expired, Fence, Page, Result, Segment, Sweep,
};

/// The label of the table in metrics.
pub(super) const LABEL: &str = Table::Attributes.name();

/// So many operands `IN` may have.
const OPERANDS: usize = 100;

/// A row has expired. Compared with a number, only numbers are less.
const EXPIRED: &str = "ttl_timestamp < :cutoff";

/// The same, or its TTL is one that DynamoDB itself cannot go by.
const EXPIRED_OR_ODD: &str = "ttl_timestamp < :cutoff OR ttl_timestamp >= :not_seconds \
     OR (attribute_exists(ttl_timestamp) AND NOT attribute_type(ttl_timestamp, :number) \
         AND NOT attribute_type(ttl_timestamp, :null))";

/// The gauge of the backlog is worth so many pages, of a megabyte each.
const PAGES: u32 = 4;

/// A row that is to be deleted.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) bucket_name: String,
    pub(super) bucket: Option<String>,
    /// The TTL as it was read.
    pub(super) ttl: String,
}

impl Row {
    /// What a page has read of a row. Nothing when that is not a row of the library's.
    fn read(item: &Item) -> Option<Self> {
        let text = |name| item.get(name)?.as_s().ok().cloned();
        let ttl = item.get("ttl_timestamp")?.as_n().ok()?.clone();
        Some(Self { id: text("id")?, bucket_name: text("bucket_name")?, bucket: text("bucket"), ttl })
    }

    /// Whether its TTL lies before this.
    fn ends_before(&self, cutoff: i64) -> bool {
        self.ttl.parse::<f64>().is_ok_and(|ttl| ttl < cutoff as f64)
    }

    /// Whether its bucket is one of those that are meant.
    pub(super) fn is_in(&self, buckets: &[String]) -> bool {
        buckets.is_empty() || self.bucket.as_ref().is_some_and(|bucket| buckets.contains(bucket))
    }
}

#[async_trait]
impl Sweep for DynamoDb {
    async fn cutoff(&self, grace: Duration) -> Result<Cutoff> {
        const OP: Op = Op { name: "cutoff", phrase: "ask the server for the time" };
        self.measured(OP, async {
            self.own_item(key(JOBS, "none"), OP).await?;
            let now = self.now();
            let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
            let epoch = now.checked_sub_signed(grace).map_or(i64::MIN, |cutoff| cutoff.timestamp());
            Ok(Cutoff { epoch, now })
        })
        .await
    }

    async fn expired(&self, which: &Expired, segment: Segment, cursor: &Cursor, limit: u32) -> Result<Page> {
        const OP: Op = Op { name: "expired", phrase: "read expired attributes" };
        self.measured(OP, async {
            let from = cursor.0.as_deref().map(read_place).transpose();
            let from = from.map_err(|error| refused(OP, ErrorKind::Other, error.to_string()))?;
            let count = |number: u32| i32::try_from(number.max(1)).unwrap_or(i32::MAX);
            let scan = self.scan(which, "id, bucket_name, #bucket, ttl_timestamp", EXPIRED_OR_ODD).await;
            let scan = scan
                .expression_attribute_values(":not_seconds", number(Ends::NOT_SECONDS))
                .expression_attribute_values(":number", text("N"))
                .expression_attribute_values(":null", text("NULL"))
                .segment(i32::try_from(segment.index).unwrap_or(i32::MAX))
                .total_segments(count(segment.of))
                .limit(count(limit));
            let (answer, read_units) = self.read_page(scan, from, OP).await?;
            let examined = u64::try_from(answer.scanned_count()).unwrap_or_default();
            let rows = answer.items().iter().filter_map(Row::read);
            let rows = rows.filter(|row| row.ends_before(which.cutoff) && row.is_in(&which.buckets));
            Ok(Page {
                candidates: rows.filter_map(|row| Some(Candidate(serde_json::to_string(&row).ok()?))).collect(),
                examined,
                ends: ends(answer.items(), which.cutoff, examined),
                next: answer.last_evaluated_key().and_then(write_place).map(|place| Cursor(Some(place))),
                read_units,
            })
        })
        .await
    }

    async fn delete_expired(&self, which: &Expired, candidates: &[Candidate], fence: &Fence) -> Result<Batch> {
        const OP: Op = Op { name: "delete_expired", phrase: "delete expired attributes" };
        self.measured(OP, self.delete_batch(which, candidates, fence, OP)).await
    }

    async fn any_expired(&self, which: &Expired) -> Result<bool> {
        const OP: Op = Op { name: "any_expired", phrase: "look for expired attributes" };
        self.measured(OP, async {
            let mut from = None;
            loop {
                // Consistent, so that what was deleted just now is not found again.
                let scan = self.scan_expired(which, "#bucket, ttl_timestamp").await.consistent_read(true);
                let (answer, _) = self.read_page(scan, from, OP).await?;
                if answer.items().iter().any(|item| is_in(item, &which.buckets)) {
                    return Ok(true);
                }
                let Some(next) = answer.last_evaluated_key else { return Ok(false) };
                from = Some(next);
            }
        })
        .await
    }

    async fn count_expired(&self, which: &Expired) -> Result<BTreeMap<String, u64>> {
        const OP: Op = Op { name: "count_expired", phrase: "count expired attributes" };
        self.measured(OP, async {
            let (mut counts, mut from) = (BTreeMap::new(), None);
            loop {
                let scan = self.scan_expired(which, "#bucket, ttl_timestamp").await;
                let (answer, _) = self.read_page(scan, from, OP).await?;
                for item in answer.items().iter().filter(|item| is_in(item, &which.buckets)) {
                    *counts.entry(bucket(item).cloned().unwrap_or_default()).or_default() += 1;
                }
                let Some(next) = answer.last_evaluated_key else { return Ok(counts) };
                from = Some(next);
            }
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        const OP: Op = Op { name: "backlog", phrase: "measure the backlog" };
        self.measured(OP, async {
            self.own_item(key(JOBS, "none"), OP).await?;
            let now = self.now().timestamp();
            let which = Expired { cutoff: now, buckets: Vec::new() };
            let (mut expired_rows, mut oldest, mut from) = (0, None, None);
            for _ in 0..PAGES {
                let scan = self.scan_expired(&which, "#bucket, ttl_timestamp").await;
                let (answer, _) = self.read_page(scan, from, OP).await?;
                let ttls =
                    answer.items().iter().filter_map(|item| item.get("ttl_timestamp")?.as_n().ok()?.parse().ok());
                oldest = oldest.into_iter().chain(ttls).reduce(f64::min);
                expired_rows += answer.items().len() as u64;
                from = answer.last_evaluated_key;
                if from.is_none() || expired_rows >= Backlog::CAP {
                    break;
                }
            }
            Ok(Backlog {
                expired_rows: expired_rows.min(Backlog::CAP),
                // What was not looked at may have more of them.
                capped: from.is_some() || expired_rows >= Backlog::CAP,
                oldest_age_seconds: oldest.map(|oldest| (now as f64 - oldest).max(0.0) as u64),
                measured_at: clock::now(),
            })
        })
        .await
    }
}

impl DynamoDb {
    /// A walk over what has expired, which answers these attributes.
    async fn scan_expired(&self, which: &Expired, attributes: &str) -> ScanFluentBuilder {
        self.scan(which, attributes, EXPIRED).await
    }

    /// A walk over the rows that `condition` is about.
    async fn scan(&self, which: &Expired, attributes: &str, condition: &str) -> ScanFluentBuilder {
        let scan = self.clients().await.work.scan().table_name(self.table(Table::Attributes));
        let mut scan = scan
            .projection_expression(attributes)
            .expression_attribute_names("#bucket", "bucket")
            .expression_attribute_values(":cutoff", number(which.cutoff))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut filter = condition.to_owned();
        // More of them are sorted out here.
        if (1..=OPERANDS).contains(&which.buckets.len()) {
            let names: Vec<String> = (0..which.buckets.len()).map(|index| format!(":bucket{index}")).collect();
            filter = format!("({filter}) AND #bucket IN ({})", names.join(", "));
            for (name, bucket) in names.into_iter().zip(&which.buckets) {
                scan = scan.expression_attribute_values(name, text(bucket));
            }
        }
        scan.filter_expression(filter)
    }

    async fn read_page(&self, scan: ScanFluentBuilder, from: Option<Item>, op: Op) -> Result<(ScanOutput, f64)> {
        let answer = self.send(op, scan.set_exclusive_start_key(from).send()).await?.op(op)?;
        let units = self.read_units(LABEL, answer.consumed_capacity());
        Ok((answer, units))
    }
}

fn bucket(item: &Item) -> Option<&String> {
    item.get("bucket").and_then(|bucket| bucket.as_s().ok())
}

fn is_in(item: &Item, buckets: &[String]) -> bool {
    buckets.is_empty() || bucket(item).is_some_and(|bucket| buckets.contains(bucket))
}

/// Where a page ended, as a text.
fn write_place(key: &Item) -> Option<String> {
    let part = |name| key.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    serde_json::to_string(&(part("id")?, part("bucket_name")?)).ok()
}

fn read_place(place: &str) -> Result<Item, serde_json::Error> {
    let (id, bucket_name): (String, String) = serde_json::from_str(place)?;
    Ok(Item::from([("id".to_owned(), text(id)), ("bucket_name".to_owned(), text(bucket_name))]))
}
