//! Removing the sets that nobody wants any more.

use chrono_tz::Tz;
use serde::Serialize;

use super::point::fault_at;
use super::retention::{Candidate, Decision, decide};
use super::{Desk, Error, Form, Held, Result, SetId, Shelf, dynamodb};
use crate::model::clock;
use crate::storage::{Concrete, Store};

/// What pruning came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// What was decided about each set, the oldest first.
    pub decisions: Vec<Decision>,
    /// Why nothing was decided, if so.
    pub note: Option<String>,
}

impl Pruned {
    /// The sets that go.
    pub fn removed(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| decision.removed)
    }
}

/// Decides about all sets of a deployment, and changes nothing.
///
/// # Errors
///
/// When the place does not answer.
pub async fn plan(shelf: &Shelf, zone: Tz) -> Result<Pruned> {
    let mut candidates = Vec::new();
    for entry in shelf.entries().await? {
        let held = shelf.held(&entry.set).await?.map(|Held { by, why, .. }| format!("{why} ({by})"));
        candidates.push(Candidate::of(&entry, held));
    }
    Ok(match decide(&shelf.shop().settings.retention, zone, clock::now(), &candidates) {
        Ok(decisions) => Pruned { decisions, note: None },
        Err(why) => Pruned { decisions: Vec::new(), note: Some(why) },
    })
}

/// Removes the sets that no rule keeps, the oldest first. Whoever calls this holds the lease of the job `backup`, and
/// `may` tells before each removal whether that is still so.
///
/// # Errors
///
/// When the place does not answer, when `may` says no, or somebody asked to stop. Each set is there or gone.
pub async fn prune<M>(desk: Desk<'_>, store: &dyn Store, shelf: &Shelf, zone: Tz, may: impl Fn() -> M) -> Result<Pruned>
where
    M: Future<Output = Result<()>>,
{
    let pruned = plan(shelf, zone).await?;
    if let Some(why) = &pruned.note {
        tracing::warn!("no backup is removed: {why}");
    }
    for Decision { set, reasons, .. } in pruned.removed() {
        if desk.stop.requested().is_some() {
            return Err(Error::Stopped);
        }
        may().await?;
        // Somebody may have begun to use it since.
        if shelf.held(set).await?.is_some() {
            continue;
        }
        remove(desk, store, shelf, set).await?;
        let why = reasons.first().map(ToString::to_string).unwrap_or_default();
        tracing::info!(backup.set = %set, "the backup {set} was removed: {why}");
    }
    Ok(pruned)
}

/// Removes a set, and first what only it refers to and nobody else would remove. What a tool keeps, it keeps for as
/// long as it is told to.
async fn remove(desk: Desk<'_>, store: &dyn Store, shelf: &Shelf, set: &SetId) -> Result<()> {
    fault_at("backup::before_remove").await?;
    if set.form() == Form::Native
        && let Concrete::Dynamodb(store) = store.concrete()
        && let Ok(manifest) = &shelf.entry(set.clone()).await?.manifest
    {
        for left in dynamodb::discard(desk, store, manifest).await? {
            tracing::info!(backup.set = %set, "{left}");
        }
    }
    shelf.remove(set).await
}
