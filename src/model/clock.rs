//! The one place that reads the clocks of this machine.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::time::{ClockId, clock_gettime};

/// The clock that also runs while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEADY: ClockId = ClockId::Boottime;
/// Elsewhere the best there is; on some systems it stands still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEADY: ClockId = ClockId::Monotonic;

/// The time of this machine. Only for what people read and for schedules: whether a row has
/// expired, and whether a lease still holds, is decided by the database's clock.
#[expect(clippy::disallowed_methods, reason = "this is the home of the wall clock")]
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    #[cfg(feature = "faults")]
    let now = now + set::ahead();
    now
}

/// Time that has passed since this machine started, asleep or awake. Nobody can set this clock, so it
/// tells when the other one was.
pub fn steady() -> Duration {
    // It begins at zero, so it is never negative.
    clock_gettime(STEADY).try_into().unwrap_or_default()
}

#[cfg(feature = "faults")]
pub use set::VARIABLE as TEST_VARIABLE;

/// A wall clock that tests can set.
#[cfg(feature = "faults")]
mod set {
    use std::fs;
    use std::path::Path;

    use chrono::TimeDelta;

    /// The variable that names a file with the number of seconds by which the wall clock is ahead. It
    /// is read each time; whoever changes it must put another file in its place, as one that is half
    /// written has another number.
    pub const VARIABLE: &str = "MAINTD_TEST_CLOCK";

    pub(super) fn ahead() -> TimeDelta {
        std::env::var_os(VARIABLE).map_or_else(TimeDelta::zero, |path| in_file(path.as_ref()))
    }

    /// The number in the file, which may have a fraction and a sign; zero without a file or in an
    /// empty one.
    pub(super) fn in_file(path: &Path) -> TimeDelta {
        let text = fs::read_to_string(path).unwrap_or_default();
        let seconds = match text.trim() {
            "" => 0.0,
            text => text.parse::<f64>().unwrap_or_else(|error| panic!("{VARIABLE}: {text}: {error}")),
        };
        TimeDelta::microseconds((seconds * 1e6) as i64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_steady_clock_goes_on_with_the_time() {
        let (before, began) = (steady(), Instant::now());
        while began.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let took = began.elapsed();
        assert!(steady() - before >= took);
    }

    #[cfg(feature = "faults")]
    #[test]
    fn a_test_sets_the_wall_clock_with_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock");
        assert_eq!(set::in_file(&path), chrono::TimeDelta::zero());
        for (text, milliseconds) in
            [("", 0), ("\n", 0), ("3600", 3_600_000), ("-0.5\n", -500), ("86400.25", 86_400_250)]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(set::in_file(&path).num_milliseconds(), milliseconds, "{text}");
        }
    }
}
