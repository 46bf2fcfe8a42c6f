//! What is counted is what going from slot to slot would find.

use chrono::TimeDelta;
use proptest::prelude::*;

use crate::schedule::Schedule;
use crate::schedule::any::{field, instant, text, zone};

proptest! {
    #[test]
    fn the_count_is_that_of_the_slots_one_by_one(
        text in with_seconds(),
        zone in zone(),
        after in instant(),
        fraction in 0..1_000_000_000_i64,
        number in 1..25_usize,
    ) {
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let after = after + TimeDelta::nanoseconds(fraction);
        let slots: Vec<_> = schedule.upcoming(after, number).collect();
        let found = schedule.stretch(after, slots[number - 1]).unwrap();
        prop_assert_eq!((found.first, found.last, found.count), (slots[0], slots[number - 1], number as u64));
        let found = schedule.stretch(after, slots[number - 1] - TimeDelta::nanoseconds(1));
        prop_assert_eq!(found.map_or(0, |found| found.count), number as u64 - 1);
        let found = schedule.stretch(slots[0] - TimeDelta::nanoseconds(1), slots[number - 1]);
        prop_assert_eq!(found.map_or(0, |found| found.count), number as u64);
        let found = schedule.stretch(slots[0], slots[number - 1]);
        prop_assert_eq!(found.map_or(0, |found| found.count), number as u64 - 1);
    }

    #[test]
    fn stretches_add_up(
        text in with_seconds(),
        zone in zone(),
        start in instant(),
        parts in prop::collection::vec(0..400 * 24 * 60 * 60_i64, 1..4),
    ) {
        let Ok(schedule) = Schedule::parse(&text, zone) else { return Ok(()) };
        let (mut stretches, mut end) = (Vec::new(), start);
        for part in parts {
            let next = end + TimeDelta::seconds(part);
            stretches.extend(schedule.stretch(end, next));
            end = next;
        }
        let whole = schedule.stretch(start, end);
        prop_assert_eq!(stretches.iter().map(|part| part.count).sum::<u64>(), whole.map_or(0, |whole| whole.count));
        prop_assert_eq!(stretches.first().map(|part| part.first), whole.map(|whole| whole.first));
        prop_assert_eq!(stretches.last().map(|part| part.last), whole.map(|whole| whole.last));
        for pair in stretches.windows(2) {
            prop_assert_eq!(schedule.next(pair[0].last), Some(pair[1].first));
        }
    }
}

/// Five fields or six, or `every`.
fn with_seconds() -> impl Strategy<Value = String> {
    let six = (field(0, 59), text()).prop_map(|(seconds, text)| format!("{seconds} {text}"));
    prop_oneof![2 => text(), 1 => six]
}
