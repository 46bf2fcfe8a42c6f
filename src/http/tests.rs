//! The server against clients of all sorts, over real sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::http::request::Parts;

use super::connection::text;
use super::{Limits, Response, Running, Server};

/// Longer than any test may take: who waits for this fails.
const LONG: Duration = Duration::from_secs(60);

/// Limits that no well-behaved client notices, and that hardly end by themselves.
fn patient() -> Limits {
    Limits { request: LONG * 10, connection: LONG * 10, linger: LONG * 10, ..Limits::default() }
}

fn serve(limits: Limits, handler: impl Fn(&Parts) -> Response + Send + Sync + 'static) -> Running {
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    server.serve(limits, handler).expect("a thread")
}

fn echo(parts: &Parts) -> Response {
    text(StatusCode::OK, format!("you asked for {}", parts.uri.path()))
}

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.local_addr()).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream.set_write_timeout(Some(LONG)).expect("a timeout");
    stream
}

/// Everything that is left to read. The server may close the hard way.
fn rest(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        assert!(is_closed(&error), "{error}");
    }
    String::from_utf8(read).expect("text")
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// What comes back for `request`.
fn ask(running: &Running, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect(running);
    if let Err(error) = stream.write_all(request.as_ref()) {
        assert!(is_closed(&error), "{error}");
    }
    rest(&mut stream)
}

fn get(running: &Running) -> String {
    ask(running, "GET /here HTTP/1.1\r\nhost: x\r\n\r\n")
}

fn stop(running: Running, grace: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(running.stop(grace));
}

#[test]
fn answers_carry_what_protects_the_reader() {
    let answer = get(&serve(patient(), echo)).to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok\r\n") && answer.ends_with("you asked for /here"), "{answer}");
    for header in [
        "connection: close",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; style-src 'self'",
    ] {
        assert!(answer.contains(&format!("\r\n{header}")), "{header} is missing in {answer}");
    }
}

