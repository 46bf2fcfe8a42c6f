//! Restoring a set into an empty place.

mod dynamodb;
mod postgresql;

use serde::Serialize;

use super::compare::Compared;
use super::{Desk, Error, Manifest, Result, SetId, Shelf};
use crate::storage::{Incomplete, Store, Target};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restored {
    /// The set.
    pub set: SetId,
    /// Where, for people.
    pub place: String,
    /// How many rows.
    pub rows: u64,
    /// How long it took, the comparison not counted.
    pub seconds: f64,
    /// Whether the digest of every table was compared.
    pub compared: bool,
}

/// Restores a set into the target called `into`, in which nothing is, and compares. The target is marked incomplete
/// until that has come out well. Where an attempt at the same set was cut off, it is begun again.
///
/// # Errors
///
/// [`Error::Refused`] when the target is not empty, or is the deployment itself; then nothing of it is changed.
/// [`Error::Damaged`] when the set is, or what is there afterwards is not what was backed up.
pub async fn restore(desk: Desk<'_>, shelf: &Shelf, set: &SetId, into: &str) -> Result<Restored> {
    let Some(target) = desk.shop.targets.get(into) else {
        let known: Vec<&str> = desk.shop.targets.keys().map(String::as_str).collect();
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
        return Err(Error::Refused(format!("there is no target `{into}`: add a table [targets.{into}]; {known}")));
    };
    shelf.expect(set).await?;
    let entry = shelf.entry(set.clone()).await?;
    let manifest = match entry.manifest {
        Ok(manifest) => manifest,
        Err(what) => return Err(Error::Damaged { set: set.to_string(), what }),
    };
    if target.backend() != manifest.backend {
        return Err(Error::Refused(format!(
            "the set {set} is of {} and the target `{into}` is on {}: name a target on the same backend",
            manifest.backend,
            target.backend()
        )));
    }
    let hold = shelf.hold(set, "it is being restored").await?;
    let restored = match target {
        Target::Postgresql(settings) => postgresql::restore(desk, shelf, &manifest, into, settings).await,
        Target::Dynamodb(settings) => dynamodb::restore(desk, shelf, &manifest, into, settings).await,
    };
    hold.release().await;
    restored
}

/// Why a target is marked while a set is restored into it: by this the same set finds its own mark again.
fn why(manifest: &Manifest) -> String {
    format!("the backup set {} is being restored here", manifest.set)
}

/// Marks a target, or finds the mark of an earlier attempt at the same set.
///
/// # Errors
///
/// [`Error::Refused`] when the mark is somebody else's.
async fn mark(desk: Desk<'_>, manifest: &Manifest, into: &str, store: &dyn Store) -> Result<()> {
    let mark = store.mark_incomplete(&why(manifest), &desk.shop.host).await?;
    refuse_other_mark(manifest, into, &mark)
}

fn refuse_other_mark(manifest: &Manifest, into: &str, mark: &Incomplete) -> Result<()> {
    if mark.why == why(manifest) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the target `{into}` is incomplete since {}, marked by {}: {}; go on with that, or empty the target",
        mark.since.format("%Y-%m-%dT%H:%M:%SZ"),
        mark.by,
        mark.why
    )))
}

/// Refuses a target in which something is.
fn refuse_tables(into: &str, tables: &[String]) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the target `{into}` holds {} already, and a set is only restored where nothing is: name an empty place, or \
         remove what is there",
        tables.join(", ")
    )))
}

/// Takes the mark back when what is there is what was backed up.
///
/// # Errors
///
/// [`Error::Damaged`] when it is not; the mark stays.
async fn finish(manifest: &Manifest, into: &str, store: &dyn Store, compared: Compared) -> Result<u64> {
    if !compared.differences.is_empty() {
        let differences = compared.differences.join("; ");
        let what = format!("{differences}; the target `{into}` stays marked as incomplete");
        return Err(Error::Damaged { set: manifest.set.to_string(), what });
    }
    store.mark_complete().await?;
    Ok(compared.rows)
}
