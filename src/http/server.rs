//! A small HTTP/1 server that survives its clients.
//!
//! It has a thread and a runtime of its own: whatever happens here takes no thread from the work,
//! and it answers even while the work blocks every thread it has. When connections run out, the
//! oldest makes room, silent ones first: whoever connects and sends nothing cannot keep a scrape
//! out.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::http::request::Parts;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Activity, Protocol, Response};

/// Connections that wait to be accepted. When these run out a client tries again after a second,
/// which no scrape should have to.
const BACKLOG: u32 = 1024;

/// How often to say that connections cannot be accepted, while that is so.
const QUIET: Duration = Duration::from_secs(60);

/// What clients may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time. For one more, the oldest makes room.
    pub connections: usize,
    /// How long a connection is safe from that.
    pub safe: Duration,
    /// How long a client may take to send its request.
    pub request: Duration,
    /// How long a connection may last, so also how long a client may take to read its answer.
    pub connection: Duration,
    /// How long to read on from a client that was refused before it had sent everything.
    pub linger: Duration,
    /// The largest head of a request, in bytes.
    pub head: usize,
    /// The most headers in a request.
    pub headers: usize,
    /// The longest target of a request, in bytes.
    pub target: usize,
    /// How long to wait when connections cannot be accepted and none can make room.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            safe: Duration::from_millis(10),
            request: Duration::from_secs(5),
            connection: Duration::from_secs(15),
            linger: Duration::from_secs(1),
            head: 16 * 1024,
            headers: 64,
            target: 1024,
            pause: Duration::from_millis(100),
        }
    }
}

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the address, so that a daemon that cannot have it says so before it does anything.
    ///
    /// # Errors
    ///
    /// When the address cannot be had; the message names it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let listener = listen(address).map_err(named)?;
        Ok(Self { address: listener.local_addr().map_err(named)?, listener })
    }

    /// The address, with the port that was found if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer with what `handler` makes of each request. It runs on the one thread that
    /// serves everybody, so it must not wait for anything.
    ///
    /// # Errors
    ///
    /// When there can be no such thread.
    pub fn serve<H>(self, limits: Limits, handler: H) -> io::Result<Running>
    where
        H: Fn(&Parts) -> Response + Send + Sync + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let (alive, end) = oneshot::channel();
        let protocol = Arc::new(Protocol::new(limits, handler));
        thread::Builder::new().name("http".to_owned()).spawn(move || {
            // Dropped when the thread ends, in whichever way.
            let _alive: oneshot::Sender<()> = alive;
            let served = runtime().and_then(|runtime| {
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(self.listener)?;
                    accept(listener, protocol, stopped).await;
                    Ok(())
                })
            });
            if let Err(error) = served {
                tracing::error!(%error, "cannot serve HTTP");
            }
        })?;
        Ok(Running { address: self.address, stop, end })
    }
}

/// A server that answers. Dropping it stops it without grace.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<Duration>,
    end: oneshot::Receiver<()>,
}

impl Running {
    /// Where it answers.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server ends by itself, which is a fault: it only ends when it is stopped.
    pub async fn ended(&mut self) {
        let _either_way = (&mut self.end).await;
    }

    /// Stops accepting, lets those read who have asked for something, for `grace` at most, and
    /// drops everybody else.
    pub async fn stop(self, grace: Duration) {
        let _has_ended_before = self.stop.send(grace);
        let _either_way = self.end.await;
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Tokio wants to watch the listener from the start, the standard library cannot have it wait
    // for this many: so it is watched in passing.
    let passing = runtime()?;
    let listener = {
        let _watches_it = passing.enter();
        socket.listen(BACKLOG).and_then(tokio::net::TcpListener::into_std)
    };
    // Just dropping it would panic if the caller is in a runtime.
    passing.shutdown_background();
    listener
}

/// A connection from the outside.
struct Open {
    id: Id,
    since: Instant,
    activity: Activity,
    task: AbortHandle,
}

async fn accept<H>(listener: tokio::net::TcpListener, protocol: Arc<Protocol<H>>, mut stop: oneshot::Receiver<Duration>)
where
    H: Fn(&Parts) -> Response + Send + Sync + 'static,
{
    let limits = protocol.limits();
    let mut tasks = JoinSet::new();
    // In the order in which they came.
    let mut open: Vec<Open> = Vec::new();
    let mut warned = None;
    let grace = loop {
        let full = open.len() >= limits.connections;
        let room = next_to_go(&open).map_or_else(Instant::now, |index| open[index].since + limits.safe);
        tokio::select! {
            biased;
            grace = &mut stop => break grace.unwrap_or_default(),
            Some(ended) = tasks.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                open.retain(|connection| connection.id != id);
            }
            () = sleep_until(room), if full => {
                make_room(&mut open);
            }
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    let activity = Activity::default();
                    let task = tasks.spawn(Arc::clone(&protocol).serve(stream, activity.clone()));
                    open.push(Open { id: task.id(), since: Instant::now(), activity, task });
                }
                // The client went away before it was its turn.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if warned.is_none_or(|warned: Instant| warned.elapsed() >= QUIET) {
                        tracing::warn!(%error, "cannot accept connections for now");
                        warned = Some(Instant::now());
                    }
                    // What is missing is most likely a descriptor, and one of ours may be idle.
                    sleep(if make_room(&mut open) { limits.safe } else { limits.pause }).await;
                }
            },
        }
    };
    drop(listener);
    for connection in open.iter().filter(|connection| connection.activity.is_idle()) {
        connection.task.abort();
    }
    let deadline = sleep(grace);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            ended = tasks.join_next() => if ended.is_none() { break },
            () = &mut deadline => break,
        }
    }
}

/// Which connection goes first: the oldest of those that ask for nothing, else the oldest.
fn next_to_go(open: &[Open]) -> Option<usize> {
    let idle = open.iter().position(|connection| connection.activity.is_idle());
    idle.or(if open.is_empty() { None } else { Some(0) })
}

/// Drops one connection, if there is any.
fn make_room(open: &mut Vec<Open>) -> bool {
    let index = next_to_go(open);
    if let Some(index) = index {
        open.remove(index).task.abort();
    }
    index.is_some()
}
