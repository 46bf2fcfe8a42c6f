//! The item of a job: its lease, and where its slots stand.
//!
//! Whoever changes it has read it before, and writes it as a whole with the next `version`: nobody
//! else may have written in between. Each write has a number of its own, `request`, by which it is
//! known again when its answer was lost.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::own::{Condition, Fields, Item, key, number, text, time};
use super::{DynamoDb, Op};
use crate::model::clock;
use crate::storage::{ErrorKind, Held, Paused, Result};

/// Where the items of jobs are.
pub(super) const JOBS: &str = "job";

/// What is known of a job.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) job: String,
    /// Raised by every write; 0 when nothing has been written.
    pub(super) version: i64,
    /// Which request wrote it last.
    pub(super) request: Option<Uuid>,
    /// Raised by every lease.
    pub(super) term: i64,
    /// Raised by every renewal.
    pub(super) renewed: i64,
    pub(super) hold: Option<Hold>,
    pub(super) acquired_at: Option<DateTime<Utc>>,
    pub(super) released_at: Option<DateTime<Utc>>,
    pub(super) last_slot: Option<DateTime<Utc>>,
    pub(super) schedule: Option<String>,
    pub(super) open_slot: Option<DateTime<Utc>>,
    pub(super) attempts: u32,
    pub(super) retry_at: Option<DateTime<Utc>>,
    pub(super) busy_since: Option<DateTime<Utc>>,
    pub(super) paused: Option<Paused>,
    /// The newest run that succeeded.
    pub(super) last_success: Option<Uuid>,
}

/// A lease that was not released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) secret: Uuid,
    pub(super) holder: String,
    pub(super) run_id: Uuid,
    /// By the server's clock as its holder knew it: for people, and never to decide by.
    pub(super) expires_at: DateTime<Utc>,
    /// How long it holds without being renewed.
    pub(super) ttl: Duration,
}

impl State {
    /// Who holds the lease, whatever has become of them.
    pub(super) fn holder(&self) -> Option<Held> {
        let hold = self.hold.as_ref()?;
        Some(Held { holder: hold.holder.clone(), since: self.acquired_at.unwrap_or(hold.expires_at) })
    }

    pub(super) fn read(item: &Item, op: Op) -> Result<Self> {
        let fields = Fields(item, op);
        let hold = match fields.maybe_uuid("secret")? {
            None => None,
            Some(secret) => Some(Hold {
                secret,
                holder: fields.text("holder")?,
                run_id: fields.uuid("run_id")?,
                expires_at: fields.time("expires_at")?,
                ttl: Duration::from_millis(fields.number("ttl_ms")?),
            }),
        };
        let paused = fields.maybe_text("paused_by").zip(fields.maybe_time("paused_at")?);
        Ok(Self {
            job: fields.text("sk")?,
            version: fields.number("version")?,
            request: fields.maybe_uuid("request")?,
            term: fields.number("term")?,
            renewed: fields.number("renewed")?,
            hold,
            acquired_at: fields.maybe_time("acquired_at")?,
            released_at: fields.maybe_time("released_at")?,
            last_slot: fields.maybe_time("last_slot")?,
            schedule: fields.maybe_text("schedule"),
            open_slot: fields.maybe_time("open_slot")?,
            attempts: fields.number("attempts")?,
            retry_at: fields.maybe_time("retry_at")?,
            busy_since: fields.maybe_time("busy_since")?,
            paused: paused.map(|(by, since)| Paused { by, since }),
            last_success: fields.maybe_uuid("last_success")?,
        })
    }

