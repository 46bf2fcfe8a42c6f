//! The rules by example and at random.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::hours(hours)
}

fn numbers(numbers: impl IntoIterator<Item = i64>) -> Vec<Numbered> {
    numbers.into_iter().map(|seqnr| (seqnr, None)).collect()
}

fn subscriber(seqnr: i64, mark: Option<i64>) -> Subscriber {
    Subscriber { peerid: "peer".to_owned(), seqnr, mark }
}

fn mark(seqnr: i64, hours: i64) -> Watermark {
    Watermark { id: "a".to_owned(), subid: "s".to_owned(), seqnr, seen_at: at(hours) }
}

fn sighting(through: i64, hours: i64) -> Sighting {
    Sighting { id: "a".to_owned(), subid: "s".to_owned(), through, seen_at: at(hours) }
}

const RULES: Rules =
    Rules { keep_newest: 1, confirmed: true, made_before: None, orphaned_before: None, believes_times: false };

fn case<'a>(diffs: &'a [Numbered], subscribers: &'a [Subscriber]) -> Case<'a> {
    Case { diffs, subscribers, is_mirrored: false, watermarks: &[], sighting: None }
}

#[test]
fn what_is_confirmed_goes_but_for_the_newest() {
    let diffs = numbers(1..=10);
    let gone =
        |mark, keep_newest| decide(&case(&diffs, &[subscriber(10, mark)]), &Rules { keep_newest, ..RULES }).stretches;
    assert_eq!(gone(Some(4), 1), [(Reason::Confirmed, 4)]);
    assert_eq!(gone(Some(10), 1), [(Reason::Confirmed, 9)]);
    assert_eq!(gone(Some(99), 0), [(Reason::Confirmed, 9)], "the newest stays, whatever is asked for");
    assert_eq!(gone(Some(10), 7), [(Reason::Confirmed, 3)]);
    assert_eq!(gone(Some(10), 10), []);
    assert_eq!(gone(Some(0), 1), []);
    assert_eq!(gone(None, 1), []);
    let off = Rules { confirmed: false, ..RULES };
    assert_eq!(decide(&case(&diffs, &[subscriber(10, Some(4))]), &off).stretches, []);
}

#[test]
fn of_several_the_last_counts() {
    let diffs = numbers([2, 3, 5, 8, 13]);
    let all = [subscriber(13, Some(13)), subscriber(13, Some(4)), subscriber(13, Some(8))];
    let verdict = decide(&case(&diffs, &all), &RULES);
    assert_eq!((verdict.stretches.as_slice(), verdict.mark), ([(Reason::Confirmed, 2)].as_slice(), Some(4)));
    let one_is_elsewhere = [subscriber(13, Some(13)), subscriber(13, None)];
    let verdict = decide(&case(&diffs, &one_is_elsewhere), &RULES);
    assert_eq!((verdict.stretches.as_slice(), verdict.mark), ([].as_slice(), None));
    assert!(verdict.is_unconfirmed(2));
}

#[test]
fn what_was_seen_before_then_is_old() {
    let diffs = numbers(1..=10);
    let watermarks = [mark(2, 0), mark(5, 10), mark(7, 20)];
    let verdict = |hours| {
        let case = Case { watermarks: &watermarks, ..case(&diffs, &[]) };
        let subscribers = [subscriber(10, Some(3))];
        decide(&Case { subscribers: &subscribers, ..case }, &Rules { made_before: Some(at(hours)), ..RULES })
    };
    assert_eq!(verdict(0).stretches, [(Reason::Confirmed, 3)], "only what was seen before");
    assert_eq!(verdict(11).stretches, [(Reason::Confirmed, 3), (Reason::Aged, 2)]);
    assert_eq!(verdict(99).stretches, [(Reason::Confirmed, 3), (Reason::Aged, 4)]);
    assert!(verdict(99).is_unconfirmed(4) && !verdict(99).is_unconfirmed(3));
}

