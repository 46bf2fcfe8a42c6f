//! How large the next batch may be: additive steps up, halves down, as TCP does it.

use std::time::Duration;

/// What a batch told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signals {
    /// How long its transaction took.
    pub elapsed: Duration,
    /// Other transactions that waited for a lock it held.
    pub waiters: u64,
    /// What it has cost, where the backend bills.
    pub write_units: f64,
}

/// What batches must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Rows in a batch at most.
    pub largest: u32,
    /// How long a batch may take.
    pub target: Duration,
}

impl Bounds {
    /// Steps that it takes from nothing to the largest batch.
    const STEPS: u32 = 16;

    /// Below this a batch costs more in round trips than it spares anybody.
    const SMALLEST: u32 = 10;

    /// Where to start before anything is known of the database: low, since the way up is short.
    pub fn first_size(&self) -> u32 {
        (self.largest / 4).max(self.smallest())
    }

    pub(super) fn smallest(&self) -> u32 {
        Self::SMALLEST.min(self.largest)
    }
}

/// The size of the batch after one of `size` rows that told `signals`. Never 0, never above
/// [`Bounds::largest`].
pub fn next_size(size: u32, signals: &Signals, bounds: &Bounds) -> u32 {
    let step = (bounds.largest / Bounds::STEPS).max(1);
    let next = if signals.waiters > 0 || signals.elapsed > bounds.target * 2 {
        size / 2
    } else if signals.elapsed > bounds.target {
        size - size / 8
    } else if signals.elapsed * 5 < bounds.target * 4 {
        size.saturating_add(step)
    } else {
        size
    };
    next.clamp(bounds.smallest(), bounds.largest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { largest: 1000, target: Duration::from_millis(20) };

    fn after(size: u32, millis: u64, waiters: u64) -> u32 {
        next_size(size, &Signals { elapsed: Duration::from_millis(millis), waiters, write_units: 0.0 }, &BOUNDS)
    }

    #[test]
    fn quick_batches_grow_to_the_largest() {
        let mut size = BOUNDS.first_size();
        for _ in 0..Bounds::STEPS {
            size = after(size, 1, 0);
        }
        assert_eq!(size, 1000);
    }

    #[test]
    fn a_batch_near_its_target_stays() {
        assert_eq!(after(500, 18, 0), 500);
    }

    #[test]
    fn slow_batches_shrink_and_very_slow_ones_halve() {
        assert_eq!(after(800, 25, 0), 700);
        assert_eq!(after(800, 50, 0), 400);
    }

    #[test]
    fn a_waiter_halves_the_batch_however_quick_it_was() {
        assert_eq!(after(800, 1, 1), 400);
    }

    #[test]
    fn what_shrank_grows_back() {
        let shrunk = (0..20).fold(1000, |size, _| after(size, 100, 3));
        assert_eq!(shrunk, 10);
        let grown = (0..20).fold(shrunk, |size, _| after(size, 2, 0));
        assert_eq!(grown, 1000);
    }

    proptest! {
        #[test]
        fn a_size_is_always_within_bounds(
            size in 1u32..200_000, largest in 1u32..100_000, millis in 0u64..100_000, waiters in 0u64..5,
        ) {
            let bounds = Bounds { largest, target: Duration::from_millis(20) };
            let signals = Signals { elapsed: Duration::from_millis(millis), waiters, write_units: 0.0 };
            let next = next_size(size, &signals, &bounds);
            prop_assert!((1..=largest).contains(&next));
        }
    }
}
