//! A store with everything that it can do.

use std::sync::Arc;
use std::time::Duration;

use super::dynamodb::{self, DynamoDb};
use super::postgres::Postgres;
use super::settings::Settings;
use super::{
    Actors, Attributes, Audit, BucketWalk, Bulk, Cursors, Leases, Lookup, NativeExpiry, PeerTrustees, Pressure,
    Properties, Pruning, Removals, Result, Runs, Sightings, Slots, SubscriptionDiffs, Subscriptions, Suspensions,
    Sweep, Trusts, Upkeep, Watermarks,
};
use crate::metrics::Metrics;
use crate::model::BackendKind;

/// Everything that both backends can do, with the same meaning. What only one can do is on its own
/// type, which [`Store::concrete`] shows.
pub trait Store:
    Actors
    + Attributes
    + Audit
    + BucketWalk
    + Bulk
    + Cursors
    + Leases
    + Lookup
    + NativeExpiry
    + PeerTrustees
    + Pressure
    + Properties
    + Pruning
    + Removals
    + Runs
    + Sightings
    + Slots
    + SubscriptionDiffs
    + Subscriptions
    + Suspensions
    + Sweep
    + Trusts
    + Upkeep
    + Watermarks
    + std::fmt::Debug
{
    /// The store as what it is.
    fn concrete(&self) -> Concrete<'_>;
}

impl Store for Postgres {
    fn concrete(&self) -> Concrete<'_> {
        Concrete::Postgresql(self)
    }
}

impl Store for DynamoDb {
    fn concrete(&self) -> Concrete<'_> {
        Concrete::Dynamodb(self)
    }
}

/// A store as what it is.
#[derive(Clone, Copy, Debug)]
pub enum Concrete<'a> {
    /// On PostgreSQL.
    Postgresql(&'a Postgres),
    /// On DynamoDB.
    Dynamodb(&'a DynamoDb),
}

/// A store of either kind, as it is.
#[derive(Clone, Debug)]
pub enum Backend {
    /// On PostgreSQL.
    Postgresql(Arc<Postgres>),
    /// On DynamoDB.
    Dynamodb(Arc<DynamoDb>),
}

impl Backend {
    /// What it can do as a store of any kind.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Postgresql(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Dynamodb(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }
}

/// The stores that `settings` name, in their order. Connects to nothing. What they do while they hold
/// a lease is bounded by its length, `lease`.
///
/// # Errors
///
/// When the settings cannot be made into connection options.
pub fn open(settings: &Settings, lease: Duration, metrics: &Arc<Metrics>) -> Result<Vec<Backend>> {
    let open = |kind: BackendKind| {
        let metrics = Arc::clone(metrics);
        Ok(match kind {
            BackendKind::Postgresql => {
                let store = Postgres::new(settings.postgresql.clone(), lease, metrics)?;
                Backend::Postgresql(Arc::new(store.indexed(settings.indexing())))
            }
            BackendKind::Dynamodb => {
                let store = DynamoDb::new(settings.dynamodb.clone(), dynamodb::Login::Chain, lease, metrics);
                Backend::Dynamodb(Arc::new(store.indexed(settings.indexing())))
            }
        })
    };
    settings.kinds().into_iter().map(open).collect()
}
