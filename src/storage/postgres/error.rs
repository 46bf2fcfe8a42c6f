//! What the server's errors mean.

use std::io;

use super::Op;
use super::settings::{Settings, SslMode};
use crate::model::BackendKind;
use crate::storage::{Error, ErrorKind};

/// Attaches to a driver's error what was tried and what the failure means.
pub(super) trait Context<T> {
    /// Names the operation that failed.
    fn op(self, op: Op) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn op(self, op: Op) -> Result<T, Error> {
        self.map_err(|error| {
            let Op { phrase, .. } = op;
            Error { backend: BackendKind::Postgresql, op: phrase, kind: kind(&error), source: reason(error) }
        })
    }
}

/// What the driver's error says, once: its own text repeats that of its source. Of a server's
/// error only the message is kept, as the detail may hold values of rows.
fn reason(error: sqlx::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        sqlx::Error::Io(error) => error.into(),
        sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => error,
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} (SQLSTATE {code})", error.message()).into(),
            None => error.message().into(),
        },
        other => other.to_string().into(),
    }
}

/// Why there is no connection where none was to be had, and what can be done about it.
pub(super) fn no_connection(settings: &Settings, op: Op, error: sqlx::Error) -> Error {
    let Settings { host, port, dbname, user, sslmode, .. } = settings;
    let (kind, remedy) = (kind(&error), remedy(&error, *sslmode));
    let mut why = format!("no connection to {dbname} on {host}:{port} as {user}: {}", reason(error));
    if let Some(remedy) = remedy {
        why.push_str(": ");
        why.push_str(remedy);
    }
    refused(op, kind, why)
}

/// What somebody can do who cannot connect.
fn remedy(error: &sqlx::Error, sslmode: SslMode) -> Option<&'static str> {
    match error {
        // What is wrong with a certificate comes as an error of reading.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => match sslmode {
            SslMode::VerifyFull => Some(
                "storage.postgresql.sslmode is \"verify-full\": the server needs a certificate for the very name in \
                 .host, from an authority in .sslrootcert (PGSSLROOTCERT) or, without that, one that this system trusts",
            ),
            SslMode::VerifyCa => Some(
                "storage.postgresql.sslmode is \"verify-ca\": the server needs a certificate from an authority in \
                 .sslrootcert (PGSSLROOTCERT) or, without that, one that this system trusts",
            ),
            _ => None,
        },
        sqlx::Error::Io(_) => {
            Some("check that the server runs, and storage.postgresql.host and .port (PG_DB_HOST, PG_DB_PORT)")
        }
        sqlx::Error::Tls(_) => Some(
            "switch TLS on at the server (ssl = on), or lower storage.postgresql.sslmode (PGSSLMODE) if the network is \
             safe without",
        ),
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01") => {
                Some("check storage.postgresql.user and its password (password_file, PG_DB_PASSWORD or ~/.pgpass)")
            }
            Some("28000") => Some(
                "check storage.postgresql.user (PG_DB_USER) and .sslmode (PGSSLMODE), and pg_hba.conf on the server, \
                 which says who may connect, from where, and whether with TLS",
            ),
            Some("3D000") => Some("check storage.postgresql.dbname (PG_DB_NAME)"),
            Some("53300") => Some("lower storage.postgresql.pool.max_size, or raise max_connections on the server"),
            _ => None,
        },
        _ => None,
    }
}

/// An error that is ours, not the driver's.
pub(super) fn refused(op: Op, kind: ErrorKind, why: impl Into<String>) -> Error {
    Error { backend: BackendKind::Postgresql, op: op.phrase, kind, source: why.into().into() }
}

/// The meaning of a driver's error. SQLSTATE classes are those of PostgreSQL's appendix A.
fn kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => ErrorKind::Unavailable,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // query_canceled, lock_not_available, idle_in_transaction_session_timeout, deadlock_detected,
            // serialization_failure
            Some("57014" | "55P03" | "25P03" | "40P01" | "40001") => ErrorKind::Timeout,
            Some("42501") => ErrorKind::Denied,
            Some(code) if code.starts_with("28") => ErrorKind::Denied,
            // invalid_catalog_name: no such database; read_only_sql_transaction: a standby answers
            Some("3D000" | "25006") => ErrorKind::Unavailable,
            // undefined_table, invalid_schema_name, undefined_column, undefined_function
            Some("42P01" | "3F000" | "42703" | "42883") => ErrorKind::Schema,
            // connection exceptions, insufficient resources, operator intervention (shutdown), PgBouncer's own
            Some(code) if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        },
        _ => ErrorKind::Other,
    }
}
