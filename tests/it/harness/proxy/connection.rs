//! One connection through the proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Way, Weather};

/// How many connections there are, as the clients see it.
#[derive(Debug, Default)]
pub(super) struct Count {
    open: AtomicUsize,
    most: AtomicUsize,
    made: AtomicUsize,
}

impl Count {
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// One more, until the value returned is dropped.
    fn one_more(self: &Arc<Self>) -> impl Drop + use<> {
        struct One(Arc<Count>);

        impl Drop for One {
            fn drop(&mut self) {
                self.0.open.fetch_sub(1, Ordering::SeqCst);
            }
        }

        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        self.made.fetch_add(1, Ordering::SeqCst);
        One(Arc::clone(self))
    }
}

/// Carries one connection until both ends have closed it, or until it is broken.
pub(super) async fn carry(
    mut client: TcpStream,
    address: SocketAddr,
    mut weather: watch::Receiver<Weather>,
    count: Arc<Count>,
) {
    let broken = weather.borrow().broken;
    let mut server = None;
    tokio::select! {
        () = pump(&mut client, &mut server, address, weather.clone(), &count) => {}
        _ = weather.wait_for(|weather| weather.broken != broken) => {}
    }
    // A connection that has been closed by both ends does not mind; one that has not, is broken.
    for end in [Some(client), server].into_iter().flatten() {
        let _closed_already = end.set_zero_linger();
    }
}

async fn pump(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    address: SocketAddr,
    weather: watch::Receiver<Weather>,
    count: &Arc<Count>,
) {
    let (from_client, to_client) = client.split();
    let (sender, from_client_taken) = unbounded_channel();
    let gone = CancellationToken::new();
    let client_side = async {
        // It is open for as long as the client has it open, whatever the network does.
        let _open = count.one_more();
        take(from_client, sender).await;
        gone.cancel();
    };
    let server_side = async {
        // Nothing reaches the server before the way to it is open; and a client that has given up
        // by then has never been there.
        if !opens(weather.clone(), |weather| weather.to_server, &gone).await {
            return;
        }
        let Ok(connected) = TcpStream::connect(address).await else { return };
        let (from_server, to_server) = server.insert(connected).split();
        let (sender, from_server_taken) = unbounded_channel();
        tokio::join!(
            hand_on(from_client_taken, to_server, weather.clone(), |weather| weather.to_server),
            take(from_server, sender),
            hand_on(from_server_taken, to_client, weather, |weather| weather.to_client),
        );
    };
    tokio::pin!(client_side);
    // Should the server be gone, nobody is there to speak to the client.
    tokio::select! {
        () = server_side => {}
        () = async { client_side.await; std::future::pending().await } => {}
    }
}

/// Waits until a direction is not stalled. Returns false if the client is gone before.
async fn opens(mut weather: watch::Receiver<Weather>, way: impl Fn(&Weather) -> Way, gone: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        open = weather.wait_for(|weather| way(weather) != Way::Stalled) => open.is_ok(),
        () = gone.cancelled() => false,
    }
}

/// Takes what comes until it ends, one way or the other.
async fn take(mut from: ReadHalf<'_>, taken: UnboundedSender<Vec<u8>>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if taken.send(piece[..length].to_vec()).is_err() {
            return;
        }
    }
}

/// Hands on what was taken, and its end, as the weather allows.
async fn hand_on(
    mut taken: UnboundedReceiver<Vec<u8>>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
    way: impl Fn(&Weather) -> Way,
) {
    loop {
        let piece = taken.recv().await;
        let Ok(open) = weather.wait_for(|weather| way(weather) != Way::Stalled).await.map(|weather| way(&weather))
        else {
            return;
        };
        if let Way::Slow(delay) = open {
            tokio::time::sleep(delay).await;
        }
        let handed_on = match &piece {
            Some(piece) => to.write_all(piece).await,
            None => to.shutdown().await,
        };
        if piece.is_none() || handed_on.is_err() {
            return;
        }
    }
}
