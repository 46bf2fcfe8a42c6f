//! ActingWeb on DynamoDB.
//!
//! There is no server clock, no session and no lock here: what must be atomic is one conditional
//! request or one transaction, and every request is bounded.

mod actors;
mod alteration;
mod apply;
mod attributes;
mod audit;
mod batch;
mod bucket_walk;
mod bulk;
mod client;
mod deletion;
mod error;
mod existing;
mod export;
mod expression;
mod fields;
mod indexed;
mod inspection;
mod leases;
mod lookup;
mod native_backups;
mod native_ttl;
mod own;
mod passed;
mod peer_trustees;
mod pressure;
mod properties;
mod pruning;
mod query;
mod record;
mod recovery;
mod removals;
mod requests;
mod rest;
mod runs;
mod schema;
mod scratch;
mod settings;
mod sightings;
mod slots;
mod state;
mod subscription_diffs;
mod subscriptions;
mod suspensions;
mod sweep;
mod transact;
mod trusts;
mod upkeep;
mod watch;
mod watermarks;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::ConsumedCapacity;
use tokio::sync::OnceCell;

pub use alteration::Alteration;
pub use client::Login;
pub use existing::Existing;
pub use export::{Export, ExportStatus, Exported};
pub use inspection::{Capacity, IndexState, Inspection, KeyPart, TableState};
pub use native_backups::{Keeper, NativeBackup, NativeStatus};
pub use record::record;
pub use recovery::Recovery;
pub use schema::{Applied, SchemaStatus};
pub use settings::Settings;

use self::client::{Clients, Date};
use self::indexed::OlderWays;
use self::pressure::Refusals;
use self::watch::{Holdings, Watch};
use crate::metrics::Metrics;
use crate::model::{BackendKind, Indexing, Table};
use crate::storage::{ErrorKind, Result, operations};

/// How what the daemon does can fail: counted from zero on.
const FAILURES: &[ErrorKind] = &[
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::Denied,
    ErrorKind::Schema,
    ErrorKind::Throttled,
    ErrorKind::Conflict,
    ErrorKind::Fenced,
    ErrorKind::Other,
];

/// An operation.
#[derive(Clone, Copy, Debug)]
struct Op {
    /// Its label `op`, listed in `storage/operations.rs`.
    name: &'static str,
    /// What it does, as a verb phrase for errors.
    phrase: &'static str,
}

/// The store of one deployment on DynamoDB.
pub struct DynamoDb {
    settings: Settings,
    login: Login,
    /// How long a lease lasts, which bounds every request.
    lease: Duration,
    indexing: Indexing,
    clients: OnceCell<Clients>,
    date: Date,
    /// How often it had no capacity for us.
    refusals: Refusals,
    older_ways: OlderWays,
    /// The leases that were seen.
    watch: Watch,
    /// The leases that are ours.
    holdings: Holdings,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamoDb({})", self.place())
    }
}

impl DynamoDb {
    /// The store that `settings` describe, asked as `login`. Connects when it is first used. No
    /// request lasts longer than half of `lease`.
    pub fn new(settings: Settings, login: Login, lease: Duration, metrics: Arc<Metrics>) -> Self {
        metrics.register_store(BackendKind::Dynamodb, operations::DAEMON, FAILURES.iter().map(|kind| kind.name()));
        Self {
            settings,
            login,
            lease,
            indexing: Indexing::default(),
            clients: OnceCell::new(),
            date: Date::default(),
            refusals: Refusals::default(),
            older_ways: OlderWays::default(),
            watch: Watch::default(),
            holdings: Holdings::default(),
            metrics,
        }
    }

    /// The same store, finding actors by what they store as `indexing` says.
    #[must_use]
    pub fn indexed(self, indexing: Indexing) -> Self {
        Self { indexing, ..self }
    }

    /// Where the store is, for people.
    fn place(&self) -> String {
        let Settings { table_prefix, region, endpoint_url, .. } = &self.settings;
        let at = endpoint_url.as_deref().unwrap_or("AWS");
        format!("{at}, {region}, tables {table_prefix}_*")
    }

    /// The name of a table.
    fn table(&self, table: Table) -> String {
        format!("{}{}", self.settings.table_prefix, table.suffix())
    }

    /// The name of the daemon's own table.
    fn own_table(&self) -> String {
        format!("{}_maintd", self.settings.table_prefix)
    }

    async fn clients(&self) -> &Clients {
        let seen = || (self.date.clone(), self.refusals.clone());
        self.clients.get_or_init(|| Clients::new(&self.settings, &self.login, self.lease, seen())).await
    }

    /// Runs `work` and measures it as `op`.
    async fn measured<T>(&self, op: Op, work: impl Future<Output = Result<T>>) -> Result<T> {
        debug_assert!(operations::is_listed(op.name), "{} is not listed", op.name);
        let begun = Instant::now();
        let result = work.await;
        self.metrics.store_operation(BackendKind::Dynamodb, op.name, begun.elapsed());
        if let Err(error) = &result {
            self.metrics.store_error(BackendKind::Dynamodb, op.name, error.kind.name());
        }
        result
    }

    /// Counts read units that an answer says it has cost, and returns them.
    fn read_units(&self, table: &'static str, consumed: Option<&ConsumedCapacity>) -> f64 {
        self.count_units(table, "read", consumed)
    }

    /// Counts write units that an answer says it has cost, and returns them.
    fn write_units(&self, table: &'static str, consumed: Option<&ConsumedCapacity>) -> f64 {
        self.count_units(table, "write", consumed)
    }

    fn count_units(&self, table: &'static str, unit: &'static str, consumed: Option<&ConsumedCapacity>) -> f64 {
        let units = consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or_default();
        self.metrics.dynamodb_consumed_units(table, unit, units);
        units
    }
}
