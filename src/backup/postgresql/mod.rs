//! Backups of PostgreSQL: what its own programs write, and what other tools make and keep.

mod dump;
mod extent;
mod listing;
mod logical;
mod physical;
mod restore;
mod room;
mod tool;
mod toolwords;

use super::{Desk, Draft, Error, Form, Manifest, Owner, PostgresqlMethod, Result, Shelf, Taken};
use crate::storage::Home;
use crate::storage::postgres::{Postgres, Settings};

pub(super) use extent::unpacked;
pub use physical::refusal as refusal_of_copying;
pub(super) use restore::conninfo;
pub use restore::restore;

/// Takes what the configuration wants and puts it into `draft`.
///
/// # Errors
///
/// When a program failed, what it made is not whole, or somebody asked to stop.
pub async fn take(desk: Desk<'_>, store: &Postgres, draft: &Draft) -> Result<Taken> {
    match desk.shop.settings.postgresql.method {
        PostgresqlMethod::Logical => logical::take(desk, store, draft).await,
        PostgresqlMethod::Physical => physical::take(desk, store, draft).await,
        PostgresqlMethod::Tool => tool::take(desk, store, draft).await,
    }
}

/// Has PostgreSQL's own programs, or the tool that keeps it, look at a set. Returns what they find wrong.
///
/// # Errors
///
/// When they could not look.
pub async fn inspect(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    match manifest.form {
        Form::Logical => listing::inspect(desk, shelf, manifest).await,
        Form::Physical => physical::inspect(desk, shelf, manifest).await,
        Form::Tool => tool::inspect(desk, manifest).await,
        Form::Archive | Form::Native | Form::Export => {
            Err(Error::Refused(format!("a set of the form {} is none of PostgreSQL", manifest.form)))
        }
    }
}

/// How programs reach the server.
fn direct(desk: Desk<'_>) -> Settings {
    desk.shop.storage.postgresql.past_the_pooler()
}

/// Refuses what is read from another cluster than the deployment's, to which `direct` may point by mistake.
fn same_cluster(of: &Owner, settings: &Settings, system_identifier: i64) -> Result<()> {
    match of.home {
        Some(Home::Postgresql { system_identifier: known, .. }) if known != system_identifier => {
            Err(Error::Refused(format!(
                "the server on {}:{} is the cluster {system_identifier}, and the deployment is in the cluster {known}: \
                 check storage.postgresql.direct",
                settings.host, settings.port
            )))
        }
        _ => Ok(()),
    }
}

/// What a program has found that came to its end and says that something is wrong; nothing, if it could not look.
fn found(error: Error) -> Result<Option<String>> {
    // In the words of the C locale, in which programs run.
    const FULL: &str = "No space left on device";
    match error {
        Error::Failed { what, source: None } if !what.contains(FULL) => Ok(Some(what)),
        other => Err(other),
    }
}
