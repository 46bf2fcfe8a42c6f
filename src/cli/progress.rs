//! A bar on the terminal for work that takes a while.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::work::Progress;

/// Between two looks at the progress.
const LOOKING: Duration = Duration::from_millis(100);

/// The bar, in a task of its own.
#[derive(Debug)]
pub(super) struct Bar(JoinHandle<()>);

impl Bar {
    /// Shows `progress` under `title` on stderr, if that is a terminal. Where nobody knows how much
    /// is expected it only counts.
    pub(super) fn show(title: &'static str, progress: Progress) -> Self {
        Self(tokio::spawn(async move {
            if io::stderr().is_terminal() {
                draw(title, &progress).await;
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

async fn draw(title: &'static str, progress: &Progress) {
    let (bar, template) = match progress.expected() {
        0 => (ProgressBar::new_spinner(), "{spinner} {msg}: {human_pos} rows, {per_sec}"),
        expected => {
            (ProgressBar::new(expected), "{msg} {wide_bar} {human_pos}/{human_len} rows, {per_sec}, {eta} left")
        }
    };
    let bar = Cleared(bar.with_style(ProgressStyle::with_template(template).expect("a template")));
    loop {
        bar.0.set_position(progress.done());
        bar.0.set_message(match progress.position().resting {
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
