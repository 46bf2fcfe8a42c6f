//! Private clusters: nothing of them may stay behind, whatever ends their owner.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use actingweb_maintd::backup::cluster::{Cluster, Options};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

/// `examples/private_cluster.rs` with a command that tells us about its cluster and then waits
/// for the end of its standard input.
struct Runner {
    process: Child,
    /// The command waits for its end. (Here, because waiting for a `Child` closes its own.)
    input: ChildStdin,
    root: PathBuf,
    server: String,
}

impl Runner {
    fn start() -> Self {
        let test_binary = std::env::current_exe().unwrap();
        let program = test_binary.ancestors().nth(2).unwrap().join("examples/private_cluster");
        let mut process = Command::new(&program)
            .args(["--", "sh", "-c", "head -n 1 $TEST_PG_DATA/postmaster.pid; echo $TEST_PG_DATA; read _; exit 7"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; `cargo build --examples` makes it", program.display()));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let server = lines.next().unwrap();
        let root = Path::new(&lines.next().unwrap()).parent().unwrap().to_owned();
        Self { input: process.stdin.take().unwrap(), process, root, server }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    fn is_gone(&self) -> bool {
        is_gone(&self.root, &self.server)
    }
}

/// Whether neither the server nor its directory is left.
fn is_gone(root: &Path, server: &str) -> bool {
    !root.exists() && !Path::new("/proc").join(server).exists()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn options(cluster: &Cluster) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(cluster.host())
        .port(cluster.port())
        .username(cluster.superuser())
        .database("postgres")
}

#[test]
fn the_exit_code_of_the_command_is_handed_on_and_the_cluster_is_gone() {
    let Runner { mut process, input, root, server } = Runner::start();
    assert!(root.exists());
    drop(input);
    assert_eq!(process.wait().unwrap().code(), Some(7));
    assert!(is_gone(&root, &server));
}

#[test]
fn a_terminated_runner_ends_its_command_and_leaves_nothing() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let mut runner = Runner::start();
        runner.signal(signal);
        assert_eq!(runner.process.wait().unwrap().code(), Some(code));
        assert!(runner.is_gone());
    }
}

#[test]
fn a_killed_runner_leaves_nothing() {
    let mut runner = Runner::start();
    runner.signal(Signal::SIGKILL);
    runner.process.wait().unwrap();
    wait_until("the guard to clean up", || runner.is_gone());
}

#[tokio::test]
async fn a_cluster_keeps_its_data_and_its_port_over_a_restart_and_a_crash() {
    let mut cluster = Cluster::start(&Options::default()).unwrap();
    let (port, pid) = (cluster.port(), cluster.pid());
    let mut connection = PgConnection::connect_with(&options(&cluster)).await.unwrap();
    sqlx::query("create table kept (id int)").execute(&mut connection).await.unwrap();

    cluster.restart().unwrap();
    assert_ne!(cluster.pid(), pid);
    assert!(sqlx::query("select 1").execute(&mut connection).await.is_err(), "the old connection is gone");
    let mut connection = PgConnection::connect_with(&options(&cluster)).await.unwrap();
    sqlx::query("select from kept").execute(&mut connection).await.unwrap();

    cluster.kill().unwrap();
    assert!(PgConnection::connect_with(&options(&cluster)).await.is_err());
    cluster.start_again().unwrap();
    assert_eq!(cluster.port(), port);
    let mut connection = PgConnection::connect_with(&options(&cluster)).await.unwrap();
    sqlx::query("select from kept").execute(&mut connection).await.unwrap();
}

#[test]
fn a_crashed_cluster_leaves_neither_files_nor_shared_memory() {
    let mut cluster = Cluster::start(&Options::default()).unwrap();
    let pid_file = fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
    let shared_memory = pid_file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let exists = || {
        let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        segments.lines().any(|line| line.split_whitespace().nth(1) == Some(&shared_memory))
    };
    assert!(exists());
    let root = cluster.socket_dir().to_owned();
    cluster.kill().unwrap();
    drop(cluster);
    assert!(!root.exists());
    assert!(!exists());
}

#[tokio::test]
async fn settings_and_hba_lines_of_the_caller_come_first() {
    let cluster = Cluster::start(&Options {
        durable: true,
        settings: vec![("work_mem".into(), "5MB".into())],
        hba: vec!["host all stranger 127.0.0.1/32 reject".into()],
        ..Options::default()
    })
    .unwrap();
    let mut connection = PgConnection::connect_with(&options(&cluster)).await.unwrap();
    let found: Vec<String> =
        sqlx::query_scalar("select setting from pg_settings where name in ('fsync', 'work_mem') order by name")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(found, ["on", "5120"]);
    let refused = PgConnection::connect_with(&options(&cluster).username("stranger")).await.unwrap_err();
    assert!(refused.to_string().contains("pg_hba.conf rejects connection"), "{refused}");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let settings = vec![("max_connections".into(), "many".into())];
    let error = Cluster::start(&Options { settings, ..Options::default() }).unwrap_err().to_string();
    assert!(error.contains("invalid value for parameter \"max_connections\": \"many\""), "{error}");
}
