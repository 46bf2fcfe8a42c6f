//! Point-in-time recovery, which is on or off for each table.

use super::pace::Pace;
use crate::backup::{Desk, Error, Pitr, Result};
use crate::model::Table;
use crate::storage::dynamodb::DynamoDb;
use crate::work::{Defect, Severity};

/// A table that cannot be brought back to a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecoverable {
    /// The table.
    pub table: Table,
    /// Its name.
    pub name: String,
}

/// The tables for which point-in-time recovery is off.
///
/// # Errors
///
/// When DynamoDB does not answer, or we may not ask.
pub async fn point_in_time_recovery(desk: Desk<'_>, store: &DynamoDb) -> Result<Vec<Unrecoverable>> {
    let pace = Pace::of(desk);
    let mut without = Vec::new();
    for existing in pace.persist(|| store.existing_tables()).await? {
        let recovery = pace.persist(|| store.recovery(existing.table)).await?;
        if !recovery.is_on {
            without.push(Unrecoverable { table: existing.table, name: recovery.name });
        }
    }
    Ok(without)
}

/// Does about point-in-time recovery what is configured. Returns what is wrong with it, or nothing when nobody wants to
/// know: that it is off or cannot be asked for is no reason not to make a backup.
///
/// # Errors
///
/// When somebody asked to stop.
pub async fn heed(desk: Desk<'_>, store: &DynamoDb) -> Result<Option<Vec<Defect>>> {
    let wanted = desk.shop.settings.dynamodb.point_in_time_recovery;
    if wanted == Pitr::Ignore {
        return Ok(None);
    }
    let without = match point_in_time_recovery(desk, store).await {
        Err(Error::Store(error)) => {
            let what = format!("nobody knows whether point-in-time recovery is on: {}", error.chain());
            return Ok(Some(vec![defect(what, "let the role ask: dynamodb:DescribeContinuousBackups")]));
        }
        without => without?,
    };
    let (mut off, mut defects) = (Vec::new(), Vec::new());
    for Unrecoverable { table, name } in without {
        if wanted == Pitr::Check {
            off.push(name);
            continue;
        }
        match Pace::of(desk).persist(|| store.enable_recovery(table)).await {
            Ok(()) => tracing::info!(table = name, "point-in-time recovery has been switched on, from now on"),
            Err(Error::Store(error)) => {
                let what = format!("point-in-time recovery of {name} cannot be switched on: {}", error.chain());
                defects.push(defect(what, "let the role do it: dynamodb:UpdateContinuousBackups"));
            }
            Err(error) => return Err(error),
        }
    }
    if !off.is_empty() {
        defects.push(defect(
            format!("point-in-time recovery is off for {}", off.join(", ")),
            "write point_in_time_recovery = \"enable\" below [backup.dynamodb], or switch it on with `aws dynamodb \
             update-continuous-backups`",
        ));
    }
    Ok(Some(defects))
}

fn defect(what: String, remedy: &str) -> Defect {
    let (kind, severity) = ("point_in_time_recovery".to_owned(), Severity::Warning);
    Defect { kind, severity, rows: None, object: None, what, remedy: remedy.to_owned(), acknowledged: None }
}
