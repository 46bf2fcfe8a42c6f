//! The real binary: as a daemon, and for one command.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::cluster::TestDb;
use super::dynamodb::TestTables;
use super::{DEADLINE, rest};

/// The binary, ready to be started with nothing but the variables that the application itself
/// has, and no file of this machine having a say.
#[derive(Debug)]
pub(crate) struct Maintd {
    command: Command,
    file: Option<NamedTempFile>,
}

impl Maintd {
    /// Beside an application on a test's database.
    pub(crate) fn on(db: &TestDb) -> Self {
        Self::at(db.host(), db.port(), db.name()).env("PG_DB_USER", db.role())
    }

    /// Beside an application on this database, as the server's superuser.
    pub(crate) fn at(host: &str, port: u16, dbname: &str) -> Self {
        Self::bare()
            .env("DATABASE_BACKEND", "postgresql")
            .env("PG_DB_HOST", host)
            .env("PG_DB_PORT", port.to_string())
            .env("PG_DB_NAME", dbname)
            .env("PG_DB_USER", "postgres")
    }

    /// Beside an application on a test's tables.
    pub(crate) fn beside(tables: &TestTables) -> Self {
        Self::beside_tables(tables.emulator().endpoint(), tables.prefix())
    }

    /// Beside an application on the tables of the DynamoDB at `endpoint` whose names begin with `prefix`.
    pub(crate) fn beside_tables(endpoint: &str, prefix: &str) -> Self {
        Self::bare().env("DATABASE_BACKEND", "dynamodb").to(endpoint, prefix)
    }

    /// And beside one on a test's tables as well.
    pub(crate) fn and(self, tables: &TestTables) -> Self {
        let both = self.env("MAINTD_STORAGE__BACKENDS", "postgresql,dynamodb");
        both.to(tables.emulator().endpoint(), tables.prefix())
    }

    fn to(self, endpoint: &str, prefix: &str) -> Self {
        self.env("AWS_DB_HOST", endpoint)
            .env("AWS_DB_PREFIX", prefix)
            // Anybody is let in.
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
    }

