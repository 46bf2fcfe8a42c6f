//! ActingWeb on PostgreSQL.
//!
//! Every statement runs inside an explicit transaction with limits of its own, because behind a
//! pooler in transaction mode anything that outlives a transaction reaches other clients, and
//! sqlx would be handed the answers to theirs.

mod actors;
mod again;
mod attributes;
mod audit;
mod bucket_walk;
mod bulk;
mod cancel;
mod catalog;
mod connect;
mod copied;
mod error;
mod fenced;
mod identity;
mod inspection;
mod leases;
mod lookup;
mod name;
mod native_ttl;
mod peer_trustees;
mod pressure;
mod privileges;
mod properties;
mod pruning;
mod rebuild;
mod record;
mod removals;
mod repairs;
mod room;
mod rows;
mod runs;
mod schema;
mod scratch;
mod server;
mod session;
mod settings;
mod sightings;
mod slots;
mod snapshot;
mod statements;
mod subscription_diffs;
mod subscriptions;
mod survey;
mod suspensions;
mod sweep;
mod transaction;
mod trusts;
mod upkeep;
mod watermarks;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgRow, Postgres as Driver};
use sqlx::query::Query;
use sqlx::{Row, SqlSafeStr};
use tokio::sync::{Mutex, OnceCell};

pub use catalog::{Catalog, ColumnFacts, Database, ForeignKeyFacts, IndexFacts, TableFacts, Values};
pub use connect::Login;
pub use error::NoConnection;
pub use inspection::{Density, Extensions, IndexRead, LongKeys};
pub use name::{identifier, qualified};
pub use privileges::{Lacking, Part, role_script};
pub use rebuild::{Backend, IndexSeen, TableSeen, Waiting, Workbench};
pub use repairs::{Begin, Repair, RepairStep};
pub use room::{Nearness, Room};
pub use schema::{Applied, SchemaStatus};
pub use scratch::Site;
pub use server::{Archiving, Direction, Server, Slot, Standby, Zone};
pub use settings::{Direct, PoolSettings, Settings, SslMode};
pub use snapshot::{Origin, Snapshot};
pub use statements::quote_identifier;
pub use survey::{Replication, make_schema};

use self::error::{Context, no_connection, refused};
use self::statements::{Bounds, Statements};
use self::transaction::{List, Transaction};
use crate::metrics::Metrics;
use crate::model::{BackendKind, Indexing};
use crate::storage::{ErrorKind, Result, operations};

/// How what the daemon does can fail: counted from zero on.
const FAILURES: &[ErrorKind] = &[
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::Denied,
    ErrorKind::Schema,
    ErrorKind::Fenced,
    ErrorKind::Other,
];

/// The schema in which an unqualified name finds the application's tables.
const FIND_TABLES: &str = "SELECT nspname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
     WHERE pg_class.oid = coalesce(to_regclass('alembic_version'), to_regclass('attributes'))";

/// A connection that has been closed at its other end says so within this.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The store of one deployment on PostgreSQL.
pub struct Postgres {
    settings: Settings,
    pool: PgPool,
    /// One connection that is kept for what cannot wait for the others: keeping leases.
    reserved: PgPool,
    /// How to connect past a pooler.
    direct: std::sync::Mutex<PgConnectOptions>,
    /// What can be cancelled.
    open: List,
    /// Whether the server answered when it was last asked for a transaction.
    answers: AtomicBool,
    /// Whether the role may look where files wait to be archived, as the server last said.
    may_list_archive: AtomicBool,
    /// What the last probe found, if it found nobody.
    refusal: Mutex<Option<Refusal>>,
    /// Limits of an ordinary transaction.
    bounds: Bounds,
    /// Where the application's tables are; known from the first answer of the server on.
    place: OnceCell<Arc<Place>>,
    indexing: Indexing,
    metrics: Arc<Metrics>,
}

/// Why there was no connection.
struct Refusal {
    at: Instant,
    kind: ErrorKind,
    why: String,
}

