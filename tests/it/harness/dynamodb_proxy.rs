//! A DynamoDB that can be made bad: a proxy in front of a test's own, which knows its requests and
//! does to each what a script says.

mod answer;
mod message;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use answer::Answer;
use message::Message;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It is refused in DynamoDB's words: a status, a code and a message.
    Refused(u16, &'static str, &'static str),
    /// A transaction is cancelled, for a reason for each of its parts.
    Cancelled(&'static [&'static str]),
    /// Somebody who does not speak the protocol answers with a page.
    Page(u16),
    /// Somebody who does not even speak HTTP answers.
    Gibberish,
    /// The connection breaks before the server has seen it.
    Unsent,
    /// The server does it, and the connection breaks before the answer.
    Unanswered,
    /// The server does it, and the connection breaks in the middle of the answer.
    CutOff,
    /// The server does it, and says that something went wrong.
    Doubtful,
    /// The server does it, and the answer comes after this time.
    Late(Duration),
    /// Of a batch so many items reach the server, and the others are handed back.
    Partly(usize),
    /// The server does it, by a clock that is ahead of ours by this, or does not show its clock.
    Dated(Option<TimeDelta>),
    /// The server does it, and its answer has these values in these places, which are JSON pointers: what no stand-in
    /// ever shows.
    Told(Vec<(&'static str, Value)>),
}

impl Fault {
    /// There is no capacity left.
    pub(crate) const THROTTLED: Self = Self::Refused(
        400,
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded",
    );

    /// All that can happen between a request and its answer.
    pub(crate) const LOSSES: [Self; 5] =
        [Self::Unsent, Self::Unanswered, Self::CutOff, Self::Doubtful, Self::Page(503)];
}

/// A request, as a script sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// What it asks for, as in `PutItem`.
    pub(crate) operation: &'a str,
    /// The table that it is about; empty if that is not just one.
    pub(crate) table: &'a str,
    /// Its number among the requests for that, from 1.
    pub(crate) nth: u64,
    /// Its number among all requests, from 1.
    pub(crate) of_all: u64,
}

/// What to do to requests; nothing for those that just pass.
type Script = Box<dyn FnMut(Seen<'_>) -> Option<Fault> + Send>;

/// The proxy. It must be started in a Tokio runtime; with this value it is gone, and nobody is let
/// in any more.
#[derive(Debug)]
pub(crate) struct DynamoDbProxy {
    address: SocketAddr,
    stage: Arc<Stage>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Stage(Mutex<Play>);

#[derive(Default)]
struct Play {
    script: Option<Script>,
    counts: BTreeMap<String, u64>,
    faults: u64,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Play { counts, faults, .. } = &*self.lock();
        f.debug_struct("Stage").field("counts", counts).field("faults", faults).finish_non_exhaustive()
    }
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and asks the script what becomes of it.
    fn enter(&self, operation: &str, table: &str) -> Option<Fault> {
        let mut play = self.lock();
        *play.counts.entry(operation.to_owned()).or_default() += 1;
        let seen = Seen { operation, table, nth: play.counts[operation], of_all: play.counts.values().sum() };
        let fault = play.script.as_mut().and_then(|script| script(seen));
        play.faults += u64::from(fault.is_some());
        fault
    }
}

impl DynamoDbProxy {
    /// A proxy that passes everything on to the server at `endpoint`.
    pub(crate) async fn start(endpoint: &str) -> Self {
        let server: SocketAddr = endpoint.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("listening");
        let address = listener.local_addr().expect("an address");
        let stage = Arc::new(Stage::default());
        let accepting = tokio::spawn({
            let stage = Arc::clone(&stage);
            async move {
                loop {
                    let (client, _) = listener.accept().await.expect("accepting");
                    let stage = Arc::clone(&stage);
                    // A connection that breaks is what this is for.
                    tokio::spawn(async move { carry(client, server, &stage).await.ok() });
                }
            }
        });
        Self { address, stage, accepting }
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plays another script, and counts from zero.
    pub(crate) fn play(&self, script: impl FnMut(Seen<'_>) -> Option<Fault> + Send + 'static) {
        *self.stage.lock() = Play { script: Some(Box::new(script)), ..Play::default() };
    }

    /// Lets all requests pass from now on; the counts stay.
    pub(crate) fn heal(&self) {
        self.stage.lock().script = None;
    }

    /// How many requests there were for this operation.
    pub(crate) fn count(&self, operation: &str) -> u64 {
        self.stage.lock().counts.get(operation).copied().unwrap_or_default()
    }

    /// How many requests there were in all.
    pub(crate) fn count_all(&self) -> u64 {
        self.stage.lock().counts.values().sum()
    }

    /// How many of them did not just pass.
    pub(crate) fn faults(&self) -> u64 {
        self.stage.lock().faults
    }
}

impl Drop for DynamoDbProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries requests and answers until somebody hangs up.
async fn carry(client: TcpStream, server: SocketAddr, stage: &Stage) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut server = BufReader::new(TcpStream::connect(server).await?);
    while let Some(request) = Message::read(&mut client).await? {
        let target = request.header("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let fault = stage.enter(operation, asked["TableName"].as_str().unwrap_or_default());
        match answer::to(request, fault, &mut server).await? {
            Answer::Whole(answer) => client.write_all(&answer.bytes()).await?,
            Answer::Half(answer) => {
                let bytes = answer.bytes();
                client.write_all(&bytes[..bytes.len() - answer.body.len().div_ceil(2)]).await?;
                return client.flush().await;
            }
            Answer::Gibberish => return client.write_all(b"220 mail.example.com ESMTP\r\n").await,
            Answer::None => return Ok(()),
        }
    }
    Ok(())
}
