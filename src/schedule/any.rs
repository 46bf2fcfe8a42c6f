//! Any schedule, zone and instant, for properties.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

const HOUR: i64 = 60 * 60;

/// A field of numbers within the bounds.
pub(super) fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        1 => (1..=high - low).prop_map(|step| format!("*/{step}")),
        3 => (low..=high).prop_map(|value| value.to_string()),
        1 => (low..high, low..=high).prop_map(|(one, other)| format!("{one},{other}")),
        1 => (low..high).prop_flat_map(move |first| (Just(first), first + 1..=high))
            .prop_map(|(first, last)| format!("{first}-{last}")),
    ]
}

/// Cron fields, and now and then `every`. Some of them are no schedule, as they never occur.
pub(super) fn text() -> impl Strategy<Value = String> {
    let fields = (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7));
    prop_oneof![
        9 => fields.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}")),
        1 => (1..100_000_u32).prop_map(|seconds| format!("every {seconds}s")),
    ]
}

/// Zones whose clocks change in all kinds of ways.
pub(super) fn zone() -> impl Strategy<Value = Tz> + Clone {
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
pub(super) fn instant() -> impl Strategy<Value = DateTime<Utc>> {
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
