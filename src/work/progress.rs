//! How far long work is, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// Counts that work keeps while it runs. Cheap to clone, cheap to read.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<State>);

#[derive(Debug)]
struct State {
    begun: Instant,
    expected: AtomicU64,
    done: AtomicU64,
    /// What those who work rest for.
    rests: Mutex<Vec<&'static str>>,
}

impl Default for State {
    fn default() -> Self {
        let (expected, done) = (AtomicU64::default(), AtomicU64::default());
        Self { begun: Instant::now(), expected, done, rests: Mutex::default() }
    }
}

/// How far work is at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Position {
    /// Rows dealt with.
    pub done: u64,
    /// Rows still expected; none when nobody knows.
    pub remaining: Option<u64>,
    /// Rows a second, since the work began.
    pub per_second: f64,
    /// Seconds until the end at this rate; none when nobody knows.
    pub remaining_seconds: Option<f64>,
    /// Why the work rests right now, in the word of the metric; none while it goes on.
    pub resting: Option<&'static str>,
}

/// A rest, until it is dropped.
#[derive(Debug)]
pub struct Rest(Progress, &'static str);

impl Drop for Rest {
    fn drop(&mut self) {
        let mut rests = self.0.rests();
        if let Some(own) = rests.iter().rposition(|reason| *reason == self.1) {
            rests.remove(own);
        }
    }
}

impl Progress {
    /// Nothing done, nothing expected, and work begins now.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how many units the work is expected to take; an estimate is enough.
    pub fn expect(&self, units: u64) {
        self.0.expected.store(units, Ordering::Relaxed);
    }

    /// Adds units that are done.
    pub fn add(&self, units: u64) {
        self.0.done.fetch_add(units, Ordering::Relaxed);
    }

    /// Units expected in all, 0 when nobody knows.
    pub fn expected(&self) -> u64 {
        self.0.expected.load(Ordering::Relaxed)
    }

    /// Units done.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// How far the work is now.
    pub fn position(&self) -> Position {
        position(self.done(), self.expected(), self.0.begun.elapsed(), self.resting())
    }

    /// Shows a rest for `reason` as long as the value returned lives.
    pub fn rest(&self, reason: &'static str) -> Rest {
        self.rests().push(reason);
        Rest(self.clone(), reason)
    }

    /// What the work rests for now; the newest reason, if its workers have several.
    pub fn resting(&self) -> Option<&'static str> {
        self.rests().last().copied()
    }

    fn rests(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.0.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far work is that has done so much of what was expected in this time.
fn position(done: u64, expected: u64, elapsed: Duration, resting: Option<&'static str>) -> Position {
    let per_second = done as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    // More came up than was expected: how much is left, nobody knows.
    let remaining = (expected > 0 && done <= expected).then(|| expected - done);
    let remaining_seconds = remaining.filter(|_| done > 0).map(|remaining| remaining as f64 / per_second);
    Position { done, remaining, per_second, remaining_seconds, resting }
}

impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.position().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_follows_from_the_rate() {
        let half = position(500, 1000, Duration::from_secs(10), None);
        assert_eq!((half.remaining, half.per_second, half.remaining_seconds), (Some(500), 50.0, Some(10.0)));
    }

    #[test]
    fn nobody_knows_what_remains_of_the_unexpected() {
        let unexpected = position(500, 0, Duration::from_secs(10), None);
        assert_eq!((unexpected.remaining, unexpected.remaining_seconds), (None, None));
        let more = position(1001, 1000, Duration::from_secs(10), None);
        assert_eq!((more.remaining, more.remaining_seconds), (None, None));
    }

    #[test]
    fn before_anything_is_done_there_is_no_estimate() {
        let begun = position(0, 1000, Duration::ZERO, Some("rate"));
        assert_eq!((begun.remaining, begun.per_second, begun.remaining_seconds), (Some(1000), 0.0, None));
        assert_eq!(begun.resting, Some("rate"));
    }

    #[test]
    fn a_rest_is_shown_while_it_lasts() {
        let progress = Progress::new();
        assert_eq!(progress.resting(), None);
        let rate = progress.rest("rate");
        let lag = progress.rest("replication_lag");
        let again = progress.rest("rate");
        assert_eq!(progress.resting(), Some("rate"));
        drop(again);
        drop(rate);
        assert_eq!(progress.clone().resting(), Some("replication_lag"));
        drop(lag);
        assert_eq!(progress.resting(), None);
    }
}
