//! The backends on the page.

use std::time::Duration;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::super::words;
use super::{Mark, nothing, prose};
use crate::model::{BackendKind, schema};
use crate::runner::BackendStatus;

/// The section about them.
pub(super) fn section(backends: &[BackendStatus], now: DateTime<Utc>) -> Markup {
    html! {
        section aria-labelledby="backends" {
            h2 id="backends" { "Backends" }
            div.cards { @for backend in backends { (card(backend, now)) } }
            @if backends.is_empty() { p.none { "No backend is configured." } }
        }
    }
}

fn card(status: &BackendStatus, now: DateTime<Utc>) -> Markup {
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
                                strong { (words::span(Duration::from_secs(seconds))) }
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