#[test]
fn head_has_no_body_but_its_length() {
    let answer = ask(&serve(patient(), echo), "HEAD /here HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.contains("content-length: 19\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn old_and_one_sided_clients_get_all_of_it() {
    let body = "x".repeat(1 << 20);
    let running = serve(patient(), move |_| text(StatusCode::OK, body.clone()));
    let mut stream = connect(&running);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    assert!(rest(&mut stream).ends_with(&"x".repeat(1 << 20)));
}

#[test]
fn other_methods_are_refused() {
    let running = serve(patient(), echo);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "EVIL"] {
        let target = if method == "CONNECT" { "evil:443" } else { "/metrics" };
        let answer = ask(&running, format!("{method} {target} HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD\r\n"), "{method}: {answer}");
    }
}

#[test]
fn bodies_are_refused_and_nothing_hides_in_them() {
    let running = serve(patient(), echo);
    let hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    for (head, status) in [
        ("content-length: 35\r\n", "413"),
        ("transfer-encoding: chunked\r\n", "413"),
        ("content-length: 35\r\ntransfer-encoding: chunked\r\n", "413"),
        ("content-length: 0\r\n", "200"),
        ("content-length: 35\r\ncontent-length: 0\r\n", "400"),
        ("content-length: minus one\r\n", "400"),
        ("transfer-encoding: chunked, evil\r\n", "400"),
    ] {
        let answer = ask(&running, format!("GET /here HTTP/1.1\r\nhost: x\r\n{head}\r\n{hidden}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        assert!(!answer.contains("/hidden"), "{head}: {answer}");
    }
}

#[test]
fn a_refused_client_learns_why_even_while_it_sends() {
    let running = serve(patient(), echo);
    let mut request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n".to_vec();
    request.resize(request.len() + 500_000, b'x');
    let mut stream = connect(&running);
    stream.write_all(&request).expect("all of it is read");
    assert!(rest(&mut stream).starts_with("HTTP/1.1 405 "));
}

#[test]
fn heads_and_targets_have_a_limit() {
    let running = serve(Limits { linger: Duration::from_millis(10), ..patient() }, echo);
    let many = "a: b\r\n".repeat(65);
    let target = "x".repeat(1024);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(16 * 1024)), "431"),
        (format!("GET /{target} HTTP/1.1\r\nhost: x\r\n\r\n"), "414"),
        (format!("GET /?{target} HTTP/1.1\r\nhost: x\r\n\r\n"), "414"),
    ] {
        let answer = ask(&running, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{}: {answer}", &request[..30]);
    }
    // Nobody reads this much; whether the answer arrives is the network's affair.
    for flood in ["a: b\r\n".repeat(1 << 20), "x".repeat(4 << 20)] {
        ask(&running, format!("GET / HTTP/1.1\r\nhost: {flood}"));
    }
    assert!(get(&running).contains("200 OK"));
}

#[test]
fn nonsense_is_closed_without_harm() {
    let running = serve(patient(), echo);
    for nonsense in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\xff\xfe\xfd \r\n\r\n",
    ] {
        assert!(!ask(&running, nonsense).contains("200 OK"), "{nonsense:?}");
    }
    let answer = ask(&running, "GET http://elsewhere/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.ends_with("you asked for /../../etc/passwd"), "{answer}");
}

#[test]
fn silent_clients_do_not_keep_a_scrape_out() {
    let limits = Limits { connections: 4, safe: Duration::from_millis(1), ..patient() };
    let running = serve(limits, echo);
    let silent: Vec<_> = (0..300).map(|_| connect(&running)).collect();
    for _ in 0..10 {
        assert!(get(&running).contains("200 OK"));
    }
    drop(silent);
}

#[test]
fn clients_that_do_not_read_do_not_keep_a_scrape_out() {
    let body = "x".repeat(32 << 20);
    let limits = Limits { connections: 2, safe: Duration::from_millis(1), ..patient() };
    let running =
        serve(
            limits,
            move |parts| if parts.uri.path() == "/huge" { text(StatusCode::OK, body.clone()) } else { echo(parts) },
        );
    let mut deaf: Vec<_> = (0..8).map(|_| connect(&running)).collect();
    for stream in &mut deaf {
        // Those that came too early may have made room already.
        let _may_be_gone = stream.write_all(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    assert!(get(&running).contains("200 OK"));
}

#[test]
fn a_client_that_sends_too_slowly_is_dropped() {
    let running = serve(Limits { request: Duration::from_millis(50), ..patient() }, echo);
    for beginning in ["", "GET / HTTP/1.1\r\nhost:"] {
        let mut stream = connect(&running);
        stream.write_all(beginning.as_bytes()).expect("sent");
        assert_eq!(rest(&mut stream), "", "{beginning}");
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let size = 32 << 20;
    // Nobody makes room here: the second client is served once the first one's time is up.
    let limits = Limits { connections: 1, safe: LONG * 10, connection: Duration::from_secs(2), ..patient() };
    let (asked, was_asked) = mpsc::sync_channel(1);
    let running = serve(limits, move |parts| {
        if parts.uri.path() != "/huge" {
            return echo(parts);
        }
        asked.send(()).expect("the test waits for it");
        text(StatusCode::OK, "x".repeat(size))
    });
    let mut deaf = connect(&running);
    deaf.write_all(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    was_asked.recv_timeout(LONG).expect("it was asked for");
    assert!(get(&running).contains("200 OK"));
    assert!(rest(&mut deaf).len() < size);
}

#[test]
fn stopping_does_not_wait_for_the_silent() {
    let running = serve(patient(), echo);
    let address = running.local_addr();
    let mut silent: Vec<_> = (0..3).map(|_| connect(&running)).collect();
    // By now they have been accepted.
    assert!(get(&running).contains("200 OK"));
    stop(running, LONG * 10);
    for stream in &mut silent {
        assert_eq!(rest(stream), "");
    }
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn stopping_lets_those_read_who_have_asked_but_not_for_ever() {
    for (reads, grace) in [(true, LONG * 10), (false, Duration::from_millis(50))] {
        let size = 32 << 20;
        let (asked, was_asked) = mpsc::sync_channel(1);
        let running = serve(patient(), move |_| {
            asked.send(()).expect("the test waits for it");
            text(StatusCode::OK, "x".repeat(size))
        });
        let mut stream = connect(&running);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
        was_asked.recv_timeout(LONG).expect("it was asked for");
        let reader = reads.then(|| {
            let mut stream = stream.try_clone().expect("a clone");
            std::thread::spawn(move || rest(&mut stream).len())
        });
        stop(running, grace);
        let read = reader.map_or_else(|| rest(&mut stream).len(), |reader| reader.join().expect("it reads"));
        assert_eq!(read > size, reads);
    }
}

#[test]
fn a_handler_that_panics_takes_only_its_own_connection() {
    let running =
        serve(patient(), |parts| if parts.uri.path() == "/boom" { panic!("as the test wants") } else { echo(parts) });
    assert_eq!(ask(&running, "GET /boom HTTP/1.1\r\nhost: x\r\n\r\n"), "");
    assert!(get(&running).contains("200 OK"));
}

#[test]
fn dropping_the_server_ends_it() {
    let mut running = serve(patient(), echo);
    let mut silent = connect(&running);
    assert!(get(&running).contains("200 OK"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = running.ended() => panic!("it ended by itself"),
            () = std::future::ready(()) => {}
        }
    });
    drop(running);
    assert_eq!(rest(&mut silent), "");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let first = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let error = Server::bind(first.local_addr()).expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("cannot listen on {}: ", first.local_addr())), "{error}");
}

#[test]
fn it_can_be_started_and_refused_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let running = runtime.block_on(async {
        let running = serve(patient(), echo);
        Server::bind(running.local_addr()).expect_err("it is taken");
        running
    });
    assert!(get(&running).contains("200 OK"));
}
