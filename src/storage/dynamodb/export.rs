//! Exports to S3: DynamoDB itself writes a table, as it was at some second, to a bucket.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{ExportFormat, ExportStatus as SdkStatus};
use chrono::{DateTime, Utc};

use super::error::{Context, refused};
use super::recovery::sdk_time;
use super::{DynamoDb, Op};
use crate::storage::{ErrorKind, Result};

/// What is to be exported.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// How AWS knows the table.
    pub table_arn: &'a str,
    /// The second that it is to be of.
    pub at: DateTime<Utc>,
    /// The bucket.
    pub bucket: &'a str,
    /// What names in the bucket begin with.
    pub prefix: &'a str,
    /// Whoever asks again with the same token gets the same export.
    pub token: &'a str,
}

/// What has become of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// How AWS knows it.
    pub arn: String,
    /// How far it is.
    pub status: ExportStatus,
    /// How many rows it has, once it is done.
    pub rows: Option<u64>,
    /// How many bytes it was billed for, once it is done.
    pub bytes: Option<u64>,
    /// The bucket.
    pub bucket: String,
    /// The name in the bucket under which is written what the export has, once it is done.
    pub manifest: Option<String>,
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportStatus {
    /// It goes on.
    Running,
    /// It is there.
    Done,
    /// It has failed, for this reason.
    Failed(String),
}

impl DynamoDb {
    /// Begins an export. Returns how AWS knows it. May be repeated.
    ///
    /// # Errors
    ///
    /// When point-in-time recovery is off or does not reach to that second, the bucket is not there, or we may not.
    pub async fn begin_export(&self, export: Export<'_>) -> Result<String> {
        const OP: Op = Op { name: "begin_export", phrase: "begin to export a table" };
        self.measured(OP, async {
            let request = self
                .clients()
                .await
                .work
                .export_table_to_point_in_time()
                .table_arn(export.table_arn)
                .export_time(sdk_time(export.at))
                .s3_bucket(export.bucket)
                .s3_prefix(export.prefix)
                .client_token(export.token)
                .export_format(ExportFormat::DynamodbJson);
            let answer = self.send(OP, request.send()).await?.op(OP)?;
            let arn = answer.export_description.and_then(|description| description.export_arn);
            arn.ok_or_else(|| refused(OP, ErrorKind::Other, "the answer names no export"))
        })
        .await
    }

    /// What has become of an export; none when DynamoDB knows of none, which it does for 90 days.
    ///
    /// # Errors
    ///
    /// When DynamoDB does not answer.
    pub async fn export(&self, arn: &str) -> Result<Option<Exported>> {
        const OP: Op = Op { name: "export", phrase: "ask for an export" };
        self.measured(OP, async {
            let request = self.clients().await.work.describe_export().export_arn(arn);
            let answer = match self.send(OP, request.send()).await? {
                Err(error) if error.code() == Some("ExportNotFoundException") => return Ok(None),
                answer => answer.op(OP)?,
            };
            let Some(found) = answer.export_description else { return Ok(None) };
            let status = match found.export_status {
                Some(SdkStatus::Completed) => ExportStatus::Done,
                Some(SdkStatus::Failed) => ExportStatus::Failed(
                    found.failure_message.or(found.failure_code).unwrap_or_else(|| "no reason given".to_owned()),
                ),
                _ => ExportStatus::Running,
            };
            Ok(Some(Exported {
                arn: arn.to_owned(),
                status,
                rows: found.item_count.map(i64::unsigned_abs),
                bytes: found.billed_size_bytes.map(i64::unsigned_abs),
                bucket: found.s3_bucket.unwrap_or_default(),
                manifest: found.export_manifest,
            }))
        })
        .await
    }
}
