//! The signals that end the process.

use std::io;

use futures_util::StreamExt;
use signal_hook::consts::{SIGINT, SIGTERM};

/// The signals that ask for an end. One stream for the whole life of the process: dropping and
/// making it again would lose what comes between.
pub struct Signals(signal_hook_tokio::Signals);

impl Signals {
    /// Takes SIGINT and SIGTERM over from now on.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        signal_hook_tokio::Signals::new([SIGINT, SIGTERM]).map(Self)
    }

    /// The next signal, by its name.
    pub async fn next(&mut self) -> &'static str {
        match self.0.next().await {
            Some(SIGINT) => "SIGINT",
            Some(_) => "SIGTERM",
            // The stream only ends when it is closed, which nobody does. Ending is then the
            // safe side: a daemon that no signal reaches could only be killed.
            None => "the signal stream ended",
        }
    }
}
