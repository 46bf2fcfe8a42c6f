//! Private PostgreSQL clusters, made from the server programs that are installed here.
//!
//! This is the only place that starts PostgreSQL. A [`Cluster`] lives in a directory of its own,
//! listens on a Unix socket in that directory and, unless it is [secluded](Seclusion), on the loopback
//! address, trusts every local user who reaches it, and is gone with the process that started it,
//! whatever ends that process: the server is the child of a guard (`guard.sh`), a small shell script
//! that removes everything when the pipe to us closes. Guard and server are in a process group of
//! their own, so that Ctrl-C in a terminal ends the programs that use the database before the database.
//!
//! (`PR_SET_PDEATHSIG` is no substitute: it follows the thread that started the server, and a
//! test's thread ends with the test.)
//!
//! Everything here blocks; asynchronous callers use `spawn_blocking`.

pub(super) mod base;
mod error;
mod guard;
mod programs;
mod seclusion;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout};
use std::thread;
use std::time::{Duration, Instant};

pub use error::Error;
pub(super) use guard::unprivileged;
pub use seclusion::{Seclusion, remove_leftovers};

use self::seclusion::Secluded;

/// How long a server may take until it accepts connections; a slow, loaded machine included. A secluded one may
/// take as long as its recovery takes.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// The number in the name of a secluded server's socket.
const SECLUDED_PORT: u16 = 5432;

/// Space that a memory file system must have left. Containers often get 64 MB of `/dev/shm`;
/// a cluster takes 40 MB, each test database 8 MB, and the write-ahead log up to 1 GB.
const ROOM_NEEDED_KIB: u64 = 2 * 1024 * 1024;

/// What kind of cluster to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keep what a crash of the machine must not lose, on a disk, as a production server does.
    /// For benchmarks; without it the cluster is in memory where that is possible, and several
    /// times faster.
    pub durable: bool,
    /// Settings of the server, stronger than the ones made here: `("wal_level", "logical")`.
    pub settings: Vec<(String, String)>,
    /// Lines for `pg_hba.conf`, before the ones that let every local user in.
    pub hba: Vec<String>,
    /// No cluster of its own, but a replica that follows the one on this port of this machine.
    pub primary: Option<u16>,
    /// The directory of the server's programs; without it they are looked for.
    pub bin_dir: Option<PathBuf>,
    /// Kept from everybody else, for data that is somebody's.
    pub seclusion: Option<Seclusion>,
}

/// A PostgreSQL cluster of our own. Dropping it stops the server and removes the data.
#[derive(Debug)]
pub struct Cluster {
    root: PathBuf,
    bin_dir: PathBuf,
    port: u16,
    pid: u32,
    guard: Child,
    /// The pipe whose end is the guard's signal to clean up; taken when we drop.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    secluded: Option<Secluded>,
}

