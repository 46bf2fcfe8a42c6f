//! The status page: complete without scripts, pictures or anything from elsewhere.

mod backends;
mod backups;
mod health;
mod jobs;
mod mark;
#[cfg(test)]
mod tests;

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{DOCTYPE, Markup, html};

use self::mark::Mark;
use super::words;
use crate::runner::Status;

/// The style sheet of the page.
pub(super) const STYLE: &str = include_str!("style.css");

/// Where the style sheet is. The page asks for it with the version, so that it can be kept.
pub(super) const STYLE_PATH: &str = "/style.css";

/// Seconds after which the page loads itself again.
const REFRESH: u32 = 5;

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
                    (backends::section(&status.backends, now))
                    (health::section(&status.health, now))
                    (backups::section(&status.backups, now))
                    (jobs::section(&status.jobs, now))
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
