//! How fast to write: signals in, pace out. Every job that writes asks here how large its next
//! batch may be, and rests here, outside of any transaction, after each batch.
//!
//! A batch tells how long it took, whom it kept waiting and what it cost ([`Signals`]). The store tells
//! how others are (`storage::Pressure`): it is asked between batches, several times a second at most,
//! and what follows from its answer is decided in `verdict.rs`. Batches shrink and rests grow at once;
//! both come back step by step.

mod batch;
mod budget;
mod lookout;
mod rate;
mod reason;
mod settings;
mod site;
mod verdict;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use batch::{Bounds, Signals, next_size};
pub use budget::Budget;
pub use reason::Reason;
pub use settings::Settings;
pub use site::Site;

use self::lookout::Lookout;
use self::rate::Rate;
use self::verdict::{Cause, Verdict, slow_rest};
use crate::model::Table;
use crate::model::setting::Span;
use crate::storage::{ErrorKind, Pressure, Strain};
use crate::work::StopReason;

/// How long to rest after a batch that failed, for a reason that may pass.
const FAILURE_REST: Duration = Duration::from_millis(500);

/// Between two questions whether the cause of a pause is over.
const ASKED_AGAIN: Duration = Duration::from_millis(500);

/// The pace of one run, shared by its workers.
#[derive(Debug)]
pub struct Throttle<'a> {
    settings: Settings,
    bounds: Bounds,
    rate: Option<Rate>,
    budget: Arc<Budget>,
    site: Site<'a>,
    lookout: Lookout<'a>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: u32,
    /// Batches may not grow for now.
    is_slow: bool,
    /// What was last read or written.
    table: Option<Table>,
    waited: BTreeMap<Reason, Duration>,
}

impl<'a> Throttle<'a> {
    /// A pace with batches of `batch_size` rows at most and `rows_per_second` at most; 0 for no
    /// limit. What it costs comes out of `budget`, and `store` says how others are.
    pub fn new(
        settings: &Settings,
        (batch_size, rows_per_second): (u32, u64),
        budget: Arc<Budget>,
        site: Site<'a>,
        store: &'a dyn Pressure,
    ) -> Self {
        let rate = (rows_per_second > 0).then(|| Rate::new(rows_per_second as f64));
        let largest = rate.as_ref().map_or(batch_size, |rate| batch_size.min(rate.largest_batch()));
        let largest = largest.min(budget.largest_batch());
        let bounds = Bounds { largest, target: settings.batch_latency.0 };
        let state = State { size: bounds.first_size(), is_slow: false, table: None, waited: BTreeMap::new() };
        let lookout = Lookout::new(store);
        Self { settings: settings.clone(), bounds, rate, budget, site, lookout, state: Mutex::new(state) }
    }

    /// How many rows the next batch may have.
    pub fn batch_size(&self) -> u32 {
        self.state().size
    }

    /// Says which table is worked on.
    pub fn works_on(&self, table: Table) {
        self.state().table = Some(table);
    }

    /// Learns from a batch of `rows` and rests as long as it takes.
    pub async fn after(&self, rows: u64, signals: &Signals) {
        {
            let mut state = self.state();
            let size = next_size(state.size, signals, &self.bounds);
            state.size = if state.is_slow { size.min(self.bounds.first_size()) } else { size };
        }
        if signals.waiters > 0 {
            self.rest(Reason::LockWait, self.settings.lock_wait.0).await;
        } else if signals.elapsed > self.bounds.target {
            // As long as the batch was too long, so that a slow database gets as much time for
            // itself as we take from it.
            self.rest(Reason::Latency, signals.elapsed - self.bounds.target).await;
        }
        if let Some(rate) = &self.rate {
            self.rest(Reason::Rate, rate.reserve(rows as f64, Instant::now())).await;
        }
        self.rest(Reason::Budget, self.budget.for_writing(signals.write_units)).await;
        // Last, so that the next batch begins by what was just seen.
        self.give_way(signals.elapsed).await;
    }

