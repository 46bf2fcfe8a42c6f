//! The jobs on the page.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::words;
use super::{Mark, backups, moment, nothing, prose};
use crate::jobs::index_health;
use crate::runner::JobStatus;
use crate::work::{Outcome, Position, Progress, Run};

/// The section about them.
pub(super) fn section(jobs: &[JobStatus], now: DateTime<Utc>) -> Markup {
    html! {
        section aria-labelledby="jobs" {
            h2 id="jobs" { "Jobs" }
            @if jobs.is_empty() { p.none { "There are no jobs." } } @else { (table(jobs, now)) }
        }
    }
}

fn table(jobs: &[JobStatus], now: DateTime<Utc>) -> Markup {
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
            tbody role="rowgroup" { @for job in jobs { (row(job, now)) } }
        }
    }
}

fn row(job: &JobStatus, now: DateTime<Utc>) -> Markup {
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
    let unit = if index_health::counts_pages(job.job, job.backend) { "pages" } else { "rows" };
    let running = job.running.as_ref().map_or_else(|| nothing("idle"), |run| running(run, position, unit, now));
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

fn running(run: &Run, position: Option<Position>, unit: &str, now: DateTime<Utc>) -> Markup {
    let length = (now - run.started_at).to_std().unwrap_or_default();
    html! {
        span.mark.busy { span aria-hidden="true" { "●" } " running" }
        " " span.whole { "for " (words::span(length)) }
        @match position {
            Some(position) => (far(&position, unit)),
            // Another replica runs it, and tells its counts from time to time.
            None => @if run.report.backups.is_none() && run.job != index_health::NAME {
                small { (words::number(run.report.deleted)) " deleted" }
            },
        }
        small { "by " (run.holder) }
    }
}

/// How far a run is.
fn far(position: &Position, unit: &str) -> Markup {
    html! {
        @if let Some(reason) = position.resting { small { "resting: " code { (reason) } } }
        small {
            (words::number(position.done)) " " (unit)
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
        @if let Some(backups) = &run.report.backups {
            (backups::run(backups))
        } @else if let Some(seen) = &run.report.health {
            @if seen.looked {
                small { (words::number(seen.indexes.len() as u64)) " indexes, " (words::number(run.report.remaining())) " findings" }
            }
        } @else {
            small { (words::number(run.report.deleted)) " deleted" @if run.report.more { ", more to do" } }
        }
        @if let Some(at) = run.finished_at { small { (words::ago(at, now)) } }
        @if let Some(error) = &run.error { small.problem { (prose(error)) } }
    }
}