impl Cluster {
    /// Makes a cluster, starts its server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// When it cannot be made or does not start; then nothing of it is left.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let mut cluster = Self::prepare(options)?;
        match options.primary {
            None => cluster.initialise()?,
            Some(port) => {
                let copied = cluster.ask(&format!("copy {port}"))?;
                cluster.expect_ok(copied, Some("initdb.log"))?;
            }
        }
        if !options.hba.is_empty() {
            let path = cluster.data_dir().join("pg_hba.conf");
            let fail = |source| Error::Guard { root: cluster.root.clone(), source };
            let usual = fs::read_to_string(&path).map_err(fail)?;
            fs::write(&path, format!("{}\n{usual}", options.hba.join("\n"))).map_err(fail)?;
        }
        cluster.launch()?;
        Ok(cluster)
    }

    /// A directory and a guard for a cluster whose data somebody else puts into [`data_dir`](Self::data_dir),
    /// before it is [launched](Self::launch).
    ///
    /// # Errors
    ///
    /// When there are no programs, or nothing can be made there.
    pub fn prepare(options: &Options) -> Result<Self, Error> {
        let bin_dir = options.bin_dir.clone().or_else(programs::find).ok_or(Error::NoPrograms)?;
        let name = random_name();
        let secluded = options.seclusion.as_ref().map(|seclusion| Secluded::new(seclusion, &name)).transpose()?;
        let root = match &secluded {
            Some(secluded) => secluded.root().to_path_buf(),
            None => place(options.durable).join(format!("maintd-{name}")),
        };
        let fail = |source| Error::Guard { root: root.clone(), source };
        let mut guard = guard::command(&bin_dir, &root, options)?.spawn().map_err(fail)?;
        let mut cluster = Self {
            commands: guard.stdin.take(),
            answers: BufReader::new(guard.stdout.take().expect("stdout is piped")),
            guard,
            root: root.clone(),
            bin_dir,
            port: SECLUDED_PORT,
            pid: 0,
            secluded,
        };
        let made = cluster.answer()?;
        if made != "ok" && cluster.secluded.is_some() {
            let why = format!("{made}: PostgreSQL's user must be able to enter backup.work_dir");
            return Err(Error::Place { root, why });
        }
        cluster.expect_ok(made, None)?;
        Ok(cluster)
    }

    /// Makes an empty cluster of what was [prepared](Self::prepare).
    ///
    /// # Errors
    ///
    /// When `initdb` fails.
    pub fn initialise(&mut self) -> Result<(), Error> {
        let initialised = self.ask("init")?;
        self.expect_ok(initialised, Some("initdb.log"))
    }

    /// Starts the server for the first time and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// When it does not start, or was asked to stop meanwhile.
    pub fn launch(&mut self) -> Result<(), Error> {
        if self.secluded.is_some() {
            return self.start_again();
        }
        // Between looking for a free port and using it, somebody else may.
        for _ in 0..10 {
            self.port = free_port().map_err(|source| Error::Guard { root: self.root.clone(), source })?;
            match self.start_again() {
                Err(Error::Server { log, .. }) if log.contains("Address already in use") => (),
                done => return done,
            }
        }
        self.start_again()
    }

    /// Shuts the server down, disconnecting its clients. The data stays.
    pub fn stop(&mut self) -> Result<(), Error> {
        let answer = self.ask("stop")?;
        self.expect_ok(answer, Some("postgres.log"))
    }

    /// Kills every process of the server at once: a crash. The data stays.
    pub fn kill(&mut self) -> Result<(), Error> {
        let answer = self.ask("kill")?;
        self.expect_ok(answer, Some("postgres.log"))
    }

    /// Starts the server on the same data and the same port, after [`stop`](Self::stop) or
    /// [`kill`](Self::kill).
    pub fn start_again(&mut self) -> Result<(), Error> {
        // The log goes on, but an error message should tell of this start only.
        let said_before = fs::metadata(self.log_file()).map_or(0, |log| log.len());
        let answer = self.ask(&format!("start {}", self.port))?;
        self.pid = answer.parse().map_err(|_| self.failed(&answer, String::new()))?;

        let begun = Instant::now();
        let stop = self.secluded.as_ref().map(|secluded| secluded.stop().clone());
        loop {
            if self.accepts_connections() {
                return Ok(());
            }
            let is_late = match &stop {
                Some(stop) if stop.requested().is_some() => return Err(Error::Stopped),
                Some(_) => false,
                None => begun.elapsed() > START_DEADLINE,
            };
            let what = match (has_ended(self.pid), is_late) {
                (true, _) => "the server ended while it was starting",
                (_, true) => "the server does not accept connections",
                _ => {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
            };
            let log = fs::read(self.log_file()).unwrap_or_default();
            let said = log.get(said_before as usize..).unwrap_or_default();
            return Err(self.failed(what, String::from_utf8_lossy(said).into_owned()));
        }
    }

    /// Shuts the server down and starts it again on the same port.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop()?;
        self.start_again()
    }

    /// The address that the server listens on, unless it is secluded.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port that the server listens on; it also names the Unix socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The role that may do everything and needs no password.
    pub fn superuser(&self) -> &'static str {
        "postgres"
    }

    /// The directory of the server's Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.root
    }

    /// The directory of the cluster's data.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// What the server has to say.
    pub fn log_file(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// The directory of the programs that this cluster runs, usually with `psql` and `pg_dump`.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// The server's process id; another one after every start.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the server says in its pid file that it is ready. (`pg_ctl` waits for the same;
    /// asking the server would need a client.) The file may still be that of a killed server.
    fn accepts_connections(&self) -> bool {
        let text = fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next() == Some(&self.pid.to_string()) && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }

    /// Has the guard do something.
    fn ask(&mut self, command: &str) -> Result<String, Error> {
        let pipe = self.commands.as_mut().expect("taken only when dropped");
        writeln!(pipe, "{command}").map_err(|source| Error::Guard { root: self.root.clone(), source })?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(source) => Err(source),
        }
        .map_err(|source| Error::Guard { root: self.root.clone(), source })
    }

    fn expect_ok(&self, answer: String, log: Option<&str>) -> Result<(), Error> {
        if answer == "ok" {
            return Ok(());
        }
        let log = log.and_then(|name| fs::read_to_string(self.root.join(name)).ok());
        Err(self.failed(&answer, log.unwrap_or_default()))
    }

    fn failed(&self, what: &str, log: String) -> Error {
        Error::Server { root: self.root.clone(), what: what.to_owned(), log }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.commands.take());
        // Nothing can be done about a guard that cannot be waited for.
        let _ = self.guard.wait();
        if let Some(secluded) = &self.secluded {
            secluded.remove();
        }
    }
}

