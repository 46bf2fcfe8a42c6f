//! What the page shows, and what it never does.

use chrono::{DateTime, Utc};

use super::{STYLE, render};
use crate::backup::{Counts, Damage, DrillResult, Finder, Form, Kind, Ledger, Level, Line};
use crate::model::BackendKind;
use crate::runner::{BackendStatus, BackupStatus, HealthStatus, JobStatus, Status};
use crate::storage::{Backlog, Paused};
use crate::work::{
    Defect, Health, IndexFigures, Outcome, Progress, RepairOutcome, Repaired, Report, Run, Severity, Trigger,
};

const HOSTILE: &str = "\"'><script>alert(1)</script>&amp;`<b>`";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_343_400, 0).expect("a time")
}

fn run(outcome: Option<Outcome>) -> Run {
    Run {
        run_id: uuid::Uuid::nil(),
        job: HOSTILE.to_owned(),
        backend: BackendKind::Postgresql,
        slot: None,
        trigger: Trigger::Schedule,
        outcome,
        started_at: now() - chrono::Duration::seconds(192),
        finished_at: outcome.map(|_| now() - chrono::Duration::milliseconds(190_500)),
        holder: HOSTILE.to_owned(),
        error: Some(HOSTILE.to_owned()),
        report: Report { examined: 2000, deleted: 1234, more: true, ..Report::default() },
    }
}

fn status() -> Status {
    let backlog =
        Backlog { expired_rows: 100_000, capped: true, oldest_age_seconds: Some(187_200), measured_at: now() };
    Status {
        deployment: Some(HOSTILE.to_owned()),
        version: "1.2.3",
        started_at: now() - chrono::Duration::days(3),
        not_ready: vec![HOSTILE.to_owned()],
        backends: vec![BackendStatus {
            backend: BackendKind::Postgresql,
            up: Some(false),
            place: HOSTILE.to_owned(),
            problem: Some(HOSTILE.to_owned()),
            schema_revision: Some(HOSTILE.to_owned()),
            backlog: Some(backlog),
        }],
        jobs: vec![JobStatus {
            job: "ttl_cleanup",
            backend: BackendKind::Postgresql,
            enabled: true,
            only_on: None,
            schedule: HOSTILE.to_owned(),
            paused: Some(Paused { by: HOSTILE.to_owned(), since: now() }),
            next_run: Some(now() + chrono::Duration::seconds(192)),
            running: Some(run(None)),
            progress: Some(progress()),
            last_run: Some(run(Some(Outcome::Partial))),
            last_success: Some(now() - chrono::Duration::days(2)),
        }],
        health: vec![health()],
        backups: vec![BackupStatus {
            backend: BackendKind::Postgresql,
            place: HOSTILE.to_owned(),
            problem: Some(HOSTILE.to_owned()),
            ledger: Some(ledger()),
            looked_at: Some(now() - chrono::Duration::seconds(192)),
        }],
    }
}

fn health() -> HealthStatus {
    let defect = |severity, acknowledged: Option<&str>| Defect {
        kind: HOSTILE.to_owned(),
        severity,
        rows: None,
        object: Some(HOSTILE.to_owned()),
        what: HOSTILE.to_owned(),
        remedy: HOSTILE.to_owned(),
        acknowledged: acknowledged.map(str::to_owned),
    };
    let figure = |bloat| IndexFigures { index: HOSTILE.to_owned(), bytes: 1 << 20, bloat, ..IndexFigures::default() };
    let mut findings = vec![defect(Severity::Critical, None); 30];
    findings.push(defect(Severity::Warning, Some(HOSTILE)));
    HealthStatus {
        backend: BackendKind::Postgresql,
        looked_at: now() - chrono::Duration::hours(2),
        findings,
        health: Health {
            indexes: vec![figure(Some(0.4)), figure(None), figure(Some(0.62))],
            notes: vec![HOSTILE.to_owned()],
            repairs: vec![Repaired {
                kind: HOSTILE.to_owned(),
                object: HOSTILE.to_owned(),
                outcome: RepairOutcome::PutOff,
                what: HOSTILE.to_owned(),
                bytes_before: None,
                bytes_expected: None,
                bytes_after: None,
                seconds: 0.5,
            }],
            looked: true,
            deep_at: Some(now() - chrono::Duration::days(3)),
            ..Health::default()
        },
    }
}

