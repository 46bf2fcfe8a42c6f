//! Capacity units per second, where the backend bills.

use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;
use crate::storage::dynamodb;

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

    /// As the deployment's settings say.
    pub fn of(settings: &dynamodb::Settings) -> Self {
        Self::new(settings.read_units_per_second.get(), settings.write_units_per_second.get())
    }

    /// The most rows in a batch that still make an even flow; deleting a row costs a unit at least.
    pub(super) fn largest_batch(&self) -> u32 {
        self.write.as_ref().map_or(u32::MAX, Rate::largest_batch)
    }

    /// How long to rest after something was read.
    pub fn for_reading(&self, units: f64) -> Duration {
        rest(self.read.as_ref(), units)
    }

    /// How long to rest after something was written.
    pub fn for_writing(&self, units: f64) -> Duration {
        rest(self.write.as_ref(), units)
    }
}

fn rest(rate: Option<&Rate>, units: f64) -> Duration {
    rate.map(|rate| rate.reserve(units, Instant::now())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_limit_is_paid_for_with_time() {
        let budget = Budget::new(1000, 10);
        assert_eq!(budget.for_reading(500.0), Duration::from_millis(500));
        assert_eq!(budget.largest_batch(), 2);
        assert!(budget.for_writing(100_000.0) > Duration::from_secs(3600));
    }

    #[test]
    fn without_a_limit_nothing_rests() {
        let budget = Budget::default();
        assert_eq!(budget.for_reading(1e9), Duration::ZERO);
        assert_eq!(budget.for_writing(1e9), Duration::ZERO);
        assert_eq!(budget.largest_batch(), u32::MAX);
    }
}
