//! A DynamoDB in a process of its own, which both sides reach over the loopback interface: this
//! program itself, told to be one.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::demo::dynamodb::Emulator;
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::storage::dynamodb::{DynamoDb, Login, Settings};
use anyhow::{Context, ensure};

/// What tells this program to be one.
pub(crate) const ARGUMENT: &str = "--be-dynamodb";

/// Who asks, and with what secret: everybody is let in.
pub(crate) const KEY: &str = "bench";

/// A running one. It forgets everything and ends with this value.
#[derive(Debug)]
pub(crate) struct StandIn {
    child: Child,
    endpoint: String,
}

/// Is one, until nobody holds the other end of standard input any more.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let emulator = runtime.block_on(Emulator::start())?;
    println!("{}", emulator.endpoint());
    io::stdout().flush()?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

impl StandIn {
    /// Starts one without tables.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a DynamoDB")?;
        let mut endpoint = String::new();
        BufReader::new(child.stdout.take().context("no pipe")?).read_line(&mut endpoint)?;
        let endpoint = endpoint.trim_end().to_owned();
        let stand_in = Self { child, endpoint };
        ensure!(!stand_in.endpoint.is_empty(), "the DynamoDB ended at once");
        Ok(stand_in)
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How to find the tables there whose names begin with `prefix`.
    pub(crate) fn settings(&self, prefix: &str) -> Settings {
        Settings { table_prefix: prefix.to_owned(), endpoint_url: Some(self.endpoint.clone()), ..Settings::default() }
    }

    /// A store with the tables whose names begin with `prefix`.
    pub(crate) fn store(&self, prefix: &str) -> Arc<DynamoDb> {
        let login = Login::Key { id: KEY.to_owned(), secret: KEY.to_owned() };
        let metrics = Arc::new(Metrics::new("bench", "bench"));
        Arc::new(DynamoDb::new(self.settings(prefix), login, Duration::from_secs(10), metrics))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}
