//! History in our own table: each run is the very JSON that every surface shows. While it goes on
//! its item carries the lease's term and secret too, which the counts of its batches are added
//! under.

use std::cmp::Reverse;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, TransactWriteItem};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::error::{Context, is_condition_failed, refused};
use super::own::{Condition, Fields, Item, LABEL, Range, Tries, key, number, text, time};
use super::state::JOBS;
use super::watch::Counts;
use super::{DynamoDb, Op};
use crate::storage::{ErrorKind, Fence, Finish, Lease, Result, Runs, SlotAfter};
use crate::work::{Outcome, PassedSlots, Run};

/// How many old items are deleted at once.
const AT_ONCE: usize = 16;

/// A run as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) run: Run,
    counts: Counts,
    /// Of the lease that it goes on under.
    fence: Option<(i64, Uuid)>,
}

impl Stored {
    /// A run that begins.
    pub(super) fn open(run: Run, term: i64, secret: Uuid) -> Self {
        Self { run, counts: Counts::default(), fence: Some((term, secret)) }
    }

    /// Whether it goes on, or was left behind.
    pub(super) fn is_open(&self) -> bool {
        self.run.outcome.is_none()
    }

    pub(super) fn read(item: &Item, op: Op) -> Result<Self> {
        let fields = Fields(item, op);
        let mut run: Run = fields.json("run")?;
        let counts = Counts {
            batches: fields.number("batches")?,
            deleted: fields.number("deleted")?,
            skipped: fields.number("skipped")?,
        };
        let secret = fields.maybe_uuid("secret")?;
        let fence = secret.map(|secret| Ok((fields.number("term")?, secret))).transpose()?;
        if run.outcome.is_none() {
            run.report = counts.into_report(run.report);
        }
        Ok(Self { run, counts, fence })
    }

    pub(super) fn write(&self, op: Op) -> Result<Item> {
        let mut item = key(runs_of(&self.run.job), self.run.run_id.to_string());
        let run = serde_json::to_string(&self.run).map_err(|error| refused(op, ErrorKind::Other, error.to_string()))?;
        item.insert("run".to_owned(), text(run));
        item.insert("batches".to_owned(), number(self.counts.batches));
        item.insert("deleted".to_owned(), number(self.counts.deleted));
        item.insert("skipped".to_owned(), number(self.counts.skipped));
        if let Some(finished_at) = self.run.finished_at {
            item.insert("finished_at".to_owned(), time(finished_at));
        }
        if let Some((term, secret)) = self.fence {
            item.insert("term".to_owned(), number(term));
            item.insert("secret".to_owned(), text(secret.to_string()));
        }
        Ok(item)
    }
}

/// Where the runs of a job are.
fn runs_of(job: &str) -> String {
    format!("run#{job}")
}

/// Where the slots of a job are that were passed over.
pub(super) fn passed_of(job: &str) -> String {
    format!("passed#{job}")
}

