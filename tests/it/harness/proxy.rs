//! A network that can be made bad: a proxy in front of any TCP server.
//!
//! It runs on a thread of its own, so that it also works while a test blocks.

mod connection;
mod echo;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use connection::{Count, carry};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// The proxy; with this value it is gone, and with it every connection through it.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    /// None only at the end.
    weather: Option<watch::Sender<Weather>>,
    /// Whether the port is closed, which follows the weather after a moment.
    closed: Arc<AtomicBool>,
    count: Arc<Count>,
    thread: Option<JoinHandle<()>>,
}

/// What the network is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weather {
    /// New connections are refused.
    refusing: bool,
    to_server: Way,
    to_client: Way,
    /// How often every connection was broken.
    broken: u64,
}

/// What one direction does with bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// Hands them on.
    #[default]
    Open,
    /// Hands them on, each piece after this time.
    Slow(Duration),
    /// Takes them and hands nothing on, not even the end of a connection. What was taken is
    /// handed on once the way is open again, as a network would send it again.
    Stalled,
}

impl Proxy {
    /// A proxy that passes everything on to `server`.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (weather, seen) = watch::channel(Weather::default());
        let (count, closed) = (Arc::new(Count::default()), Arc::new(AtomicBool::new(false)));
        let (sender, bound) = std::sync::mpsc::channel();
        let thread = thread::spawn({
            let (count, closed) = (Arc::clone(&count), Arc::clone(&closed));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let listener = socket(0).listen(BACKLOG).expect("listening");
                    sender.send(listener.local_addr().expect("an address")).expect("somebody waits for it");
                    accept(listener, server, seen, &closed, &count).await;
                });
            }
        });
        let address = bound.recv().expect("the proxy starts");
        Self { address, weather: Some(weather), closed, count, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every open connection at both ends; new ones pass.
    pub(crate) fn break_all(&self) {
        self.change(|weather| weather.broken += 1);
    }

    /// Refuses new connections; open ones stay.
    pub(crate) fn refuse(&self) {
        self.change(|weather| weather.refusing = true);
        self.wait_until_closed(true);
    }

    /// Changes both directions, of the connections that are open as well.
    pub(crate) fn make(&self, to_server: Way, to_client: Way) {
        self.change(|weather| (weather.to_server, weather.to_client) = (to_server, to_client));
    }

    /// Passes everything again, beginning with what was held back.
    pub(crate) fn heal(&self) {
        self.change(|weather| *weather = Weather { broken: weather.broken, ..Weather::default() });
        self.wait_until_closed(false);
    }

    /// Connections that clients have open.
    pub(crate) fn open(&self) -> usize {
        self.count.open()
    }

    /// The most connections that clients have had open at once.
    pub(crate) fn most(&self) -> usize {
        self.count.most()
    }

    /// Connections that were made in all.
    pub(crate) fn made(&self) -> usize {
        self.count.made()
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.as_ref().expect("only taken at the end").send_modify(change);
    }

    fn wait_until_closed(&self, closed: bool) {
        while self.closed.load(Ordering::SeqCst) != closed {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.weather = None;
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// Accepts connections until nobody can change the weather any more.
async fn accept(
    mut listener: TcpListener,
    server: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    closed: &AtomicBool,
    count: &Arc<Count>,
) {
    let port = listener.local_addr().expect("an address").port();
    loop {
        if weather.borrow_and_update().refusing {
            drop(listener);
            // Bound and not listening: the port stays ours, and whoever connects is refused.
            let kept = socket(port);
            closed.store(true, Ordering::SeqCst);
            if weather.wait_for(|weather| !weather.refusing).await.is_err() {
                return;
            }
            listener = kept.listen(BACKLOG).expect("listening again");
            closed.store(false, Ordering::SeqCst);
        }
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("accepting");
                tokio::spawn(carry(client, server, weather.clone(), Arc::clone(count)));
            }
            changed = weather.changed() => if changed.is_err() { return },
        }
    }
}

fn socket(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket's option");
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).expect("binding");
    socket
}
