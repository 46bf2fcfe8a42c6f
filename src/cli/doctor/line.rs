//! What was found about one thing.

use std::fmt;

use serde::Serialize;

use crate::model::BackendKind;

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    backend: BackendKind,
    check: &'static str,
    state: State,
    what: String,
    /// What to do about it; of what is as it should be, nothing.
    remedy: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Everything works, but not as well or as safely as it could.
    Warning,
    /// Something does not work until it is dealt with.
    Failure,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        })
    }
}

/// What a check has found, before it is known by which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    state: State,
    what: String,
    remedy: Option<String>,
}

impl Found {
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self { state: State::Ok, what: what.into(), remedy: None }
    }

    pub(super) fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warning, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn failure(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Failure, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.state == State::Ok
    }

    /// A refusal in which what is wrong comes first, and what to do about it behind a colon.
    pub(super) fn refusal(text: &str) -> Self {
        let (what, remedy) = text.split_once(": ").map_or((text, None), |(what, remedy)| (what, Some(remedy)));
        Self { state: State::Failure, what: what.to_owned(), remedy: remedy.map(str::to_owned) }
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<Line>);

impl Lines {
    /// Notes what a check has found. Returns whether that is no failure.
    pub(super) fn add(&mut self, backend: BackendKind, check: &'static str, found: Found) -> bool {
        let Found { state, what, remedy } = found;
        self.0.push(Line { backend, check, state, what, remedy });
        state != State::Failure
    }

    /// The worst that was found.
    pub(super) fn worst(&self) -> State {
        self.0.iter().map(|line| line.state).max().unwrap_or(State::Ok)
    }

    pub(super) fn all(&self) -> &[Line] {
        &self.0
    }
}

impl Line {
    /// The line for people: what to do stands below what is wrong.
    pub(super) fn row(&self) -> [String; 4] {
        let Self { backend, check, state, what, remedy } = self;
        let said = match remedy {
            Some(remedy) => format!("{what}\n-> {}", remedy.replace('\n', "\n   ")),
            None => what.clone(),
        };
        [backend.to_string(), (*check).to_owned(), state.to_string(), said]
    }
}
