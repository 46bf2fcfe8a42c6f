//! The slots of a schedule: the instants at which its job is due.
//!
//! When a zone changes its clocks, slots follow Vixie cron (`find_jobs` in cron.c). Times of day
//! that are listed are *fixed*: those that the clock jumps over are one slot, at the first instant
//! after the gap, and those that the clock shows twice are slots the first time only. A schedule
//! whose minutes or hours (or seconds) start with `*` is a *cadence*: it has a slot whenever the
//! clock shows a matching time, none in a gap and both times in an overlap. `every` knows no zone.
//!
//! croner's own search is not used: in an overlap its successor of an instant can lie before it,
//! and backwards it puts a slot in a gap before the gap.

use chrono::{DateTime, LocalResult, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use super::cron::Cron;
use super::spec::{Rule, Schedule};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// More than lies between any two offsets of a zone, as each is less than a day. (Samoa's are 25
/// hours apart.)
pub(super) const OFFSETS: i64 = 2 * DAY;
/// Every schedule has a slot within the 400 years after which the calendar repeats itself.
const LOOK_BACK: i64 = 401 * 366 * DAY;

impl Schedule {
    /// The first slot after `after`.
    ///
    /// None only at the end of the calendar.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.successor(after.timestamp())?, 0)
    }

    /// The newest slot that is not after `now`.
    ///
    /// None only at the beginning of the calendar.
    pub fn latest(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Searching with the successor, and not backwards, the two cannot disagree.
        let now = now.timestamp();
        let mut back = 60;
        let mut slot = loop {
            match self.successor(now - back) {
                Some(slot) if slot <= now => break slot,
                _ if back > LOOK_BACK => return None,
                _ => back *= 8,
            }
        };
        // No slot lies after `end` and up to now.
        let mut end = now;
        while slot < end {
            let middle = slot + (end - slot) / 2;
            match self.successor(middle) {
                Some(later) if later <= end => slot = later,
                _ => end = middle,
            }
        }
        DateTime::from_timestamp(slot, 0)
    }

    /// The first `count` slots after `after`.
    pub fn upcoming(&self, after: DateTime<Utc>, count: usize) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.next(after), |slot| self.next(*slot)).take(count)
    }

    fn successor(&self, after: i64) -> Option<i64> {
        match &self.rule {
            Rule::Every(seconds) => Some((after.div_euclid(*seconds) + 1) * seconds),
            Rule::Cron(cron) if cron.cadence => next_in_cadence(cron, self.zone, after),
            Rule::Cron(cron) => next_fixed(cron, self.zone, after),
        }
    }
}

fn next_fixed(cron: &Cron, zone: Tz, after: i64) -> Option<i64> {
    // `instant_of` never decreases, so no time up to the one shown at `after` comes after it.
    let mut wall = after + offset(zone, after)? + 1;
    loop {
        wall = cron.first_from(wall)?;
        let instant = instant_of(zone, wall)?;
        if instant > after {
            return Some(instant);
        }
        // The clock shows this for the second time.
        wall += 1;
    }
}

/// When the clock shows `wall` for the first time, or has jumped over it.
pub(super) fn instant_of(zone: Tz, wall: i64) -> Option<i64> {
    let wall = DateTime::from_timestamp(wall, 0)?.naive_utc();
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => Some(instant.timestamp()),
        LocalResult::None => {
            let (start, before) = GapInfo::new(&wall, &zone)?.begin?;
            Some(start.and_utc().timestamp() - i64::from(before.fix().local_minus_utc()))
        }
    }
}

fn next_in_cadence(cron: &Cron, zone: Tz, after: i64) -> Option<i64> {
    // No slot lies after `after` and before `at`.
    let mut at = after + 1;
    loop {
        let offset = offset(zone, at)?;
        let slot = cron.first_from(at + offset)? - offset;
        let end = slot.min(at + OFFSETS);
        let change = change(zone, at, end)?;
        at = if change <= end {
            change
        } else if slot == end {
            return Some(slot);
        } else {
            // Whatever the clocks do until then, they move the slot by less than this.
            end.max(slot - OFFSETS)
        };
    }
}

