use chrono::DateTime;

use super::*;
use crate::storage::Paused;

/// A time of the twelfth of March 2026, as `hour:minute` or `hour:minute:second`, or any other in
/// full.
fn at(text: &str) -> DateTime<Utc> {
    let full = match text.len() {
        5 => format!("2026-03-12T{text}:00Z"),
        8..=12 => format!("2026-03-12T{text}Z"),
        _ => text.to_owned(),
    };
    full.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn policy_in(schedule: &str, zone: Tz) -> Policy {
    Policy {
        schedule: Schedule::parse(schedule, zone).unwrap_or_else(|error| panic!("{error}")),
        delay: TimeDelta::zero(),
        zone,
        catch_up: CatchUp::Latest,
        window: None,
        retries: 3,
    }
}

fn policy(schedule: &str) -> Policy {
    policy_in(schedule, Tz::UTC)
}

/// A job whose slots are dealt with up to `last`.
fn standing(last: &str) -> Standing {
    Standing { last_slot: Some(at(last)), ..Standing::default() }
}

fn open(slot: &str, wait: u64) -> Option<OpenSlot> {
    Some(OpenSlot { slot: at(slot), attempts: 1, wait: Duration::from_secs(wait) })
}

fn busy(from: &str, until: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    Some((at(from), at(until)))
}

fn blocked(since: &str, reason: Reason) -> Option<Blocked> {
    Some(Blocked { since: at(since), reason })
}

fn short(time: DateTime<Utc>) -> String {
    let text = time.format("%Y-%m-%dT%H:%M").to_string();
    text.strip_prefix("2026-03-12T").unwrap_or(&text).to_owned()
}

/// `10:15-10:45 3 downtime, …`.
fn passed(conclusion: &Conclusion) -> String {
    let told = conclusion.passed.iter().map(|passed| {
        let Passed { first, last, count, reason } = passed;
        let range = if first == last { short(*first) } else { format!("{}-{}", short(*first), short(*last)) };
        format!("{range} {count} {}", reason.name())
    });
    told.collect::<Vec<_>>().join(", ")
}

/// What to do, in few words; the newest slot that is dealt with from then on after `to`.
fn told(next: &Next) -> String {
    let conclusion = |conclusion: &Conclusion| {
        let given_up = if conclusion.begun > 0 { " and what was begun" } else { "" };
        format!("pass [{}]{given_up} to {}", passed(conclusion), short(conclusion.until))
    };
    match next {
        Next::Nothing => "nothing".to_owned(),
        Next::Begin(slot) => format!("begin after {}", short(*slot)),
        Next::TurnBack { from, to } => format!("turn back from {} to {}", short(*from), short(*to)),
        Next::Held(held) => format!("held by {}", held.holder),
        Next::Wait(wait) => format!("wait {}s", wait.as_secs_f64()),
        Next::Pass(passed) => conclusion(passed),
        Next::Run(due) => format!("{}, run {}", conclusion(&due.before), short(due.slot)),
    }
}

fn tell(policy: &Policy, standing: &Standing, met: Option<Blocked>, now: &str) -> String {
    told(&next(policy, standing, met, at(now)))
}

#[test]
fn a_schedule_begins_after_the_newest_slot() {
    assert_eq!(tell(&policy("every 15m"), &Standing::default(), None, "12:20"), "begin after 12:15");
    // Also when somebody has paused the job before its first slot.
    let paused = Some(Paused { by: "ada".to_owned(), since: at("12:00") });
    let standing = Standing { paused, ..Standing::default() };
    assert_eq!(tell(&policy("every 15m"), &standing, None, "12:20"), "begin after 12:15");
}

#[test]
fn nothing_is_due_before_the_next_slot() {
    for now in ["12:15", "12:29:59.999", "12:00"] {
        assert_eq!(tell(&policy("every 15m"), &standing("12:15"), None, now), "nothing", "{now}");
    }
    assert_eq!(tell(&policy("every 15m"), &standing("12:15"), None, "12:30"), "pass [] to 12:15, run 12:30");
}

#[test]
fn after_a_gap_the_latest_slot_is_run_and_those_before_it_are_missed() {
    let tell = |now| tell(&policy("every 15m"), &standing("12:15"), None, now);
    assert_eq!(tell("12:46"), "pass [12:30 1 downtime] to 12:30, run 12:45");
    assert_eq!(tell("13:59"), "pass [12:30-13:30 5 downtime] to 13:30, run 13:45");
    assert_eq!(
        tell("2027-03-12T13:59:00Z"),
        "pass [12:30-2027-03-12T13:30 35045 downtime] to 2027-03-12T13:30, run 2027-03-12T13:45"
    );
}

#[test]
fn slots_that_fell_due_during_a_run_are_not_run_after_it() {
    let tell = |until, now| {
        let standing = Standing { busy: busy("12:00:00.2", until), ..standing("12:00") };
        tell(&policy("every 15m"), &standing, None, now)
    };
    assert_eq!(tell("12:14:59", "12:15"), "pass [] to 12:00, run 12:15");
    assert_eq!(tell("12:15", "12:15:01"), "pass [12:15 1 running] to 12:15");
    assert_eq!(tell("12:50", "12:50:01"), "pass [12:15-12:45 3 running] to 12:45");
    assert_eq!(tell("12:50", "13:00"), "pass [12:15-12:45 3 running] to 12:45, run 13:00");
    // And after that nobody was there for a while.
    assert_eq!(tell("12:50", "14:00"), "pass [12:15-12:45 3 running, 13:00-13:45 4 downtime] to 13:45, run 14:00");
    // A run of before does not matter.
    let long_ago = Standing { busy: busy("10:00", "11:00"), ..standing("12:00") };
    assert_eq!(self::tell(&policy("every 15m"), &long_ago, None, "12:15"), "pass [] to 12:00, run 12:15");
}

#[test]
fn who_has_the_lease_is_left_alone() {
    let held = Some(Held { holder: "host/1".to_owned(), since: at("12:15") });
    let standing = Standing { held, busy: busy("12:15", "12:40"), open: open("12:15", 0), ..standing("12:00") };
    assert_eq!(tell(&policy("every 15m"), &standing, None, "12:40"), "held by host/1");
    // Even if the job is paused: the holder itself notices.
    let paused = Some(Paused { by: "ada".to_owned(), since: at("12:20") });
    assert_eq!(tell(&policy("every 15m"), &Standing { paused, ..standing }, None, "12:40"), "held by host/1");
}

#[test]
fn another_run_is_complained_of_only_if_it_is_not_the_slots_own() {
    let late = Policy { delay: TimeDelta::minutes(5), ..policy("every 15m") };
    for (since, is_overlapped) in [("12:19:30", false), ("12:20:30", false), ("12:18:59", true), ("12:05", true)] {
        assert_eq!(late.is_overlapped(at(since), at("12:21")), is_overlapped, "{since}");
    }
}

#[test]
fn several_reasons_in_one_gap_are_disjoint_and_in_order() {
    // The slot of 12:15 was begun, and 12:30 and 12:45 fell due meanwhile; then nobody was there;
    // from 14:00 on this process was, and the database was not.
    let lost = Standing { busy: busy("12:15:01", "12:50"), open: open("12:15", 0), ..standing("11:30") };
    assert_eq!(
        tell(&policy("every 15m"), &lost, blocked("14:00", Reason::Unavailable), "15:07"),
        "pass [11:45-12:00 2 downtime, 12:30-12:45 2 running, 13:00-13:45 4 downtime, 14:00-14:45 4 unavailable] \
         and what was begun to 14:45, run 15:00"
    );
    // What keeps the newest one too is told of the newest one.
    let paused = Some(Paused { by: "ada".to_owned(), since: at("11:00") });
    let paused = Standing { paused, ..lost };
    assert_eq!(
        tell(&policy("every 15m"), &paused, blocked("14:00", Reason::Unavailable), "15:07"),
        "pass [11:45-12:00 2 paused, 12:30-12:45 2 running, 13:00-15:00 9 paused] and what was begun to 15:00"
    );
}

#[test]
fn being_blocked_counts_from_the_first_slot_that_met_it() {
    let tell = |since| tell(&policy("every 15m"), &standing("12:00"), blocked(since, Reason::Schema), "13:05");
    assert_eq!(tell("12:15"), "pass [12:15-12:45 3 schema] to 12:45, run 13:00");
    assert_eq!(tell("12:45"), "pass [12:15-12:30 2 downtime, 12:45 1 schema] to 12:45, run 13:00");
    // The newest one is run after all.
    assert_eq!(tell("13:00"), "pass [12:15-12:45 3 downtime] to 12:45, run 13:00");
    // A clock that was ahead had announced it.
    assert_eq!(tell("18:00"), "pass [12:15-12:45 3 downtime] to 12:45, run 13:00");
    // What was dealt with before is not touched.
    assert_eq!(tell("10:00"), "pass [12:15-12:45 3 schema] to 12:45, run 13:00");
}

#[test]
fn a_run_that_failed_waits_until_a_newer_slot_takes_its_place() {
    let tell = |wait, now| {
        let failed = Standing { busy: busy("12:00:01", "12:01"), open: open("12:00", wait), ..standing("11:45") };
        tell(&policy("every 15m"), &failed, None, now)
    };
    assert_eq!(tell(40, "12:01:20"), "wait 40s");
    assert_eq!(tell(0, "12:02"), "pass [] to 11:45, run 12:00");
    // Not longer than the newer one needs to come.
    assert_eq!(tell(300, "12:14"), "wait 60s");
    assert_eq!(tell(240, "12:15"), "pass [] and what was begun to 12:00, run 12:15");
    assert_eq!(tell(0, "12:50"), "pass [12:15-12:30 2 downtime] and what was begun to 12:30, run 12:45");
}

#[test]
fn what_was_handed_over_goes_on_at_once_also_when_newer_slots_fell_due_during_its_run() {
    let tell = |now| {
        let handed_over = Standing { busy: busy("12:00:01", "12:40"), open: open("12:00", 0), ..standing("11:45") };
        tell(&policy("every 15m"), &handed_over, None, now)
    };
    assert_eq!(tell("12:40:01"), "pass [] to 11:45, run 12:00");
    assert_eq!(tell("12:45"), "pass [12:15-12:30 2 running] and what was begun to 12:30, run 12:45");
    // A run that failed after newer slots had fallen due waits as well.
    let failed = Standing { busy: busy("12:00:01", "12:40"), open: open("12:00", 20), ..standing("11:45") };
    assert_eq!(self::tell(&policy("every 15m"), &failed, None, "12:40:01"), "wait 20s");
}

#[test]
fn a_paused_job_skips_its_slots_and_what_it_had_begun() {
    let paused = Some(Paused { by: "ada".to_owned(), since: at("12:10") });
    let idle = Standing { paused: paused.clone(), ..standing("12:00") };
    assert_eq!(tell(&policy("every 15m"), &idle, None, "12:15"), "pass [12:15 1 paused] to 12:15");
    assert_eq!(tell(&policy("every 15m"), &idle, None, "12:14"), "nothing");
    let cut = Standing { paused, busy: busy("12:00:01", "12:10"), open: open("12:00", 0), ..standing("11:45") };
    assert_eq!(tell(&policy("every 15m"), &cut, None, "12:11"), "pass [] and what was begun to 12:00");
}

#[test]
fn outside_the_window_the_newest_slot_is_skipped() {
    let night = Policy { window: Some("22:00-06:00".parse().unwrap()), ..policy("every 15m") };
    assert_eq!(tell(&night, &standing("05:45"), None, "05:59"), "nothing");
    assert_eq!(tell(&night, &standing("05:45"), None, "06:00"), "pass [06:00 1 window] to 06:00");
    assert_eq!(tell(&night, &standing("21:45"), None, "22:00"), "pass [] to 21:45, run 22:00");
    // Those before it had nobody to skip them.
    let gap = tell(&night, &standing("05:00"), None, "12:00");
    assert_eq!(gap, "pass [05:15-11:45 27 downtime, 12:00 1 window] to 12:00");
    // Its end is also the end of what waits to be tried again.
    let failed = Standing { open: open("05:45", 300), ..standing("05:30") };
    assert_eq!(tell(&night, &failed, None, "06:00"), "pass [06:00 1 window] and what was begun to 06:00");
}

#[test]
fn without_catching_up_a_slot_is_run_within_a_minute_or_missed() {
    let none = Policy { catch_up: CatchUp::None, ..policy("every 15m") };
    assert_eq!(tell(&none, &standing("12:00"), None, "12:16"), "pass [] to 12:00, run 12:15");
    assert_eq!(tell(&none, &standing("12:00"), None, "12:16:00.001"), "pass [12:15 1 downtime] to 12:15");
    assert_eq!(tell(&none, &standing("12:00"), None, "12:45:30"), "pass [12:15-12:30 2 downtime] to 12:30, run 12:45");
    let met = blocked("12:30", Reason::Unavailable);
    assert_eq!(
        tell(&none, &standing("12:00"), met, "13:10"),
        "pass [12:15 1 downtime, 12:30-13:00 3 unavailable] to 13:00"
    );
    // What was begun goes on, however late.
    let handed_over = Standing { open: open("12:15", 0), ..standing("12:00") };
    assert_eq!(tell(&none, &handed_over, None, "12:29"), "pass [] to 12:00, run 12:15");
}

#[test]
fn a_splay_moves_starts_and_not_slots() {
    let late = Policy { delay: TimeDelta::minutes(50), ..policy("@hourly") };
    assert_eq!(tell(&late, &standing("11:00"), None, "12:49:59.9"), "nothing");
    assert_eq!(tell(&late, &standing("11:00"), None, "12:50"), "pass [] to 11:00, run 12:00");
    assert_eq!(late.next_start(at("12:50")), Some(at("13:50")));
    assert_eq!(tell(&late, &standing("11:00"), None, "15:10"), "pass [12:00-13:00 2 downtime] to 13:00, run 14:00");
    // How late a slot is counts from its start.
    let none = Policy { catch_up: CatchUp::None, ..late.clone() };
    assert_eq!(tell(&none, &standing("11:00"), None, "12:50:59"), "pass [] to 11:00, run 12:00");
    // The slot of 13:00 lies within this run, and falls due after it.
    let short = Standing { busy: busy("12:50", "13:05"), ..standing("12:00") };
    assert_eq!(tell(&late, &short, None, "13:50"), "pass [] to 12:00, run 13:00");
    // That of 12:00 does not, and fell due during this one; so did that of 13:00.
    let long = Standing { busy: busy("12:40", "13:55"), ..standing("11:00") };
    assert_eq!(tell(&late, &long, None, "13:56"), "pass [12:00-13:00 2 running] to 13:00");
}

#[test]
fn when_the_clocks_go_forward_what_they_jump_over_is_run_once() {
    let fixed = policy_in("30 2 * * *", Tz::Europe__Oslo);
    let last = standing("2026-03-28T01:30:00Z");
    assert_eq!(tell(&fixed, &last, None, "2026-03-29T00:59:59Z"), "nothing");
    assert_eq!(tell(&fixed, &last, None, "2026-03-29T01:00:00Z"), "pass [] to 2026-03-28T01:30, run 2026-03-29T01:00");
    assert_eq!(tell(&fixed, &standing("2026-03-29T01:00:00Z"), None, "2026-03-30T00:29:59Z"), "nothing");
    let cadence = policy_in("*/30 * * * *", Tz::Europe__Oslo);
    assert_eq!(
        tell(&cadence, &standing("2026-03-29T00:00:00Z"), None, "2026-03-29T02:00:00Z"),
        "pass [2026-03-29T00:30-2026-03-29T01:30 3 downtime] to 2026-03-29T01:30, run 2026-03-29T02:00"
    );
}

#[test]
fn when_the_clocks_go_back_what_they_show_twice_is_run_once_and_a_cadence_goes_on() {
    let fixed = policy_in("30 2 * * *", Tz::Europe__Oslo);
    assert_eq!(
        tell(&fixed, &standing("2026-10-24T00:30:00Z"), None, "2026-10-25T00:30:00Z"),
        "pass [] to 2026-10-24T00:30, run 2026-10-25T00:30"
    );
    // The second half past two.
    assert_eq!(tell(&fixed, &standing("2026-10-25T00:30:00Z"), None, "2026-10-25T01:30:00Z"), "nothing");
    let cadence = policy_in("*/30 2 * * *", Tz::Europe__Oslo);
    assert_eq!(
        tell(&cadence, &standing("2026-10-24T00:30:00Z"), None, "2026-10-25T01:45:00Z"),
        "pass [2026-10-25T00:00-2026-10-25T01:00 3 downtime] to 2026-10-25T01:00, run 2026-10-25T01:30"
    );
}

#[test]
fn a_clock_that_went_back_is_waited_for_up_to_three_hours_and_no_longer() {
    let tell = |now| tell(&policy("every 15m"), &standing("12:00"), None, now);
    assert_eq!(tell("11:50"), "nothing");
    assert_eq!(tell("09:00"), "nothing");
    assert_eq!(tell("08:59:59"), "turn back from 12:00 to 08:45");
    assert_eq!(tell("2026-03-11T12:01:00Z"), "turn back from 12:00 to 2026-03-11T12:00");
    assert!(is_too_far(at("12:00"), at("08:59:59")) && !is_too_far(at("12:00"), at("09:00")));
}

#[test]
fn a_schedule_that_was_another_one_ends_with_its_own_slots() {
    let stored = |last| Standing { schedule: Some("every 15m".to_owned()), ..standing(last) };
    // Its slots since the last one, and then the latest of the new one.
    let tell = |schedule, last, now| tell(&policy(schedule), &stored(last), None, now);
    assert_eq!(tell("@hourly", "12:00", "13:05"), "pass [12:15-12:45 3 downtime] to 12:59, run 13:00");
    assert_eq!(tell("every 7m", "12:00", "13:00:30"), "pass [12:15-12:45 3 downtime] to 12:56, run 12:57");
    // When nothing of the new one is due yet, the old one ends now; later it would have more slots.
    assert_eq!(tell("@daily", "12:00", "12:40"), "pass [12:15-12:30 2 downtime] to 12:40");
    assert_eq!(tell("@daily", "12:00", "12:10"), "pass [] to 12:10");
    let held = Some(Held { holder: "host/1".to_owned(), since: at("12:15") });
    let running = Standing { held, ..stored("12:00") };
    assert_eq!(self::tell(&policy("@daily"), &running, None, "12:40"), "nothing");
    // What is written is that of the new one.
    let Next::Pass(conclusion) = next(&policy("@daily"), &stored("12:00"), None, at("12:40")) else { panic!() };
    assert_eq!(conclusion.schedule, "0 0 * * * UTC");
    // The same schedule, and one that nobody can read.
    assert_eq!(tell("every 900s", "12:15", "12:20"), "nothing");
    let unknown = Standing { schedule: Some("at full moon".to_owned()), ..standing("12:00") };
    assert_eq!(self::tell(&policy("every 15m"), &unknown, None, "12:40"), "pass [] to 12:29, run 12:30");
}

#[test]
fn a_stretch_goes_on_only_from_the_slot_right_before_it() {
    let conclusion = |standing: &Standing, now| match next(&policy("every 15m"), standing, None, at(now)) {
        Next::Pass(conclusion) => conclusion,
        Next::Run(due) => due.before,
        other => panic!("{other:?}"),
    };
    assert!(conclusion(&standing("12:00"), "12:45").goes_on);
    assert!(!conclusion(&standing("12:00"), "12:15").goes_on, "there is nothing to go on");
    let between = Standing { open: open("12:15", 0), ..standing("12:00") };
    assert!(!conclusion(&between, "12:45").goes_on);
    let after = Standing { open: open("12:30", 0), ..standing("12:00") };
    assert!(conclusion(&after, "12:45").goes_on);
}
