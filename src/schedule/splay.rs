//! How much later than its slots a job starts, so that many deployments on one server do not all
//! start at once.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The delay of whoever is called `seed`: less than `splay`, evenly spread over all seeds, and
/// always the same for one of them, in every process and every version of this program.
///
/// Slots stay what they are: whoever waits looks at a clock that is late by this.
pub fn splay(splay: Duration, seed: &str) -> Duration {
    let digest: [u8; 32] = Sha256::digest(seed).into();
    let [a, b, c, d, ..] = digest;
    let nanos = (splay.as_nanos() * u128::from(u32::from_be_bytes([a, b, c, d]))) >> 32;
    Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn a_seed_has_the_same_delay_for_ever() {
        assert_eq!(splay(HOUR, "").as_millis(), 3_201_897);
        assert_eq!(splay(HOUR, "production/ttl_cleanup").as_millis(), 434_732);
    }

    #[test]
    fn delays_are_spread_evenly() {
        let mut counts = [0_u32; 12];
        for number in 0..12_000 {
            let delay = splay(HOUR, &format!("deployment-{number}/ttl_cleanup"));
            counts[usize::try_from(delay.as_secs() / 300).unwrap()] += 1;
        }
        // Five times the standard deviation, which is 30.
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_delay_is_shorter_than_the_splay(nanos in 1..=u64::MAX, seed in ".*") {
            prop_assert!(splay(Duration::from_nanos(nanos), &seed) < Duration::from_nanos(nanos));
        }
    }

    #[test]
    fn without_a_splay_there_is_no_delay() {
        assert_eq!(splay(Duration::ZERO, "production/ttl_cleanup"), Duration::ZERO);
        // No panic either.
        let _ = splay(Duration::MAX, "production/ttl_cleanup");
    }
}
