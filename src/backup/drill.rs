//! Whether what comes out of a set is what went in.

use std::time::Instant;

use super::compare::{self, Compared};
use super::point::fault_at;
use super::scratch::Scratch;
use super::{
    Damage, Desk, DrillResult, Error, Finder, Form, Manifest, Result, SetId, Shelf, State, dynamodb, examine,
    postgresql,
};
use crate::model::clock;
use crate::storage::Backend;
use crate::work::Progress;

/// Restores a set into a place that is thrown away afterwards, compares every table, and writes down what was found.
/// What is wrong with the set is in the state that is returned, and no error. Damage that was found by reading its
/// bytes stays until they have been verified again.
///
/// # Errors
///
/// When there was no place to restore into, the set could not be restored although nothing is wrong with its files,
/// or somebody asked to stop.
pub async fn drill(desk: Desk<'_>, shelf: &Shelf, set: &SetId) -> Result<State> {
    shelf.expect(set).await?;
    let entry = shelf.entry(set.clone()).await?;
    let manifest = match entry.manifest {
        Ok(manifest) => manifest,
        Err(why) => return found(shelf, set, why).await,
    };
    let hold = shelf.hold(set, "it is being drilled").await?;
    let drilled = attempt(desk, shelf, &manifest).await;
    let noted = note(shelf, set, drilled).await;
    hold.release().await;
    noted
}

/// Writes down how a drill has ended.
async fn note(shelf: &Shelf, set: &SetId, drilled: Result<(DrillResult, Vec<String>)>) -> Result<State> {
    match drilled {
        Ok((result, differences)) if differences.is_empty() => {
            tracing::info!(%set, rows = result.rows, restore_seconds = result.restore_seconds, "a backup was drilled");
            let proven = State { drill: Some(result), ..State::taken(set.clone()) };
            shelf.mark(Finder::Drill, &proven).await
        }
        Ok((_, differences)) => found(shelf, set, differences.join("; ")).await,
        Err(Error::Damaged { what, .. }) => found(shelf, set, what).await,
        Err(error) => Err(error),
    }
}

/// Writes down that something is wrong with a set.
async fn found(shelf: &Shelf, set: &SetId, what: String) -> Result<State> {
    tracing::error!(%set, what, "a backup did not pass its drill");
    let damage = Some(Damage { by: Finder::Drill, at: clock::now(), what });
    shelf.mark(Finder::Drill, &State { damage, ..State::taken(set.clone()) }).await
}

/// Restores and compares. Returns what differs; the place is gone afterwards.
async fn attempt(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<(DrillResult, Vec<String>)> {
    let at = clock::now();
    // Without these nothing could be proven, so they are read before anything is made.
    let digests = compare::digests_in(shelf, manifest).await?;
    desk.progress.expect(manifest.rows().unwrap_or_default());
    let begun = Instant::now();
    let scratch = match Scratch::make(desk, shelf, manifest).await {
        Ok(scratch) => scratch,
        Err(error) => return Err(reason(desk, shelf, manifest, error).await),
    };
    let proven = async {
        fill(desk, shelf, manifest, &scratch).await?;
        fault_at("backup::restore").await?;
        let restore_seconds = begun.elapsed().as_secs_f64();
        let (compared, note) = match &digests {
            Some(digests) => (compare::compare(desk, &scratch.place, digests).await?, None),
            None => {
                let note = "the set has no digests: all rows were read and counted, and not compared";
                (compare::count(desk, &scratch.place, manifest).await?, Some(note.to_owned()))
            }
        };
        let Compared { rows, differences } = compared;
        let data_age_seconds = (at - manifest.taken_at).as_seconds_f64().max(0.0);
        let compared = digests.is_some();
        Ok((DrillResult { at: clock::now(), restore_seconds, data_age_seconds, rows, compared, note }, differences))
    };
    let proven = proven.await;
    let removed = scratch.remove(shelf).await;
    match proven {
        Ok(proven) => {
            // What was proven stays proven, and what is left is removed by the next drill.
            if let Err(error) = removed {
                tracing::warn!(error = error.chain(), "the place of a drill could not be removed");
            }
            Ok(proven)
        }
        Err(error) => Err(reason(desk, shelf, manifest, error).await),
    }
}

/// Restores a set into a place that is empty, unless its making has done so.
async fn fill(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, scratch: &Scratch) -> Result<()> {
    match (&scratch.place, manifest.form) {
        (_, Form::Physical) => Ok(()),
        (Backend::Postgresql(_), _) => postgresql::restore(desk, shelf, manifest, &scratch.settings).await,
        (Backend::Dynamodb(store), _) => dynamodb::restore(desk, shelf, manifest, store).await,
    }
}

/// Why a set could not be restored. A program that fails does not tell whether that is because of what it read, so
/// the set is looked through.
async fn reason(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, error: Error) -> Error {
    if !matches!(error, Error::Failed { .. }) {
        return error;
    }
    // The drill's own progress is in rows.
    let bytes = Progress::new();
    let desk = desk.counting(&bytes);
    let looked = async {
        if let Some(what) = examine(desk, shelf, manifest).await?.into_iter().next() {
            return Ok(Some(what));
        }
        match manifest.form {
            Form::Logical | Form::Physical | Form::Tool => postgresql::inspect(desk, shelf, manifest).await,
            Form::Archive | Form::Native | Form::Export => dynamodb::inspect(desk, shelf, manifest).await,
        }
    };
    match looked.await {
        Ok(Some(what)) => Error::Damaged { set: manifest.set.to_string(), what },
        Err(damaged @ Error::Damaged { .. }) => damaged,
        Err(Error::Stopped) => Error::Stopped,
        Ok(None) | Err(_) => error,
    }
}
