//! Sets of the backups that DynamoDB makes and keeps itself, one of each table.
//!
//! DynamoDB promises that a backup has everything that was written before it was asked for, and that its rows are
//! usually less than a second apart; tables are asked for one after the other. So its rows are each of some moment.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pace::Pace;
use crate::backup::point::fault_at;
use crate::backup::{Consistency, Desk, Draft, Error, Manifest, Part, Result, SetId, Shelf, Taken, Versions};
use crate::model::Table;
use crate::storage::dynamodb::{DynamoDb, Keeper, NativeBackup, NativeStatus};
use crate::storage::{Cursors, ErrorKind, NativeExpiry, Slots};

/// How long DynamoDB may take for a backup. It takes seconds, whatever the size of the table.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How long it may take to restore a table, which can be hours.
const RESTORE_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Where in the daemon's own state stands which set was begun last.
const BEGUN: &str = "backup native";

/// The set that was begun last, and where its manifest was to be: there is no other trace of a set whose run was
/// killed.
#[derive(Serialize, Deserialize)]
struct Begun {
    set: SetId,
    place: String,
}

/// How DynamoDB is told to call the backups of a set.
fn name(set: &SetId) -> String {
    format!("maintd-{set}")
}

/// Has DynamoDB make a backup of every table. When one fails, those that were made are deleted again.
pub(super) async fn take(desk: Desk<'_>, store: &DynamoDb, draft: &Draft) -> Result<Taken> {
    let pace = Pace::of(desk);
    clear(pace, store, draft.shelf()).await?;
    let tables: Vec<Table> =
        pace.persist(|| store.existing_tables()).await?.into_iter().map(|existing| existing.table).collect();
    let at = pace.persist(|| store.time()).await?;
    let begun = Begun { set: draft.set().clone(), place: draft.shelf().depot().describe().to_owned() };
    let begun = serde_json::to_string(&begun).expect("plain data");
    pace.persist(|| store.keep_cursor(BEGUN, Some(&begun))).await?;
    match make(pace, store, draft.set(), &tables).await {
        Ok(backups) => {
            let part = |(table, backup): (Table, NativeBackup)| Part {
                of: table.name().to_owned(),
                reference: backup.arn,
                size: backup.bytes,
            };
            Ok(Taken {
                at,
                consistency: Consistency::Row,
                versions: Versions::default(),
                compression: None,
                rows: BTreeMap::new(),
                digests: BTreeMap::new(),
                parts: backups.into_iter().map(part).collect(),
            })
        }
        Err(error) => {
            if let Err(left) = delete_all(store, draft.set(), &tables).await {
                tracing::warn!(error = left.chain(), "backups of tables stay until the next set begins");
            }
            Err(error)
        }
    }
}

/// Begins a backup of each table, and waits until all are there.
async fn make(pace: Pace<'_>, store: &DynamoDb, set: &SetId, tables: &[Table]) -> Result<Vec<(Table, NativeBackup)>> {
    let name = name(set);
    let mut begun = Vec::new();
    for table in tables {
        fault_at("backup::native").await?;
        begun.push((*table, pace.persist(|| store.begin_native_backup(*table, &name)).await?));
    }
    let mut made = Vec::new();
    for (table, backup) in begun {
        fault_at("backup::native").await?;
        let ask = || async {
            let found = store.native_backup(&backup.arn).await?;
            Ok(match found {
                None => Some(None),
                Some(found) => (found.status == NativeStatus::Available).then_some(Some(found)),
            })
        };
        let found = pace.wait_for(&format!("the backup of {table}"), PATIENCE, ask).await?;
        let found = found.ok_or_else(|| Error::failed(format!("the backup of {table} is gone again")))?;
        // A request that was not answered may have made another one later.
        let twins = pace.persist(|| store.native_backups(table, &name, set.begun())).await?;
        for twin in twins.into_iter().filter(|twin| twin.arn != found.arn) {
            pace.persist(|| store.delete_native_backup(&twin.arn)).await?;
        }
        made.push((table, found));
    }
    Ok(made)
}

/// Deletes all backups of a set that has not come into being. Asks nobody whether to stop: this is what whoever
/// stops has to leave behind.
async fn delete_all(store: &DynamoDb, set: &SetId, tables: &[Table]) -> Result<()> {
    for table in tables {
        for backup in store.native_backups(*table, &name(set), set.begun()).await? {
            store.delete_native_backup(&backup.arn).await?;
        }
    }
    Ok(())
}

