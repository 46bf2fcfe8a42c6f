//! The Python library `actingweb` as published, in the virtual environment that `./x setup bench`
//! makes: the peer on the servers that we use ourselves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::daemon::Database;
use super::stand_in::{self, StandIn};

/// What the library is told by environment variables, which are all that it has.
#[derive(Clone, Debug)]
pub(crate) struct Library(Vec<(&'static str, String)>);

impl Library {
    /// On a database, with the pool that it has by default.
    pub(crate) fn on_postgresql(database: &Database) -> Self {
        Self(vec![
            ("DATABASE_BACKEND", "postgresql".to_owned()),
            ("PG_DB_HOST", database.host.clone()),
            ("PG_DB_PORT", database.port.to_string()),
            ("PG_DB_NAME", database.name.clone()),
            ("PG_DB_USER", database.role.clone()),
        ])
    }

    /// On the tables whose names begin with `prefix`. It does not make them itself, and so never asks
    /// whether they are there.
    pub(crate) fn on_dynamodb(stand_in: &StandIn, prefix: &str) -> Self {
        let settings = stand_in.settings(prefix);
        Self(vec![
            ("DATABASE_BACKEND", "dynamodb".to_owned()),
            ("AWS_DB_HOST", stand_in.endpoint().to_owned()),
            ("AWS_DB_PREFIX", settings.table_prefix),
            ("AWS_DB_AUTO_CREATE_TABLES", "false".to_owned()),
            ("AWS_DEFAULT_REGION", settings.region),
            ("AWS_ACCESS_KEY_ID", stand_in::KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", stand_in::KEY.to_owned()),
        ])
    }

    /// Runs `script` in a process of its own, gives it `work` and returns what it tells.
    pub(crate) async fn run<T>(&self, script: &'static str, work: &impl Serialize) -> anyhow::Result<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let work = serde_json::to_vec(work)?;
        let mut command = Command::new(interpreter()?);
        command.args(["-c", script]).env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(self.0.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let told = tokio::task::spawn_blocking(move || {
            let mut python = command.spawn().context("cannot start Python")?;
            // It reads to the end before it says anything.
            python.stdin.take().context("no pipe")?.write_all(&work)?;
            let output = python.wait_with_output()?;
            ensure!(output.status.success(), "the library failed: {}", output.status);
            Ok(output.stdout)
        })
        .await??;
        Ok(serde_json::from_slice(&told)?)
    }
}

/// Python with the library.
fn interpreter() -> anyhow::Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    ensure!(path.exists(), "{} is missing: ./x setup bench makes it", path.display());
    Ok(path)
}
