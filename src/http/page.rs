//! The status page: complete without scripts, pictures or anything from elsewhere.

mod backups;

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{DOCTYPE, Markup, html};

use super::words;
use crate::model::{BackendKind, schema};
use crate::runner::{BackendStatus, JobStatus, Status};
use crate::work::{Outcome, Position, Progress, Run};

/// The style sheet of the page.
pub(super) const STYLE: &str = include_str!("style.css");

/// Where the style sheet is. The page asks for it with the version, so that it can be kept.
pub(super) const STYLE_PATH: &str = "/style.css";

/// Seconds after which the page loads itself again.
const REFRESH: u32 = 5;

/// How a state looks: a mark that needs no colour, the colour, and the word.
#[derive(Clone, Copy)]
struct Mark {
    sign: &'static str,
    tone: &'static str,
    word: &'static str,
}

impl Mark {
    const fn good(word: &'static str) -> Self {
        Self { sign: "✓", tone: "good", word }
    }

    const fn fair(word: &'static str) -> Self {
        Self { sign: "▲", tone: "fair", word }
    }

    const fn bad(word: &'static str) -> Self {
        Self { sign: "✕", tone: "bad", word }
    }

    const fn idle(word: &'static str) -> Self {
        Self { sign: "–", tone: "idle", word }
    }

    fn of(outcome: Option<Outcome>) -> Self {
        match outcome {
            None => Self::idle("no outcome"),
            Some(Outcome::Succeeded) => Self::good(Outcome::Succeeded.name()),
            Some(outcome @ (Outcome::Partial | Outcome::Lost)) => Self::fair(outcome.name()),
            Some(Outcome::Failed) => Self::bad(Outcome::Failed.name()),
            Some(Outcome::Skipped) => Self::idle(Outcome::Skipped.name()),
        }
    }

    fn text(self) -> Markup {
        html! { span class={ "mark " (self.tone) } { span aria-hidden="true" { (self.sign) } " " (self.word) } }
    }
}

/// The page that shows `status` as it is at `now`.
pub(super) fn render(status: &Status, now: DateTime<Utc>) -> String {
    let ready = status.not_ready.is_empty();
    let name = status.deployment.as_deref().unwrap_or("ActingWeb deployment");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH);
                title { (if ready { "" } else { "✕ " }) (name) " · actingweb-maintd" }
                link rel="icon" href=(icon(ready));
                link rel="stylesheet" href={ (STYLE_PATH) "?v=" (status.version) };
            }
            body {
                header {
                    div {
                        p.product { "actingweb-maintd " span { (status.version) } }
                        h1 { (name) }
                    }
                    p.state { (if ready { Mark::good("ready") } else { Mark::bad("not ready") }.text()) }
                }
                main {
                    @if !ready {
                        section.alarm aria-labelledby="alarm" {
                            h2 id="alarm" { "Not ready" }
                            ul { @for reason in &status.not_ready { li { (prose(reason)) } } }
                        }
                    }
                    section aria-labelledby="backends" {
                        h2 id="backends" { "Backends" }
                        div.cards { @for backend in &status.backends { (backend_card(backend, now)) } }
                        @if status.backends.is_empty() { p.none { "No backend is configured." } }
                    }
                    (backups::section(&status.backups, now))
                    section aria-labelledby="jobs" {
                        h2 id="jobs" { "Jobs" }
                        @if status.jobs.is_empty() { p.none { "There are no jobs." } } @else { (job_table(&status.jobs, now)) }
                    }
                }
                footer {
                    nav aria-label="For machines" {
                        @for path in ["/metrics", "/healthz", "/readyz", "/api/v1/status"] { a href=(path) { (path) } " " }
                    }
                    p {
                        "Up " (words::span((now - status.started_at).to_std().unwrap_or_default()))
                        " · as of " (moment(now, now, "")) " UTC, like all times here" " · renewed every " (REFRESH) " s"
                    }
                }
            }
        }
    };
    page.into_string()
}