#[async_trait]
impl Runs for DynamoDb {
    async fn finish(&self, lease: &Lease, finish: &Finish) -> Result<Run> {
        const OP: Op = Op { name: "finish", phrase: "write the run's report" };
        let run_id = lease.run.run_id;
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                let was = self.state(&lease.run.job, OP).await?;
                let stored = self.stored_run(&lease.run.job, run_id, OP).await?;
                let is_ours = was.hold.as_ref().is_some_and(|hold| hold.secret == lease.secret);
                let stored = match stored {
                    Some(stored) if is_ours && was.term == lease.term => stored,
                    stored => {
                        self.holdings.end(run_id);
                        return already_finished(stored, finish, OP);
                    }
                };
                let now = self.now();
                // What was deleted and could not be added is known here alone.
                let counts = self.holdings.counts(run_id).unwrap_or(stored.counts);
                let run = Run {
                    outcome: Some(finish.outcome),
                    error: finish.error.clone(),
                    finished_at: Some(now),
                    report: counts.into_report(finish.report.clone()),
                    ..lease.run.clone()
                };
                let mut next = was.clone();
                next.hold = None;
                next.released_at = Some(now);
                // A run by hand leaves the slots of the schedule alone.
                if let Some(slot) = lease.run.slot {
                    match finish.slot {
                        SlotAfter::Done => {
                            next.last_slot = was.last_slot.max(Some(slot));
                            (next.open_slot, next.attempts) = (None, 0);
                        }
                        SlotAfter::Again(wait) => {
                            next.attempts += 1;
                            next.retry_at = Some(now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1)));
                        }
                        SlotAfter::HandedOver => {}
                    }
                }
                if finish.outcome == Outcome::Succeeded {
                    next.last_success = Some(run_id);
                }
                let closing = self.closing(&run, &stored, OP)?;
                if self.replace(&was, next, vec![closing], OP).await? {
                    self.holdings.end(run_id);
                    return Ok(run);
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn history(&self, job: Option<&str>, limit: u32) -> Result<Vec<Run>> {
        const OP: Op = Op { name: "history", phrase: "read the history" };
        self.measured(OP, async {
            let mut runs = Vec::new();
            for job in self.jobs(job, OP).await? {
                let newest = Range { backwards: true, limit: Some(limit), ..Range::all(runs_of(&job)) };
                for item in self.own_items(newest, Some(limit), OP).await? {
                    runs.push(Stored::read(&item, OP)?.run);
                }
            }
            runs.sort_by_key(|run| Reverse((run.started_at, run.run_id)));
            runs.truncate(limit as usize);
            Ok(runs)
        })
        .await
    }

    async fn passed(&self, job: Option<&str>, limit: u32) -> Result<Vec<PassedSlots>> {
        const OP: Op = Op { name: "passed", phrase: "read the slots that were passed over" };
        self.measured(OP, async {
            let mut passed = Vec::new();
            for job in self.jobs(job, OP).await? {
                let newest = Range { backwards: true, limit: Some(limit), ..Range::all(passed_of(&job)) };
                for item in self.own_items(newest, Some(limit), OP).await? {
                    passed.push(Fields(&item, OP).json::<PassedSlots>("passed")?);
                }
            }
            passed.sort_by_key(|passed| Reverse(passed.to));
            passed.truncate(limit as usize);
            Ok(passed)
        })
        .await
    }

    async fn last_success(&self, job: &str) -> Result<Option<Run>> {
        const OP: Op = Op { name: "last_success", phrase: "read the last success" };
        self.measured(OP, async {
            let Some(run_id) = self.state(job, OP).await?.last_success else { return Ok(None) };
            Ok(self.stored_run(job, run_id, OP).await?.map(|stored| stored.run))
        })
        .await
    }

    async fn forget(&self, keep: Duration) -> Result<u64> {
        const OP: Op = Op { name: "forget", phrase: "forget old runs" };
        self.measured(OP, async {
            let jobs = self.jobs(None, OP).await?;
            let keep = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
            let Some(before) = self.now().checked_sub_signed(keep) else { return Ok(0) };
            let mut forgotten = 0;
            for job in jobs {
                let last_success = self.state(&job, OP).await?.last_success;
                let old = Condition::holds("finished_at < :before", [(":before", time(before))]);
                let runs = Range {
                    // Whatever has ended before then had begun, and runs are sorted by that.
                    sk: Some(("sk < :sk", first_run_at(before).to_string())),
                    filter: Some(old.clone()),
                    ..Range::all(runs_of(&job))
                };
                let mut items = self.own_items(runs, None, OP).await?;
                let last_success = last_success.map(|run_id| text(run_id.to_string()));
                items.retain(|item| item.get("sk") != last_success.as_ref());
                forgotten += self.forget_items(items, &old, OP).await?;
                let old = Condition::holds("recorded_at < :before", [(":before", time(before))]);
                let passed = Range { filter: Some(old.clone()), ..Range::all(passed_of(&job)) };
                let items = self.own_items(passed, None, OP).await?;
                self.forget_items(items, &old, OP).await?;
            }
            Ok(forgotten)
        })
        .await
    }
}

impl DynamoDb {
    /// A run as it is stored now.
    pub(super) async fn stored_run(&self, job: &str, run_id: Uuid, op: Op) -> Result<Option<Stored>> {
        let item = self.own_item(key(runs_of(job), run_id.to_string()), op).await?;
        item.map(|item| Stored::read(&item, op)).transpose()
    }

