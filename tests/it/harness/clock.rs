//! The wall clock of a daemon, which a test sets.

use std::path::Path;

use actingweb_maintd::model::clock::TEST_VARIABLE;
use chrono::TimeDelta;
use tempfile::TempDir;

/// By how much a daemon takes its clock to be ahead. Gone with this value, which puts it right.
#[derive(Debug)]
pub(crate) struct Clock {
    dir: TempDir,
    path: std::path::PathBuf,
}

impl Clock {
    /// The variable that tells a daemon of the clock's path.
    pub(crate) const VARIABLE: &str = TEST_VARIABLE;

    /// A clock that is right.
    pub(crate) fn right() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("clock");
        let clock = Self { dir, path };
        clock.set(TimeDelta::zero());
        clock
    }

    /// A clock that is ahead by so much, or behind.
    pub(crate) fn ahead_by(ahead: TimeDelta) -> Self {
        let clock = Self::right();
        clock.set(ahead);
        clock
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets it ahead by so much, or behind.
    pub(crate) fn set(&self, ahead: TimeDelta) {
        // Whole, as it is read at any time.
        let next = self.dir.path().join("next");
        let seconds = ahead.num_milliseconds() as f64 / 1000.0;
        std::fs::write(&next, seconds.to_string()).expect("writing the clock");
        std::fs::rename(&next, &self.path).expect("setting the clock");
    }
}