fn backend_card(status: &BackendStatus, now: DateTime<Utc>) -> Markup {
    let mark = match status.up {
        Some(true) => Mark::good("up"),
        Some(false) => Mark::bad("down"),
        None => Mark::idle("not asked yet"),
    };
    html! {
        article {
            h3 { (status.backend) " " (mark.text()) }
            p.place { (status.place) }
            @if let Some(problem) = &status.problem { p.problem { (prose(problem)) } }
            dl {
                // Tables of DynamoDB have none.
                @if status.backend == BackendKind::Postgresql {
                    div {
                        dt { "Schema revision" }
                        dd { (revision(status.schema_revision.as_deref())) }
                    }
                }
                div {
                    dt { "Expired rows" }
                    dd {
                        @match &status.backlog {
                            None => (nothing("not counted yet")),
                            Some(backlog) => {
                                strong { (if backlog.capped { "≥ " } else { "" }) (words::number(backlog.expired_rows)) }
                                small { "counted " (words::ago(backlog.measured_at, now)) }
                            }
                        }
                    }
                }
                div {
                    dt { "Oldest of them" }
                    dd {
                        @match status.backlog.map(|backlog| backlog.oldest_age_seconds) {
                            None => (nothing("not counted yet")),
                            Some(None) => (nothing("none")),
                            Some(Some(seconds)) => {
                                strong { (words::span(std::time::Duration::from_secs(seconds))) }
                                small { "past its time" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn revision(id: Option<&str>) -> Markup {
    let Some(id) = id else { return nothing("unknown") };
    let known = match schema::position(id) {
        _ if id == schema::HEAD => "the newest known",
        Some(_) => "older than the newest known",
        None => "not known to this version",
    };
    html! { code { (id) } small { (known) } }
}

fn job_table(jobs: &[JobStatus], now: DateTime<Utc>) -> Markup {
    // On a phone the rows become cards. Browsers then forget that this is a table, hence the roles.
    html! {
        table role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    @for heading in ["Job", "Schedule", "Next run", "Now", "Last run", "Last success"] {
                        th role="columnheader" scope="col" { (heading) }
                    }
                }
            }
            tbody role="rowgroup" { @for job in jobs { (job_row(job, now)) } }
        }
    }
}

fn job_row(job: &JobStatus, now: DateTime<Utc>) -> Markup {
    let schedule = html! {
        @if let Some(paused) = &job.paused {
            (Mark::idle("paused").text())
            small { "by " (paused.by) ", " (words::ago(paused.since, now)) }
            small { (job.schedule) }
        } @else if let Some(node) = &job.only_on {
            (Mark::idle("elsewhere").text())
            small { "only on " (node) }
            small { (job.schedule) }
        } @else if job.enabled { (job.schedule) } @else { (Mark::idle("disabled").text()) small { (job.schedule) } }
    };
    let next = job.next_run.map_or_else(|| nothing("none"), |at| moment(at, now, &words::until(at, now)));
    let position = job.progress.as_ref().map(Progress::position);
    let running = job.running.as_ref().map_or_else(|| nothing("idle"), |run| running(run, position, now));
    let last = job.last_run.as_ref().map_or_else(|| nothing("never"), |run| ended(run, now));
    let success = job.last_success.map_or_else(|| nothing("never"), |at| moment(at, now, &words::ago(at, now)));
    html! {
        tr role="row" {
            th role="rowheader" scope="row" { code { (job.job) } small { "on " (job.backend) } }
            (cell("Schedule", &schedule))
            (cell("Next run", &next))
            (cell("Now", &running))
            (cell("Last run", &last))
            (cell("Last success", &success))
        }
    }
}

fn cell(label: &str, content: &Markup) -> Markup {
    html! { td role="cell" data-label=(label) { div { (content) } } }
}

fn running(run: &Run, position: Option<Position>, now: DateTime<Utc>) -> Markup {
    let length = (now - run.started_at).to_std().unwrap_or_default();
    html! {
        span.mark.busy { span aria-hidden="true" { "●" } " running" }
        " " span.whole { "for " (words::span(length)) }
        @match position {
            Some(position) => (far(&position)),
            // Another replica runs it, and tells its counts from time to time.
            None => @if run.report.backups.is_none() { small { (words::number(run.report.deleted)) " deleted" } },
        }
        small { "by " (run.holder) }
    }
}

/// How far a run is.
fn far(position: &Position) -> Markup {
    html! {
        @if let Some(reason) = position.resting { small { "resting: " code { (reason) } } }
        small {
            (words::number(position.done)) " rows"
            @if let Some(remaining) = position.remaining { " of " (words::number(position.done + remaining)) }
            ", " (words::number(position.per_second.round() as u64)) " a second"
        }
        @if let Some(seconds) = position.remaining_seconds { small { "about " (words::elapsed(seconds)) " left" } }
    }
}

fn ended(run: &Run, now: DateTime<Utc>) -> Markup {
    let word = if run.outcome == Some(Outcome::Succeeded) { "in " } else { "after " };
    html! {
        (Mark::of(run.outcome).text())
        @if let Some(seconds) = run.seconds() { " " span.whole { (word) (words::elapsed(seconds)) } }
        @if let Some(backups) = &run.report.backups { (backups::run(backups)) } @else {
            small { (words::number(run.report.deleted)) " deleted" @if run.report.more { ", more to do" } }
        }
        @if let Some(at) = run.finished_at { small { (words::ago(at, now)) } }
        @if let Some(error) = &run.error { small.problem { (prose(error)) } }
    }
}

/// A message, with what stands in backticks as code.
fn prose(message: &str) -> Markup {
    html! {
        @for (index, part) in message.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A time as `words`, or as itself when there are none, with the exact time at hand.
fn moment(at: DateTime<Utc>, now: DateTime<Utc>, words: &str) -> Markup {
    let format = if at.date_naive() == now.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    let clock = at.format(format);
    html! {
        time datetime=(at.to_rfc3339_opts(SecondsFormat::Secs, true)) {
            @if words.is_empty() { (clock) } @else { (words) small { (clock) } }
        }
    }
}

fn nothing(word: &str) -> Markup {
    html! { span.nothing { (word) } }
}

/// A dot for the browser's tab: a ring when something is wrong, so that the shape tells as well.
fn icon(ready: bool) -> &'static str {
    if ready {
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='%232e9e6b'/%3E%3C/svg%3E"
    } else {
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='5' fill='none' stroke='%23d64545' stroke-width='4'/%3E%3C/svg%3E"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{Counts, Damage, DrillResult, Finder, Form, Kind, Ledger, Level, Line};
    use crate::model::BackendKind;
    use crate::runner::BackupStatus;
    use crate::storage::{Backlog, Paused};
    use crate::work::{Report, Trigger};

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
            backups: vec![BackupStatus {
                backend: BackendKind::Postgresql,
                place: HOSTILE.to_owned(),
                problem: Some(HOSTILE.to_owned()),
                ledger: Some(ledger()),
                looked_at: Some(now() - chrono::Duration::seconds(192)),
            }],
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
}
