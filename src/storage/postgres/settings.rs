//! The table `[storage.postgresql]`.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::Secret;
use crate::model::setting::{self, Bounded, Problem, Span};

/// Where the database is and how to talk to it. The defaults are those of the library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A host name, an address, or the directory of a Unix socket.
    pub host: String,
    /// The TCP port, or the number in the socket's name.
    pub port: Bounded<1, 65535>,
    /// The database.
    pub dbname: String,
    /// The role to connect as.
    pub user: String,
    /// Its password. Without one, `~/.pgpass` or the server's own rules decide.
    pub password: Option<Secret>,
    /// A file that holds the password, read whenever the configuration is; white space at its end
    /// does not count.
    pub password_file: Option<PathBuf>,
    /// The schema of ActingWeb's tables: prefix and schema as the library joins them.
    pub schema: String,
    /// How much TLS to insist on, in libpq's words.
    pub sslmode: SslMode,
    /// A file of PEM certificates to trust instead of the system's.
    pub sslrootcert: Option<PathBuf>,
    /// Keep prepared statements. Only for a direct connection: a pooler in transaction mode hands
    /// them to the wrong client.
    #[serde(deserialize_with = "setting::flag")]
    pub statement_cache: bool,
    /// Revisions of the application's schema that this build does not know and that you vouch for.
    #[serde(deserialize_with = "setting::list")]
    pub accept_revisions: Vec<String>,
    /// The connection pool.
    pub pool: PoolSettings,
    /// The way past a pooler.
    pub direct: Direct,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: Bounded::new(5432),
            dbname: "actingweb".to_owned(),
            user: "actingweb".to_owned(),
            password: None,
            password_file: None,
            schema: "public".to_owned(),
            sslmode: SslMode::Prefer,
            sslrootcert: None,
            statement_cache: false,
            accept_revisions: Vec::new(),
            pool: PoolSettings::default(),
            direct: Direct::default(),
        }
    }
}

/// The table `[storage.postgresql.direct]`: the server itself, where [`Settings::host`] is a pooler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Direct {
    /// Its host; none if it is the same.
    pub host: Option<String>,
    /// Its port; none if it is the same.
    pub port: Option<Bounded<1, 65535>>,
}

/// The table `[storage.postgresql.pool]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolSettings {
    /// Connections kept open.
    pub min_size: Bounded<0, 1000>,
    /// Connections at most.
    pub max_size: Bounded<2, 1000>,
    /// How long to wait for a connection.
    pub timeout: Span,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { min_size: Bounded::new(2), max_size: Bounded::new(10), timeout: Span::secs(30) }
    }
}

/// How much TLS to insist on: libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server insists.
    Allow,
    /// If the server can.
    Prefer,
    /// Always, trusting any certificate.
    Require,
    /// Always, with a certificate from an authority we trust.
    VerifyCa,
    /// Always, with a certificate for this very host.
    VerifyFull,
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Settings {
    /// The same database past the pooler, if one is named.
    #[must_use]
    pub fn past_the_pooler(&self) -> Self {
        let Direct { host, port } = self.direct.clone();
        Self { host: host.unwrap_or_else(|| self.host.clone()), port: port.unwrap_or(self.port), ..self.clone() }
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, value) in [("host", &self.host), ("dbname", &self.dbname), ("user", &self.user)] {
            if value.trim().is_empty() {
                problems.push(Problem::new(key, "is empty: write a name, or leave the key out for the default"));
            }
        }
        let schema_is_plain = self.schema.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if self.schema.is_empty() || !schema_is_plain {
            problems.push(Problem::new(
                "schema",
                format!(
                    "`{}` is not a schema that ActingWeb accepts: use letters, digits, `_` and `-` only",
                    self.schema
                ),
            ));
        }
        if self.pool.min_size.get() > self.pool.max_size.get() {
            problems.push(Problem::new(
                "pool.min_size",
                format!(
                    "{} is more than pool.max_size, which is {}: lower it, or raise max_size",
                    self.pool.min_size, self.pool.max_size
                ),
            ));
        }
        if self.pool.timeout.0.is_zero() {
            problems.push(Problem::new(
                "pool.timeout",
                "is zero, so no connection could ever be had: write how long to wait, as in \"30s\"",
            ));
        }
        if self.sslrootcert.is_some() && self.sslmode == SslMode::Disable {
            problems.push(Problem::new(
                "sslrootcert",
                "is never used, because sslmode is \"disable\": leave it out, or set sslmode = \"verify-full\"",
            ));
        }
        problems
    }
}