/// Deletes what a run has left that was killed before its set was there: only what it has called by the name of that
/// set, and only when the place where its manifest would be is this one and has nothing of it.
async fn clear(pace: Pace<'_>, store: &DynamoDb, shelf: &Shelf) -> Result<()> {
    let Some(text) = pace.persist(|| store.cursor(BEGUN)).await? else { return Ok(()) };
    let Ok(Begun { set, place }) = serde_json::from_str(&text) else { return Ok(()) };
    if place != shelf.depot().describe() {
        tracing::warn!(%set, place, "whether a set is whole was to be told elsewhere: its backups stay, if there are any");
        return Ok(());
    }
    if !shelf.files(&set).list().await?.is_empty() {
        return Ok(());
    }
    let name = name(&set);
    for table in Table::ALL {
        let left = match pace.persist(|| store.native_backups(table, &name, set.begun())).await {
            Err(Error::Store(error)) if error.kind == ErrorKind::Schema => continue,
            left => left?,
        };
        for backup in left {
            if pace.persist(|| store.delete_native_backup(&backup.arn)).await? {
                tracing::info!(%set, table = table.name(), "deleted a backup that a run had left behind");
            }
        }
    }
    Ok(())
}

/// Looks whether all backups of a set are there.
pub(super) async fn inspect(desk: Desk<'_>, store: &DynamoDb, manifest: &Manifest) -> Result<Option<String>> {
    for part in &manifest.parts {
        let found = Pace::of(desk).persist(|| store.native_backup(&part.reference)).await?;
        let Part { of, reference, .. } = part;
        match found.map(|found| found.status) {
            Some(NativeStatus::Available) => {}
            Some(_) => return Ok(Some(format!("DynamoDB's backup of {of} is not available: {reference}"))),
            None => return Ok(Some(format!("DynamoDB has no backup of {of} any more: {reference}"))),
        }
    }
    Ok(None)
}

/// Has DynamoDB make the tables of `into`, which are not there, from the backups of a set, and switches on what it
/// does not bring back and we know of: that attributes expire. The rest is told.
pub(super) async fn restore(desk: Desk<'_>, manifest: &Manifest, into: &DynamoDb) -> Result<()> {
    let pace = Pace::of(desk);
    // A table that is being restored can be neither stopped nor deleted, so none is begun for a set that is not whole.
    if let Some(what) = inspect(desk, into, manifest).await? {
        return Err(Error::Damaged { set: manifest.set.to_string(), what });
    }
    let mut tables = Vec::new();
    for part in &manifest.parts {
        let table = Table::named(&part.of);
        let table = table.ok_or_else(|| {
            let (set, of) = (manifest.set.to_string(), &part.of);
            Error::Damaged { set, what: format!("it has a table {of} that this build does not know") }
        })?;
        pace.check()?;
        fault_at("backup::native").await?;
        pace.persist(|| into.restore_native_backup(&part.reference, table)).await?;
        tables.push(table);
    }
    for table in &tables {
        let ask = || async { Ok(into.is_restored(*table).await?.then_some(())) };
        pace.wait_for(&format!("the restored table of {table}"), RESTORE_PATIENCE, ask).await?;
    }
    if tables.contains(&Table::Attributes) {
        pace.persist(|| into.enable_native_ttl()).await?;
    }
    tracing::warn!(
        set = %manifest.set,
        "DynamoDB brings back no tags, streams, alarms, scaling and point-in-time recovery: switch on again what the \
         tables had"
    );
    Ok(())
}

/// Deletes what DynamoDB keeps of a set that is removed. Returns what stays, and why: what others keep goes when they
/// want.
///
/// # Errors
///
/// When DynamoDB does not answer, or does not let us; what has been deleted is gone.
pub async fn discard(desk: Desk<'_>, store: &DynamoDb, manifest: &Manifest) -> Result<Vec<String>> {
    let pace = Pace::of(desk);
    let mut left = Vec::new();
    for part in &manifest.parts {
        let Some(found) = pace.persist(|| store.native_backup(&part.reference)).await? else { continue };
        if found.keeper == Keeper::User {
            pace.persist(|| store.delete_native_backup(&part.reference)).await?;
        } else {
            left.push(format!("the backup of {} is kept by others: {}", part.of, part.reference));
        }
    }
    Ok(left)
}
