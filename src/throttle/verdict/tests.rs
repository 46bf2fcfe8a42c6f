//! What is decided.

use super::*;
use crate::model::setting::Bounded;
use crate::storage::{Archive, Lag};

fn lag(seconds: u64, mebibytes: u64) -> Strain {
    let lag = Lag { bytes: mebibytes << 20, time: Duration::from_secs(seconds) };
    Strain { replay: Reading::Seen(lag), ..Strain::default() }
}

fn archive(is_failing: bool, waiting: Option<u64>) -> Strain {
    Strain { archive: Reading::Seen(Archive { is_failing, waiting, last_success: None }), ..Strain::default() }
}

/// The first letter of the verdict, and its reason.
fn told(settings: &Settings, strain: &Strain) -> (char, Option<Reason>) {
    match judge(settings, strain, 0) {
        Verdict::GoOn => ('g', None),
        Verdict::Slow(cause) => ('s', Some(cause.reason)),
        Verdict::Pause(cause) => ('p', Some(cause.reason)),
        Verdict::End(cause) => ('e', Some(cause.reason)),
    }
}

#[test]
fn each_signal_has_its_levels() {
    let busy = Strain { vacuum: Reading::Seen(true), ..Strain::default() };
    let full = |left| Strain { connections: Reading::Seen(left), ..Strain::default() };
    let throttled = Strain { throttled: 1, ..Strain::default() };
    let (behind, unarchived) = (Some(Reason::ReplicationLag), Some(Reason::WalArchive));
    for (strain, verdict) in [
        (Strain::default(), ('g', None)),
        (lag(10, 64), ('g', None)),
        (lag(11, 0), ('p', behind)),
        (lag(0, 65), ('p', behind)),
        (lag(100, 640), ('p', behind)),
        (lag(101, 0), ('e', behind)),
        (lag(0, 641), ('e', behind)),
        (archive(false, Some(16)), ('g', None)),
        (archive(false, Some(17)), ('p', unarchived)),
        (archive(false, Some(161)), ('e', unarchived)),
        (archive(true, Some(0)), ('p', unarchived)),
        (archive(true, None), ('p', unarchived)),
        (archive(false, None), ('g', None)),
        (busy, ('s', Some(Reason::Autovacuum))),
        (full(5), ('g', None)),
        (full(4), ('s', Some(Reason::Connections))),
        (full(0), ('s', Some(Reason::Connections))),
        (throttled, ('s', Some(Reason::Throttled))),
    ] {
        assert_eq!(told(&Settings::default(), &strain), verdict, "{strain:?}");
    }
}

#[test]
fn the_worst_decides() {
    let strain = Strain { vacuum: Reading::Seen(true), ..archive(false, Some(200)) };
    let strain = Strain { replay: lag(11, 0).replay, ..strain };
    assert_eq!(told(&Settings::default(), &strain), ('e', Some(Reason::WalArchive)));
}

#[test]
fn what_is_off_decides_nothing() {
    let off = Settings {
        replication_lag: Span::secs(0),
        replication_lag_bytes: Size(0),
        wal_archive_backlog: Bounded::new(0),
        connection_headroom: Bounded::new(0),
        yield_to_autovacuum: false,
        ..Settings::default()
    };
    let strain = Strain {
        vacuum: Reading::Seen(true),
        connections: Reading::Seen(0),
        archive: archive(true, Some(1_000_000)).archive,
        ..lag(1_000_000, 1_000_000)
    };
    assert_eq!(told(&off, &strain), ('g', None));
    assert_eq!(hidden(&off, &Strain { replay: Reading::Hidden, ..strain }), [""; 0]);
    // Without a level at which it ends, a run waits however bad it is.
    let patient = Settings { abort_at: Bounded::new(0), ..Settings::default() };
    assert_eq!(told(&patient, &lag(1_000_000, 0)), ('p', Some(Reason::ReplicationLag)));
}

#[test]
fn what_cannot_be_seen_keeps_nothing_else_from_being_heeded() {
    let strain = Strain { replay: Reading::Hidden, vacuum: Reading::Hidden, ..archive(false, None) };
    let settings = Settings::default();
    assert_eq!(told(&settings, &strain), ('g', None));
    assert_eq!(hidden(&settings, &strain), ["replication_lag", "wal_archive_backlog", "yield_to_autovacuum"]);
    let failing = Strain { archive: archive(true, None).archive, ..strain };
    assert_eq!(told(&settings, &failing), ('p', Some(Reason::WalArchive)));
    assert_eq!(hidden(&settings, &Strain::default()), [""; 0]);
}

#[test]
fn only_requests_that_were_turned_away_since_count() {
    let strain = Strain { throttled: 7, ..Strain::default() };
    assert_eq!(judge(&Settings::default(), &strain, 7), Verdict::GoOn);
    assert!(matches!(judge(&Settings::default(), &strain, 6), Verdict::Slow(_)));
}

#[test]
fn a_cause_says_what_was_seen_and_which_key_decides() {
    let Verdict::Pause(cause) = judge(&Settings::default(), &lag(0, 130), 0) else { panic!("no pause") };
    assert_eq!(cause.what, "a replica is 130.0MiB behind, and may be 64MiB (throttle.replication_lag_bytes)");
}

#[test]
fn pauses_leave_time_to_others_and_calm_takes_it_back() {
    let second = Duration::from_secs(1);
    let mut ease = Ease::default();
    assert_eq!(ease.rest(second), Duration::ZERO);
    let rests: Vec<Duration> = (0..4)
        .map(|_| {
            ease = ease.after_pause();
            ease.rest(second)
        })
        .collect();
    assert_eq!(rests, [1, 2, 4, 4].map(Duration::from_secs));
    // Nine tenths of the speed are a rest of a ninth: well within half a minute, from the most there is.
    let back = (1..).find(|_| {
        ease = ease.after(second);
        ease.rest(second) < second / 9
    });
    assert!(back.is_some_and(|seconds| seconds <= 16), "{back:?}");
    assert_eq!(Ease::default().after_pause().after(second * 60), Ease::default());
}

#[test]
fn a_slow_writer_rests_most_of_the_time_and_not_for_ever() {
    assert_eq!(slow_rest(Duration::ZERO), Duration::from_millis(100));
    assert_eq!(slow_rest(Duration::from_millis(25)), Duration::from_millis(225));
    assert_eq!(slow_rest(Duration::from_secs(10)), Duration::from_secs(2));
}
