//! Histories that did not happen: the ledger has to refuse each of them, and say why.

use actingweb_maintd::schedule::Schedule;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Entry, History, Killed, Ledger, Stretch};
use crate::harness::witness::Fate;

/// The instant `seconds` after the baseline.
fn at(seconds: f64) -> DateTime<Utc> {
    let baseline = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    baseline + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

/// A run of the slot `slot` with the term `term`, by the process of the same number.
fn run(term: i64, slot: u32, outcome: &str, from: f64, to: f64) -> Entry {
    Entry {
        run_id: format!("r{term}"),
        slot: Some(at(slot.into())),
        holder: format!("host/{term}"),
        term,
        outcome: Some(outcome.to_owned()),
        stopped: None,
        started_at: at(from),
        finished_at: Some(at(to)),
        examined: 11,
        deleted: 10,
        skipped: 1,
    }
}

fn stretch(first: u32, last: u32, fate: &str) -> Stretch {
    Stretch {
        first_slot: at(first.into()),
        last_slot: at(last.into()),
        count: i64::from(last - first) + 1,
        fate: fate.to_owned(),
    }
}

/// Slot 1 ran; slot 2 was lost with its holder, and tried again; 3 and 4 were missed meanwhile; 5
/// was skipped, as 2 was still running; 6 ran.
fn honest() -> Ledger {
    let history = History {
        name: "public/postgresql/ttl_cleanup".to_owned(),
        schedule: Schedule::parse("every 1s", Tz::UTC).expect("a schedule"),
        baseline: Some(at(0.0)),
        last_slot: Some(at(6.0)),
        open_slot: None,
        term: 4,
        held_by: None,
        fences: 0,
        runs: vec![
            run(1, 1, "succeeded", 1.1, 1.2),
            run(2, 2, "lost", 2.1, 4.3),
            run(3, 2, "succeeded", 4.4, 5.6),
            run(4, 6, "succeeded", 6.0, 6.1),
        ],
        passed: Some(vec![stretch(3, 4, "missed"), stretch(5, 5, "skipped")]),
        killed: vec![Killed { process: 2, at: at(3.0) }],
    };
    Ledger { histories: vec![history], fate: Fate { gone: 40, live_and_gone: 0, expired_and_left: 0 } }
}

/// The one thing that is wrong with the honest history after `doctor` had it.
fn problem_after(doctor: impl FnOnce(&mut History)) -> String {
    let mut ledger = honest();
    doctor(&mut ledger.histories[0]);
    let problems = ledger.problems();
    let [problem] = problems.as_slice() else { panic!("one problem, not these: {problems:#?}") };
    problem.strip_prefix("public/postgresql/ttl_cleanup: ").unwrap_or(problem).to_owned()
}

#[test]
fn an_honest_history_is_believed() {
    honest().assert_holds();
}

#[test]
fn a_history_without_an_account_of_passed_slots_is_believed_as_far_as_it_goes() {
    let mut ledger = honest();
    ledger.histories[0].passed = None;
    ledger.assert_holds();
}

#[test]
fn runs_that_overlap_are_refused() {
    let problem = problem_after(|history| history.runs[1].finished_at = Some(at(4.5)));
    assert_eq!(problem, "run r3 began before run r2 had ended");
}

#[test]
fn a_run_that_reaches_over_several_others_is_refused() {
    let mut ledger = honest();
    ledger.histories[0].runs[0].finished_at = Some(at(20.0));
    let overlaps = ledger.problems().iter().filter(|problem| problem.contains("before run r1 had ended")).count();
    assert_eq!(overlaps, 3);
}

#[test]
fn a_run_that_ended_before_it_began_is_refused() {
    let problem = problem_after(|history| history.runs[3].finished_at = Some(at(5.9)));
    assert_eq!(problem, "run r4 ended before it began");
}

#[test]
fn a_term_that_does_not_grow_is_refused() {
    let problem = problem_after(|history| history.runs[3].term = 3);
    assert_eq!(problem, "the term does not grow: 3 of run r3 is followed by 3 of run r4");
}

#[test]
fn a_term_that_the_lease_does_not_know_is_refused() {
    assert_eq!(problem_after(|history| history.term = 3), "run r4 has the term 4, the lease 3");
}

#[test]
fn a_run_that_is_left_open_is_refused() {
    let mut ledger = honest();
    (ledger.histories[0].runs[3].outcome, ledger.histories[0].runs[3].finished_at) = (None, None);
    assert_eq!(ledger.problems(), ["public/postgresql/ttl_cleanup: run r4 of host/4 is left open"]);
}

#[test]
fn a_lease_that_is_still_held_is_refused() {
    let problem = problem_after(|history| history.held_by = Some("host/4".to_owned()));
    assert_eq!(problem, "the lease is still held by host/4");
}

#[test]
fn fences_that_are_left_are_refused() {
    assert_eq!(problem_after(|history| history.fences = 2), "2 fences are left of runs that have ended");
}

#[test]
fn a_success_that_left_rows_which_it_had_found_is_refused() {
    let problem = problem_after(|history| history.runs[3].examined = 15);
    assert_eq!(problem, "run r4 succeeded, and left 4 rows that it had found");
}

#[test]
fn a_slot_that_runs_again_after_it_succeeded_is_refused() {
    let problem = problem_after(|history| {
        history.runs[1].outcome = Some("succeeded".to_owned());
        history.killed.clear();
    });
    assert_eq!(problem, format!("the slot {} was run again after run r2 had succeeded", at(2.0)));
}

#[test]
fn a_slot_that_runs_again_is_believed_if_it_was_cut_by_the_end_of_its_daemon_and_by_nothing_else() {
    let mut ledger = honest();
    let cut = &mut ledger.histories[0];
    cut.killed.clear();
    (cut.runs[1].outcome, cut.runs[1].stopped) = (Some("partial".to_owned()), Some("shutdown".to_owned()));
    ledger.assert_holds();
    ledger.histories[0].runs[1].stopped = Some("deadline".to_owned());
    assert_eq!(ledger.problems().len(), 1);
    ledger.histories[0].runs[1].outcome = Some("failed".to_owned());
    ledger.assert_holds();
}

#[test]
fn a_slot_that_is_missing_is_refused() {
    let problem = problem_after(|history| history.passed = Some(vec![stretch(3, 4, "missed")]));
    assert_eq!(problem, format!("the slot {} is missing: neither run nor passed", at(5.0)));
    let problem = problem_after(|history| history.last_slot = Some(at(7.0)));
    assert_eq!(problem, format!("the slot {} is missing: neither run nor passed", at(7.0)));
    let problem = problem_after(|history| history.baseline = Some(at(-1.0)));
    assert_eq!(problem, format!("the slot {} is missing: neither run nor passed", at(0.0)));
}

#[test]
fn a_slot_in_two_stretches_is_refused() {
    let problem = problem_after(|history| {
        history.passed = Some(vec![stretch(3, 5, "missed"), stretch(5, 5, "skipped")]);
    });
    let [first, second] = [at(3.0), at(5.0)];
    assert_eq!(
        problem,
        format!("the slot {second} is in two stretches, missed from {first} and skipped from {second}")
    );
}

#[test]
fn a_slot_that_was_run_and_passed_is_refused() {
    let problem = problem_after(|history| {
        history.passed = Some(vec![stretch(3, 4, "missed"), stretch(5, 6, "skipped")]);
    });
    assert_eq!(problem, format!("the slot {} was run, and is skipped as well", at(6.0)));
}

#[test]
fn a_stretch_that_counts_wrongly_is_refused() {
    let problem = problem_after(|history| {
        history.passed.as_mut().expect("an account")[0].count = 3;
    });
    assert_eq!(
        problem,
        format!("the stretch from {} to {} has 2 slots by the schedule and 3 by its count", at(3.0), at(4.0))
    );
}

#[test]
fn a_run_of_what_is_no_slot_is_refused() {
    let problem = problem_after(|history| {
        history.term = 5;
        history.runs.push(Entry { slot: Some(at(5.5)), deleted: 0, ..run(5, 5, "lost", 7.0, 7.1) });
    });
    assert_eq!(problem, format!("{} was run, and is no slot of the schedule", at(5.5)));
}

#[test]
fn a_run_of_a_slot_beyond_the_newest_is_refused_unless_it_is_to_be_tried_again() {
    let run = Entry { deleted: 0, ..run(5, 8, "lost", 8.0, 8.1) };
    let problem = problem_after(|history| {
        history.term = 5;
        history.runs.push(run.clone());
    });
    assert_eq!(problem, format!("the slot {} was run, and the lease knows nothing of it", at(8.0)));
    let mut ledger = honest();
    let history = &mut ledger.histories[0];
    (history.term, history.open_slot) = (5, Some(at(8.0)));
    history.runs.push(run);
    ledger.assert_holds();
}

#[test]
fn a_killed_daemon_whose_run_ended_otherwise_than_lost_is_refused() {
    let problem = problem_after(|history| history.runs[1].outcome = Some("failed".to_owned()));
    assert_eq!(problem, "run r2 of process 2, which was killed, is failed and not lost");
}

#[test]
fn a_run_that_a_dead_daemon_began_is_refused() {
    let problem = problem_after(|history| history.killed[0].at = at(2.0));
    assert_eq!(problem, "run r2 was begun by process 2, which was dead");
}

#[test]
fn reports_that_do_not_add_up_to_the_rows_that_are_gone_are_refused() {
    for told in [9, 11] {
        let problem = problem_after(|history| (history.runs[3].deleted, history.runs[3].examined) = (told, told));
        assert_eq!(problem, format!("the reports tell of {} rows deleted, and 40 are gone", 30 + told));
    }
}

#[test]
fn a_live_row_that_is_gone_and_an_expired_one_that_is_left_are_refused() {
    let mut ledger = honest();
    ledger.fate = Fate { live_and_gone: 1, expired_and_left: 2, ..ledger.fate };
    assert_eq!(ledger.problems(), ["1 rows are gone that had not expired", "2 rows had expired and are still there"]);
}
