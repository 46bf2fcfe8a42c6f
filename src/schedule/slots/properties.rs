//! What holds for every schedule, in every zone, at every instant.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::parser::CronParser;
use proptest::prelude::*;

use super::{HOUR, Rule, Schedule};

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

/// A field of numbers within the bounds.
fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1..=high - low).prop_map(|step| format!("*/{step}")),
        3 => (low..=high).prop_map(|value| value.to_string()),
        1 => (low..high, low..=high).prop_map(|(one, other)| format!("{one},{other}")),
        1 => (low..high).prop_flat_map(move |first| (Just(first), first + 1..=high))
            .prop_map(|(first, last)| format!("{first}-{last}")),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let fields = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    prop_oneof![
        9 => fields.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}")),
        1 => (1..100_000_u32).prop_map(|seconds| format!("every {seconds}s")),
    ]
}

fn zone() -> impl Strategy<Value = Tz> {
    prop::sample::select(vec![
        Tz::UTC,
        Tz::Europe__Oslo,
        Tz::America__New_York,
        Tz::America__Sao_Paulo,
        Tz::Australia__Lord_Howe,
        Tz::Asia__Kathmandu,
        Tz::Asia__Beirut,
        Tz::Africa__Casablanca,
        Tz::Pacific__Apia,
    ])
}

/// Any instant, and more often one near a change of the clocks.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    let changes = ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"];
    let more = ["2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z", "2018-11-04T03:00:00Z", "2011-12-30T10:00:00Z"];
    let changes: Vec<i64> =
        changes.into_iter().chain(more).map(|change| change.parse::<DateTime<Utc>>().unwrap().timestamp()).collect();
    prop_oneof![
        946_684_800..4_102_444_800_i64,
        (prop::sample::select(changes), -30 * HOUR..30 * HOUR).prop_map(|(change, seconds)| change + seconds),
    ]
    .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
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