/// The first instant at which `zone` has another offset than at `start`, or the one after `end`.
pub(super) fn change(zone: Tz, start: i64, end: i64) -> Option<i64> {
    let before = offset(zone, start)?;
    let mut same = start;
    while same < end {
        // Between two changes lie many hours.
        let mut other = end.min(same + HOUR);
        if offset(zone, other)? == before {
            same = other;
            continue;
        }
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if offset(zone, middle)? == before {
                same = middle;
            } else {
                other = middle;
            }
        }
        return Some(other);
    }
    Some(end + 1)
}

/// What the clock shows more than Greenwich.
pub(super) fn offset(zone: Tz, instant: i64) -> Option<i64> {
    let instant = DateTime::from_timestamp(instant, 0)?.naive_utc();
    Some(zone.offset_from_utc_datetime(&instant).fix().local_minus_utc().into())
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn schedule(text: &str, zone: Tz) -> Schedule {
        Schedule::parse(text, zone).unwrap_or_else(|error| panic!("{error}"))
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Checks that `slots`, as the clock in `zone` shows them, are the first after `after`, and that
    /// looking back finds the same.
    #[track_caller]
    fn check(text: &str, zone: Tz, after: &str, slots: &[&str]) {
        let schedule = schedule(text, zone);
        let found: Vec<_> = schedule.upcoming(at(after), slots.len()).collect();
        let shown = found.iter().map(|slot| slot.with_timezone(&zone).format("%F %T %z").to_string());
        assert_eq!(shown.collect::<Vec<_>>(), slots, "{text} in {zone}");
        for pair in found.windows(2) {
            assert_eq!(schedule.latest(pair[0]), Some(pair[0]), "{text} in {zone}");
            assert_eq!(schedule.latest(pair[1] - TimeDelta::nanoseconds(1)), Some(pair[0]), "{text} in {zone}");
        }
    }

    #[test]
    fn a_fixed_time_in_the_gap_runs_at_the_first_instant_after_it() {
        check(
            "30 2 * * *",
            Tz::Europe__Oslo,
            "2026-03-27T12:00:00Z",
            &["2026-03-28 02:30:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"],
        );
        check(
            "30 2 * * *",
            Tz::America__New_York,
            "2026-03-07T12:00:00Z",
            &["2026-03-08 03:00:00 -0400", "2026-03-09 02:30:00 -0400"],
        );
        check(
            "15 2 * * *",
            Tz::Australia__Lord_Howe,
            "2026-10-03T00:00:00Z",
            &["2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"],
        );
        // The gap is at midnight, so this day begins at one.
        check(
            "@daily",
            Tz::Asia__Beirut,
            "2026-03-28T12:00:00Z",
            &["2026-03-29 01:00:00 +0300", "2026-03-30 00:00:00 +0300"],
        );
        // Samoa left out a whole day when it crossed the date line.
        check(
            "0 12 * * *",
            Tz::Pacific__Apia,
            "2011-12-29T00:00:00Z",
            &["2011-12-29 12:00:00 -1000", "2011-12-31 00:00:00 +1400", "2011-12-31 12:00:00 +1400"],
        );
    }

    #[test]
    fn several_fixed_times_in_the_gap_are_one_slot() {
        check(
            "0,20,40 1-3 * * *",
            Tz::Europe__Oslo,
            "2026-03-29T00:30:00Z",
            &["2026-03-29 01:40:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 03:20:00 +0200"],
        );
    }

    #[test]
    fn a_fixed_time_in_the_overlap_runs_the_first_time_only() {
        check(
            "30 2 * * *",
            Tz::Europe__Oslo,
            "2026-10-24T12:00:00Z",
            &["2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"],
        );
        check("30 1 * * *", Tz::America__New_York, "2026-11-01T05:45:00Z", &["2026-11-02 01:30:00 -0500"]);
        check(
            "0,45 1 * * *",
            Tz::Australia__Lord_Howe,
            "2026-04-04T12:00:00Z",
            &["2026-04-05 01:00:00 +1100", "2026-04-05 01:45:00 +1100", "2026-04-06 01:00:00 +1030"],
        );
    }

    #[test]
    fn a_cadence_goes_on_through_the_gap_and_the_overlap() {
        check(
            "*/30 * * * *",
            Tz::Europe__Oslo,
            "2026-03-29T00:00:00Z",
            &["2026-03-29 01:30:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-29 03:30:00 +0200"],
        );
        check(
            "*/30 * * * *",
            Tz::Europe__Oslo,
            "2026-10-25T00:00:00Z",
            &[
                "2026-10-25 02:30:00 +0200",
                "2026-10-25 02:00:00 +0100",
                "2026-10-25 02:30:00 +0100",
                "2026-10-25 03:00:00 +0100",
            ],
        );
        check(
            "@hourly",
            Tz::America__New_York,
            "2026-11-01T04:30:00Z",
            &["2026-11-01 01:00:00 -0400", "2026-11-01 01:00:00 -0500", "2026-11-01 02:00:00 -0500"],
        );
        check(
            "@hourly",
            Tz::Australia__Lord_Howe,
            "2026-04-04T13:30:00Z",
            &["2026-04-05 01:00:00 +1100", "2026-04-05 02:00:00 +1030", "2026-04-05 03:00:00 +1030"],
        );
        check(
            "0 */2 * * *",
            Tz::Europe__Oslo,
            "2026-03-28T22:30:00Z",
            &["2026-03-29 00:00:00 +0100", "2026-03-29 04:00:00 +0200"],
        );
        check(
            "*/20 2 * * *",
            Tz::Europe__Oslo,
            "2026-10-25T00:30:00Z",
            &[
                "2026-10-25 02:40:00 +0200",
                "2026-10-25 02:00:00 +0100",
                "2026-10-25 02:20:00 +0100",
                "2026-10-25 02:40:00 +0100",
                "2026-10-26 02:00:00 +0100",
            ],
        );
        check(
            "*/30 59 2 * * *",
            Tz::Europe__Oslo,
            "2026-10-25T00:00:00Z",
            &["2026-10-25 02:59:00 +0200", "2026-10-25 02:59:30 +0200", "2026-10-25 02:59:00 +0100"],
        );
    }

    #[test]
    fn every_knows_no_zone() {
        for zone in [Tz::UTC, Tz::Europe__Oslo] {
            let slots: Vec<_> = schedule("every 7h", zone).upcoming(at("2026-03-28T20:00:00Z"), 3).collect();
            assert_eq!(slots, ["2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z", "2026-03-29T12:00:00Z"].map(at));
            assert!(slots.iter().all(|slot| slot.timestamp() % (7 * HOUR) == 0));
        }
    }

    #[test]
    fn rare_days_are_found_in_both_directions() {
        for (text, zone, now, latest, next) in [
            ("0 0 29 2 *", Tz::UTC, "2026-01-01T00:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
            // 2100 is no leap year.
            ("0 0 29 2 *", Tz::UTC, "2100-06-01T00:00:00Z", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"),
            // The star makes this: a 29 February that is a Sunday.
            ("0 0 29 2 */7", Tz::UTC, "2100-01-01T00:00:00Z", "2088-02-29T00:00:00Z", "2128-02-29T00:00:00Z"),
            (
                "*/5 * 29 2 *",
                Tz::Asia__Kathmandu,
                "2026-01-01T00:00:00Z",
                "2024-02-29T18:10:00Z",
                "2028-02-28T18:15:00Z",
            ),
            ("@yearly", Tz::Asia__Kathmandu, "2026-07-01T00:00:00Z", "2025-12-31T18:15:00Z", "2026-12-31T18:15:00Z"),
            ("@monthly", Tz::America__New_York, "2026-03-31T00:00:00Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"),
        ] {
            let schedule = schedule(text, zone);
            assert_eq!(schedule.latest(at(now)), Some(at(latest)), "{text} in {zone}");
            assert_eq!(schedule.next(at(now)), Some(at(next)), "{text} in {zone}");
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_panic() {
        for text in ["* * * * * *", "0 0 29 2 *", "every 1s"] {
            let schedule = schedule(text, Tz::Europe__Oslo);
            let _ = schedule.next(DateTime::<Utc>::MAX_UTC);
            let _ = schedule.latest(DateTime::<Utc>::MAX_UTC);
            let _ = schedule.next(DateTime::<Utc>::MIN_UTC);
            let _ = schedule.latest(DateTime::<Utc>::MIN_UTC);
        }
    }
}