    /// Puts the end of a run in the place of what was stored, as a part of a transaction, if no
    /// batch was added since. None can be added any more after it.
    pub(super) fn closing(&self, run: &Run, stored: &Stored, op: Op) -> Result<TransactWriteItem> {
        let Stored { counts, fence, .. } = stored;
        let secret = fence.map(|(_, secret)| secret.to_string()).unwrap_or_default();
        let condition = Condition::holds(
            "secret = :secret AND batches = :batches",
            [(":secret", text(secret)), (":batches", number(counts.batches))],
        );
        let report = &run.report;
        let counts = Counts { batches: report.batches, deleted: report.deleted, skipped: report.skipped };
        let closed = Stored { run: run.clone(), counts, fence: None };
        self.putting(closed.write(op)?, Some(condition), op)
    }

    /// Writes what was counted under a lease into its run. The counts only grow, so whoever comes
    /// late with lower ones has nothing to add.
    pub(super) async fn write_counts(&self, job: &str, fence: &Fence, counts: Counts, op: Op) -> Result<f64> {
        let request = self.clients().await.work.update_item().table_name(self.own_table());
        let request = request
            .set_key(Some(key(runs_of(job), fence.run_id.to_string())))
            .condition_expression("term = :term AND secret = :secret AND batches < :batches")
            .update_expression("SET batches = :batches, deleted = :deleted, skipped = :skipped")
            .expression_attribute_values(":term", number(fence.term))
            .expression_attribute_values(":secret", text(fence.secret.to_string()))
            .expression_attribute_values(":batches", number(counts.batches))
            .expression_attribute_values(":deleted", number(counts.deleted))
            .expression_attribute_values(":skipped", number(counts.skipped))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.send(op, request.send()).await? {
            Ok(answer) => return Ok(self.write_units(LABEL, answer.consumed_capacity())),
            Err(error) if is_condition_failed(&error) => {}
            Err(error) => return Err(error).op(op).map_err(|error| self.with_remedy(error)),
        }
        let stored = self.stored_run(job, fence.run_id, op).await?;
        let is_there = stored.is_some_and(|stored| {
            stored.fence == Some((fence.term, fence.secret)) && stored.counts.batches >= counts.batches
        });
        if is_there { Ok(0.0) } else { Err(refused(op, ErrorKind::Fenced, TAKEN_OVER)) }
    }

    /// This job, or all that anything is known of.
    async fn jobs(&self, job: Option<&str>, op: Op) -> Result<Vec<String>> {
        if let Some(job) = job {
            return Ok(vec![job.to_owned()]);
        }
        let items = self.own_items(Range::all(JOBS), None, op).await?;
        items.iter().map(|item| Fields(item, op).text("sk")).collect()
    }

    /// Deletes items that `condition` still holds for. Returns how many.
    pub(super) async fn forget_items(&self, items: Vec<Item>, condition: &Condition, op: Op) -> Result<u64> {
        let keys = items.into_iter().map(|mut item| {
            item.retain(|name, _| name == "pk" || name == "sk");
            item
        });
        let deletions: Vec<_> = keys.map(|key| self.delete_own(key, condition.clone(), op)).collect();
        let deletions = stream::iter(deletions).buffer_unordered(AT_ONCE);
        deletions.try_fold(0, |deleted, is_deleted| async move { Ok(deleted + u64::from(is_deleted)) }).await
    }
}

/// Why a holder may write no more.
pub(super) const TAKEN_OVER: &str = "somebody else has taken the lease over";

/// What there is when a lease cannot be released: perhaps the answer to an earlier attempt was lost
/// on its way.
fn already_finished(stored: Option<Stored>, finish: &Finish, op: Op) -> Result<Run> {
    // Whoever takes over marks it as lost as well, and knows no reason.
    let is_ours = |run: &Run| {
        finish.outcome != Outcome::Lost
            || finish.report.stopped.is_some() && run.report.stopped == finish.report.stopped
    };
    match stored {
        Some(Stored { run, .. }) if run.outcome == Some(finish.outcome) && is_ours(&run) => Ok(run),
        _ => Err(refused(op, ErrorKind::Fenced, TAKEN_OVER)),
    }
}

/// An identifier that runs which began at that time or later sort behind.
fn first_run_at(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u64::try_from(time.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid()
}
