//! How fast to write: signals in, pace out. Every job that writes asks here how large its next
//! batch may be, and rests here, outside of any transaction, after each batch.

mod batch;
mod budget;
mod rate;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use batch::{Bounds, Signals, next_size};
pub use budget::Budget;
pub use settings::Settings;

use self::rate::Rate;
use crate::work::Stop;

/// How long to rest after a batch that failed, for a reason that may pass.
const FAILURE_REST: Duration = Duration::from_millis(500);

/// Why a writer rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The configured rows per second.
    Rate,
    /// The configured capacity units per second.
    Budget,
    /// Somebody waited for a lock that the batch held.
    LockWait,
    /// The batch took longer than it should.
    Latency,
    /// A batch could not be done for now: the table is locked, or the store does not answer.
    Stalled,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Rate, Self::Budget, Self::LockWait, Self::Latency, Self::Stalled];

    /// The word in reports and in the label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Budget => "budget",
            Self::LockWait => "lock_wait",
            Self::Latency => "latency",
            Self::Stalled => "stalled",
        }
    }
}

/// The pace of one run, shared by its workers.
#[derive(Debug)]
pub struct Throttle {
    settings: Settings,
    bounds: Bounds,
    rate: Option<Rate>,
    budget: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: u32,
    waited: BTreeMap<Reason, Duration>,
}

impl Throttle {
    /// A pace with batches of `batch_size` rows at most and `rows_per_second` at most; 0 for no
    /// limit. What it costs comes out of `budget`.
    pub fn new(settings: &Settings, batch_size: u32, rows_per_second: u64, budget: Arc<Budget>) -> Self {
        let rate = (rows_per_second > 0).then(|| Rate::new(rows_per_second as f64));
        let largest = rate.as_ref().map_or(batch_size, |rate| batch_size.min(rate.largest_batch()));
        let largest = largest.min(budget.largest_batch());
        let bounds = Bounds { largest, target: settings.batch_latency.0 };
        let state = State { size: bounds.first_size(), waited: BTreeMap::new() };
        Self { settings: settings.clone(), bounds, rate, budget, state: Mutex::new(state) }
    }

    /// How many rows the next batch may have.
    pub fn batch_size(&self) -> u32 {
        self.state().size
    }

    /// Learns from a batch of `rows` and rests as long as it takes. Returns the reasons to rest
    /// and how long each took.
    pub async fn after(&self, rows: u64, signals: &Signals, stop: &Stop) -> Vec<(Reason, Duration)> {
        {
            let mut state = self.state();
            state.size = next_size(state.size, signals, &self.bounds);
        }
        let mut rests = Vec::new();
        if signals.waiters > 0 {
            rests.push((Reason::LockWait, self.settings.lock_wait.0));
        } else if signals.elapsed > self.bounds.target {
            // As long as the batch was too long, so that a slow database gets as much time for
            // itself as we take from it.
            rests.push((Reason::Latency, signals.elapsed - self.bounds.target));
        }
        let rest: Duration = rests.iter().map(|(_, rest)| *rest).sum();
        stop.sleep(rest).await;
        if let Some(rate) = &self.rate {
            let begun = Instant::now();
            stop.sleep(rate.reserve(rows as f64, begun)).await;
            rests.push((Reason::Rate, begun.elapsed()));
        }
        if let Some(rest) = self.budget.after_writing(signals.write_units, stop).await {
            rests.push((Reason::Budget, rest));
        }
        let mut state = self.state();
        for (reason, rest) in &rests {
            *state.waited.entry(*reason).or_default() += *rest;
        }
        rests
    }

    /// Rests after something was read that has cost `units`, as long as the budget takes. Returns
    /// the reason and how long, if there was one.
    pub async fn after_reading(&self, units: f64, stop: &Stop) -> Option<(Reason, Duration)> {
        let rest = self.budget.after_reading(units, stop).await?;
        *self.state().waited.entry(Reason::Budget).or_default() += rest;
        Some((Reason::Budget, rest))
    }

    /// Rests after a batch that could not be done for now, before it is tried again. Returns how
    /// long. Batches begin small after that.
    pub async fn after_failure(&self, stop: &Stop) -> Duration {
        self.state().size = self.bounds.first_size();
        let begun = Instant::now();
        stop.sleep(FAILURE_REST).await;
        let rest = begun.elapsed();
        *self.state().waited.entry(Reason::Stalled).or_default() += rest;
        rest
    }

    /// Seconds rested so far, by reason.
    pub fn waited(&self) -> BTreeMap<String, f64> {
        self.state().waited.iter().map(|(reason, waited)| (reason.name().to_owned(), waited.as_secs_f64())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
