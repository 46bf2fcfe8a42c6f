//! What holds for every window, in every zone, at every instant.

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::Window;
use crate::schedule::Schedule;
use crate::schedule::any::{instant, text, zone};

/// Start and end in minutes of the day.
type Hours = Vec<(u32, u32)>;

proptest! {
    #[test]
    fn a_window_is_open_when_the_clock_shows_a_time_in_it(
        hours in hours(),
        zone in zone(),
        at in instant(),
        fraction in 0..1_000_000_000_i64,
    ) {
        let at = at + TimeDelta::nanoseconds(fraction);
        prop_assert_eq!(window(&hours).is_open(at, zone), shows(&hours, zone, at));
    }

    #[test]
    fn it_stays_as_it_is_until_it_closes_or_opens(
        hours in hours(),
        zone in zone(),
        at in instant(),
        fraction in 0..1_000_000_000_i64,
    ) {
        let (window, at) = (window(&hours), at + TimeDelta::nanoseconds(fraction));
        let is_open = window.is_open(at, zone);
        let (stays, turns) = (window.opens(at, zone), window.closes(at, zone));
        let (stays, turns) = if is_open { (stays, turns) } else { (turns, stays) };
        prop_assert_eq!(stays, Some(at));
        let end = turns.unwrap_or(at + TimeDelta::days(3));
        prop_assert!(end > at);
        prop_assert_eq!(window.is_open(end, zone), is_open != turns.is_some());
        prop_assert_eq!(window.is_open(end - TimeDelta::nanoseconds(1), zone), is_open);
        // Clocks change at whole minutes in these years.
        let mut minute = at.with_second(0).and_then(|at| at.with_nanosecond(0)).unwrap() + TimeDelta::minutes(1);
        while minute < end {
            prop_assert_eq!(window.is_open(minute, zone), is_open, "{}", minute);
            minute += TimeDelta::minutes(1);
        }
    }

    #[test]
    fn the_first_slot_in_it_is_the_first(text in text(), hours in hours(), zone in zone(), after in instant()) {
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let window = window(&hours);
        let found = window.first_slot(&schedule, after);
        let first = schedule.upcoming(after, 100).find(|slot| shows(&hours, zone, *slot));
        match (found, first) {
            (found, Some(first)) => prop_assert_eq!(found, Some(first)),
            (Some(found), None) => {
                prop_assert!(shows(&hours, zone, found));
                prop_assert_eq!(schedule.latest(found), Some(found));
            }
            (None, None) => {}
        }
    }
}

fn hours() -> impl Strategy<Value = Hours> {
    // Whole hours more often than not, so that they touch.
    let time = prop_oneof![2 => (0..=24_u32).prop_map(|hour| hour * 60), 1 => 0..=24 * 60_u32];
    let range = (time.clone(), time).prop_filter("a range", |(start, end)| start != end && *start < 24 * 60);
    prop::collection::vec(range, 1..4)
}

fn window(hours: &Hours) -> Window {
    let time = |minutes: &u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let ranges = hours.iter().map(|(start, end)| format!("{}-{}", time(start), time(end)));
    ranges.collect::<Vec<_>>().join(",").parse().unwrap()
}

/// Whether the clock on the wall shows one of the hours.
fn shows(hours: &Hours, zone: Tz, at: DateTime<Utc>) -> bool {
    let shown: NaiveTime = at.with_timezone(&zone).time();
    let minute = shown.hour() * 60 + shown.minute();
    hours.iter().any(
        |&(start, end)| {
            if start < end { start <= minute && minute < end } else { start <= minute || minute < end }
        },
    )
}