    /// Beside nothing.
    pub(crate) fn bare() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actingweb-maintd"));
        command.env_clear().env("HOME", "/nonexistent").env("MAINTD_CONFIG", "/dev/null");
        command.current_dir("/").stdin(Stdio::null());
        Self { command, file: None }
    }

    /// With one more variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With the programs that this process finds, and the libraries of those that were only unpacked.
    pub(crate) fn with_programs(self) -> Self {
        let found = ["PATH", "LD_LIBRARY_PATH"].map(|name| (name, std::env::var_os(name)));
        found.into_iter().fold(self, |maintd, (name, value)| match value {
            Some(value) => maintd.env(name, value),
            None => maintd,
        })
    }

    /// With a configuration file.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
        file.write_all(toml.as_bytes()).expect("writing the configuration");
        self.command.env("MAINTD_CONFIG", file.path());
        self.file = Some(file);
        self
    }

    /// Runs one command to its end.
    pub(crate) fn run(mut self, arguments: &[&str]) -> Output {
        let output = self.command.args(arguments).output().expect("running the binary");
        let text = |bytes| String::from_utf8(bytes).expect("the binary prints UTF-8");
        Output { code: code(output.status), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs one command to its end on a terminal, on which everything it prints comes together.
    pub(crate) fn run_on_terminal(mut self, arguments: &[&str]) -> Output {
        self.command.args(arguments);
        let quoted = |word: &OsStr| format!("'{}'", word.to_str().expect("text").replace('\'', r"'\''"));
        let words: Vec<String> =
            std::iter::once(self.command.get_program()).chain(self.command.get_args()).map(quoted).collect();
        // Wherever there is `setpriv`, which `./x` needs, there is this as well.
        let mut terminal = Command::new("script");
        terminal.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]).stdin(Stdio::null());
        terminal
            .env_clear()
            .env("TERM", "xterm")
            .envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = terminal.output().expect("running `script` of util-linux");
        let text = |bytes| String::from_utf8(bytes).expect("the binary prints UTF-8");
        Output { code: code(output.status), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The command itself, for tests that are about pipes.
    pub(crate) fn into_command(mut self, arguments: &[&str]) -> Command {
        self.command.args(arguments);
        self.command
    }

    /// Starts the daemon, and returns when it serves.
    pub(crate) fn start(self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts the daemon with more arguments, and returns when it serves.
    pub(crate) fn start_with(self, arguments: &[&str]) -> Daemon {
        self.start_as(&[&["run"], arguments].concat())
    }

    /// Starts the daemon with exactly these arguments, and returns when it serves.
    pub(crate) fn start_as(self, arguments: &[&str]) -> Daemon {
        let mut daemon = self.launch(arguments);
        let what = "the daemon to serve";
        daemon.address = Some(daemon.until_some(what, |daemon| {
            daemon.assert_runs();
            daemon.lines().iter().find_map(|line| line["address"].as_str()?.parse().ok())
        }));
        daemon
    }

    /// Starts a daemon that may end before it serves, and returns at once.
    pub(crate) fn start_to_end(self) -> Daemon {
        self.launch(&["run"])
    }

    /// Starts something with these arguments, and returns at once.
    pub(crate) fn launch(mut self, arguments: &[&str]) -> Daemon {
        // The port is the system's choice, and told in the log.
        self.command.args(arguments).env("MAINTD_HTTP__LISTEN", "127.0.0.1:0");
        self.spawn()
    }

    /// Starts the binary and returns at once.
    fn spawn(mut self) -> Daemon {
        let mut child = self.command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starting the binary");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        Daemon { child, log, reader: Some(reader), address: None, file: self.file }
    }
}

/// What became of one command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The one document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs one command of the binary beside a test's database.
pub(crate) fn maintd(db: &TestDb, arguments: &[&str]) -> Output {
    Maintd::on(db).run(arguments)
}

/// A running daemon. Killed with this value; a failing test shows its log.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    address: Option<SocketAddr>,
    file: Option<NamedTempFile>,
}

impl Daemon {
    /// A daemon on a test's database, cleaning up each second, that is ready.
    pub(crate) fn start(db: &TestDb) -> Self {
        Maintd::on(db).env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start().ready()
    }

    /// The same daemon, once it is ready.
    pub(crate) fn ready(self) -> Self {
        self.until("the daemon to be ready", |daemon| daemon.get("/readyz").0 == 200);
        self
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("it serves")
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> &Path {
        self.file.as_ref().expect("it was given one").path()
    }

    /// Asks for a page: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.address(), path)
    }

    /// The status as the API tells it.
    pub(crate) fn status(&self) -> Value {
        let (code, body) = self.get("/api/v1/status");
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).expect("the status is JSON")
    }

    /// The sum of the samples of this metric that have all these labels; nothing if there are none.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        sum(&self.metrics(), name, labels)
    }

    /// Everything that it has measured.
    pub(crate) fn metrics(&self) -> String {
        let (code, text) = self.get("/metrics");
        assert_eq!(code, 200, "{text}");
        text
    }

    /// Rows that this process has deleted, as its counter says.
    pub(crate) fn rows_deleted(&self) -> u64 {
        self.metric("maintd_rows_deleted_total", &[("job", "ttl_cleanup")]).expect("counters begin at zero") as u64
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        self.lock().clone()
    }

    /// The lines of the log that are JSON, which all of them are until it ends.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lock().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether a message like this was logged.
    pub(crate) fn has_said(&self, message: &str) -> bool {
        self.lines().iter().any(|line| line["message"].as_str().is_some_and(|said| said.contains(message)))
    }

    /// Waits until it has logged a message like this.
    pub(crate) fn until_said(&self, message: &str) {
        self.until(&format!("the daemon to say: {message}"), |daemon| daemon.has_said(message));
    }

    /// Waits for something that it shows.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        self.until_some(what, |daemon| condition(daemon).then_some(()));
    }

    /// Waits for something that it shows, and returns it.
    pub(crate) fn until_some<T>(&self, what: &str, condition: impl Fn(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            assert!(begun.elapsed() < DEADLINE, "waited for {what}");
            thread::sleep(rest(begun));
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Waits for its end, and returns its exit code and all it logged.
    pub(crate) fn wait(mut self) -> (i32, String) {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("waiting for the daemon") {
                break status;
            }
            assert!(Instant::now() < deadline, "waited for the daemon to end");
            thread::sleep(Duration::from_millis(20));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading the log");
        }
        (code(status), self.log())
    }

    /// Asks it to end, as a service manager does, and sees to it that it ends well.
    pub(crate) fn stop(self) -> String {
        self.signal(Signal::SIGTERM);
        let (code, log) = self.wait();
        assert_eq!(code, 0, "{log}");
        log
    }

    /// Kills it at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killing the daemon");
        self.child.wait().expect("waiting for the daemon");
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id"))
    }

    fn assert_runs(&self) {
        // Asking changes nothing: the end stays to be waited for.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        assert!(!stat.contains(") Z "), "the daemon has ended: {}", self.log());
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
        if thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows what it printed")]
            {
                eprintln!("the daemon's log:\n{}", self.log());
            }
        }
    }
}

/// The sum of the samples in `metrics` that have this name and all these labels; nothing if there
/// are none.
pub(crate) fn sum(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let values: Vec<f64> = metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(name))
        .filter(|(series, _)| labels.iter().all(|(label, value)| series.contains(&format!("{label}=\"{value}\""))))
        .map(|(_, value)| value.parse().expect("a number"))
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// Asks for a page: status and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(DEADLINE))
        .build()
        .new_agent();
    let mut response = agent.get(format!("http://{address}{path}")).call().expect("an answer");
    let body = response.body_mut().read_to_string().expect("a body");
    (response.status().as_u16(), body)
}

/// A process that a signal ended has no code of its own.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or(status.signal().map(|signal| 128 + signal)).expect("an end")
}
