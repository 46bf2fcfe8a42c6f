//! How many slots lie between two instants.
//!
//! After a long gap there may be millions of them, so they are counted and not visited: in whole
//! days, as far as the clock stays the same.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::cron::Cron;
use super::slots::{OFFSETS, change, instant_of, offset};
use super::spec::{Rule, Schedule};

/// Slots that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first of them.
    pub first: DateTime<Utc>,
    /// The last of them, which is the first if there is only one.
    pub last: DateTime<Utc>,
    /// How many they are, both ends included; never 0.
    pub count: u64,
}

impl Schedule {
    /// The slots after `after` and up to `until`, with `until`; none if there is no slot. The work
    /// is a few milliseconds for a year, however many slots it has.
    ///
    /// Stretches add up: those of (a, b] and of (b, c] are together that of (a, c].
    pub fn stretch(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<Stretch> {
        let first = self.next(after).filter(|first| *first <= until)?;
        let last = self.latest(until)?;
        let (start, end) = (after.timestamp(), until.timestamp());
        let count = match &self.rule {
            Rule::Every(seconds) => u64::try_from(end.div_euclid(*seconds) - start.div_euclid(*seconds)).ok()?,
            Rule::Cron(cron) if cron.cadence => count_cadence(cron, self.zone, start, end)?,
            Rule::Cron(cron) => count_fixed(cron, self.zone, start, end)?,
        };
        Some(Stretch { first, last, count })
    }
}

/// Every time that the clock shows counts, as often as it shows it.
fn count_cadence(cron: &Cron, zone: Tz, after: i64, until: i64) -> Option<u64> {
    let (mut count, mut start) = (0, after + 1);
    while start <= until {
        let (offset, end) = (offset(zone, start)?, change(zone, start, until)?);
        count += cron.count(start + offset, end + offset)?;
        start = end;
    }
    Some(count)
}

/// Every time counts that the clock shows or jumps over, but those of one jump as one.
fn count_fixed(cron: &Cron, zone: Tz, after: i64, until: i64) -> Option<u64> {
    let mut count = cron.count(first_new(zone, after)?, first_new(zone, until)?)?;
    let (mut before, mut start) = (offset(zone, after)?, after);
    loop {
        start = change(zone, start, until)?;
        if start > until {
            return Some(count);
        }
        let now = offset(zone, start)?;
        if now > before {
            // With the first time after the jump, which is the same slot.
            count -= cron.count(start + before, start + now + 1)?.saturating_sub(1);
        }
        before = now;
    }
}

/// The first time that the clock neither shows nor has jumped over up to `instant`.
fn first_new(zone: Tz, instant: i64) -> Option<i64> {
    // What it shows at `instant` is not new; what it showed before is up to `OFFSETS` later.
    let mut known = instant + offset(zone, instant)?;
    let mut new = known + OFFSETS;
    while new - known > 1 {
        let middle = known + (new - known) / 2;
        // `instant_of` never decreases.
        if instant_of(zone, middle)? > instant {
            new = middle;
        } else {
            known = middle;
        }
    }
    Some(new)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn stretch(text: &str, zone: Tz, after: &str, until: &str) -> Option<(String, String, u64)> {
        let schedule = Schedule::parse(text, zone).unwrap_or_else(|error| panic!("{error}"));
        let shown = |slot: DateTime<Utc>| slot.with_timezone(&zone).format("%F %T").to_string();
        schedule.stretch(at(after), at(until)).map(|found| (shown(found.first), shown(found.last), found.count))
    }

    #[test]
    fn the_beginning_is_outside_and_the_end_inside() {
        let count = |after, until| stretch("@hourly", Tz::UTC, after, until).map_or(0, |(_, _, count)| count);
        assert_eq!(count("2026-03-12T10:00:00Z", "2026-03-12T12:00:00Z"), 2);
        assert_eq!(count("2026-03-12T09:59:59.9Z", "2026-03-12T12:00:00Z"), 3);
        assert_eq!(count("2026-03-12T10:00:00Z", "2026-03-12T11:59:59.9Z"), 1);
        assert_eq!(count("2026-03-12T10:00:00Z", "2026-03-12T10:59:59.9Z"), 0);
        assert_eq!(count("2026-03-12T10:00:00Z", "2026-03-12T10:00:00Z"), 0);
        assert_eq!(count("2026-03-12T12:00:00Z", "2026-03-12T10:00:00Z"), 0);
    }

    #[test]
    fn a_gap_joins_fixed_times_and_an_overlap_does_not_double_them() {
        let fixed = |after, until| stretch("0,20,40 1-3 * * *", Tz::Europe__Oslo, after, until).unwrap();
        // 1:00, 1:20, 1:40, one for all that was jumped over and 3:00, 3:20, 3:40.
        let spring = fixed("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(spring, ("2026-03-29 01:00:00".to_owned(), "2026-03-29 03:40:00".to_owned(), 6));
        let autumn = fixed("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(autumn, ("2026-10-25 01:00:00".to_owned(), "2026-10-25 03:40:00".to_owned(), 9));
        // The clock shows for the second time what has been.
        let second = fixed("2026-10-25T01:10:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(second, ("2026-10-25 03:00:00".to_owned(), "2026-10-25 03:40:00".to_owned(), 3));
    }

    #[test]
    fn a_cadence_counts_what_the_clock_shows() {
        let count = |after, until| stretch("*/20 2 * * *", Tz::Europe__Oslo, after, until).map(|(_, _, count)| count);
        assert_eq!(count("2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"), None);
        assert_eq!(count("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"), Some(6));
    }

    #[test]
    fn a_long_gap_is_counted_to_the_last_slot() {
        let (after, until) = ("2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z");
        let seconds = 365 * 24 * 60 * 60;
        for zone in [Tz::UTC, Tz::Europe__Oslo, Tz::Australia__Lord_Howe] {
            let count = |text| stretch(text, zone, after, until).unwrap().2;
            assert_eq!(count("* * * * * *"), seconds, "{zone}");
            assert_eq!(count("* * * * *"), seconds / 60, "{zone}");
            assert_eq!(count("every 7s"), seconds / 7 + 1, "{zone}");
            assert_eq!(count("30 2 * * *"), 365, "{zone}");
        }
        let two_centuries = stretch("* * * * * *", Tz::UTC, after, "2225-06-01T00:00:00Z");
        assert_eq!(two_centuries.unwrap().2, 73_048 * 24 * 60 * 60);
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        const DAYS: TimeDelta = TimeDelta::days(3);
        for text in ["* * * * * *", "30 2 * * *", "every 1s"] {
            let schedule = Schedule::parse(text, Tz::Europe__Oslo).unwrap();
            for after in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC - DAYS] {
                let _ = schedule.stretch(after, after + DAYS);
            }
        }
    }
}
