//! Capacity units per second, where the backend bills.

use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;
use crate::work::Stop;

/// What all jobs on a backend may use together. What is used is paid for afterwards, as only the
/// answer says what a request has cost.
#[derive(Debug, Default)]
pub struct Budget {
    read: Option<Rate>,
    write: Option<Rate>,
}

impl Budget {
    /// So many units per second for reading and for writing; 0 for no limit.
    pub fn new(read_units_per_second: u64, write_units_per_second: u64) -> Self {
        let rate = |units: u64| (units > 0).then(|| Rate::new(units as f64));
        Self { read: rate(read_units_per_second), write: rate(write_units_per_second) }
    }

    /// The most rows in a batch that still make an even flow; deleting a row costs a unit at least.
    pub(super) fn largest_batch(&self) -> u32 {
        self.write.as_ref().map_or(u32::MAX, Rate::largest_batch)
    }

    /// Rests after something was read, if there is a limit. Returns how long.
    pub(super) async fn after_reading(&self, units: f64, stop: &Stop) -> Option<Duration> {
        rest(self.read.as_ref()?, units, stop).await
    }

    /// Rests after something was written, if there is a limit. Returns how long.
    pub(super) async fn after_writing(&self, units: f64, stop: &Stop) -> Option<Duration> {
        rest(self.write.as_ref()?, units, stop).await
    }
}

async fn rest(rate: &Rate, units: f64, stop: &Stop) -> Option<Duration> {
    let begun = Instant::now();
    stop.sleep(rate.reserve(units, begun)).await;
    Some(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_a_limit_is_paid_for_with_time() {
        let (budget, stop) = (Budget::new(1000, 10), Stop::new());
        assert!(budget.after_reading(1.0, &stop).await.is_some());
        assert_eq!(budget.largest_batch(), 2);
        // Whoever is asked to stop does not rest for the hours that this has cost.
        stop.request(crate::work::StopReason::Shutdown);
        assert!(budget.after_writing(100_000.0, &stop).await.is_some());
    }

    #[tokio::test]
    async fn without_a_limit_nothing_rests() {
        let (budget, stop) = (Budget::default(), Stop::new());
        assert_eq!(budget.after_reading(1e9, &stop).await, None);
        assert_eq!(budget.after_writing(1e9, &stop).await, None);
        assert_eq!(budget.largest_batch(), u32::MAX);
    }
}
