//! Where schedules stand, in the items of jobs.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::own::{Tries, key};
use super::state::{JOBS, State};
use super::{DynamoDb, Op};
use crate::storage::{Conclusion, OpenSlot, Paused, Result, Slots, Standing};

/// Stretches that one transaction can delete: it has 100 parts, and one is the job's item.
const STRETCHES: u32 = 99;

#[async_trait]
impl Slots for DynamoDb {
    async fn time(&self) -> Result<DateTime<Utc>> {
        const OP: Op = Op { name: "time", phrase: "ask the server for the time" };
        self.measured(OP, async {
            // What it answers does not matter: every answer has the time.
            self.own_item(key(JOBS, "none"), OP).await?;
            Ok(self.now())
        })
        .await
    }

    async fn standing(&self, job: &str) -> Result<Standing> {
        const OP: Op = Op { name: "standing", phrase: "read where the job stands" };
        self.measured(OP, async {
            let state = self.state(job, OP).await?;
            let now = self.now();
            let busy_until = match &state.hold {
                None => state.released_at,
                Some(hold) => Some(hold.expires_at.min(now)),
            };
            // Whoever has just come has seen nothing yet, but what is long over is not shown as
            // going on. A claim goes by what was seen alone.
            let is_long_over = state
                .hold
                .as_ref()
                .is_some_and(|hold| TimeDelta::from_std(hold.ttl).is_ok_and(|ttl| hold.expires_at + ttl < now));
            Ok(Standing {
                now,
                last_slot: state.last_slot,
                schedule: state.schedule.clone(),
                open: state.open_slot.map(|slot| OpenSlot {
                    slot,
                    attempts: state.attempts,
                    wait: state.retry_at.and_then(|at| (at - now).to_std().ok()).unwrap_or(Duration::ZERO),
                }),
                busy: state.busy_since.zip(busy_until),
                held: if is_long_over || !self.is_held(&state) { None } else { state.holder() },
                paused: state.paused,
            })
        })
        .await
    }

    async fn begin_schedule(&self, job: &str, slot: DateTime<Utc>, schedule: &str) -> Result<()> {
        const OP: Op = Op { name: "begin_schedule", phrase: "begin the job's schedule" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                let was = self.state(job, OP).await?;
                if was.last_slot.is_some() {
                    return Ok(());
                }
                let next = State { last_slot: Some(slot), schedule: Some(schedule.to_owned()), ..was.clone() };
                if self.replace(&was, next, Vec::new(), OP).await? {
                    return Ok(());
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn end_schedule(&self, job: &str, name: &str) -> Result<()> {
        const OP: Op = Op { name: "end_schedule", phrase: "end the job's schedule" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                let was = self.state(job, OP).await?;
                if self.is_held(&was) || was.schedule.as_deref().is_none_or(|schedule| schedule == name) {
                    return Ok(());
                }
                let next = State { schedule: Some(name.to_owned()), ..was.clone() };
                if self.replace(&was, next, Vec::new(), OP).await? {
                    return Ok(());
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn turn_back(&self, job: &str, from: DateTime<Utc>, slot: DateTime<Utc>) -> Result<()> {
        const OP: Op = Op { name: "turn_back", phrase: "turn the job's schedule back" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            let mut from = from;
            loop {
                let was = self.state(job, OP).await?;
                if was.last_slot != Some(from) || self.is_held(&was) {
                    return Ok(());
                }
                // To before the first stretch that reaches beyond it, which is written anew. If
                // there are more than a transaction can delete, it first goes back to before those
                // that it can: every slot up to there has its fate.
                let (stretches, parts) = self.passed_beyond(job, slot, STRETCHES, OP).await?;
                let before = stretches.last().map(|first| first.from - TimeDelta::seconds(1));
                let is_all = stretches.len() < STRETCHES as usize;
                let to = if is_all { before.map_or(slot, |before| before.min(slot)) } else { before.unwrap_or(slot) };
                let to = to.min(from);
                let next = State { last_slot: Some(to), open_slot: None, attempts: 0, retry_at: None, ..was.clone() };
                if !self.replace(&was, next, parts, OP).await? {
                    tries.again().await?;
                } else if is_all {
                    return Ok(());
                } else {
                    from = to;
                }
            }
        })
        .await
    }

    async fn pass(&self, job: &str, conclusion: &Conclusion, holder: &str) -> Result<bool> {
        const OP: Op = Op { name: "pass", phrase: "pass the job's slots over" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                let was = self.state(job, OP).await?;
                if was.last_slot != Some(conclusion.since) || self.is_held(&was) {
                    return Ok(false);
                }
                let parts = self.passing(job, conclusion, holder, self.now(), OP).await?;
                let next = State {
                    last_slot: Some(conclusion.until),
                    schedule: Some(conclusion.schedule.clone()),
                    open_slot: None,
                    attempts: 0,
                    retry_at: None,
                    ..was.clone()
                };
                if self.replace(&was, next, parts, OP).await? {
                    return Ok(true);
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn pause(&self, job: &str, by: &str) -> Result<Paused> {
        const OP: Op = Op { name: "pause", phrase: "pause the job" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                let was = self.state(job, OP).await?;
                if let Some(paused) = was.paused {
                    return Ok(paused);
                }
                let paused = Paused { by: by.to_owned(), since: self.now() };
                let next = State { paused: Some(paused.clone()), ..was.clone() };
                if self.replace(&was, next, Vec::new(), OP).await? {
                    return Ok(paused);
                }
                tries.again().await?;
            }
        })
        .await
    }

    async fn resume(&self, job: &str) -> Result<Option<Paused>> {
        const OP: Op = Op { name: "resume", phrase: "resume the job" };
        self.measured(OP, async {
            let mut tries = Tries::new(OP);
            loop {
                let was = self.state(job, OP).await?;
                if was.paused.is_none() {
                    return Ok(None);
                }
                let next = State { paused: None, ..was.clone() };
                if self.replace(&was, next, Vec::new(), OP).await? {
                    return Ok(was.paused);
                }
                tries.again().await?;
            }
        })
        .await
    }
}
