//! A bar on the terminal for work that takes a while.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::work::{Position, Progress};

/// Between two looks at the progress.
const LOOKING: Duration = Duration::from_millis(100);

/// What progress counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// Rows.
    Rows,
    /// Bytes.
    Bytes,
    /// Pages of tables and indexes.
    Pages,
}

impl Unit {
    /// How a count is shown whose end is known.
    const fn bar(self) -> &'static str {
        match self {
            Self::Rows => "{msg} {wide_bar} {human_pos}/{human_len} rows, {per_sec}, {eta} left",
            Self::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            Self::Pages => "{msg} {wide_bar} {human_pos}/{human_len} pages, {per_sec}, {eta} left",
        }
    }

    /// How one is shown whose end nobody knows.
    const fn spinner(self) -> &'static str {
        match self {
            Self::Rows => "{spinner} {msg}: {human_pos} rows, {per_sec}",
            Self::Bytes => "{spinner} {msg}: {bytes}, {bytes_per_sec}",
            Self::Pages => "{spinner} {msg}: {human_pos} pages, {per_sec}",
        }
    }
}

/// The bar, in a task of its own.
#[derive(Debug)]
pub(super) struct Bar(JoinHandle<()>);

impl Bar {
    /// Shows `progress`, which counts in `unit`, under `title` on stderr, if that is a terminal. As long as nobody
    /// knows how much is expected it only counts.
    pub(super) fn show(title: &'static str, unit: Unit, progress: Progress) -> Self {
        Self(tokio::spawn(async move {
            if io::stderr().is_terminal() {
                draw(title, unit, &progress).await;
            }
        }))
    }

    /// Clears the bar away.
    pub(super) async fn clear(self) {
        self.0.abort();
        // It is cleared when the task is gone.
        let _aborted = self.0.await;
    }
}

async fn draw(title: &'static str, unit: Unit, progress: &Progress) {
    let style = |template| ProgressStyle::with_template(template).expect("a template");
    let bar = Cleared(ProgressBar::new_spinner().with_style(style(unit.spinner())));
    let mut shown = None;
    loop {
        let Position { done, remaining, resting, .. } = progress.position();
        // What is expected often turns out only when the work has begun, and may turn out to have been too little.
        let expected = remaining.map(|remaining| done + remaining);
        if expected != shown {
            match expected {
                Some(expected) => {
                    bar.0.set_length(expected);
                    bar.0.set_style(style(unit.bar()));
                }
                None => {
                    bar.0.unset_length();
                    bar.0.set_style(style(unit.spinner()));
                }
            }
            shown = expected;
        }
        bar.0.set_position(done);
        bar.0.set_message(match resting {
            Some(reason) => Cow::Owned(format!("{title}, resting: {reason}")),
            None => Cow::Borrowed(title),
        });
        tokio::time::sleep(LOOKING).await;
    }
}

/// Clears the bar however the task ends.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
