//! Leases in our own table. Who may take one is decided by what was seen of it (`watch.rs`), and
//! that of several one gets it by the version of its item (`state.rs`).

use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::{NoContext, Timestamp, Uuid};

use super::error::{Context, is_condition_failed};
use super::own::{LABEL, Tries, key, number, text, time};
use super::runs::Stored;
use super::state::{Hold, JOBS, State, milliseconds};
use super::{DynamoDb, Op};
use crate::model::{BackendKind, clock};
use crate::storage::{Claim, Claimed, ErrorKind, Lease, Leases, Renewal, Result, Won};
use crate::work::{Outcome, Report, Run};

/// Between two looks at a lease that seems to be left behind.
const LOOKING: Duration = Duration::from_millis(250);

#[async_trait]
impl Leases for DynamoDb {
    async fn claim(&self, claim: &Claim) -> Result<Claimed> {
        const OP: Op = Op { name: "claim", phrase: "claim the job's lease" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            let mut watched = None;
            loop {
                let was = self.state(claim.job, OP).await?;
                // Nobody would ask again for a run by hand, so this waits until it is known.
                if let Some(hold) = &was.hold
                    && claim.due.is_none()
                    && hold.expires_at < self.now()
                    && !self.is_left_behind(&was)
                {
                    if let Some(paused) = was.paused {
                        return Ok(Claimed::Paused(paused));
                    }
                    let lease = (was.term, was.renewed);
                    if watched.is_none_or(|before| before == lease) {
                        watched = Some(lease);
                        tokio::time::sleep(LOOKING.min(hold.ttl / 8)).await;
                        continue;
                    }
                }
                if let Some(refusal) = self.refusal(claim, &was) {
                    return Ok(refusal);
                }
                if let Some(claimed) = self.take(claim, &was, OP).await? {
                    return Ok(claimed);
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Renewal> {
        const OP: Op = Op { name: "renew", phrase: "renew the job's lease" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                match self.renew_once(lease, ttl, OP).await {
                    // Somebody pauses the job, perhaps.
                    Err(error) if error.kind == ErrorKind::Conflict => tries.again().await?,
                    renewed => return renewed,
                }
            }
        })
        .await
    }
}

impl DynamoDb {
    /// Why the job cannot be had.
    fn refusal(&self, claim: &Claim, was: &State) -> Option<Claimed> {
        if self.is_held(was) {
            return was.holder().map(Claimed::Held);
        }
        if let Some(paused) = &was.paused {
            return Some(Claimed::Paused(paused.clone()));
        }
        let due = claim.due.as_ref()?;
        let waits = was.retry_at.is_some_and(|retry_at| retry_at > self.now());
        let must_wait = waits && was.open_slot == Some(due.slot);
        (must_wait || was.last_slot != Some(due.before.since)).then_some(Claimed::Moved)
    }

    /// Takes the lease, and closes the run that was left behind, in one transaction. None when
    /// somebody has come before.
    async fn take(&self, claim: &Claim, was: &State, op: Op) -> Result<Option<Claimed>> {
        let now = self.now();
        let mut next = was.clone();
        let mut attempts = was.attempts;
        let (mut parts, mut lost) = (Vec::new(), None);
        if let Some(hold) = was.hold.as_ref()
            && let Some(stored) = self.stored_run(claim.job, hold.run_id, op).await?
            && stored.is_open()
        {
            let report = Report { more: true, ..stored.run.report.clone() };
            let run = Run { outcome: Some(Outcome::Lost), finished_at: Some(now), report, ..stored.run.clone() };
            // If its holder, who may not delete any more, still adds what it had deleted before, it
            // is read again.
            parts.push(self.closing(&run, &stored, op)?);
            // Whatever ends the process before it has done anything may do so again.
            attempts += u32::from(run.slot.is_some() && run.report.batches == 0);
            lost = Some(run);
        }
        if let Some(due) = &claim.due {
            parts.extend(self.passing(claim.job, &due.before, &claim.holder, now, op).await?);
            if was.open_slot != Some(due.slot) {
                attempts = 0;
            }
            let is_exhausted = attempts > due.retries;
            next.schedule = Some(due.before.schedule.clone());
            next.retry_at = None;
            next.released_at = was.hold.as_ref().map(|hold| hold.expires_at).or(was.released_at);
            next.hold = None;
            next.last_slot = Some(if is_exhausted { due.slot } else { due.before.until });
            next.open_slot = (!is_exhausted).then_some(due.slot);
            next.attempts = if is_exhausted { 0 } else { attempts };
            if is_exhausted {
                let is_done = self.replace(was, next, parts, op).await?;
                return Ok(is_done.then(|| Claimed::Exhausted(lost.map(Box::new))));
            }
        }
        let goes_on = claim.due.as_ref().is_some_and(|due| was.open_slot == Some(due.slot));
        let run = begun(claim, now);
        let secret = Uuid::new_v4();
        next.term += 1;
        next.renewed = 0;
        next.hold = Some(Hold {
            secret,
            holder: claim.holder.clone(),
            run_id: run.run_id,
            expires_at: expiry(now, claim.ttl),
            ttl: claim.ttl,
        });
        next.acquired_at = Some(now);
        next.released_at = None;
        if !goes_on {
            next.busy_since = Some(now);
        }
        let term = next.term;
        parts.push(self.putting(Stored::open(run.clone(), term, secret).write(op)?, None, op)?);
        let (asked, good_until) = (Instant::now(), clock::steady() + claim.ttl);
        if !self.replace(was, next, parts, op).await? {
            return Ok(None);
        }
        let lease = Lease { run, attempts, term, secret, renewed: asked };
        self.holdings.begin(&lease, good_until);
        Ok(Some(Claimed::Won(Box::new(Won { lease, lost }))))
    }

    async fn renew_once(&self, lease: &Lease, ttl: Duration, op: Op) -> Result<Renewal> {
        let good_until = clock::steady() + ttl;
        let request = self.clients().await.leases.update_item().table_name(self.own_table());
        let request = request
            .set_key(Some(key(JOBS, lease.run.job.as_str())))
            .condition_expression("term = :term AND secret = :secret")
            .update_expression("SET expires_at = :expires_at, ttl_ms = :ttl ADD renewed :one, version :one")
            .expression_attribute_values(":term", number(lease.term))
            .expression_attribute_values(":secret", text(lease.secret.to_string()))
            .expression_attribute_values(":expires_at", time(expiry(self.now(), ttl)))
            .expression_attribute_values(":ttl", number(milliseconds(ttl)))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = match self.send(op, request.send()).await? {
            Ok(answer) => answer,
            Err(error) if is_condition_failed(&error) => return Ok(Renewal::Lost),
            Err(error) => return Err(error).op(op).map_err(|error| self.with_remedy(error)),
        };
        self.write_units(LABEL, answer.consumed_capacity());
        self.holdings.renew(lease.run.run_id, good_until);
        let is_paused = answer.attributes().is_some_and(|item| item.contains_key("paused_at"));
        Ok(if is_paused { Renewal::Paused } else { Renewal::Kept })
    }
}

/// When a lease of this length runs out.
fn expiry(now: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(ttl).unwrap_or(TimeDelta::days(1))
}

/// The run that `claim` begins now.
fn begun(claim: &Claim, now: DateTime<Utc>) -> Run {
    // By the store's clock, as runs are sorted by it.
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let run_id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
    Run {
        run_id,
        job: claim.job.to_owned(),
        backend: BackendKind::Dynamodb,
        slot: claim.due.as_ref().map(|due| due.slot),
        trigger: claim.trigger(),
        outcome: None,
        started_at: now,
        finished_at: None,
        holder: claim.holder.clone(),
        error: None,
        report: Report::default(),
    }
}