    fn write(&self) -> Item {
        let mut item = key(JOBS, self.job.as_str());
        let times = [
            ("acquired_at", self.acquired_at),
            ("released_at", self.released_at),
            ("last_slot", self.last_slot),
            ("open_slot", self.open_slot),
            ("retry_at", self.retry_at),
            ("busy_since", self.busy_since),
            ("paused_at", self.paused.as_ref().map(|paused| paused.since)),
            ("expires_at", self.hold.as_ref().map(|hold| hold.expires_at)),
        ];
        let uuids = [
            ("request", self.request),
            ("secret", self.hold.as_ref().map(|hold| hold.secret)),
            ("run_id", self.hold.as_ref().map(|hold| hold.run_id)),
            ("last_success", self.last_success),
        ];
        let texts = [
            ("schedule", self.schedule.as_ref()),
            ("holder", self.hold.as_ref().map(|hold| &hold.holder)),
            ("paused_by", self.paused.as_ref().map(|paused| &paused.by)),
        ];
        let numbers = [
            ("version", Some(self.version)),
            ("term", Some(self.term)),
            ("renewed", Some(self.renewed)),
            ("attempts", Some(self.attempts.into())),
            ("ttl_ms", self.hold.as_ref().map(|hold| milliseconds(hold.ttl))),
        ];
        let times = times.into_iter().filter_map(|(name, value)| Some((name, time(value?))));
        let uuids = uuids.into_iter().filter_map(|(name, value)| Some((name, text(value?.to_string()))));
        let texts = texts.into_iter().filter_map(|(name, value)| Some((name, text(value?))));
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name, number(value?))));
        let all = times.chain(uuids).chain(texts).chain(numbers);
        item.extend(all.map(|(name, value)| (name.to_owned(), value)));
        item
    }
}

/// A length of time as it is stored.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl DynamoDb {
    /// What is known of a job now. Whoever holds its lease is seen by the way.
    pub(super) async fn state(&self, job: &str, op: Op) -> Result<State> {
        let item = self.own_item(key(JOBS, job), op).await?;
        let state = item.as_ref().map(|item| State::read(item, op)).transpose()?;
        let state = state.unwrap_or_else(|| State { job: job.to_owned(), ..State::default() });
        self.is_left_behind(&state);
        Ok(state)
    }

    /// Whether the lease has been seen here to stay as it is for its whole length, so that its
    /// holder has let go of it.
    pub(super) fn is_left_behind(&self, state: &State) -> bool {
        let Some(hold) = &state.hold else { return false };
        self.watch.is_left_behind(&state.job, (state.term, state.renewed), hold.ttl, clock::steady())
    }

    /// Whether somebody holds the lease, as far as anybody can know here.
    pub(super) fn is_held(&self, state: &State) -> bool {
        state.hold.is_some() && !self.is_left_behind(state)
    }

    /// Writes `next` in the place of `was`, and `others` with it: all or nothing. Returns false
    /// when something has changed since it was read.
    pub(super) async fn replace(
        &self,
        was: &State,
        next: State,
        others: Vec<TransactWriteItem>,
        op: Op,
    ) -> Result<bool> {
        let request = Uuid::new_v4();
        let next = State { version: was.version + 1, request: Some(request), ..next };
        let condition = match was.version {
            0 => Condition::absent(),
            version => Condition::holds("version = :version", [(":version", number(version))]),
        };
        let done = if others.is_empty() {
            match self.put_own(next.write(), condition, op).await {
                // A transaction is at the same item.
                Err(error) if error.kind == ErrorKind::Conflict => Ok(false),
                done => done,
            }
        } else {
            let mut parts = vec![self.putting(next.write(), Some(condition), op)?];
            parts.extend(others);
            self.transact_own(parts, op).await
        };
        match done {
            // It may be our own write that was in the way of its repetition.
            Ok(false) => Ok(self.state(&was.job, op).await?.request == Some(request)),
            // Nobody knows what has become of it; whoever asks sees it.
            Err(error) if matches!(error.kind, ErrorKind::Timeout | ErrorKind::Unavailable) => {
                match self.state(&was.job, op).await {
                    Ok(state) if state.request == Some(request) => Ok(true),
                    _ => Err(error),
                }
            }
            done => done,
        }
    }
}
