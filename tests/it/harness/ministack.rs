//! A second stand-in for DynamoDB, and another one for S3. It shares no code with the one for DynamoDB in this
//! process, and none with moto, so that the mistakes of either are not taken for AWS's.

use actingweb_maintd::storage::dynamodb::{Login, Settings};

use super::emulator::{Emulator, agent};

/// One that forgets everything, and is stopped with this value.
#[derive(Debug)]
pub(crate) struct Ministack(Emulator);

impl Ministack {
    /// Starts one without tables.
    pub(crate) fn start() -> Self {
        // Told to say who it is, so that nobody else on the port is taken for it.
        let name = uuid::Uuid::new_v4().to_string();
        let emulator = Emulator::start(
            "ministack",
            |command, port| {
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
                    .env("LOG_LEVEL", "ERROR");
            },
            |started| {
                let health = agent().get(format!("{}/_ministack/health", endpoint(started))).call();
                health.is_ok_and(|mut health| health.body_mut().read_to_string().is_ok_and(|said| said.contains(&name)))
            },
        );
        Self(emulator)
    }

    /// Where it is.
    pub(crate) fn endpoint(&self) -> String {
        endpoint(&self.0)
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

fn endpoint(emulator: &Emulator) -> String {
    format!("http://127.0.0.1:{}", emulator.port())
}