#[test]
fn an_old_time_alone_makes_nothing_old() {
    let diffs: Vec<_> = (1..=10).map(|seqnr| (seqnr, Some(at(-1000)))).collect();
    let subscribers = [subscriber(10, None)];
    let rules = Rules { made_before: Some(at(100)), believes_times: true, ..RULES };
    assert_eq!(decide(&case(&diffs, &subscribers), &rules).stretches, [], "nobody has seen any of them");
    let watermarks = [mark(4, 50)];
    let case = Case { watermarks: &watermarks, ..case(&diffs, &subscribers) };
    // The fifth is as new as what we saw, but claims to be older.
    assert_eq!(decide(&case, &rules).stretches, [(Reason::Aged, 4)]);
}

#[test]
fn a_time_is_believed_only_of_what_came_after_our_first_look() {
    // Made every hour from the first on, and seen first at the fourth hour.
    let diffs: Vec<_> = (1..=10).map(|seqnr| (seqnr, Some(at(seqnr)))).collect();
    let subscribers = [subscriber(10, None)];
    let watermarks = [mark(4, 4), mark(10, 10)];
    let case = Case { watermarks: &watermarks, ..case(&diffs, &subscribers) };
    let aged = |believes_times, hours| {
        let rules = Rules { made_before: Some(at(hours)), believes_times, ..RULES };
        decide(&case, &rules).length()
    };
    assert_eq!(aged(true, 4), 0, "the first four may be of any age, and are in the way");
    assert_eq!(aged(true, 8), 7);
    assert_eq!(aged(false, 8), 4, "elsewhere times are worth nothing");
    let mut with_one_that_came_from_elsewhere = diffs.clone();
    with_one_that_came_from_elsewhere[5].1 = Some(at(-50));
    let case = Case { diffs: &with_one_that_came_from_elsewhere, ..case };
    let rules = Rules { made_before: Some(at(8)), believes_times: true, ..RULES };
    assert_eq!(decide(&case, &rules).length(), 5, "it stays, and what follows with it");
}

#[test]
fn what_says_itself_that_it_is_young_is() {
    // The numbers began anew after we had seen the old ones, and nobody told.
    let diffs: Vec<_> = (1..=10).map(|seqnr| (seqnr, Some(at(90 + seqnr)))).collect();
    let (subscribers, watermarks) = ([subscriber(10, None)], [mark(10, 0)]);
    let case = Case { watermarks: &watermarks, ..case(&diffs, &subscribers) };
    for believes_times in [true, false] {
        let rules = Rules { made_before: Some(at(94)), believes_times, ..RULES };
        assert_eq!(decide(&case, &rules).length(), 3);
    }
}

#[test]
fn numbers_that_went_back_have_no_age() {
    let (diffs, watermarks) = (numbers(1..=3), [mark(3, 0), mark(40, 1)]);
    let rules = Rules { made_before: Some(at(100)), ..RULES };
    let subscribers = [subscriber(3, Some(1))];
    let verdict = decide(&Case { watermarks: &watermarks, ..case(&diffs, &subscribers) }, &rules);
    assert_eq!((verdict.stretches.as_slice(), verdict.went_back), ([(Reason::Confirmed, 1)].as_slice(), true));
    // Changes that were left of before show it as well.
    let verdict = decide(&case(&numbers([1, 2, 30]), &subscribers), &rules);
    assert!(verdict.went_back);
    // Without an age that is nobody's business.
    let verdict = decide(&Case { watermarks: &watermarks, ..case(&diffs, &subscribers) }, &RULES);
    assert!(!verdict.went_back);
}

