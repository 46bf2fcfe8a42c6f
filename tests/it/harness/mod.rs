//! What the tests stand on: databases, the Python library, and the tools that they run.

pub(crate) mod archiving;
pub(crate) mod backups;
pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod daemon;
pub(crate) mod dynamodb;
pub(crate) mod dynamodb_proxy;
mod emulator;
pub(crate) mod fleet;
pub(crate) mod ledger;
pub(crate) mod ministack;
pub(crate) mod moto;
pub(crate) mod pooler;
pub(crate) mod private;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod replica;
pub(crate) mod role;
pub(crate) mod runner;
pub(crate) mod s3;
pub(crate) mod seeds;
pub(crate) mod service_manager;
pub(crate) mod sets;
pub(crate) mod store;
pub(crate) mod tools;
pub(crate) mod witness;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

/// How long a condition may take to come true, on a slow and busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How long to rest before something is asked again that has been waited for since `begun`: questions cost the machine
/// what others need to get done, and what has taken long may take a little longer.
pub(crate) fn rest(begun: Instant) -> Duration {
    (begun.elapsed() / 20).clamp(Duration::from_millis(10), Duration::from_millis(50))
}

/// An address at which nobody listens, nor can as long as this value is there.
pub(crate) struct Nobody(TcpSocket);

impl Nobody {
    /// Another one.
    pub(crate) fn there() -> Self {
        let taken = TcpSocket::new_v4().expect("a socket");
        taken.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        Self(taken)
    }

    /// Where that is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("its address")
    }
}

/// Waits until `condition` holds; the test fails when that takes too long.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "this never came true: {what}");
        tokio::time::sleep(rest(begun)).await;
    }
}
