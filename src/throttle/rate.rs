//! Rows per second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A rate that several workers share. Rows are paid for after they were written, so that the
/// average over a run is the rate itself.
#[derive(Debug)]
pub(super) struct Rate {
    rows_per_second: u64,
    /// When everything written so far is paid for.
    paid: Mutex<Option<Instant>>,
}

/// Time that was lost, to a slow batch say, is made up for, up to this much.
const BURST: Duration = Duration::from_millis(500);

impl Rate {
    pub(super) fn new(rows_per_second: u64) -> Self {
        Self { rows_per_second, paid: Mutex::new(None) }
    }

    /// The largest batch that still makes an even flow: a quarter of a second's rows.
    pub(super) fn largest_batch(&self) -> u32 {
        u32::try_from(self.rows_per_second / 4).unwrap_or(u32::MAX).max(1)
    }

    /// Pays for `rows` written by `now`; returns how long to wait before the next ones.
    pub(super) fn reserve(&self, rows: u64, now: Instant) -> Duration {
        let price = Duration::from_secs_f64(rows as f64 / self.rows_per_second as f64);
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
            now += rate.reserve(rows, now);
        }
        f64::from(batches) * rows as f64 / (now - start).as_secs_f64()
    }

    #[test]
    fn the_average_is_the_rate() {
        for (rows, work) in [(10, 1), (100, 5), (250, 80), (250, 240)] {
            let seen = simulate(&Rate::new(1000), 200, rows, Duration::from_millis(work));
            assert!((950.0..=1050.0).contains(&seen), "{rows} rows in {work} ms: {seen} rows/s");
        }
    }

    #[test]
    fn a_long_pause_is_not_followed_by_a_flood() {
        let rate = Rate::new(1000);
        let now = Instant::now();
        rate.reserve(100, now);
        let later = now + Duration::from_secs(3600);
        let waits: Duration = (0..20).map(|_| rate.reserve(100, later)).max().unwrap_or_default();
        assert!(waits >= Duration::from_secs(1));
    }

    #[test]
    fn workers_share_one_rate() {
        let rate = Rate::new(100);
        let now = Instant::now();
        assert_eq!(rate.reserve(50, now), Duration::from_millis(500));
        assert_eq!(rate.reserve(50, now), Duration::from_secs(1));
    }
}
