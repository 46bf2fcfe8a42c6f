//! Places to restore into that are thrown away afterwards, and that are provably nobody else's: made by us, empty,
//! and named and marked so that whoever comes after one of us who was killed can tell them from all others.

mod dynamodb;
mod postgresql;
mod space;

use std::sync::Arc;
use std::time::Duration;

pub use self::postgresql::refusal as refusal_of_target;
use super::cluster::Cluster;
use super::{Desk, Error, Form, Manifest, Result, Shelf};
use crate::metrics::Metrics;
use crate::storage::dynamodb::{self as dynamo, DynamoDb};
use crate::storage::postgres::{self, Postgres};
use crate::storage::{Backend, Target};

pub(super) use postgresql::{from_base, major_of, schema_of};

/// What bounds requests to a place to restore into, as a lease bounds those of a deployment: nobody waits there but
/// us.
const LEASE: Duration = Duration::from_secs(60);

/// A place that is thrown away.
#[derive(Debug)]
pub(super) struct Scratch {
    /// What is there.
    pub(super) place: Backend,
    /// How PostgreSQL is reached, if it is one.
    pub(super) settings: postgres::Settings,
    kind: Kind,
}

/// What is thrown away.
#[derive(Debug)]
enum Kind {
    /// All of a server.
    Cluster(Cluster),
    /// A database on a server.
    Database { server: Arc<Postgres>, name: String },
    /// Tables.
    Tables(Arc<DynamoDb>),
}

impl Scratch {
    /// Makes one for a set. What earlier ones left who were killed is removed first, so whoever calls this is the
    /// only one who drills sets of this deployment. A physical set is restored by it; any other place is empty.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when there is no place that is provably nobody else's.
    pub(super) async fn make(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Self> {
        match manifest.form {
            Form::Logical => postgresql::empty(desk, shelf, manifest).await,
            Form::Physical => from_base(desk, shelf, manifest).await,
            Form::Archive => dynamodb::tables(desk, shelf, manifest, true).await,
            Form::Native => dynamodb::tables(desk, shelf, manifest, false).await,
            Form::Tool => Err(Error::Refused(format!(
                "the set {} is kept by another tool, which alone can restore it: drill it with that tool",
                manifest.set
            ))),
            Form::Export => Err(Error::Refused(format!(
                "the set {} is an export of DynamoDB to S3, which DynamoDB can only import into new tables: drill a \
                 set with the method \"archive\" or \"native\" instead",
                manifest.set
            ))),
        }
    }

    /// Throws it away.
    ///
    /// # Errors
    ///
    /// When some of it may still be there; whoever makes the next one removes that.
    pub(super) async fn remove(self, shelf: &Shelf) -> Result<()> {
        self.place.store().close(Duration::from_secs(5)).await;
        match self.kind {
            Kind::Cluster(cluster) => {
                blocking(move || {
                    drop(cluster);
                    Ok(())
                })
                .await
            }
            Kind::Database { server, name } => {
                server.remove_scratch_database(&name, shelf.of().id, true).await?;
                server.close(Duration::from_secs(5)).await;
                Ok(())
            }
            Kind::Tables(store) => Ok(store.remove_scratch_tables(&dynamodb::mark(shelf.of().id)).await?),
        }
    }
}

/// The place that is configured for drills, if one is.
fn target(desk: Desk<'_>) -> Result<Option<&Target>> {
    let Some(name) = &desk.shop.settings.drill.target else { return Ok(None) };
    let found = desk.shop.targets.get(name).map(Some);
    found.ok_or_else(|| {
        Error::Refused(format!(
            "backup.drill.target is `{name}`, and there is no target of this name: add a table [targets.{name}]"
        ))
    })
}

/// A store on a place that is not the deployment, whose requests are not counted as the deployment's.
pub(super) fn postgres_at(desk: Desk<'_>, settings: postgres::Settings) -> Result<Arc<Postgres>> {
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), ""));
    Ok(Arc::new(Postgres::new(settings.past_the_pooler(), LEASE, metrics)?.indexed(desk.shop.indexing())))
}

/// The same on DynamoDB.
pub(super) fn dynamodb_at(desk: Desk<'_>, settings: dynamo::Settings) -> Arc<DynamoDb> {
    let (metrics, login) = (Metrics::new(env!("CARGO_PKG_VERSION"), ""), dynamo::Login::Chain);
    Arc::new(DynamoDb::new(settings, login, LEASE, Arc::new(metrics)).indexed(desk.shop.indexing()))
}

/// Does what blocks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed(error.to_string()))?
}
