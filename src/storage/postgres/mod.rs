//! ActingWeb on PostgreSQL.
//!
//! Every statement runs inside an explicit transaction with limits of its own, because behind a
//! pooler in transaction mode anything that outlives a transaction reaches other clients, and
//! sqlx would be handed the answers to theirs.

mod connect;
mod error;
mod identity;
mod leases;
mod runs;
mod schema;
mod settings;
mod statements;
mod sweep;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgRow, Postgres as Driver};
use sqlx::query::Query;
use sqlx::{Row, SqlSafeStr, Transaction};
use tokio::sync::OnceCell;

pub use identity::Identity;
pub use schema::{Applied, SchemaStatus};
pub use settings::{PoolSettings, Settings, SslMode};

use self::error::{Context, no_connection};
use self::statements::{Bounds, Statements};
use crate::metrics::Metrics;
use crate::model::BackendKind;
use crate::storage::{ErrorKind, Result};

/// What is measured, by the label `op`.
const OPERATIONS: &[&str] = &[
    "any_expired",
    "apply_schema",
    "backlog",
    "claim",
    "connect",
    "count_expired",
    "cutoff",
    "delete_expired",
    "expired",
    "finish",
    "forget",
    "history",
    "identity",
    "last_slot",
    "last_success",
    "renew",
    "schema",
];

/// The store of one deployment on PostgreSQL.
pub struct Postgres {
    settings: Settings,
    options: PgConnectOptions,
    pool: PgPool,
    /// Limits of an ordinary transaction.
    bounds: Bounds,
    /// Where the application's tables are; known from the first answer of the server on.
    place: OnceCell<Arc<Place>>,
    metrics: Arc<Metrics>,
}

/// Where the application's tables are.
#[derive(Debug)]
struct Place {
    /// Their schema, which is also what our own state knows the deployment by.
    schema: String,
    statements: Statements,
}

/// A statement with its arguments.
type Statement<'q> = Query<'q, Driver, PgArguments>;

/// Connections of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Open and unused.
    pub idle: u32,
    /// In somebody's hands.
    pub used: u32,
}

impl fmt::Debug for Postgres {
    /// Only the place: the connection options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.describe())
    }
}

impl Postgres {
    /// The store that `settings` describe. Connects when it is first used. No transaction but a
    /// migration outlasts `lease`, so that a holder that stands still cannot block the next one
    /// for longer.
    ///
    /// # Errors
    ///
    /// When the settings cannot be made into connection options.
    pub fn new(settings: Settings, lease: Duration, metrics: Arc<Metrics>) -> Result<Self> {
        metrics.register_store(BackendKind::Postgresql, OPERATIONS, &ErrorKind::ALL.map(ErrorKind::name));
        let options = connect::options(&settings).op("read the connection settings")?;
        let pool = connect::pool(&settings, options.clone());
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let bounds = Bounds { statement: lease / 2, lock: lease / 4, idle: lease / 4 };
        Ok(Self { settings, options, pool, bounds, place: OnceCell::new(), metrics })
    }

    /// Connects once, outside the pool, and says what is wrong when that fails.
    ///
    /// # Errors
    ///
    /// The real reason, where the pool would only say that it waited too long.
    pub async fn probe(&self) -> Result<()> {
        self.measured("connect", self.probe_for("connect")).await
    }

    async fn probe_for(&self, op: &'static str) -> Result<()> {
        connect::probe(&self.options).await.map_err(|error| no_connection(&self.settings, op, error))
    }

    /// Where the store is, for people: no secrets.
    pub fn describe(&self) -> String {
        let Settings { host, port, dbname, .. } = &self.settings;
        let schema = self.place.get().map_or(self.settings.schema.as_str(), |place| place.schema.as_str());
        format!("{host}:{port}/{dbname}, schema {schema}")
    }

    /// How many connections the pool has.
    pub fn pool_use(&self) -> PoolUse {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        PoolUse { idle, used: self.pool.size().saturating_sub(idle) }
    }

    /// Closes the connections that nobody uses, and waits for `grace` at most for the others.
    pub async fn close(&self, grace: Duration) {
        tokio::select! {
            () = self.pool.close() => {}
            () = tokio::time::sleep(grace) => {}
        }
    }

    /// A transaction within the ordinary limits.
    async fn begin(&self, op: &'static str) -> Result<Transaction<'static, Driver>> {
        self.begin_within(self.bounds, op).await
    }

    async fn begin_within(&self, bounds: Bounds, op: &'static str) -> Result<Transaction<'static, Driver>> {
        match self.pool.begin_with(statements::begin(bounds)).await {
            Err(sqlx::Error::PoolTimedOut) => {
                self.probe_for(op).await?;
                Err(sqlx::Error::PoolTimedOut).op(op)
            }
            begun => begun.op(op),
        }
    }

    /// A query that leaves no prepared statement behind, unless the settings allow it.
    fn query<'q>(&self, sql: impl SqlSafeStr) -> Statement<'q> {
        sqlx::query(sql).persistent(self.settings.statement_cache)
    }

    /// The only row of a statement, which gets a transaction of its own.
    async fn fetch_one(&self, bounds: Bounds, op: &'static str, query: Statement<'_>) -> Result<PgRow> {
        let mut tx = self.begin_within(bounds, op).await?;
        let row = query.fetch_one(&mut *tx).await.op(op)?;
        tx.commit().await.op(op)?;
        Ok(row)
    }

    /// All rows of a statement, which gets a transaction of its own.
    async fn fetch_all(&self, bounds: Bounds, op: &'static str, query: Statement<'_>) -> Result<Vec<PgRow>> {
        let mut tx = self.begin_within(bounds, op).await?;
        let rows = query.fetch_all(&mut *tx).await.op(op)?;
        tx.commit().await.op(op)?;
        Ok(rows)
    }

    /// How many rows a statement changed, which gets a transaction of its own.
    async fn execute(&self, bounds: Bounds, op: &'static str, query: Statement<'_>) -> Result<u64> {
        let mut tx = self.begin_within(bounds, op).await?;
        let done = query.execute(&mut *tx).await.op(op)?;
        tx.commit().await.op(op)?;
        Ok(done.rows_affected())
    }

    /// Where the tables are. The library sets no search path for the schema `public`, so the role
    /// or the database may point elsewhere: the server is asked once.
    async fn place(&self) -> Result<Arc<Place>> {
        let place = self.place.get_or_try_init(|| async {
            let schema = match self.settings.schema.as_str() {
                "public" => self.find_tables().await?,
                named => named.to_owned(),
            };
            Ok(Arc::new(Place { statements: Statements::new(&schema), schema }))
        });
        place.await.cloned()
    }

    /// The schema in which an unqualified name finds the application's tables.
    async fn find_tables(&self) -> Result<String> {
        const OP: &str = "find the application's tables";
        let query = self.query(
            "SELECT nspname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
             WHERE pg_class.oid = coalesce(to_regclass('alembic_version'), to_regclass('attributes'))",
        );
        let found = self.fetch_all(self.bounds, OP, query).await?;
        match found.first() {
            Some(row) => row.try_get(0).op(OP),
            None => Ok("public".to_owned()),
        }
    }

    /// Runs `work` and measures it under the name `op`.
    async fn measured<T>(&self, op: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        debug_assert!(OPERATIONS.contains(&op), "{op} is not among the operations that begin at zero");
        let begun = Instant::now();
        let result = work.await;
        self.metrics.store_operation(BackendKind::Postgresql, op, begun.elapsed());
        if let Err(error) = &result {
            self.metrics.store_error(BackendKind::Postgresql, op, error.kind.name());
        }
        result
    }
}
