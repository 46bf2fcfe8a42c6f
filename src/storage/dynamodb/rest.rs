//! Rests between attempts that we repeat ourselves.

use std::time::Duration;

use uuid::Uuid;

/// The first rest, at most; each after it may be twice as long.
const FIRST: Duration = Duration::from_millis(25);

/// No rest is longer.
const LONGEST: Duration = Duration::from_secs(1);

/// How many rests there are, before whoever waits gives up: about two seconds on average.
const COUNT: u32 = 8;

/// A budget of rests, each of a random length, so that those who were turned away together do not
/// come back together.
#[derive(Debug, Default)]
pub(super) struct Rests {
    taken: u32,
}

impl Rests {
    /// Rests, unless the budget is used up (false).
    pub(super) async fn take(&mut self) -> bool {
        if self.taken == COUNT {
            return false;
        }
        let longest = FIRST.saturating_mul(1 << self.taken).min(LONGEST);
        self.taken += 1;
        let [.., low, high] = Uuid::new_v4().into_bytes();
        let share = f64::from(u16::from_le_bytes([low, high])) / f64::from(u16::MAX);
        tokio::time::sleep(longest.mul_f64(share)).await;
        true
    }
}
