//! A DynamoDB in this process, on a port of the loopback interface. It forgets everything when it
//! ends.

use std::io;

use dynoxide::{Database, server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::storage::dynamodb::{Login, Settings};

/// The stand-in has one region, and no accounts: everybody is let in.
const REGION: &str = "us-west-1";

/// A DynamoDB that runs until this is dropped. It must be started in a Tokio runtime, and does not
/// outlive it.
pub struct Emulator {
    endpoint: String,
    database: Database,
    /// Sending, or dropping it, ends the server.
    _stop: oneshot::Sender<()>,
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Emulator({})", self.endpoint)
    }
}

impl Emulator {
    /// Starts one without tables, on a port that is free.
    ///
    /// # Errors
    ///
    /// When no port or no memory can be had.
    pub async fn start() -> io::Result<Self> {
        let database = Database::memory().map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = server::serve_with_shutdown(listener, database.clone(), async {
            let _sent_or_dropped = stopped.await;
        });
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(error, "the local DynamoDB has ended");
            }
        });
        Ok(Self { endpoint, database, _stop: stop })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What it holds. It expires rows only when it is told to, by `sweep_ttl`.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// How to find the tables here whose names begin with `prefix`.
    pub fn settings(&self, prefix: &str) -> Settings {
        Settings {
            table_prefix: prefix.to_owned(),
            region: REGION.to_owned(),
            endpoint_url: Some(self.endpoint.clone()),
            ..Settings::default()
        }
    }

    /// Who to ask it as: anybody.
    pub fn login(&self) -> Login {
        Login::Key { id: "demo".to_owned(), secret: "demo".to_owned() }
    }
}
