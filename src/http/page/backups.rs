//! The backups on the page.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::words;
use super::{Mark, moment, nothing, prose};
use crate::backup::{Counts, Ledger, Level, Line};
use crate::runner::BackupStatus;
use crate::work::Backups;

/// The section about them; nothing where no place for them is configured.
pub(super) fn section(backups: &[BackupStatus], now: DateTime<Utc>) -> Markup {
    html! {
        @if !backups.is_empty() {
            section aria-labelledby="backups" {
                h2 id="backups" { "Backups" }
                div.cards { @for shown in backups { (card(shown, now)) } }
            }
        }
    }
}

fn card(shown: &BackupStatus, now: DateTime<Utc>) -> Markup {
    let mark = match (&shown.problem, &shown.ledger) {
        (Some(_), _) => Mark::bad("not to be seen"),
        (None, None) => Mark::idle("not looked at yet"),
        (None, Some(ledger)) => state(ledger),
    };
    html! {
        article {
            h3 { (shown.backend) " " (mark.text()) }
            p.place { (shown.place) }
            @if let Some(problem) = &shown.problem { p.problem { (prose(problem)) } }
            @if let Some(ledger) = &shown.ledger { (figures(ledger, now)) }
            @if let Some(at) = shown.looked_at { small { "looked at " (words::ago(at, now)) } }
        }
    }
}

/// How the backups are, in a word.
fn state(ledger: &Ledger) -> Mark {
    let counts = ledger.counts();
    match &ledger.last {
        _ if counts.damaged > 0 => Mark::bad("damaged"),
        None => Mark::bad("none"),
        Some(last) if last.level == Level::Taken => Mark::fair("not verified"),
        Some(_) if counts.drilled == 0 => Mark::good("verified"),
        Some(_) => Mark::good("proven"),
    }
}

fn figures(ledger: &Ledger, now: DateTime<Utc>) -> Markup {
    let verified = ledger.verified_at();
    html! {
        dl {
            div {
                dt { "Newest" }
                dd { (ledger.last.as_ref().map_or_else(|| nothing("none"), |last| newest(last, now))) }
            }
            div {
                dt { "Newest verified" }
                dd { (verified.map_or_else(|| nothing("none"), |at| moment(at, now, &words::ago(at, now)))) }
            }
            div {
                dt { "Last drill" }
                dd {
                    @match ledger.drill() {
                        None => (nothing("never")),
                        Some(drill) => {
                            (moment(drill.at, now, &words::ago(drill.at, now)))
                            small { "restored in " (words::elapsed(drill.restore_seconds)) }
                            small { "data " (words::elapsed(drill.data_age_seconds)) " old" }
                        }
                    }
                }
            }
            div { dt { "Sets" } dd { (sets(&ledger.counts())) } }
        }
    }
}

fn newest(last: &Line, now: DateTime<Utc>) -> Markup {
    let begun = last.set.begun();
    html! {
        (moment(begun, now, &words::ago(begun, now)))
        small { code { (last.set) } }
        @if let Some(size) = last.size { small { (words::size(size)) } }
        @if let Some(rows) = last.rows { small { (words::number(rows)) " rows" } }
        @if let Some(damage) = &last.damage { small.problem { (prose(&damage.what)) } }
        @if let Some(why) = &last.unreadable { small.problem { (prose(why)) } }
    }
}

fn sets(counts: &Counts) -> Markup {
    let Counts { taken, verified, drilled, damaged } = counts;
    html! {
        strong { (words::number(counts.total())) }
        small { (drilled) " drilled, " (verified) " verified, " (taken) " taken" }
        @if *damaged > 0 { small.problem { (damaged) " damaged" } }
    }
}

/// What a run did, in a line.
pub(super) fn run(backups: &Backups) -> Markup {
    let removed = backups.pruning.as_ref().map_or(0, |pruning| pruning.removed.len());
    html! {
        @if let Some(set) = &backups.set { small { code { (set) } } }
        small {
            @if let Some(level) = &backups.level { (level) } @else { "nothing made" }
            @if let Some(bytes) = backups.bytes { ", " (words::size(bytes)) }
            @if removed > 0 { ", " (removed) " removed" }
        }
        @if let Some(note) = &backups.note { small { (prose(note)) } }
    }
}