#[test]
fn orphans_go_up_to_what_was_seen_long_enough_ago() {
    let diffs = numbers(1..=10);
    let rules = Rules { orphaned_before: Some(at(5)), keep_newest: 100, ..RULES };
    let gone = |sighting: Option<&Sighting>, rules| decide(&Case { sighting, ..case(&diffs, &[]) }, rules).stretches;
    assert_eq!(gone(None, &rules), []);
    assert_eq!(gone(Some(&sighting(10, 6)), &rules), [], "not long enough ago");
    assert_eq!(
        gone(Some(&sighting(10, 5)), &rules),
        [(Reason::Orphan, 10)],
        "of a subscription that is gone all may go"
    );
    assert_eq!(gone(Some(&sighting(7, 0)), &rules), [(Reason::Orphan, 7)], "later ones wait for their own second time");
    assert_eq!(gone(Some(&sighting(10, 0)), &RULES), [], "they are not to go");
    let (sighting, subscribers) = (sighting(10, 0), [subscriber(10, None)]);
    let lives = Case { sighting: Some(&sighting), ..case(&diffs, &subscribers) };
    assert_eq!(decide(&lives, &rules), Verdict::default());
    let mirrored = Case { sighting: Some(&sighting), is_mirrored: true, ..case(&diffs, &[]) };
    assert_eq!(decide(&mirrored, &rules), Verdict::default());
}

prop_compose! {
    fn any_time()(hours in prop::option::of(-20_i64..20)) -> Option<DateTime<Utc>> { hours.map(at) }
}

proptest! {
    #[test]
    fn whatever_is_asked_for_only_the_lowest_numbers_go_and_never_the_newest(
        diffs in prop::collection::btree_map(-5_i64..60, any_time(), 0..40),
        subscribers in prop::collection::vec((0_i64..60, prop::option::of(-1_i64..70)), 0..4),
        is_mirrored: bool,
        marks in prop::collection::vec((0_i64..60, -20_i64..20), 0..5),
        seen in prop::option::of((-5_i64..60, -20_i64..20)),
        keep_newest in 0_usize..20,
        confirmed: bool,
        made_before in any_time(),
        orphaned_before in any_time(),
        believes_times: bool,
    ) {
        let diffs: Vec<Numbered> = diffs.into_iter().collect();
        let subscribers: Vec<_> = subscribers.into_iter().map(|(seqnr, mark)| subscriber(seqnr, mark)).collect();
        let mut watermarks: Vec<_> = marks.into_iter().map(|(seqnr, hours)| mark(seqnr, hours)).collect();
        watermarks.sort_by_key(|mark| mark.seen_at);
        let sighting = seen.map(|(through, hours)| sighting(through, hours));
        let rules = Rules { keep_newest, confirmed, made_before, orphaned_before, believes_times };
        let case = Case {
            diffs: &diffs, subscribers: &subscribers, is_mirrored, watermarks: &watermarks, sighting: sighting.as_ref(),
        };
        let verdict = decide(&case, &rules);
        let gone = verdict.length();
        prop_assert!(gone <= diffs.len());
        let lowest = subscribers.iter().map(|subscriber| subscriber.mark).collect::<Option<Vec<_>>>();
        let lowest = lowest.and_then(|marks| marks.into_iter().min());
        let mut from = 0;
        for (reason, length) in &verdict.stretches {
            prop_assert!(*length > 0);
            for (seqnr, time) in &diffs[from..from + length] {
                match reason {
                    Reason::Confirmed => prop_assert!(confirmed && lowest.is_some_and(|mark| *seqnr <= mark)),
                    Reason::Aged => {
                        let before = made_before.unwrap();
                        prop_assert!(time.is_none_or(|time| time < before));
                        let is_seen = watermarks.iter().any(|mark| mark.seen_at < before && *seqnr <= mark.seqnr);
                        prop_assert!(is_seen || (believes_times && time.is_some()));
                    }
                    Reason::Orphan => {
                        let sighting = sighting.as_ref().unwrap();
                        prop_assert!(subscribers.is_empty() && !is_mirrored && *seqnr <= sighting.through);
                        prop_assert!(sighting.seen_at <= orphaned_before.unwrap());
                    }
                }
            }
            from += length;
        }
        if !subscribers.is_empty() && gone > 0 {
            prop_assert!(diffs.len() - gone >= keep_newest.max(1));
        }
        // Nobody loses anything by what is confirmed.
        let lost = diffs[..gone].iter().filter(|(seqnr, _)| verdict.is_unconfirmed(*seqnr)).count();
        let aged: usize = verdict.stretches.iter().filter(|(reason, _)| *reason == Reason::Aged).map(|(_, n)| n).sum();
        prop_assert!(lost <= aged);
    }
}
