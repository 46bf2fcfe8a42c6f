//! Backups of DynamoDB: our own archive of all rows, and what DynamoDB itself offers.
//!
//! An archive needs nothing of AWS: all rows are read, and written in the form of `archive::rows`. What is written
//! meanwhile may or may not be in it, row by row, so its consistency is [`Consistency::Row`]. DynamoDB's own backups
//! and exports stay where DynamoDB keeps them; the set only says how to find them.
//!
//! [`Consistency::Row`]: super::Consistency::Row

mod archive;
mod export;
mod files;
mod inspect;
mod native;
mod pace;
mod recovery;
mod restore;

pub use native::discard;
pub use recovery::{Unrecoverable, heed, point_in_time_recovery};

use std::sync::Arc;
use std::time::Duration;

use super::{Desk, Draft, DynamodbMethod, Error, Form, Manifest, Result, Shelf, Taken};
use crate::metrics::Metrics;
use crate::storage::dynamodb::{DynamoDb, Login};

/// By which requests are bounded that belong to no lease: each has half of it.
const LEASE: Duration = Duration::from_secs(20);

/// Takes what the configuration wants and puts it into `draft`.
///
/// # Errors
///
/// When a table could not be read or written down, or somebody asked to stop.
pub async fn take(desk: Desk<'_>, store: &DynamoDb, draft: &Draft) -> Result<Taken> {
    match desk.shop.settings.dynamodb.method {
        DynamodbMethod::Archive => archive::take(desk, store, draft).await,
        DynamodbMethod::Native => native::take(desk, store, draft).await,
        DynamodbMethod::Export => export::take(desk, store, draft).await,
    }
}

/// Restores a set into the tables of `into`: an archive into tables that are there and empty, DynamoDB's own backups
/// into tables that are not there, which is the only way that DynamoDB knows.
///
/// # Errors
///
/// When a row could not be read or written, or somebody asked to stop; what has been restored stays there.
pub async fn restore(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, into: &DynamoDb) -> Result<()> {
    match manifest.form {
        Form::Archive => restore::restore(desk, shelf, manifest, into).await,
        Form::Native => native::restore(desk, manifest, into).await,
        form => Err(Error::Refused(format!(
            "a set of the form {form} cannot be restored from here: DynamoDB imports what it has exported into new \
             tables, see `aws dynamodb import-table`"
        ))),
    }
}

/// Looks through a set for what its own form can tell. Returns what is wrong.
///
/// # Errors
///
/// When it could not be looked at.
pub async fn inspect(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    if manifest.form == Form::Archive {
        return inspect::inspect(desk, shelf, manifest).await;
    }
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), ""));
    let store = DynamoDb::new(desk.shop.storage.dynamodb.clone(), Login::Chain, LEASE, metrics);
    inspect_kept(desk, &store, manifest).await
}

/// The same for what DynamoDB keeps, asked through `store`.
///
/// # Errors
///
/// When it could not be looked at.
pub async fn inspect_kept(desk: Desk<'_>, store: &DynamoDb, manifest: &Manifest) -> Result<Option<String>> {
    match manifest.form {
        Form::Native => native::inspect(desk, store, manifest).await,
        Form::Export => export::inspect(desk, store, manifest).await,
        form => Err(Error::Refused(format!("a set of the form {form} is not kept by DynamoDB"))),
    }
}
