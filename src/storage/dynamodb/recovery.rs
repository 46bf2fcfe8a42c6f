//! Point-in-time recovery: whether DynamoDB could bring back a table as it was at some second of the last weeks.

use aws_sdk_dynamodb::primitives::DateTime as SdkTime;
use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, PointInTimeRecoveryStatus};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::error::{Context, refused};
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::storage::{ErrorKind, Result};

/// Whether a table can be brought back as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// The table.
    pub table: Table,
    /// Its name.
    pub name: String,
    /// Whether it is on.
    pub is_on: bool,
    /// The first second that can be brought back.
    pub earliest: Option<DateTime<Utc>>,
    /// The last one; some minutes ago.
    pub latest: Option<DateTime<Utc>>,
}

impl DynamoDb {
    /// Whether a table can be brought back as it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when there is no such table.
    pub async fn recovery(&self, table: Table) -> Result<Recovery> {
        const OP: Op = Op { name: "recovery", phrase: "ask for point-in-time recovery" };
        self.measured(OP, async {
            let name = self.table(table);
            let request = self.clients().await.work.describe_continuous_backups().table_name(&name);
            let answer = self.send(OP, request.send()).await?.op(OP)?;
            let description = answer.continuous_backups_description;
            let found = description.and_then(|description| description.point_in_time_recovery_description);
            let is_on = found.as_ref().and_then(|found| found.point_in_time_recovery_status.as_ref())
                == Some(&PointInTimeRecoveryStatus::Enabled);
            let (earliest, latest) = match found {
                Some(found) if is_on => (found.earliest_restorable_date_time, found.latest_restorable_date_time),
                _ => (None, None),
            };
            let (earliest, latest) = (earliest.and_then(time), latest.and_then(time));
            Ok(Recovery { table, name, is_on, earliest, latest })
        })
        .await
    }

    /// Switches it on for a table. There is no switching off: whoever does that loses what could have been brought
    /// back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] when we may not, or whatever DynamoDB has against it.
    pub async fn enable_recovery(&self, table: Table) -> Result<()> {
        const OP: Op = Op { name: "enable_recovery", phrase: "switch on point-in-time recovery" };
        self.measured(OP, async {
            let how = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
            let how = how.map_err(|error| refused(OP, ErrorKind::Other, error.to_string()))?;
            let request = self
                .clients()
                .await
                .work
                .update_continuous_backups()
                .table_name(self.table(table))
                .point_in_time_recovery_specification(how);
            self.send(OP, request.send()).await?.op(OP).map(drop)
        })
        .await
    }
}

/// A time in our words; none if it is none that we know.
pub(super) fn time(time: SdkTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

/// A time in the SDK's words.
pub(super) fn sdk_time(time: DateTime<Utc>) -> SdkTime {
    SdkTime::from_secs_and_nanos(time.timestamp(), time.timestamp_subsec_nanos())
}
