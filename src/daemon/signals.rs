//! The signals that the process listens to.

use std::fmt;
use std::io;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// A signal, by what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: come to an end.
    Interrupt,
    /// SIGTERM: come to an end.
    Terminate,
    /// SIGHUP: load the configuration again.
    Reload,
    /// SIGUSR1: tell the status.
    Status,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Reload => "SIGHUP",
            Self::Status => "SIGUSR1",
        })
    }
}

/// The signals that come. One stream for the whole life of the process: dropping and making it
/// again would lose what comes between. Of several equal ones that come at once, one is told.
pub struct Signals(signal_hook_tokio::Signals);

impl Signals {
    /// Takes over those that ask for an end, for commands that do one thing. A terminal that is
    /// closed ends such a command as it ends any other.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        signal_hook_tokio::Signals::new([SIGINT, SIGTERM]).map(Self)
    }

    /// Takes over all of them, for the daemon.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn of_the_daemon() -> io::Result<Self> {
        signal_hook_tokio::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1]).map(Self)
    }

    /// The next signal. May be dropped and called again: none is lost by that.
    pub async fn next(&mut self) -> Signal {
        match self.0.next().await {
            Some(SIGINT) => Signal::Interrupt,
            Some(SIGHUP) => Signal::Reload,
            Some(SIGUSR1) => Signal::Status,
            // The stream only ends when it is closed, which nobody does. Ending is then the
            // safe side: a daemon that no signal reaches could only be killed.
            Some(_) | None => Signal::Terminate,
        }
    }
}
