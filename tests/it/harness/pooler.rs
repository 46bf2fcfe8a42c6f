//! PgBouncer, mostly in transaction mode, in front of the test server.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use super::cluster::TestDb;
use super::emulator::on_a_free_port;
use super::tools::tool;

/// A pooler that has a few server connections for many clients; stopped with this value.
#[derive(Debug)]
pub(crate) struct Pooler {
    pub(crate) port: u16,
    child: Child,
    _dir: TempDir,
}

impl Pooler {
    /// A pooler with `connections` to the server of `db`.
    pub(crate) fn start(db: &TestDb, connections: u16) -> Self {
        Self::in_mode("transaction", db, connections)
    }

    /// One that lends out its connections in another way.
    pub(crate) fn in_mode(mode: &str, db: &TestDb, connections: u16) -> Self {
        let spawn = |port| Self::spawn(mode, db, connections, port);
        let is_there = |pooler: &Self| TcpStream::connect(("127.0.0.1", pooler.port)).is_ok();
        // It is told to be silent.
        on_a_free_port("pgbouncer", spawn, |pooler| &mut pooler.child, is_there, |_| String::new())
    }

    fn spawn(mode: &str, db: &TestDb, connections: u16, port: u16) -> Self {
        let dir = tempfile::Builder::new().prefix("pgbouncer").tempdir().expect("a directory");
        let users = dir.path().join("users.txt");
        std::fs::write(&users, format!("\"{}\" \"\"\n", db.role())).expect("the list of users");
        let config = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = user={} host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\nauth_file = {}\npool_mode = {mode}\n\
             default_pool_size = {connections}\nmax_client_conn = 200\n",
            db.role(),
            db.host(),
            db.port(),
            users.display(),
        );
        // `any` takes every client for the user of the database's entry.
        std::fs::write(&config, text).expect("the configuration");
        let mut command = Command::new(tool("pgbouncer"));
        command.arg("-q").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        run_as_nobody(&mut command, dir.path());
        let child = command.spawn().expect("starting pgbouncer");
        Self { port, child, _dir: dir }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// PgBouncer refuses to run as root.
fn run_as_nobody(command: &mut Command, dir: &Path) {
    if !geteuid().is_root() {
        return;
    }
    let user = User::from_name("nobody").expect("reading the users").expect("a user nobody");
    std::os::unix::fs::chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("giving the directory away");
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
}
