//! The daemon as a process: started with settings, told by signals, heard by its log.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::http::Connection;

/// How long anything may take that it is expected to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it is to work.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) name: String,
    pub(crate) role: String,
}

/// The daemon on a database, serving at `address` and reading the file `config`, with nothing of
/// this machine's settings having a say.
pub(crate) fn command(database: &Database, address: &str, config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actingweb-maintd"));
    command
        .env_clear()
        .args(["run", "--config"])
        .arg(config)
        .env("DATABASE_BACKEND", "postgresql")
        .env("PG_DB_HOST", &database.host)
        .env("PG_DB_PORT", database.port.to_string())
        .env("PG_DB_NAME", &database.name)
        .env("PG_DB_USER", &database.role)
        .env("MAINTD_HTTP__LISTEN", address)
        .stdin(Stdio::null());
    command
}

/// A running daemon. Killed with this value.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<Line>,
    address: String,
}

/// A line of its log, and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: SystemTime,
    pub(crate) fields: Value,
}

impl Daemon {
    /// Starts it on `database` with the settings of the file `config`, and waits until it is ready.
    pub(crate) fn start(database: &Database, config: &Path) -> anyhow::Result<Self> {
        // The port is the system's choice, and told in the log.
        let mut command = command(database, "127.0.0.1:0", config);
        // Ctrl-C in a terminal reaches a whole group: it is for whoever looks after the daemon.
        let command = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the daemon")?;
        let log = BufReader::new(child.stderr.take().context("its log is piped")?);
        let (heard, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = log.lines().map_while(Result::ok);
            lines.filter_map(|line| serde_json::from_str(&line).ok()).try_for_each(|fields| {
                // Nobody may want to know any more.
                heard.send(Line { at: SystemTime::now(), fields })
            })
        });
        let mut daemon = Self { child, lines, address: String::new() };
        let up = daemon.until("it to serve", |line| line["address"].is_string())?;
        daemon.address = up.fields["address"].as_str().unwrap_or_default().to_owned();
        let begun = Instant::now();
        while let Err(error) = daemon.connect().and_then(|mut connection| connection.get("/readyz")) {
            if begun.elapsed() > PATIENCE {
                return Err(error.context("the daemon is not ready"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(daemon)
    }

    /// Waits for a line of its log.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Line> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line.fields) => return Ok(line),
                Ok(_) => {}
                Err(_) => bail!("waited for {what}; the daemon: {:?}", self.child.try_wait()?),
            }
        }
    }

    /// A new connection to it.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.address)
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

/// Ends what an error has left behind.
impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}
