//! A connection of its own past the pooler, proved to be one that keeps its session: for what takes longer than a
//! transaction, or must not be in one.

use std::sync::PoisonError;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Row};

use super::connect::{alone, within};
use super::error::{Context, no_connection, refused};
use super::{Op, Postgres};
use crate::storage::{ErrorKind, Result};

/// How long a short answer is waited for: longer than the server's own limit.
pub(super) const ANSWER: Duration = Duration::from_secs(70);

/// How often two connections are asked which server connection they have. Behind a pooler that lends them out, a
/// connection that is idle gets the one that was given back last, or the one that was idle for longest: either way
/// ours have the same one, or change theirs, at the first round; more rounds are for a pooler that is busy.
const ROUNDS: usize = 6;

/// Which server connection we are given, to find out whether it stays the same.
const BACKEND: &str = "/* session */ SELECT pg_backend_pid()";

/// Such a connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: PgConnection,
    /// How more of the kind are made.
    pub(super) options: PgConnectOptions,
}

impl Postgres {
    /// Connects for `whom`, who needs a session.
    ///
    /// # Errors
    ///
    /// When there is no connection past the pooler, because what is there is a pooler that keeps no sessions.
    pub(super) async fn session(&self, op: Op, whom: &str) -> Result<Session> {
        let options = self.direct.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let settings = self.settings.past_the_pooler();
        let connect = async || {
            let connected = alone(&options).await;
            connected.map_err(|error| no_connection(&settings, op, error))
        };
        let (mut connection, mut other) = (connect().await?, connect().await?);
        if !keeps_sessions(&mut connection, &mut other, op).await? {
            return Err(refused(
                op,
                ErrorKind::Other,
                format!(
                    "{}:{} is a pooler that lends out its connections for a transaction each, and {whom} needs one \
                     of its own: name the server itself in storage.postgresql.direct (host and port)",
                    settings.host, settings.port
                ),
            ));
        }
        Ok(Session { connection, options })
    }
}

/// Whether two connections have a server connection each, and keep it.
pub(super) async fn keeps_sessions(one: &mut PgConnection, other: &mut PgConnection, op: Op) -> Result<bool> {
    let mut first = None;
    for _ in 0..ROUNDS {
        let now = (backend(one, op).await?, backend(other, op).await?);
        if now.0 == now.1 || *first.get_or_insert(now) != now {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn backend(connection: &mut PgConnection, op: Op) -> Result<i32> {
    let row = answered(sqlx::raw_sql(BACKEND).fetch_one(connection), op).await?;
    row.try_get(0).op(op)
}

/// An answer that must not take long.
pub(super) async fn answered<T>(asked: impl Future<Output = Result<T, sqlx::Error>>, op: Op) -> Result<T> {
    match within(ANSWER, asked).await {
        Some(answer) => answer.op(op),
        None => {
            let why = format!("no answer for {} seconds; the connection was given up", ANSWER.as_secs());
            Err(refused(op, ErrorKind::Unavailable, why))
        }
    }
}
