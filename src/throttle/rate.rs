//! Rows or capacity units per second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A rate that several workers share. What they do is paid for afterwards, so that the average over
/// a run is the rate itself.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    /// When everything done so far is paid for.
    paid: Mutex<Option<Instant>>,
}

/// Time that was lost, to a slow batch say, is made up for, up to this much.
const BURST: Duration = Duration::from_millis(500);

impl Rate {
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, paid: Mutex::new(None) }
    }

    /// The largest batch that still makes an even flow: a quarter of a second's rows.
    pub(super) fn largest_batch(&self) -> u32 {
        (self.per_second / 4.0).clamp(1.0, u32::MAX.into()) as u32
    }

    /// Pays for what was done by `now`; returns how long to wait before the next.
    pub(super) fn reserve(&self, done: f64, now: Instant) -> Duration {
        let price = Duration::from_secs_f64(done / self.per_second);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let from = match *paid {
            Some(paid) => now.checked_sub(BURST).map_or(paid, |earliest| paid.max(earliest)),
            None => now,
        };
        let until = from + price;
        *paid = Some(until);
        until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `batches` of `rows` that each take `work`, and returns the rate that came out.
    fn simulate(rate: &Rate, batches: u32, rows: u64, work: Duration) -> f64 {
        let start = Instant::now();
        let mut now = start;
        for _ in 0..batches {
            now += work;
            now += rate.reserve(rows as f64, now);
        }
        f64::from(batches) * rows as f64 / (now - start).as_secs_f64()
    }

    #[test]
    fn the_average_is_the_rate() {
        for (rows, work) in [(10, 1), (100, 5), (250, 80), (250, 240)] {
            let seen = simulate(&Rate::new(1000.0), 200, rows, Duration::from_millis(work));
            assert!((950.0..=1050.0).contains(&seen), "{rows} rows in {work} ms: {seen} rows/s");
        }
    }

    #[test]
    fn a_long_pause_is_not_followed_by_a_flood() {
        let rate = Rate::new(1000.0);
        let now = Instant::now();
        rate.reserve(100.0, now);
        let later = now + Duration::from_secs(3600);
        let waits: Duration = (0..20).map(|_| rate.reserve(100.0, later)).max().unwrap_or_default();
        assert!(waits >= Duration::from_secs(1));
    }

    #[test]
    fn workers_share_one_rate() {
        let rate = Rate::new(100.0);
        let now = Instant::now();
        assert_eq!(rate.reserve(50.0, now), Duration::from_millis(500));
        assert_eq!(rate.reserve(50.0, now), Duration::from_secs(1));
    }
}
