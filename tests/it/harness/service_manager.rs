//! The end of systemd at which a service reports.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::DEADLINE;

/// A sign of life.
pub(crate) const PING: &str = "WATCHDOG=1\n";

/// A socket as `NOTIFY_SOCKET` names it; gone with this value.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    socket: UnixDatagram,
    address: OsString,
    _dir: Option<TempDir>,
}

impl ServiceManager {
    /// A socket in a directory.
    pub(crate) fn on_a_path() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        Self { socket, address: path.into(), _dir: Some(dir) }
    }

    /// A socket that has a name and no file.
    pub(crate) fn on_an_abstract_name() -> Self {
        let name = format!("maintd-test/{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).expect("a name that fits");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        Self { socket, address: format!("@{name}").into(), _dir: None }
    }

    /// What a service finds in `NOTIFY_SOCKET`.
    pub(crate) fn address(&self) -> &OsStr {
        &self.address
    }

    /// The next message, whatever it is.
    pub(crate) fn next(&self) -> String {
        self.within(DEADLINE).expect("a message")
    }

    /// The next message that is no sign of life.
    pub(crate) fn next_news(&self) -> String {
        self.until("news", |message| message != PING)
    }

    /// The next message that is `wanted`; others are passed over.
    pub(crate) fn until(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let begun = Instant::now();
        let mut passed = Vec::new();
        while begun.elapsed() < DEADLINE {
            match self.within(DEADLINE) {
                Some(message) if wanted(&message) => return message,
                message => passed.extend(message),
            }
        }
        panic!("waited for {what}; there was {passed:?}");
    }

    /// Waits until nothing has come for this long.
    pub(crate) fn until_quiet(&self, how_long: Duration) {
        let begun = Instant::now();
        while let Some(message) = self.within(how_long) {
            assert!(begun.elapsed() < DEADLINE, "waited for silence; there was {message:?}");
        }
    }

    /// All that has come by now.
    pub(crate) fn all(&self) -> Vec<String> {
        std::iter::from_fn(|| self.within(Duration::from_millis(1))).collect()
    }

    /// The next message, if one comes in this time.
    pub(crate) fn within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).expect("a time");
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8(buffer[..length].to_vec()).expect("a message is text")),
            // The children of other tests end in the same process, where tests are threads.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.within(time),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("the socket broke: {error}"),
        }
    }
}
