//! A second stand-in for DynamoDB, from the same virtual environment as the library. It shares no
//! code with the one in this process, so that the mistakes of either are not taken for DynamoDB.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actingweb_maintd::model::OURS_ALONE;
use actingweb_maintd::storage::dynamodb::{Login, Settings};
use tempfile::TempDir;

use super::python::interpreter;

/// How long one may take to answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// One that forgets everything, and is stopped with this value.
#[derive(Debug)]
pub(crate) struct Ministack {
    port: u16,
    child: Child,
    _dir: TempDir,
}

impl Ministack {
    /// Starts one without tables.
    pub(crate) fn start() -> Self {
        let deadline = Instant::now() + DEADLINE;
        // A port that was free may be taken by the time that it is used.
        loop {
            assert!(Instant::now() < deadline, "no ministack has started");
            if let Some(started) = Self::try_start(deadline) {
                return started;
            }
        }
    }

    fn try_start(deadline: Instant) -> Option<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let dir = tempfile::Builder::new().prefix("ministack").tempdir().expect("a directory");
        // Told to say who it is, so that nobody else on the port is taken for it.
        let name = uuid::Uuid::new_v4().to_string();
        let mut command = Command::new(interpreter().with_file_name("ministack"));
        command
            // It listens everywhere unless it is told not to, and offers much that nobody needs here.
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", "dynamodb,s3")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("AUTH", "false")
            .env("USE_SSL", "0")
            .env("PERSIST_STATE", "0")
            .env("S3_PERSIST", "0")
            .env("LOCALSTACK_PERSISTENCE", "0")
            // It looks there for containers of its own that it would end.
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("MINISTACK_EDITION", &name)
            .env("LOG_LEVEL", "ERROR")
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        for variable in OURS_ALONE {
            command.env_remove(variable);
        }
        let child = command.spawn().expect("starting ministack: `./x setup test` installs it");
        let mut started = Self { port, child, _dir: dir };
        while started.child.try_wait().expect("asking for a child").is_none() {
            if started.says(&name) {
                return Some(started);
            }
            assert!(Instant::now() < deadline, "ministack does not answer on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Whether who answers says this.
    fn says(&self, name: &str) -> bool {
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(Some(DEADLINE)).build().new_agent();
        let health = agent.get(format!("{}/_ministack/health", self.endpoint())).call();
        health.is_ok_and(|mut health| health.body_mut().read_to_string().is_ok_and(|body| body.contains(name)))
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How to find the tables there whose names begin with `prefix`.
    pub(crate) fn settings(&self, prefix: &str) -> Settings {
        Settings { table_prefix: prefix.to_owned(), endpoint_url: Some(self.endpoint()), ..Settings::default() }
    }

    /// Who to ask it as: anybody.
    pub(crate) fn login(&self) -> Login {
        Login::Key { id: "test".to_owned(), secret: "test".to_owned() }
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
