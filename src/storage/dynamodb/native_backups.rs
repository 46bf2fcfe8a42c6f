//! The backups of tables that DynamoDB makes and keeps itself.
//!
//! Making one is no request that may be repeated: each makes another. So a request that was not answered is followed
//! by a look for what it was to make, which goes by the name that whoever asks has chosen.

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{BackupDetails, BackupStatus, BackupType, BackupTypeFilter, TableStatus};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{Context, refused};
use super::recovery::{sdk_time, time};
use super::{DynamoDb, Op};
use crate::model::Table;
use crate::storage::{ErrorKind, Result};

/// By how much the clock of whoever asks may be ahead of DynamoDB's.
const SKEW: TimeDelta = TimeDelta::minutes(10);

/// A backup of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeBackup {
    /// How AWS knows it.
    pub arn: String,
    /// How whoever made it has called it.
    pub name: String,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// Its bytes.
    pub bytes: Option<u64>,
    /// How far it is.
    pub status: NativeStatus,
    /// Who keeps it.
    pub keeper: Keeper,
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeStatus {
    /// It is being made.
    Creating,
    /// It is there.
    Available,
    /// It is being removed.
    Deleted,
}

/// Who keeps a backup, and so decides when it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Whoever has asked for it.
    User,
    /// DynamoDB: it is what is left of a table that was deleted, and goes by itself.
    System,
    /// AWS Backup, by a plan of its own.
    AwsBackup,
}

impl DynamoDb {
    /// Has DynamoDB begin a backup of a table, and returns it. When the answer is lost, it is looked for by its
    /// `name`; a second one may still come into being later, which [`DynamoDb::native_backups`] finds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when there is no such table, [`ErrorKind::Denied`] when we may not.
    pub async fn begin_native_backup(&self, table: Table, name: &str) -> Result<NativeBackup> {
        const OP: Op = Op { name: "begin_native_backup", phrase: "begin a backup of a table" };
        let begun_at = self.now();
        self.measured(OP, async {
            let request = self.clients().await.work.create_backup().table_name(self.table(table)).backup_name(name);
            let answer = self.send(OP, request.customize().config_override(once()).send()).await?.op(OP);
            let error = match answer {
                Ok(answer) => {
                    let details = answer.backup_details.map(backup);
                    return details.ok_or_else(|| refused(OP, ErrorKind::Other, "the answer names no backup"));
                }
                Err(error) => error,
            };
            // One that was turned away has done nothing.
            if !error.kind.may_pass() || error.kind == ErrorKind::Throttled {
                return Err(error);
            }
            let made = self.list_backups(OP, table, name, begun_at).await?;
            made.into_iter().next().ok_or(error)
        })
        .await
    }

