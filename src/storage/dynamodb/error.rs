//! What the errors of the SDK mean.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

use super::Op;
use crate::model::BackendKind;
use crate::storage::{Error, ErrorKind};

/// What to do about a table that is not there.
const MISSING_TABLE: &str = ": run `actingweb-maintd schema apply`, or check storage.dynamodb.table_prefix \
                             (AWS_DB_PREFIX) and .region";

/// What to do about an expiry that was switched on and off just now.
const SWITCHED: &str = ": DynamoDB lets it be changed once an hour";

/// Attaches to an error of the SDK what was tried and what the failure means.
pub(super) trait Context<T> {
    /// Names the operation that failed.
    fn op(self, op: Op) -> Result<T, Error>;
}

impl<T, E> Context<T> for Result<T, SdkError<E>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    SdkError<E>: RequestId,
{
    fn op(self, op: Op) -> Result<T, Error> {
        self.map_err(|error| {
            let kind = kind(&error);
            refused(op, kind, reason(&error))
        })
    }
}

/// An error that is ours, not the SDK's.
pub(super) fn refused(op: Op, kind: ErrorKind, why: impl Into<String>) -> Error {
    Error { backend: BackendKind::Dynamodb, op: op.phrase, kind, source: why.into().into() }
}

/// Whether a conditional write was refused because its condition does not hold.
pub(super) fn is_condition_failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}

/// Whether a request was turned away for want of capacity, so that it has done nothing.
pub(super) fn is_throttled<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    kind(error) == ErrorKind::Throttled
}

/// Whether a table is not there.
pub(super) fn is_missing_table<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ResourceNotFoundException")
}

/// Whether the table that was queried has no such index. The code is that of any invalid request, so
/// only the words tell, which emulators choose for themselves.
pub(super) fn is_missing_index<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("ValidationException")
        && error.message().is_some_and(|message| message.to_ascii_lowercase().contains("index"))
}

/// Why each part of a transaction was refused, in the order of its parts, `None` for those that were
/// not; empty for any other error.
pub(super) fn cancellation<R>(error: &SdkError<TransactWriteItemsError, R>) -> Vec<String> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return Vec::new();
    };
    let reasons = cancelled.cancellation_reasons().iter();
    reasons.map(|reason| reason.code().unwrap_or("None").to_owned()).collect()
}

/// What the SDK's error says, with the request's number for whoever asks AWS.
fn reason<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    SdkError<E>: RequestId,
{
    let Some(code) = error.code() else {
        return match error {
            SdkError::TimeoutError(_) => "no answer in time".to_owned(),
            SdkError::DispatchFailure(failure) => failure
                .as_connector_error()
                .map_or_else(|| "the request could not be sent".to_owned(), |error| innermost(error).to_string()),
            // What it says is anybody's.
            SdkError::ServiceError(answer) => {
                format!("an answer with the status {} that is none of DynamoDB's", answer.raw().status())
            }
            other => innermost(other).to_string(),
        };
    };
    let message = error.message().unwrap_or("no reason given");
    let remedy = match error.code() {
        _ if is_missing_table(error) => MISSING_TABLE,
        Some("ValidationException") if is_too_often(message) => SWITCHED,
        _ => "",
    };
    match error.request_id() {
        Some(id) => format!("{message} ({code}, request {id}){remedy}"),
        None => format!("{message} ({code}){remedy}"),
    }
}

/// Whether a connection broke in the middle of a request or an answer, or whoever is there does not
/// speak HTTP. The SDK has no word of its own for that.
fn is_of_http(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<hyper::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The last of the errors that caused each other, which is the one that says something.
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// The meaning of the SDK's error. The codes are those of DynamoDB's API reference.
fn kind<E, R>(error: &SdkError<E, R>) -> ErrorKind
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match (error, error.code()) {
        (SdkError::TimeoutError(_), _) => ErrorKind::Timeout,
        (SdkError::DispatchFailure(failure), _) if failure.is_timeout() => ErrorKind::Timeout,
        (SdkError::DispatchFailure(failure), _) if !failure.is_other() || is_of_http(error) => ErrorKind::Unavailable,
        // Nobody to ask as: no key was found.
        (SdkError::DispatchFailure(_), _) => ErrorKind::Denied,
        (SdkError::ResponseError(_), _) => ErrorKind::Unavailable,
        (SdkError::ServiceError(_), Some(code)) => match code {
            "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => {
                ErrorKind::Throttled
            }
            "TransactionConflictException"
            | "TransactionInProgressException"
            | "TransactionCanceledException"
            | "ReplicatedWriteConflictException" => ErrorKind::Conflict,
            "ResourceNotFoundException" | "TableNotFoundException" => ErrorKind::Schema,
            // Tables and backups have their own limits of how many are made at the same time.
            "LimitExceededException" => ErrorKind::Throttled,
            "ResourceInUseException"
            | "TableInUseException"
            | "BackupInUseException"
            | "ContinuousBackupsUnavailableException" => ErrorKind::Unavailable,
            "ItemCollectionSizeLimitExceededException" => ErrorKind::Limit,
            // How often a setting may be changed is limited as well, in the words of any invalid request.
            "ValidationException" if error.message().is_some_and(is_too_often) => ErrorKind::Throttled,
            // An item can also become too large by what is added to it, and a table may have an
            // index that is not expected: only the server knows.
            "ValidationException" if error.message().is_some_and(is_limit) => ErrorKind::Limit,
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException"
            | "ExpiredTokenException" => ErrorKind::Denied,
            "InternalServerError"
            | "InternalServerErrorException"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        },
        // An answer that is none of the protocol's: a proxy's page, perhaps.
        (SdkError::ServiceError(_), None) => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

/// Whether an invalid request was refused because the same was changed a moment ago.
fn is_too_often(message: &str) -> bool {
    message.contains("multiple times within a fixed interval")
}

/// Whether an invalid request was refused for what it wanted to store.
fn is_limit(message: &str) -> bool {
    ["has exceeded the maximum", "secondary index key"].iter().any(|part| message.contains(part))
}
