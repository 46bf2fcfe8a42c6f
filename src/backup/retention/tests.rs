//! The decision against rules that are written down once more, one set at a time and without any memory.

use proptest::prelude::*;

use super::*;
use crate::backup::Form;
use crate::model::setting::{Bounded, Span};

const ZONES: [Tz; 3] = [Tz::UTC, Tz::Europe__Oslo, Tz::Pacific__Kiritimati];

fn now() -> DateTime<Utc> {
    "2026-11-28T05:30:00Z".parse().unwrap()
}

/// A set that was begun so many minutes ago; numbers tell sets of one moment apart.
fn set(minutes_ago: i64, number: usize) -> SetId {
    let begun = now() - TimeDelta::minutes(minutes_ago);
    format!("{}-{}-{number:06x}", begun.format("%Y%m%dT%H%M%SZ"), Form::Logical).parse().unwrap()
}

fn candidate(minutes_ago: i64, number: usize, condition: Condition) -> Candidate {
    Candidate { set: set(minutes_ago, number), condition, held: None }
}

fn rules() -> impl Strategy<Value = Retention> {
    (0..4u64, 0..6u64, 0..4u64, 0..4u64, 0..3u64, 0..3000u64, 1..4u64).prop_map(
        |(last, daily, weekly, monthly, yearly, minutes, min_sets)| Retention {
            enabled: true,
            keep_last: Bounded::new(last),
            daily: Bounded::new(daily),
            weekly: Bounded::new(weekly),
            monthly: Bounded::new(monthly),
            yearly: Bounded::new(yearly),
            min_age: Span::secs(minutes * 60),
            min_sets: Bounded::new(min_sets),
        },
    )
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let condition = prop_oneof![
        2 => Just(Condition::Unproven),
        4 => Just(Condition::Verified),
        2 => Just(Condition::Drilled),
        1 => Just(Condition::Unreadable("it is cut off".to_owned())),
    ];
    // Some lie close together, others years apart.
    let age = prop_oneof![0..200i64, 0..20_000i64, 0..1_500_000i64];
    let held = prop::option::weighted(0.1, Just("a drill".to_owned()));
    let sets = prop::collection::vec((age, condition, held), 0..40);
    sets.prop_map(|sets| {
        let sets = sets.into_iter().enumerate();
        sets.map(|(number, (age, condition, held))| Candidate { held, ..candidate(age, number, condition) }).collect()
    })
}

/// Whether a set stays, by the words of the documentation.
fn stays(rules: &Retention, zone: Tz, all: &[Candidate], one: &Candidate) -> bool {
    let verified: Vec<&Candidate> = all.iter().filter(|other| other.is_verified()).collect();
    let newer = verified.iter().filter(|other| other.set > one.set).count() as u64;
    let age = now() - one.set.begun();
    if one.held.is_some() || age < TimeDelta::from_std(rules.min_age.0).unwrap() {
        return true;
    }
    match one.condition {
        Condition::Unreadable(_) => return true,
        Condition::Unproven => return newer == 0,
        Condition::Verified | Condition::Drilled => {}
    }
    let local = |other: &Candidate| other.set.begun().with_timezone(&zone);
    // The newest of its stretch, and among the newest so many stretches that have one.
    let among = |most: u64, stretch: &dyn Fn(&Candidate) -> String| {
        let own = stretch(one);
        let is_newest = !verified.iter().any(|other| other.set > one.set && stretch(other) == own);
        let later: BTreeSet<String> =
            verified.iter().filter(|other| other.set > one.set).map(|other| stretch(other)).collect();
        is_newest && (later.len() as u64) < most
    };
    let newest_drilled = all.iter().filter(|other| other.condition == Condition::Drilled).map(|other| &other.set).max();
    newer < rules.keep_last.get()
        || newer < rules.min_sets.get()
        || newest_drilled == Some(&one.set)
        || among(rules.daily.get(), &|other| local(other).format("%Y-%m-%d").to_string())
        || among(rules.weekly.get(), &|other| local(other).format("%G-W%V").to_string())
        || among(rules.monthly.get(), &|other| local(other).format("%Y-%m").to_string())
        || among(rules.yearly.get(), &|other| local(other).format("%Y").to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn each_decision_is_what_the_documentation_says(
        rules in rules(),
        mut sets in candidates(),
        zone in prop::sample::select(ZONES.to_vec()),
    ) {
        // The newest verified set decides whether the clock is trusted.
        sets.push(candidate(30, 0xff_ffff, Condition::Verified));
        let decisions = decide(&rules, zone, now(), &sets).unwrap();
        prop_assert_eq!(decisions.len(), sets.len());
        for decision in &decisions {
            let one = sets.iter().find(|one| one.set == decision.set).unwrap();
            prop_assert_eq!(!decision.removed, stays(&rules, zone, &sets, one), "{:?}", decision);
            prop_assert!(!decision.reasons.is_empty());
        }
        let left = |wanted: &Condition| {
            let is_left = |one: &&Candidate| decisions.iter().any(|it| it.set == one.set && !it.removed);
            sets.iter().filter(is_left).filter(|one| one.condition == *wanted).count()
        };
        prop_assert!(left(&Condition::Verified) + left(&Condition::Drilled) >= 1);
        // What was decided once is not decided otherwise when it has been carried out.
        let rest: Vec<Candidate> = sets
            .iter()
            .filter(|one| decisions.iter().any(|decision| decision.set == one.set && !decision.removed))
            .cloned()
            .collect();
        prop_assert!(decide(&rules, zone, now(), &rest).unwrap().iter().all(|decision| !decision.removed));
    }
}

#[test]
fn unproven_sets_never_count_and_never_drive_out_proven_ones() {
    let rules = Retention { keep_last: Bounded::new(1), daily: Bounded::new(0), ..Retention::default() };
    let rules = Retention { weekly: Bounded::new(0), monthly: Bounded::new(0), min_sets: Bounded::new(1), ..rules };
    let day = 24 * 60;
    let sets = [
        candidate(9 * day, 1, Condition::Verified),
        candidate(8 * day, 2, Condition::Verified),
        candidate(7 * day, 3, Condition::Unproven),
        candidate(6 * day, 4, Condition::Unproven),
    ];
    let decisions = decide(&rules, Tz::UTC, now(), &sets).unwrap();
    let told: Vec<(bool, Vec<Why>)> = decisions.into_iter().map(|it| (it.removed, it.reasons)).collect();
    assert_eq!(
        told,
        [
            (true, vec![Why::NoRule]),
            (false, vec![Why::KeepLast, Why::MinSets]),
            (false, vec![Why::NothingBetter]),
            (false, vec![Why::NothingBetter]),
        ]
    );
}

#[test]
fn a_clock_that_the_sets_contradict_removes_nothing() {
    let day = 24 * 60;
    let rules = Retention::default();
    let sets = [candidate(9 * day, 1, Condition::Verified), candidate(-60, 2, Condition::Unproven)];
    assert!(decide(&rules, Tz::UTC, now(), &sets).unwrap_err().contains("in the future"));
    let sets = [candidate(400 * day, 1, Condition::Verified), candidate(0, 2, Condition::Unproven)];
    let refused = decide(&rules, Tz::UTC, now(), &sets).unwrap_err();
    assert!(refused.contains("400 days old"), "{refused}");
    assert_eq!(decide(&rules, Tz::UTC, now(), &[]), Ok(Vec::new()));
}
