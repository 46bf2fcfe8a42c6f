//! How a state looks.

use maud::{Markup, html};

use crate::work::Outcome;

/// How a state looks: a mark that needs no colour, the colour, and the word.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    sign: &'static str,
    tone: &'static str,
    word: &'static str,
}

impl Mark {
    pub(super) const fn good(word: &'static str) -> Self {
        Self { sign: "✓", tone: "good", word }
    }

    pub(super) const fn fair(word: &'static str) -> Self {
        Self { sign: "▲", tone: "fair", word }
    }

    pub(super) const fn bad(word: &'static str) -> Self {
        Self { sign: "✕", tone: "bad", word }
    }

    pub(super) const fn idle(word: &'static str) -> Self {
        Self { sign: "–", tone: "idle", word }
    }

    pub(super) fn of(outcome: Option<Outcome>) -> Self {
        match outcome {
            None => Self::idle("no outcome"),
            Some(Outcome::Succeeded) => Self::good(Outcome::Succeeded.name()),
            Some(outcome @ (Outcome::Partial | Outcome::Lost)) => Self::fair(outcome.name()),
            Some(Outcome::Failed) => Self::bad(Outcome::Failed.name()),
            Some(Outcome::Skipped) => Self::idle(Outcome::Skipped.name()),
        }
    }

    pub(super) fn text(self) -> Markup {
        html! { span class={ "mark " (self.tone) } { span aria-hidden="true" { (self.sign) } " " (self.word) } }
    }
}
