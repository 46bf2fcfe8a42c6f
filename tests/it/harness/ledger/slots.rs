//! The account of slots: each was run, or was passed for a reason, and never both.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{History, Stretch};

/// More slots than any test has; a stretch that has more is a mistake of its own.
const MANY: usize = 1_000_000;

/// What is wrong with the account from the baseline to the newest slot that was dealt with.
pub(super) fn accounts(history: &History, problems: &mut Vec<String>) {
    let run: BTreeSet<DateTime<Utc>> = history.runs.iter().filter_map(|run| run.slot).collect();
    for slot in &run {
        if history.schedule.latest(*slot) != Some(*slot) {
            problems.push(format!("{slot} was run, and is no slot of the schedule"));
        }
        if history.last_slot.is_none_or(|last| *slot > last) && history.open_slot != Some(*slot) {
            problems.push(format!("the slot {slot} was run, and the lease knows nothing of it"));
        }
    }
    let Some(stretches) = &history.passed else { return };
    let mut passed: BTreeMap<DateTime<Utc>, &Stretch> = BTreeMap::new();
    for stretch in stretches {
        let slots = slots_of(history, stretch);
        if slots.len() as i64 != stretch.count || slots.last() != Some(&stretch.last_slot) {
            problems.push(format!(
                "the stretch from {} to {} has {} slots by the schedule and {} by its count",
                stretch.first_slot,
                stretch.last_slot,
                slots.len(),
                stretch.count
            ));
        }
        for slot in slots {
            if let Some(other) = passed.insert(slot, stretch) {
                problems.push(format!(
                    "the slot {slot} is in two stretches, {} from {} and {} from {}",
                    other.fate, other.first_slot, stretch.fate, stretch.first_slot
                ));
            }
            if run.contains(&slot) {
                problems.push(format!("the slot {slot} was run, and is {} as well", stretch.fate));
            }
        }
    }
    let (Some(baseline), Some(last)) = (history.baseline, history.last_slot) else {
        problems.push("nobody knows from which slot to which accounts are kept".to_owned());
        return;
    };
    for slot in history.schedule.upcoming(baseline, MANY).take_while(|slot| *slot <= last) {
        if !run.contains(&slot) && !passed.contains_key(&slot) {
            problems.push(format!("the slot {slot} is missing: neither run nor passed"));
        }
    }
}

/// The slots of the schedule from the first to the last of a stretch.
fn slots_of(history: &History, stretch: &Stretch) -> Vec<DateTime<Utc>> {
    let before = stretch.first_slot - chrono::TimeDelta::seconds(1);
    history.schedule.upcoming(before, MANY).take_while(|slot| *slot <= stretch.last_slot).collect()
}
