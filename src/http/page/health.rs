//! The tables and indexes on the page.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::words;
use super::{Mark, nothing, prose};
use crate::runner::HealthStatus;
use crate::work::{Defect, Health, IndexFigures, RepairOutcome, Repaired, Severity};

/// So many findings are shown of a backend; the API has all.
const SHOWN: usize = 20;

/// The section about them; nothing before the first look.
pub(super) fn section(health: &[HealthStatus], now: DateTime<Utc>) -> Markup {
    html! {
        @if !health.is_empty() {
            section aria-labelledby="health" {
                h2 id="health" { "Tables and indexes" }
                div.cards { @for shown in health { (card(shown, now)) } }
            }
        }
    }
}

fn card(shown: &HealthStatus, now: DateTime<Utc>) -> Markup {
    let (known, found): (Vec<_>, Vec<_>) = shown.findings.iter().partition(|finding| finding.acknowledged.is_some());
    html! {
        article {
            h3 { (shown.backend) " " (state(&found, &shown.health).text()) }
            @if !found.is_empty() {
                ul.findings {
                    @for finding in found.iter().take(SHOWN) { (line(finding)) }
                    @if found.len() > SHOWN { li { "and " (found.len() - SHOWN) " more: `index check` shows all" } }
                }
            }
            @if !shown.health.repairs.is_empty() {
                ul.findings { @for repaired in shown.health.repairs.iter().take(SHOWN) { (repair(repaired)) } }
            }
            (figures(&shown.health.indexes))
            @for note in &shown.health.notes { small { (prose(note)) } }
            @if !known.is_empty() {
                small { (known.len()) " acknowledged: " @for finding in &known { (title(finding)) " " } }
            }
            small {
                "looked at " (words::ago(shown.looked_at, now))
                @if shown.health.deep { ", deep" } @else if let Some(deep) = shown.health.deep_at {
                    ", deep " (words::ago(deep, now)) ", whose findings stay until the next deep look"
                }
            }
        }
    }
}

/// How they are, in a word.
fn state(found: &[&Defect], health: &Health) -> Mark {
    match found.iter().map(|finding| finding.severity).find(|severity| *severity == Severity::Critical) {
        Some(_) => Mark::bad("critical findings"),
        None if found.is_empty() && health.unseen.is_empty() => Mark::good("well"),
        None if found.is_empty() => Mark::fair("not all was looked at"),
        None => Mark::fair("findings"),
    }
}

fn line(finding: &Defect) -> Markup {
    let mark = match finding.severity {
        Severity::Critical => Mark::bad("critical"),
        Severity::Warning => Mark::fair("warning"),
    };
    html! {
        li {
            (mark.text()) " " (title(finding))
            small { (prose(&finding.what)) }
            small { "What to do: " (prose(&finding.remedy)) }
        }
    }
}

/// What became of a repair: the finding is gone, or this is why it is not.
fn repair(repaired: &Repaired) -> Markup {
    let mark = match repaired.outcome {
        RepairOutcome::Done => Mark::good("repaired"),
        RepairOutcome::GoingOn => Mark::fair("repair going on"),
        RepairOutcome::PutOff => Mark::fair("repair put off"),
        RepairOutcome::Failed => Mark::bad("repair failed"),
        RepairOutcome::CleanedUp => Mark::fair("repair cleaned up"),
    };
    html! {
        li {
            (mark.text()) " " code { (repaired.kind) " " (repaired.object) }
            small { (prose(&repaired.what)) }
        }
    }
}

fn title(finding: &Defect) -> Markup {
    html! { code { (finding.kind) @if let Some(object) = &finding.object { " " (object) } } }
}

fn figures(indexes: &[IndexFigures]) -> Markup {
    let bytes: u64 = indexes.iter().map(|index| index.bytes).sum();
    let by_bloat = |one: &&IndexFigures, other: &&IndexFigures| one.bloat.partial_cmp(&other.bloat).expect("numbers");
    let most = indexes.iter().filter(|index| index.bloat.is_some()).max_by(by_bloat);
    html! {
        dl {
            div {
                dt { "Indexes" }
                dd { strong { (words::number(indexes.len() as u64)) } small { (words::size(bytes)) " in all" } }
            }
            div {
                dt { "Most bloated" }
                dd {
                    @match most.and_then(|index| Some((index, index.bloat?))) {
                        None => (nothing("not known")),
                        Some((index, bloat)) => {
                            strong { (format!("{:.0} %", bloat * 100.0)) }
                            small { code { (index.index) } " " (words::size(index.bytes)) }
                        }
                    }
                }
            }
        }
    }
}
