//! What holds for every schedule, in every zone, at every instant.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::parser::CronParser;
use proptest::prelude::*;

use super::{Rule, Schedule};
use crate::schedule::any::{field, instant, text, zone};

proptest! {
    #[test]
    fn looking_back_and_ahead_agree(text in text(), zone in zone(), now in instant(), fraction in 0..1_000_000_000_i64) {
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let now = now + TimeDelta::nanoseconds(fraction);
        let latest = schedule.latest(now).unwrap();
        prop_assert!(latest <= now);
        prop_assert_eq!(schedule.latest(latest), Some(latest));
        prop_assert_eq!(schedule.next(latest - TimeDelta::nanoseconds(1)), Some(latest));
        let mut before = latest;
        for slot in schedule.upcoming(latest, 5) {
            prop_assert!(slot > before && slot > now);
            prop_assert_eq!(schedule.latest(slot), Some(slot));
            prop_assert_eq!(schedule.latest(slot - TimeDelta::nanoseconds(1)), Some(before));
            before = slot;
        }
    }

    #[test]
    fn a_schedule_read_back_from_its_description_has_the_same_slots(text in text(), zone in zone(), now in instant()) {
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let again = Schedule::parse_described(&schedule.describe()).unwrap();
        prop_assert_eq!(again.describe(), schedule.describe());
        prop_assert!(schedule.upcoming(now, 5).eq(again.upcoming(now, 5)));
    }

    #[test]
    fn what_is_let_through_to_croner_it_understands(
        place in 0..6_usize,
        field in "[*0-9,/-]{1,5}|[0-9]{1,2}-([0-9]{1,2}|sun)(/[1-9])?|(sun|sat|jan)-(sun|7|mon|dec)",
    ) {
        let fields: Vec<&str> = (0..6).map(|other| if other == place { field.as_str() } else { "*" }).collect();
        if let Err(error) = Schedule::parse(&fields.join(" "), Tz::UTC) {
            prop_assert!(!error.to_string().contains("is not a cron expression"), "{}", error);
        }
    }

    #[test]
    fn without_changes_of_the_clock_the_slots_are_those_of_croner(second in field(0, 59), text in text(), now in instant()) {
        let six = format!("{second} {text}");
        for text in [text, six] {
            let Ok(schedule) = Schedule::parse(&text, Tz::UTC) else { continue };
            let Rule::Cron(_) = schedule.rule else { continue };
            let mut day_fields = text.split(' ').rev().step_by(2).take(2);
            let both = day_fields.any(|field| field.starts_with('*'));
            let croner = CronParser::builder().dom_and_dow(both).build().parse(&text).unwrap();
            prop_assert_eq!(schedule.next(now), croner.find_next_occurrence(&now, false).ok());
            prop_assert_eq!(schedule.latest(now), croner.find_previous_occurrence(&now, true).ok());
        }
    }

    #[test]
    fn no_slot_is_skipped_and_none_is_added(text in text(), zone in zone(), now in instant()) {
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let Rule::Cron(cron) = &schedule.rule else { return Ok(()) };
        let start = now.with_second(0).unwrap();
        let end = start + TimeDelta::days(3);

        let expected: BTreeSet<_> = if cron.cadence {
            // Look at the clock each minute.
            minutes(start, end).filter(|minute| matches(&text, minute.with_timezone(&zone).naive_local())).collect()
        } else {
            // Go through all times that a clock can show, and wait for each.
            let walls = minutes(start - TimeDelta::days(2), end + TimeDelta::days(2)).map(|minute| minute.naive_utc());
            let instants = walls.filter(|wall| matches(&text, *wall)).map(|wall| first_instant(zone, wall));
            instants.filter(|instant| start < *instant && *instant <= end).collect()
        };
        let found: BTreeSet<_> = schedule.upcoming(start, 5000).take_while(|slot| *slot <= end).collect();
        prop_assert_eq!(found, expected);
    }
}

fn minutes(start: DateTime<Utc>, end: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    (1..=(end - start).num_minutes()).map(move |minute| start + TimeDelta::minutes(minute))
}

/// When the clock shows `wall` first, or anything later.
fn first_instant(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    let later = (0..).map(|minutes| wall + TimeDelta::minutes(minutes));
    let mut instants = later.filter_map(|wall| zone.from_local_datetime(&wall).earliest());
    instants.next().unwrap().to_utc()
}

/// Whether a clock on the wall shows a time that five fields of numbers name.
fn matches(text: &str, wall: NaiveDateTime) -> bool {
    let fields: Vec<&str> = text.split(' ').collect();
    let contains = |field: &str, low: u32, value: u32| {
        field.split(',').any(|item| match (item.split_once('/'), item.split_once('-')) {
            (Some((_, step)), _) => (value - low).is_multiple_of(step.parse().unwrap()),
            (_, Some((first, last))) => (first.parse().unwrap()..=last.parse().unwrap()).contains(&value),
            _ => item == "*" || item.parse() == Ok(value),
        })
    };
    let date_and_time = [(0, 0, wall.minute()), (1, 0, wall.hour()), (3, 1, wall.month())];
    if !date_and_time.iter().all(|&(place, low, value)| contains(fields[place], low, value)) {
        return false;
    }
    let weekday = wall.weekday().num_days_from_sunday();
    let weekday = contains(fields[4], 0, weekday) || (weekday == 0 && contains(fields[4], 0, 7));
    let day = contains(fields[2], 1, wall.day());
    let both = fields[2].starts_with('*') || fields[4].starts_with('*');
    if both { day && weekday } else { day || weekday }
}
