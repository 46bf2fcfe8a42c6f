//! Stand-ins for AWS, from the same virtual environment as the library: processes of their own, each on a port of
//! its own.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actingweb_maintd::model::OURS_ALONE;
use tempfile::TempDir;

use super::DEADLINE;
use super::python::interpreter;

/// One that is stopped with this value.
#[derive(Debug)]
pub(super) struct Emulator {
    port: u16,
    child: Child,
    dir: TempDir,
}

impl Emulator {
    /// Starts `program`, which `prepare` tells to listen on a port of loopback. It is there when `is_there` says that
    /// it is, and that it is not somebody else.
    pub(super) fn start(
        program: &str,
        prepare: impl Fn(&mut Command, u16),
        is_there: impl Fn(&Emulator) -> bool,
    ) -> Self {
        let spawn = |port| Self::spawn(program, &prepare, port);
        on_a_free_port(program, spawn, |started| &mut started.child, is_there, Self::log)
    }

    fn spawn(program: &str, prepare: impl Fn(&mut Command, u16), port: u16) -> Self {
        let dir = tempfile::Builder::new().prefix(program).tempdir().expect("a directory");
        let log = File::create(log_in(dir.path())).expect("a file");
        let mut command = Command::new(interpreter().with_file_name(program));
        command.env("TMPDIR", dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        for variable in OURS_ALONE {
            command.env_remove(variable);
        }
        prepare(&mut command, port);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}: `./x setup test` installs it"));
        Self { port, child, dir }
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What it has said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(log_in(self.dir.path())).expect("its log")
    }
}

/// What `spawn` starts on a port of loopback, as soon as it is there. A port that was free may be taken by the time that it
/// is used: then the child ends, and another one is tried.
pub(super) fn on_a_free_port<S>(
    program: &str,
    spawn: impl Fn(u16) -> S,
    child: impl Fn(&mut S) -> &mut Child,
    is_there: impl Fn(&S) -> bool,
    log: impl Fn(&S) -> String,
) -> S {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let mut started = spawn(port);
        while child(&mut started).try_wait().expect("asking for a child").is_none() {
            if is_there(&started) {
                return started;
            }
            assert!(Instant::now() < deadline, "{program} does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Instant::now() < deadline, "no {program} has started: {}", log(&started));
    }
}

fn log_in(dir: &Path) -> PathBuf {
    dir.join("log")
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "a failed test shows what it printed")]
            {
                eprintln!("the emulator's log:\n{}", self.log());
            }
        }
    }
}

/// Plain HTTP, whatever proxies this machine has.
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).timeout_global(Some(DEADLINE)).build().new_agent()
}