    /// Rests after something was read that has cost `units`, as long as it takes.
    pub async fn after_reading(&self, units: f64) {
        self.rest(Reason::Budget, self.budget.for_reading(units)).await;
        self.give_way(Duration::ZERO).await;
    }

    /// Rests after a batch that could not be done for now, before it is tried again. Batches begin
    /// small after that.
    pub async fn after_failure(&self, kind: ErrorKind) {
        {
            let mut state = self.state();
            state.size = self.bounds.first_size().min(state.size);
        }
        let reason = if kind == ErrorKind::Throttled { Reason::Throttled } else { Reason::Stalled };
        self.rest(reason, FAILURE_REST).await;
    }

    /// Makes room for others as long as they suffer, after work that took `elapsed`.
    async fn give_way(&self, elapsed: Duration) {
        // Shown on while the store is asked again.
        let mut _shown = None;
        while self.site.stop.requested().is_none() {
            let table = self.state().table;
            let Some(look) = self.lookout.look(&self.settings, self.site, table).await else { return };
            if look.is_new {
                self.resize(&look.verdict, look.begins_pause);
            }
            match look.verdict {
                Verdict::GoOn => {
                    if let Some(reason) = look.eased_for {
                        self.rest(reason, look.ease.rest(elapsed)).await;
                    }
                    return;
                }
                Verdict::Slow(cause) => return self.rest(cause.reason, slow_rest(elapsed)).await,
                Verdict::End(cause) => self.end(&cause, "which is far too much"),
                Verdict::Pause(cause) if look.paused >= self.settings.patience.0 => {
                    let patience = self.settings.patience;
                    self.end(&cause, &format!("for {} (throttle.patience is {patience})", Span(rounded(look.paused))));
                }
                Verdict::Pause(cause) => {
                    _shown = Some(self.site.progress.rest(cause.reason.name()));
                    self.rest(cause.reason, ASKED_AGAIN).await;
                }
            }
        }
    }

    /// Lets batches shrink at once, and keeps them from growing while others suffer.
    fn resize(&self, verdict: &Verdict, is_first: bool) {
        let mut state = self.state();
        let smallest = self.bounds.smallest();
        state.is_slow = !matches!(verdict, Verdict::GoOn);
        state.size = match verdict {
            Verdict::Pause(_) if is_first => (state.size / 2).max(smallest),
            Verdict::Slow(Cause { reason: Reason::Throttled, .. }) => (state.size / 2).max(smallest),
            Verdict::Slow(_) => state.size.min(self.bounds.first_size()),
            Verdict::GoOn | Verdict::Pause(_) | Verdict::End(_) => state.size,
        };
    }

    fn end(&self, cause: &Cause, how: &str) {
        let (job, reason, what) = (self.site.job, cause.reason.name(), &cause.what);
        tracing::warn!(job.name = job, reason, "{job} ends before its work is done: {what}, {how}");
        self.site.stop.request_because(StopReason::Pressure, format!("{reason}: {what}, {how}"));
    }

    async fn rest(&self, reason: Reason, length: Duration) {
        let rested = self.site.rest(reason, length).await;
        if !rested.is_zero() {
            *self.state().waited.entry(reason).or_default() += rested;
        }
    }

    /// Seconds rested so far, by reason.
    pub fn waited(&self) -> BTreeMap<String, f64> {
        self.state().waited.iter().map(|(reason, waited)| (reason.name().to_owned(), waited.as_secs_f64())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing large should be begun for now, by what the store says of others, with what was seen.
pub fn objection(settings: &Settings, strain: &Strain) -> Option<String> {
    match verdict::judge(settings, strain, strain.throttled) {
        Verdict::GoOn => None,
        Verdict::Slow(cause) | Verdict::Pause(cause) | Verdict::End(cause) => Some(cause.what),
    }
}

/// To the second, for people.
fn rounded(length: Duration) -> Duration {
    Duration::from_millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX).next_multiple_of(100))
}
