//! Tables of DynamoDB that are thrown away.

use uuid::Uuid;

use super::{Kind, Scratch, dynamodb_at, target};
use crate::backup::point::fault_at;
use crate::backup::{Desk, Error, Manifest, Result, Shelf};
use crate::storage::dynamodb::{DynamoDb, Settings};
use crate::storage::postgres;
use crate::storage::{Backend, ErrorKind, Target};

/// Who marks the tables, in words that only drills of this deployment use.
pub(super) fn mark(owner: Uuid) -> String {
    format!("drills of the deployment {owner}")
}

/// Tables beside those of the deployment, or of the target that is configured. Without `application` only the
/// daemon's own, as DynamoDB restores the others itself.
pub(super) async fn tables(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, application: bool) -> Result<Scratch> {
    let beside = beside(desk)?;
    let by = mark(shelf.of().id);
    remove_leftovers(desk, &beside, &by).await?;
    let random = Uuid::new_v4().simple().to_string();
    let settings = Settings { table_prefix: DynamoDb::scratch_prefix(&beside.table_prefix, &random), ..beside };
    if let Some(problem) = settings.problems().into_iter().next() {
        return Err(Error::Refused(format!("no tables can be made for a drill: {} {}", problem.key, problem.message)));
    }
    let store = dynamodb_at(desk, settings);
    let place = Backend::Dynamodb(std::sync::Arc::clone(&store));
    let scratch = Scratch { place, settings: postgres::Settings::default(), kind: Kind::Tables(store) };
    match fill(&scratch, manifest, &by, application).await {
        Ok(()) => Ok(scratch),
        Err(error) => {
            scratch.remove(shelf).await?;
            Err(error)
        }
    }
}

/// Makes the tables: first the one with the mark, so that no other is ever there without it.
async fn fill(scratch: &Scratch, manifest: &Manifest, by: &str, application: bool) -> Result<()> {
    let store = scratch.place.store();
    store.apply(false).await?;
    store.mark_incomplete(&format!("a drill of the backup set {}", manifest.set), by).await?;
    fault_at("backup::drill").await?;
    if application {
        store.apply(true).await?;
    }
    Ok(())
}

/// Where the tables are made.
fn beside(desk: Desk<'_>) -> Result<Settings> {
    Ok(match target(desk)? {
        Some(Target::Dynamodb(settings)) => settings.clone(),
        // A deployment on both backends has one setting for drills.
        Some(Target::Postgresql(_)) | None => desk.shop.storage.dynamodb.clone(),
    })
}

/// Removes the tables of drills that were killed, as far as they are provably ours.
async fn remove_leftovers(desk: Desk<'_>, beside: &Settings, by: &str) -> Result<()> {
    for table_prefix in dynamodb_at(desk, beside.clone()).scratch_prefixes().await? {
        let left = dynamodb_at(desk, Settings { table_prefix: table_prefix.clone(), ..beside.clone() });
        match left.remove_scratch_tables(by).await {
            Ok(()) => tracing::info!(table_prefix, "removed what was left of a drill that was killed"),
            Err(error) if error.kind == ErrorKind::Conflict => {
                tracing::warn!(table_prefix, why = error.chain(), "tables that look like those of a drill stay");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
