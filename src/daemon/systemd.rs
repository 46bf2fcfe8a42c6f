//! What systemd is told: that the daemon serves, how it is, that it reloads or stops, and that its
//! scheduler loop turns. Where no service manager asks for it, nothing happens.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::runner::Beats;

/// Where the service manager listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// A service manager that does not read must not hold up the daemon for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Letters of a status at most: it is a line for people, and systemd takes no message above
/// 4,096 bytes.
const LONGEST: usize = 250;

/// Talks to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    manager: Option<Manager>,
    watchdog: Option<Duration>,
    said: Mutex<Said>,
}

/// The service manager's end. The address is looked up for each message: the socket may have been
/// made anew.
#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// What has been said before, one message after the other.
#[derive(Debug, Default)]
struct Said {
    status: String,
    stopping: bool,
    failed: bool,
}

impl Notifier {
    /// The service manager that the environment names. A watchdog that is meant for another
    /// process, because a variable was inherited, is not ours.
    pub fn from_environment() -> Self {
        Self::new(env::var_os(SOCKET).as_deref(), sd_notify::watchdog_enabled())
    }

    /// The service manager that listens on `socket`, a path or `@` and an abstract name, and that
    /// waits for a sign of life for `watchdog` at most.
    pub fn new(socket: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        let manager = socket.filter(|socket| !socket.is_empty()).and_then(|socket| {
            Manager::at(socket)
                .inspect_err(|error| {
                    let socket = socket.display();
                    tracing::warn!(%error, "the service manager cannot be told anything: {SOCKET} is `{socket}`");
                })
                .ok()
        });
        // Nobody can feed a watchdog that waits for no time at all.
        let watchdog = watchdog.filter(|time| manager.is_some() && !time.is_zero());
        Self { manager, watchdog, said: Mutex::default() }
    }

    /// How long the service manager waits for a sign of life; none if it does not watch.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon serves, for the first time or again after a reload. Its database may be down:
    /// that is for [`Notifier::readiness`] to say.
    pub fn ready(&self) {
        self.tell(&mut self.said(), &[NotifyState::Ready]);
    }

    /// The configuration is being read again. [`Notifier::ready`] has to follow.
    pub fn reloading(&self) {
        let mut said = self.said();
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&mut said, &[NotifyState::Reloading, now]),
            Err(_) => self.tell(&mut said, &[NotifyState::Reloading]),
        }
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        let mut said = self.said();
        said.stopping = true;
        "stopping".clone_into(&mut said.status);
        self.tell(&mut said, &[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// Whether jobs can run, or why not. Once the daemon stops, nobody wants to know any more.
    pub fn readiness(&self, problem: Option<&str>) {
        let mut said = self.said();
        if said.stopping {
            return;
        }
        match problem {
            None => self.show(&mut said, "ready"),
            Some(problem) => self.show(&mut said, &format!("not ready: {problem}")),
        }
    }

    /// What the daemon is doing, in a few words.
    pub fn status(&self, status: &str) {
        self.show(&mut self.said(), status);
    }

    /// Passes the beats of the scheduler loop on as signs of life, as often as the watchdog needs
    /// them, until nobody is left to beat. A beat that has passed is never made up for.
    pub async fn feed(&self, mut beats: Beats) {
        let Some(watchdog) = self.watchdog else { return };
        while beats.next().await && self.ping() {
            // The loop comes round in half of the time: this leaves a quarter to spare.
            tokio::time::sleep(watchdog / 4).await;
        }
    }

    /// A sign of life. False when it is not wanted any more: systemd would start its watchdog
    /// anew, of a loop that turns no more.
    fn ping(&self) -> bool {
        let mut said = self.said();
        if !said.stopping {
            self.tell(&mut said, &[NotifyState::Watchdog]);
        }
        !said.stopping
    }

    fn show(&self, said: &mut Said, status: &str) {
        let status = one_line(status);
        if said.status != status {
            self.tell(said, &[NotifyState::Status(&status)]);
            said.status = status;
        }
    }

    fn tell(&self, said: &mut Said, states: &[NotifyState<'_>]) {
        let Some(manager) = &self.manager else { return };
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        match manager.send(&message) {
            Ok(()) => said.failed = false,
            Err(error) => {
                if !said.failed {
                    let told = message.trim_end().replace('\n', " ");
                    tracing::warn!(%error, "the service manager could not be told: {told}");
                }
                said.failed = true;
            }
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager {
    fn at(socket: &OsStr) -> io::Result<Self> {
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(socket)?,
            _ => return Err(io::Error::other("only a path or `@` and a name can be told")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

/// `text` as one short line. A line break, which a database may put into its message, would be
/// the end of the status and the beginning of another assignment.
fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let mut line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}
