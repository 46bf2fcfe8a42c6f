//! Connections: options, pool, and the reason when there is none.
//!
//! Everything here also has to work through a pooler in transaction mode, which refuses start-up
//! parameters it does not track and keeps no session for us.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use url::Url;

use super::Op;
use super::error::Context;
use super::settings::{Settings, SslMode};
use crate::storage::Result;

/// How long connecting may take when we only want to know what is wrong.
const PROBE: Duration = Duration::from_secs(5);

/// A connection that was idle for longer than this may be half-open and is asked before it is
/// used; asking every time would cost each transaction a round trip.
const SUSPICIOUS_AFTER: Duration = Duration::from_secs(30);

/// How to log in to a database: an address and, if there is one, a password.
#[derive(Clone)]
pub struct Login {
    /// The usual way, through a pooler perhaps.
    pub(super) usual: PgConnectOptions,
    /// The way past it.
    pub(super) direct: PgConnectOptions,
}

impl Login {
    /// As `settings` say. Without a password in them, `~/.pgpass` is read.
    ///
    /// # Errors
    ///
    /// When the settings cannot be made into connection options.
    pub fn new(settings: &Settings) -> Result<Self> {
        const OP: Op = Op { name: "connect", phrase: "read the connection settings" };
        Ok(Self { usual: options(settings).op(OP)?, direct: options(&settings.past_the_pooler()).op(OP)? })
    }
}

impl fmt::Debug for Login {
    /// The options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

fn options(settings: &Settings) -> Result<PgConnectOptions, sqlx::Error> {
    let port = settings.port.to_string();
    // Given as a URL, because only that way sqlx looks for a password in ~/.pgpass.
    let url = Url::parse_with_params(
        "postgres://",
        [
            ("host", settings.host.as_str()),
            ("port", port.as_str()),
            ("dbname", settings.dbname.as_str()),
            ("user", settings.user.as_str()),
        ],
    )
    .map_err(|error| sqlx::Error::Configuration(error.into()))?;
    let mut options = PgConnectOptions::from_url(&url)?
        .application_name("actingweb-maintd")
        // PgBouncer does not track it and refuses the connection.
        .extra_float_digits(None)
        .ssl_mode(match settings.sslmode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Allow => PgSslMode::Allow,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyCa => PgSslMode::VerifyCa,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        })
        .log_statements(log::LevelFilter::Trace)
        .log_slow_statements(log::LevelFilter::Debug, Duration::from_secs(1));
    if !settings.statement_cache {
        options = options.statement_cache_capacity(0);
    }
    if let Some(password) = &settings.password {
        options = options.password(password.expose());
    }
    if let Some(certificates) = &settings.sslrootcert {
        options = options.ssl_root_cert(certificates);
    }
    Ok(options)
}

/// A pool that connects when it is first asked, so that the daemon starts while the database is
/// down.
pub(super) fn pool(settings: &Settings, login: Login) -> PgPool {
    let connections = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
    PgPoolOptions::new()
        // Whoever keeps them open holds a place each while the server cannot be reached, for minutes
        // perhaps; some must be left.
        .min_connections(connections(settings.pool.min_size.get().min(settings.pool.max_size.get().saturating_sub(3))))
        // One of them is the reserved one.
        .max_connections(connections(settings.pool.max_size.get() - 1))
        .acquire_timeout(settings.pool.timeout.0)
        .asked_before_use()
        .connect_lazy_with(login.usual)
}

/// A pool of one connection. Whoever asks for it waits for `patience` at most.
pub(super) fn reserved(patience: Duration, login: Login) -> PgPool {
    PgPoolOptions::new().max_connections(1).acquire_timeout(patience).asked_before_use().connect_lazy_with(login.usual)
}

/// How connections that may be half-open are found out.
trait AskedBeforeUse {
    /// Asks a connection that was idle for long whether it is still one.
    fn asked_before_use(self) -> Self;
}

impl AskedBeforeUse for PgPoolOptions {
    fn asked_before_use(self) -> Self {
        self.test_before_acquire(false).before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < SUSPICIOUS_AFTER {
                    return Ok(true);
                }
                Ok(matches!(within(PROBE, connection.ping()).await, Some(Ok(()))))
            })
        })
    }
}

/// Connects once without the pool. A pool only says that it waited too long; this says why.
pub(super) async fn probe(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    // Closing politely could hang as well; dropping closes the socket.
    alone(options).await.map(drop)
}

/// A connection that belongs to no pool.
pub(super) async fn alone(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match within(PROBE, PgConnection::connect_with(options)).await {
        Some(connected) => connected,
        None => Err(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("the server did not answer within {} seconds", PROBE.as_secs()),
        ))),
    }
}

/// The future's result, unless it takes longer than `limit`, if there is one.
#[expect(clippy::disallowed_methods, reason = "a connection that does not answer is closed, with whatever it had open")]
pub(super) async fn within<T>(limit: impl Into<Option<Duration>>, future: impl Future<Output = T>) -> Option<T> {
    match limit.into() {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
