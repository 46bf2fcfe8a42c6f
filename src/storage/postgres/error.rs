//! What the server's errors mean.

use std::{fmt, io};

use super::Op;
use super::settings::{Settings, SslMode};
use crate::model::limits::{Rule, Violation};
use crate::model::{BackendKind, Table};
use crate::storage::{Error, ErrorKind};

/// `program_limit_exceeded`: among other things, a value that an index cannot hold.
const TOO_LARGE: &str = "54000";

/// Attaches to a driver's error what was tried and what the failure means.
pub(super) trait Context<T> {
    /// Names the operation that failed.
    fn op(self, op: Op) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn op(self, op: Op) -> Result<T, Error> {
        self.map_err(|error| Error {
            backend: BackendKind::Postgresql,
            op: op.phrase,
            kind: kind(&error),
            source: reason(op, error),
        })
    }
}

/// What the driver's error says, once: its own text repeats that of its source. Of a server's
/// error only the message is kept, as the detail may hold values of rows.
fn reason(op: Op, error: sqlx::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        sqlx::Error::Io(error) => error.into(),
        sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => error,
        sqlx::Error::Database(error) => match error.code() {
            Some(code) if code == TOO_LARGE => match too_small(op, error.message()) {
                Some((table, attribute)) => Violation { table, attribute, rule: Rule::IndexTooSmall }.into(),
                None => format!("{} (SQLSTATE {code})", error.message()).into(),
            },
            Some(code) => format!("{} (SQLSTATE {code})", error.message()).into(),
            None => error.message().into(),
        },
        other => other.to_string().into(),
    }
}

/// The column of an index that cannot hold a value. Whatever the language of a message, the index's
/// name is in it, but not for the longest values: then what was done tells.
fn too_small(op: Op, message: &str) -> Option<(Table, &'static str)> {
    let indexes: [(_, &[&str], _, _); 3] = [
        ("\"properties_pkey\"", &["create_property", "set_property"], Table::Properties, "name"),
        ("\"property_lookup_pkey\"", &["create_lookup"], Table::PropertyLookup, "value"),
        ("\"idx_attributes_chain_id\"", &["set_attribute", "swap_attribute"], Table::Attributes, "data"),
    ];
    let named = indexes.iter().find(|(index, ..)| message.contains(index));
    let found = named.or_else(|| indexes.iter().find(|(_, operations, ..)| operations.contains(&op.name)));
    found.map(|(.., table, column)| (*table, *column))
}

/// Why there is no connection where none was to be had, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoConnection {
    /// Why.
    pub why: String,
    /// What somebody can do who cannot connect, where that is known.
    pub remedy: Option<&'static str>,
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remedy {
            Some(remedy) => write!(f, "{}: {remedy}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for NoConnection {}

pub(super) fn no_connection(settings: &Settings, op: Op, error: sqlx::Error) -> Error {
    let Settings { host, port, dbname, user, sslmode, .. } = settings;
    let (kind, remedy) = (kind(&error), remedy(&error, *sslmode));
    let why = format!("no connection to {dbname} on {host}:{port} as {user}: {}", reason(op, error));
    Error { backend: BackendKind::Postgresql, op: op.phrase, kind, source: Box::new(NoConnection { why, remedy }) }
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
            // query_canceled, lock_not_available, idle_in_transaction_session_timeout
            Some("57014" | "55P03" | "25P03") => ErrorKind::Timeout,
            // deadlock_detected, serialization_failure
            Some("40P01" | "40001") => ErrorKind::Conflict,
            // string_data_right_truncation, numeric_value_out_of_range, datetime_field_overflow,
            // character_not_in_repertoire, untranslatable_character, foreign_key_violation (the look-up entry of
            // an actor that is not there), program_limit_exceeded (what an index cannot hold)
            Some("22001" | "22003" | "22008" | "22021" | "22P05" | "23503" | "54000") => ErrorKind::Limit,
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
