//! The daemon as people run it, and the exporter that they would run instead.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::daemon;
use super::http::Connection;
use super::server::Server;

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Our daemon.
    Daemon,
    /// `prometheus-postgres-exporter`.
    Exporter,
}

/// A running program that serves metrics.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    address: String,
    begun: Instant,
}

impl Program {
    /// The role that it connects as.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Daemon => "maintd",
            Self::Exporter => "exporter",
        }
    }

    /// The file of the program.
    pub(crate) fn file(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Daemon => Ok(PathBuf::from(env!("CARGO_BIN_EXE_actingweb-maintd"))),
            Self::Exporter => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .map(|dir: PathBuf| dir.join("prometheus-postgres-exporter"))
                .find(|file| file.is_file())
                .context("prometheus-postgres-exporter is not on PATH: ./x bench sets it up"),
        }
    }

    /// Starts it on the database `name`.
    pub(crate) fn start(self, server: &Server, name: &str) -> anyhow::Result<Service> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let file = self.file()?;
        let mut command = match self {
            Self::Daemon => daemon::command(&server.database(name, self.role()), &address, Path::new("/dev/null")),
            Self::Exporter => {
                let mut command = Command::new(&file);
                // Nothing of this machine's settings shall have a say.
                command.env_clear().arg(format!("--web.listen-address={address}"));
                let (role, host, port) = (self.role(), server.host(), server.port());
                let source = format!("postgresql://{role}@{host}:{port}/{name}?sslmode=disable");
                command.env("DATA_SOURCE_NAME", source).stdin(Stdio::null());
                command
            }
        };
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", file.display()))?;
        Ok(Service { child, address, begun })
    }

    /// The path that answers when it works, and what the answer must hold.
    fn sign_of_life(self) -> (&'static str, &'static str) {
        match self {
            Self::Daemon => ("/readyz", ""),
            Self::Exporter => ("/metrics", "\npg_up 1\n"),
        }
    }
}

impl Service {
    /// Waits until it can do its work, and returns how long that took from its start.
    pub(crate) fn ready(&mut self, program: Program) -> anyhow::Result<Duration> {
        let (path, sign) = program.sign_of_life();
        while self.begun.elapsed() < PATIENCE {
            if let Ok(body) = self.get(path)
                && body.contains(sign)
            {
                return Ok(self.begun.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{program:?} ended by itself: {status}");
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        bail!("{program:?} is not ready after {PATIENCE:?}");
    }

    /// What it answers to `path`, on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.connect()?.get(path)?.body)
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.address)
    }

    /// Memory that it has in use, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(mut self, program: Program) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        // The exporter does not listen to the signal.
        ensure!(status.success() || program == Program::Exporter, "{program:?} did not end well: {status}");
        Ok(())
    }
}

/// Ends what an error has left behind.
impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The size of a file in bytes.
pub(crate) fn size(file: &Path) -> anyhow::Result<f64> {
    Ok(std::fs::metadata(file)?.len() as f64)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
