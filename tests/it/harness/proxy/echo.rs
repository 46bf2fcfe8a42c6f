//! The proxy itself, in front of a server that answers with what it hears.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Proxy, Way};
use crate::harness::{Nobody, eventually};

/// What a stalled way is given to prove that it does not.
const PATIENCE: Duration = Duration::from_millis(50);

/// A server that answers each byte with itself, and counts bytes and connections.
struct Echo {
    address: SocketAddr,
    heard: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listening");
        let echo =
            Self { address: listener.local_addr().expect("an address"), heard: Arc::default(), open: Arc::default() };
        let (heard, open) = (Arc::clone(&echo.heard), Arc::clone(&echo.open));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (heard, open) = (Arc::clone(&heard), Arc::clone(&open));
                open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    answer(client, &heard);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        echo
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

fn answer(mut client: TcpStream, heard: &AtomicUsize) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = client.read(&mut piece) {
        heard.fetch_add(length, Ordering::SeqCst);
        if client.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).expect("the proxy accepts");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    client
}

/// Says a word and hears it.
fn talk(mut client: &TcpStream, word: &str) {
    client.write_all(word.as_bytes()).expect("saying it");
    assert_eq!(hear(client, word.len()), word);
}

fn hear(mut client: &TcpStream, length: usize) -> String {
    let mut heard = vec![0; length];
    client.read_exact(&mut heard).expect("an answer");
    String::from_utf8(heard).expect("text")
}

/// Nothing comes from the proxy for a while.
fn assert_silent(mut client: &TcpStream) {
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let heard = client.read(&mut [0; 1]).expect_err("it is silent");
    assert!(matches!(heard.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{heard}");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
}

#[tokio::test]
async fn it_passes_connections_and_their_ends_on_and_counts_them() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let (first, second) = (connect(&proxy), connect(&proxy));
    talk(&first, "one");
    talk(&second, "another");
    assert_eq!((proxy.open(), echo.open()), (2, 2));
    drop(first);
    eventually("the end to be passed on", async || (proxy.open(), echo.open()) == (1, 1)).await;
    talk(&second, "still here");
    assert_eq!((proxy.most(), proxy.made()), (2, 2));
    drop(proxy);
    eventually("nothing to be left of the proxy", async || echo.open() == 0).await;
}

#[tokio::test]
async fn it_breaks_what_is_open_at_both_ends_and_lets_new_connections_pass() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    talk(&client, "before");
    proxy.break_all();
    let broken = client.read(&mut [0; 1]).expect_err("it is broken");
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
    eventually("the server to notice", async || (proxy.open(), echo.open()) == (0, 0)).await;
    talk(&connect(&proxy), "after");
}

#[tokio::test]
async fn it_refuses_new_connections_and_keeps_the_open_ones() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let client = connect(&proxy);
    talk(&client, "before");
    for _ in 0..3 {
        proxy.refuse();
        let refused = TcpStream::connect(proxy.address()).expect_err("it refuses");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        talk(&client, "meanwhile");
        proxy.heal();
        talk(&connect(&proxy), "after");
    }
}

#[tokio::test]
async fn it_holds_back_what_is_said_on_a_stalled_way_and_hands_it_on_later() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    talk(&client, "before");
    proxy.make(Way::Stalled, Way::Stalled);
    // More than fits into the buffers of sockets: the proxy itself takes it.
    client.write_all(&vec![b'x'; 8 << 20]).expect("it is taken");
    assert_silent(&client);
    assert_eq!(echo.heard(), "before".len());
    proxy.heal();
    let mut heard = client.try_clone().expect("a clone");
    let hearing = thread::spawn(move || heard.read_exact(&mut vec![0; 8 << 20]));
    hearing.join().expect("no panic").expect("all of it");
    talk(&client, "after");
}

#[tokio::test]
async fn it_can_be_half_open_in_either_direction() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let mut client = connect(&proxy);
    talk(&client, "before");
    proxy.make(Way::Open, Way::Stalled);
    client.write_all(b"heard").expect("it is taken");
    eventually("the server to hear it", async || echo.heard() == "beforeheard".len()).await;
    assert_silent(&client);
    proxy.make(Way::Stalled, Way::Open);
    assert_eq!(hear(&client, 5), "heard");
    client.write_all(b"unheard").expect("it is taken");
    assert_silent(&client);
    assert_eq!(echo.heard(), "beforeheard".len());
    proxy.heal();
    assert_eq!(hear(&client, 7), "unheard");
}

#[tokio::test]
async fn who_gives_up_on_a_stalled_way_does_not_count_and_the_server_learns_of_it_later() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let known = connect(&proxy);
    talk(&known, "before");
    proxy.make(Way::Stalled, Way::Stalled);
    let new = connect(&proxy);
    eventually("both to be open", async || proxy.open() == 2).await;
    drop((known, new));
    eventually("both to have given up", async || proxy.open() == 0).await;
    assert_eq!(echo.open(), 1);
    proxy.heal();
    eventually("the server to learn of it", async || echo.open() == 0).await;
    assert_eq!(proxy.made(), 2);
}

#[tokio::test]
async fn it_slows_each_piece_down() {
    let echo = Echo::start();
    let proxy = Proxy::start(echo.address);
    let client = connect(&proxy);
    talk(&client, "before");
    proxy.make(Way::Slow(PATIENCE), Way::Slow(PATIENCE));
    let begun = std::time::Instant::now();
    talk(&client, "there and back");
    assert!(begun.elapsed() >= PATIENCE * 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_that_breaks() {
    let nobody = Nobody::there();
    let proxy = Proxy::start(nobody.address());
    let mut client = connect(&proxy);
    assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
    eventually("it to be gone", async || proxy.open() == 0).await;
}