fn ledger() -> Ledger {
    let drill = DrillResult {
        at: now() - chrono::Duration::days(6),
        restore_seconds: 27.0,
        data_age_seconds: 3_700.0,
        rows: 1_234_567,
        compared: true,
        note: None,
    };
    let line = Line {
        set: "20261122T093000Z-logical-3f2a91".parse().expect("an id"),
        form: Some(Form::Logical),
        taken_at: Some(now()),
        size: Some(733 << 20),
        files: Some(12),
        rows: Some(1_234_567),
        level: Level::Taken,
        verified_at: None,
        drill: None,
        damage: Some(Damage { by: Finder::Verify, at: now(), what: HOSTILE.to_owned() }),
        unreadable: None,
    };
    let kind = Kind {
        form: Form::Logical,
        counts: Counts { taken: 1, verified: 4, drilled: 2, damaged: 1 },
        taken_at: None,
        size: None,
        verified_at: Some(now() - chrono::Duration::days(2)),
        drill: Some(drill),
    };
    Ledger { kinds: vec![kind], last: Some(line) }
}

fn progress() -> Progress {
    let progress = Progress::new();
    progress.expect(2000);
    progress.add(1234);
    // For as long as the test lasts.
    std::mem::forget(progress.rest("lock_wait"));
    progress
}

#[test]
fn it_says_what_there_is_to_say() {
    let page = render(&status(), now());
    for words in [
        "not ready",
        "down",
        "≥ 100,000",
        "2 d 4 h",
        "not known to this version",
        "in 3 m 12 s",
        "running",
        "for 3 m 12 s",
        "1,234 rows of 2,000",
        "resting: <code>lock_wait</code>",
        " a second",
        " left",
        "partial",
        "after 1.5 s",
        "more to do",
        "3 m 10 s ago",
        "2 d ago",
        ", deep 3 d ago",
        "2026-11-20 10:30",
        "Up 3 d",
        "1.2.3",
        "not to be seen",
        "733.0 MiB",
        "1,234,567 rows",
        "restored in 27.0 s",
        "data 1 h 1 m old",
        "2 drilled, 4 verified, 1 taken",
        "1 damaged",
        "href=\"/metrics\"",
        "href=\"/api/v1/status\"",
    ] {
        assert!(page.contains(words), "{words} is missing in\n{page}");
    }
}

#[test]
fn of_a_run_elsewhere_it_shows_what_history_has() {
    let mut elsewhere = status();
    elsewhere.jobs[0].progress = None;
    let page = render(&elsewhere, now());
    assert!(page.contains("1,234 deleted") && !page.contains("a second"), "{page}");
}

#[test]
fn names_cannot_become_markup() {
    let page = render(&status(), now());
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"), "{page}");
}

#[test]
fn nothing_comes_from_elsewhere() {
    let page = render(&status(), now());
    assert_eq!(page.matches("://").count(), 1, "only the name of the icon's format");
    assert!(!page.contains(" style="), "the policy forbids it");
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn nothing_and_odd_values_can_be_shown() {
    let page = render(&Status::default(), now());
    assert!(page.contains("No backend is configured.") && page.contains("There are no jobs."), "{page}");
    let mut odd = status();
    odd.started_at = DateTime::<Utc>::MAX_UTC;
    odd.jobs[0].next_run = Some(DateTime::<Utc>::MIN_UTC);
    odd.jobs[0].last_success = Some(DateTime::<Utc>::MAX_UTC);
    odd.backends[0].backlog = Some(Backlog {
        expired_rows: u64::MAX,
        capped: false,
        oldest_age_seconds: Some(u64::MAX),
        measured_at: DateTime::<Utc>::MIN_UTC,
    });
    odd.backends.push(BackendStatus { up: None, schema_revision: None, backlog: None, ..odd.backends[0].clone() });
    for outcome in Outcome::ALL {
        let mut ended = run(Some(outcome));
        ended.finished_at = Some(DateTime::<Utc>::MIN_UTC);
        odd.jobs[0].last_run = Some(ended);
        assert!(render(&odd, now()).contains(outcome.name()));
    }
}