/// Where the application's tables are.
#[derive(Debug)]
struct Place {
    /// Their schema, which is also what our own state knows the deployment by.
    schema: String,
    statements: Statements,
    /// Whether they have been seen to include the look-up table.
    has_lookup: AtomicBool,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
struct Op {
    /// Its label `op`, listed in `storage/operations.rs`.
    name: &'static str,
    /// What it does, as a verb phrase for errors.
    phrase: &'static str,
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
        metrics.register_store(
            BackendKind::Postgresql,
            &[operations::DAEMON, &[operations::CANCEL]].concat(),
            FAILURES.iter().map(|kind| kind.name()),
        );
        let login = Login::new(&settings)?;
        let pool = connect::pool(&settings, login.clone());
        let direct = std::sync::Mutex::new(login.direct.clone());
        let reserved = connect::reserved(lease / 4, login);
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let bounds = Bounds { statement: lease / 2, lock: lease / 4, idle: lease / 4 };
        let open = List::default();
        let (answers, refusal) = (AtomicBool::new(true), Mutex::new(None));
        let may_list_archive = AtomicBool::new(false);
        let (place, indexing) = (OnceCell::new(), Indexing::default());
        Ok(Self {
            settings,
            pool,
            reserved,
            direct,
            open,
            answers,
            may_list_archive,
            refusal,
            bounds,
            place,
            indexing,
            metrics,
        })
    }

    /// The same store, finding actors by what they store as `indexing` says.
    #[must_use]
    pub fn indexed(self, indexing: Indexing) -> Self {
        Self { indexing, ..self }
    }

    /// Connects once, outside the pool, and says what is wrong when that fails.
    ///
    /// # Errors
    ///
    /// The real reason, where the pool would only say that it waited too long.
    pub async fn probe(&self) -> Result<()> {
        const OP: Op = Op { name: "connect", phrase: "connect" };
        self.measured(OP, self.probe_for(OP)).await
    }

    /// A probe before a transaction, if there is reason to doubt. One at a time, so that there is
    /// never more than one connection outside the pool; who waited for it shares what it found.
    async fn probe_in_doubt(&self, op: Op) -> Result<()> {
        let is_in_doubt = || self.pool.size() == 0 || !self.answers.load(Ordering::Relaxed);
        if !is_in_doubt() {
            return Ok(());
        }
        let asked = Instant::now();
        let mut refusal = self.refusal.lock().await;
        match &*refusal {
            Some(Refusal { at, kind, why }) if *at > asked => return Err(refused(op, *kind, why.clone())),
            _ if !is_in_doubt() => return Ok(()),
            _ => {}
        }
        let probed = self.probe_for(op).await;
        *refusal = probed.as_ref().err().map(|error| Refusal {
            at: Instant::now(),
            kind: error.kind,
            why: error.source.to_string(),
        });
        self.answers.store(probed.is_ok(), Ordering::Relaxed);
        probed
    }

    async fn probe_for(&self, op: Op) -> Result<()> {
        connect::probe(&self.pool.connect_options()).await.map_err(|error| no_connection(&self.settings, op, error))
    }

    /// Makes new connections with `login`. Those that there are live on: the server asked them for a
    /// password when they began.
    pub fn log_in_with(&self, login: Login) {
        self.reserved.set_connect_options(login.usual.clone());
        self.pool.set_connect_options(login.usual);
        *self.direct.lock().unwrap_or_else(PoisonError::into_inner) = login.direct;
    }

    /// How connections are made now.
    fn login(&self) -> Login {
        let direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Login { usual: PgConnectOptions::clone(&self.pool.connect_options()), direct }
    }

    /// Where the store is, for people: no secrets.
    pub fn describe(&self) -> String {
        let Settings { host, port, dbname, .. } = &self.settings;
        let schema = self.place.get().map_or(self.settings.schema.as_str(), |place| place.schema.as_str());
        format!("{host}:{port}/{dbname}, schema {schema}")
    }

    /// How many connections the pool has.
    pub fn pool_use(&self) -> PoolUse {
        let idle = u32::try_from(self.pool.num_idle() + self.reserved.num_idle()).unwrap_or(u32::MAX);
        PoolUse { idle, used: (self.pool.size() + self.reserved.size()).saturating_sub(idle) }
    }

    /// Closes the connections that nobody uses, and waits for `grace` at most for the others.
    pub async fn close(&self, grace: Duration) {
        tokio::select! {
            ((), ()) = join(self.pool.close(), self.reserved.close()) => {}
            () = tokio::time::sleep(grace) => {}
        }
    }

    /// A transaction within the ordinary limits.
    async fn begin(&self, op: Op) -> Result<Transaction> {
        self.begin_within(self.bounds, op).await
    }