    /// The backups of a table that are called `name` and were begun since `since`, as far as whoever asked for them
    /// keeps them.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn native_backups(&self, table: Table, name: &str, since: DateTime<Utc>) -> Result<Vec<NativeBackup>> {
        const OP: Op = Op { name: "native_backups", phrase: "look for backups of a table" };
        self.measured(OP, self.list_backups(OP, table, name, since)).await
    }

    async fn list_backups(&self, op: Op, table: Table, name: &str, since: DateTime<Utc>) -> Result<Vec<NativeBackup>> {
        let mut backups = Vec::new();
        let mut start = None;
        loop {
            let request = self
                .clients()
                .await
                .work
                .list_backups()
                .table_name(self.table(table))
                .backup_type(BackupTypeFilter::User)
                .time_range_lower_bound(sdk_time(since - SKEW))
                .set_exclusive_start_backup_arn(start);
            let answer = self.send(op, request.send()).await?.op(op)?;
            for found in answer.backup_summaries.unwrap_or_default() {
                if found.backup_name.as_deref() == Some(name) {
                    backups.push(NativeBackup {
                        arn: found.backup_arn.unwrap_or_default(),
                        name: name.to_owned(),
                        created_at: found.backup_creation_date_time.and_then(time),
                        bytes: found.backup_size_bytes.map(i64::unsigned_abs),
                        status: status(found.backup_status.as_ref()),
                        keeper: keeper(found.backup_type.as_ref()),
                    });
                }
            }
            start = answer.last_evaluated_backup_arn;
            if start.is_none() {
                return Ok(backups);
            }
        }
    }

    /// A backup; none when there is none of that ARN.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn native_backup(&self, arn: &str) -> Result<Option<NativeBackup>> {
        const OP: Op = Op { name: "native_backup", phrase: "ask for a backup of a table" };
        self.measured(OP, async {
            let request = self.clients().await.work.describe_backup().backup_arn(arn);
            let answer = match self.send(OP, request.send()).await? {
                Err(error) if error.code() == Some("BackupNotFoundException") => return Ok(None),
                answer => answer.op(OP)?,
            };
            let found = answer.backup_description.and_then(|description| description.backup_details);
            Ok(found.map(backup).filter(|backup| backup.status != NativeStatus::Deleted))
        })
        .await
    }

    /// Removes a backup that whoever asked for it keeps; false when there is none of that ARN.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] when somebody else keeps it: AWS Backup goes by its plans, and DynamoDB by itself.
    /// [`ErrorKind::Unavailable`] while it is being made or restored.
    pub async fn delete_native_backup(&self, arn: &str) -> Result<bool> {
        const OP: Op = Op { name: "delete_native_backup", phrase: "delete a backup of a table" };
        let Some(found) = self.native_backup(arn).await? else { return Ok(false) };
        self.measured(OP, async {
            let keeper = match found.keeper {
                Keeper::User => None,
                Keeper::System => Some("DynamoDB itself, which lets it go after some weeks"),
                Keeper::AwsBackup => Some("AWS Backup: delete it there, or let its plan expire it"),
            };
            if let Some(keeper) = keeper {
                return Err(refused(OP, ErrorKind::Denied, format!("it is kept by {keeper}")));
            }
            let request = self.clients().await.work.delete_backup().backup_arn(arn);
            match self.send(OP, request.send()).await? {
                Err(error) if error.code() == Some("BackupNotFoundException") => Ok(false),
                answer => answer.op(OP).map(|_| true),
            }
        })
        .await
    }

    /// Has DynamoDB begin to make a table of ours, which is not there, from a backup.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when the table is there already.
    pub async fn restore_native_backup(&self, arn: &str, table: Table) -> Result<()> {
        const OP: Op = Op { name: "restore_native_backup", phrase: "restore a table from a backup" };
        self.measured(OP, async {
            let name = self.table(table);
            let request =
                self.clients().await.work.restore_table_from_backup().backup_arn(arn).target_table_name(&name);
            let answer = self.send(OP, request.customize().config_override(once()).send()).await?;
            if answer.as_ref().is_err_and(|error| error.code() == Some("TableAlreadyExistsException")) {
                let why = format!("there is a table {name} already, and DynamoDB restores into new ones only");
                return Err(refused(OP, ErrorKind::Schema, why));
            }
            let error = match answer.op(OP) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // If the answer was lost, the table says whether it has begun.
            let is_begun = error.kind.may_pass() && self.describe_table(OP, &name).await?.is_some();
            if is_begun { Ok(()) } else { Err(error) }
        })
        .await
    }

    /// Whether a table that is being restored can be used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when there is no such table: then restoring it has failed.
    pub async fn is_restored(&self, table: Table) -> Result<bool> {
        const OP: Op = Op { name: "is_restored", phrase: "ask whether a table has been restored" };
        self.measured(OP, async {
            let name = self.table(table);
            let Some(found) = self.describe_table(OP, &name).await? else {
                return Err(refused(OP, ErrorKind::Schema, format!("the table {name} is not there")));
            };
            Ok(found.table_status == Some(TableStatus::Active))
        })
        .await
    }
}

/// What a request says of the SDK's repetitions: there are none.
fn once() -> Builder {
    Builder::default().retry_config(RetryConfig::disabled())
}

fn backup(details: BackupDetails) -> NativeBackup {
    NativeBackup {
        arn: details.backup_arn,
        name: details.backup_name,
        created_at: time(details.backup_creation_date_time),
        bytes: details.backup_size_bytes.map(i64::unsigned_abs),
        status: status(Some(&details.backup_status)),
        keeper: keeper(Some(&details.backup_type)),
    }
}

fn status(status: Option<&BackupStatus>) -> NativeStatus {
    match status {
        Some(BackupStatus::Available) => NativeStatus::Available,
        Some(BackupStatus::Deleted) => NativeStatus::Deleted,
        _ => NativeStatus::Creating,
    }
}

fn keeper(r#type: Option<&BackupType>) -> Keeper {
    match r#type {
        Some(BackupType::AwsBackup) => Keeper::AwsBackup,
        Some(BackupType::System) => Keeper::System,
        _ => Keeper::User,
    }
}
