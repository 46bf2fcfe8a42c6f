//! What the server's errors mean.

use crate::model::BackendKind;
use crate::storage::{Error, ErrorKind};

/// Attaches to a driver's error what was tried and what the failure means.
pub(super) trait Context<T> {
    /// Names the operation that failed, as a verb phrase.
    fn op(self, op: &'static str) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn op(self, op: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error { backend: BackendKind::Postgresql, op, kind: kind(&error), source: reason(error) })
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

/// An error that is ours, not the driver's.
pub(super) fn refused(op: &'static str, kind: ErrorKind, why: impl Into<String>) -> Error {
    Error { backend: BackendKind::Postgresql, op, kind, source: why.into().into() }
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
            // query_canceled, lock_not_available, idle_in_transaction_session_timeout, deadlock_detected
            Some("57014" | "55P03" | "25P03" | "40P01") => ErrorKind::Timeout,
            Some("42501") => ErrorKind::Denied,
            Some(code) if code.starts_with("28") => ErrorKind::Denied,
            // undefined_table, invalid_schema_name, undefined_column, undefined_function
            Some("42P01" | "3F000" | "42703" | "42883") => ErrorKind::Schema,
            // connection exceptions, insufficient resources, operator intervention (shutdown), PgBouncer's own
            Some(code) if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        },
        _ => ErrorKind::Other,
    }
}