    async fn begin_within(&self, bounds: Bounds, op: Op) -> Result<Transaction> {
        // What lies idle since before the server was restarted fails at once, each by itself.
        let mut doubtful = self.pool.num_idle();
        loop {
            // A pool would try to connect for as long as it may, and then not say why it could not.
            self.probe_in_doubt(op).await?;
            let asked = Instant::now();
            match Transaction::begin(&self.pool, bounds, op, &self.open).await {
                Ok(tx) => {
                    self.answers.store(true, Ordering::Relaxed);
                    return Ok(tx);
                }
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    // As long as others have their answers, only the pool is too small.
                    self.answers.store(!self.open.open().is_empty(), Ordering::Relaxed);
                    if doubtful == 0 || asked.elapsed() > AT_ONCE {
                        return Err(error);
                    }
                    doubtful -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A transaction on the reserved connection, for keeping a lease: within limits that leave
    /// time for a second attempt before the lease runs out.
    async fn begin_reserved(&self, op: Op) -> Result<Transaction> {
        let Bounds { statement: half, .. } = self.bounds;
        let bounds = Bounds { statement: half / 3, lock: half / 3, idle: half / 6 };
        Transaction::begin(&self.reserved, bounds, op, &self.open).await
    }

    /// Opens the reserved connection, if it is not open, while there is time to wait for it.
    pub async fn reserve(&self) {
        // Whoever needs it tries again, and tells what is wrong.
        let _connection = self.reserved.acquire().await;
    }

    /// A query that leaves no prepared statement behind, unless the settings allow it.
    fn query<'q>(&self, sql: impl SqlSafeStr) -> Statement<'q> {
        sqlx::query(sql).persistent(self.settings.statement_cache)
    }

    /// The only row of a statement, which gets a transaction of its own.
    async fn fetch_one(&self, bounds: Bounds, op: Op, query: Statement<'_>) -> Result<PgRow> {
        let mut tx = self.begin_within(bounds, op).await?;
        let row = tx.fetch_one(query).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// All rows of a statement, which gets a transaction of its own.
    async fn fetch_all(&self, bounds: Bounds, op: Op, query: Statement<'_>) -> Result<Vec<PgRow>> {
        let mut tx = self.begin_within(bounds, op).await?;
        let rows = tx.fetch_all(query).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// How many rows a statement changed, which gets a transaction of its own.
    async fn execute(&self, bounds: Bounds, op: Op, query: Statement<'_>) -> Result<u64> {
        let mut tx = self.begin_within(bounds, op).await?;
        let changed = tx.execute(query).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Where the tables are. The library sets no search path for the schema `public`, so the role
    /// or the database may point elsewhere: the server is asked once.
    async fn place(&self) -> Result<Arc<Place>> {
        let place = self.place.get_or_try_init(|| async {
            let schema = match self.settings.schema.as_str() {
                "public" => self.find_tables().await?,
                named => named.to_owned(),
            };
            let (statements, has_lookup) = (Statements::new(&schema), AtomicBool::new(false));
            Ok(Arc::new(Place { schema, statements, has_lookup }))
        });
        place.await.cloned()
    }

    /// The schema that the application's tables are in, or would be.
    ///
    /// # Errors
    ///
    /// When the server has to be asked and does not answer.
    pub async fn schema_name(&self) -> Result<String> {
        Ok(self.place().await?.schema.clone())
    }

    /// The schema in which an unqualified name finds the application's tables.
    async fn find_tables(&self) -> Result<String> {
        const OP: Op = Op { name: "schema", phrase: "find the application's tables" };
        let found = self.fetch_all(self.bounds, OP, self.query(FIND_TABLES)).await?;
        match found.first() {
            Some(row) => row.try_get(0).op(OP),
            None => Ok("public".to_owned()),
        }
    }

    /// Runs `work` and measures it as `op`.
    async fn measured<T>(&self, op: Op, work: impl Future<Output = Result<T>>) -> Result<T> {
        debug_assert!(operations::is_listed(op.name), "{} is not listed", op.name);
        let begun = Instant::now();
        let result = work.await;
        self.metrics.store_operation(BackendKind::Postgresql, op.name, begun.elapsed());
        if let Err(error) = &result {
            self.metrics.store_error(BackendKind::Postgresql, op.name, error.kind.name());
        }
        result
    }
}