/// The directory to make clusters in. Never below the checkout, which PostgreSQL's user may not
/// be able to reach, and short: the path of a Unix socket has at most 107 bytes.
fn place(durable: bool) -> &'static Path {
    let (wanted, usable) = if durable {
        // `/tmp` is in memory on many systems.
        (Path::new("/var/tmp"), Path::new("/var/tmp").is_dir())
    } else {
        (Path::new("/dev/shm"), room_left_kib(Path::new("/dev/shm")) >= ROOM_NEEDED_KIB)
    };
    if usable { wanted } else { Path::new("/tmp") }
}

/// What is left for us there, in KiB; nothing if nobody knows.
fn room_left_kib(dir: &Path) -> u64 {
    crate::archive::free_space(dir).map_or(0, |bytes| bytes / 1024)
}

/// A port that nobody listens on, below the ones that systems give to outgoing connections:
/// it must still be free when the server is started again.
fn free_port() -> io::Result<u16> {
    let mut refused = None;
    for _ in 0..100 {
        let port = 10_000 + uuid::Uuid::new_v4().as_u64_pair().0 as u16 % 20_000;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.expect("tried at least once"))
}

fn random_name() -> String {
    let mut name = uuid::Uuid::new_v4().simple().to_string();
    name.truncate(12);
    name
}

/// Whether a process has ended. The guard does not look before it is asked, so it stays a zombie.
fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signal that comes before the server listens to signals must not be lost.
    #[test]
    fn a_server_whose_owner_ends_while_it_starts_leaves_nothing() {
        let root = place(false).join(format!("maintd-{}", random_name()));
        let programs = programs::find().expect("PostgreSQL is installed");
        let mut guard = guard::command(&programs, &root, &Options::default()).unwrap().spawn().unwrap();
        let port = free_port().unwrap();
        write!(guard.stdin.take().unwrap(), "init\nstart {port}\n").unwrap();
        let said = io::read_to_string(guard.stdout.take().unwrap()).unwrap();
        let [made, initialised, pid] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert_eq!((made, initialised), ("ok", "ok"));
        guard.wait().unwrap();
        assert!(has_ended(pid.parse().unwrap()));
        assert!(!root.exists());
    }
}
