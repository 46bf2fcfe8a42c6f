//! Sets of exports: DynamoDB writes every table, as it was at one and the same second, to a bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::pace::Pace;
use crate::backup::point::fault_at;
use crate::backup::{Consistency, Desk, Draft, Error, Manifest, Part, Result, Taken, Versions};
use crate::model::{Table, clock};
use crate::storage::dynamodb::{DynamoDb, Existing, Export, ExportStatus, Exported};

/// How long DynamoDB may take, which can be hours.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// For how long DynamoDB tells of exports.
const TOLD_FOR: TimeDelta = TimeDelta::days(90);

/// Has DynamoDB export every table, as of the newest second that all of them can be brought back to.
pub(super) async fn take(desk: Desk<'_>, store: &DynamoDb, draft: &Draft) -> Result<Taken> {
    let pace = Pace::of(desk);
    let Some(bucket) = desk.shop.settings.dynamodb.export_bucket.as_deref() else {
        let why = "exports have no bucket: write export_bucket below [backup.dynamodb]";
        return Err(Error::Refused(why.to_owned()));
    };
    let tables = pace.persist(|| store.existing_tables()).await?;
    let at = common_second(pace, store, &tables).await?;
    let mut begun = Vec::new();
    for Existing { table, arn, .. } in &tables {
        fault_at("backup::native").await?;
        let (prefix, token) = (format!("{}/{table}", draft.set()), format!("{}-{table}", draft.set()));
        let export = Export { table_arn: arn, at, bucket, prefix: &prefix, token: &token };
        begun.push((*table, pace.persist(|| store.begin_export(export)).await?));
    }
    let (mut parts, mut rows) = (Vec::new(), BTreeMap::new());
    for (table, arn) in begun {
        let export = wait_for(pace, store, table, &arn).await?;
        if let Some(count) = export.rows {
            rows.insert(table.name().to_owned(), count);
        }
        parts.push(Part { of: table.name().to_owned(), reference: export.arn, size: export.bytes });
        if let Some(manifest) = export.manifest {
            let reference = format!("s3://{}/{manifest}", export.bucket);
            parts.push(Part { of: format!("{table}, {MANIFEST}"), reference, size: None });
        }
    }
    Ok(Taken {
        at,
        consistency: Consistency::Snapshot,
        versions: Versions::default(),
        compression: Some("gzip".to_owned()),
        rows,
        digests: BTreeMap::new(),
        parts,
    })
}

/// What the parts are of that say where in the bucket an export tells what it has.
const MANIFEST: &str = "manifest";

/// The newest second that all tables can be brought back to.
async fn common_second(pace: Pace<'_>, store: &DynamoDb, tables: &[Existing]) -> Result<DateTime<Utc>> {
    let (mut newest, mut oldest, mut without) = (None, None, Vec::new());
    for existing in tables {
        let recovery = pace.persist(|| store.recovery(existing.table)).await?;
        match (recovery.earliest, recovery.latest) {
            (Some(earliest), Some(latest)) if recovery.is_on => {
                newest = Some(newest.map_or(latest, |newest: DateTime<Utc>| newest.min(latest)));
                oldest = Some(oldest.map_or(earliest, |oldest: DateTime<Utc>| oldest.max(earliest)));
            }
            _ => without.push(recovery.name),
        }
    }
    if !without.is_empty() {
        return Err(Error::Refused(format!(
            "DynamoDB exports only tables with point-in-time recovery, and it is off for {}: write \
             point_in_time_recovery = \"enable\" below [backup.dynamodb]",
            without.join(", ")
        )));
    }
    match (newest, oldest) {
        (Some(newest), Some(oldest)) if oldest <= newest => Ok(newest.trunc_subsecs(0)),
        _ => Err(Error::failed(
            "there is no moment yet that all tables can be brought back to: point-in-time recovery was switched on some \
             minutes ago, and needs as many more",
        )),
    }
}

async fn wait_for(pace: Pace<'_>, store: &DynamoDb, table: Table, arn: &str) -> Result<Exported> {
    let ask = || async {
        let found = store.export(arn).await?;
        Ok(match found {
            Some(Exported { status: ExportStatus::Running, .. }) => None,
            found => Some(found),
        })
    };
    let found = pace.wait_for(&format!("the export of {table}"), PATIENCE, ask).await?;
    match found {
        Some(Exported { status: ExportStatus::Failed(why), .. }) => {
            Err(Error::failed(format!("the export of {table} has failed: {why}")))
        }
        Some(done) => Ok(done),
        None => Err(Error::failed(format!("DynamoDB knows nothing of the export of {table} any more"))),
    }
}

/// Looks whether all exports of a set are done, for as long as DynamoDB tells. What is in the bucket is not looked at.
pub(super) async fn inspect(desk: Desk<'_>, store: &DynamoDb, manifest: &Manifest) -> Result<Option<String>> {
    if clock::now() - manifest.finished_at >= TOLD_FOR {
        return Err(Error::Refused(format!(
            "DynamoDB tells of exports for {} days, and the set {} is older: look at it in its bucket",
            TOLD_FOR.num_days(),
            manifest.set
        )));
    }
    for part in manifest.parts.iter().filter(|part| Table::named(&part.of).is_some()) {
        let found = Pace::of(desk).persist(|| store.export(&part.reference)).await?;
        match found.map(|found| found.status) {
            Some(ExportStatus::Done) => {}
            Some(ExportStatus::Running) => return Ok(Some(format!("the export of {} is not done", part.of))),
            Some(ExportStatus::Failed(why)) => return Ok(Some(format!("the export of {} has failed: {why}", part.of))),
            None => return Ok(Some(format!("DynamoDB knows of no export of {}: {}", part.of, part.reference))),
        }
    }
    Ok(None)
}
