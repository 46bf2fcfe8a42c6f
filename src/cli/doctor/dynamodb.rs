//! What DynamoDB is asked beyond what every store is.

use super::backups;
use super::line::{Found, Lines};
use super::store::unanswered;
use super::wanted::Wanted;
use crate::model::BackendKind;
use crate::model::layout::TTL_ATTRIBUTE;
use crate::storage::dynamodb::DynamoDb;
use crate::storage::{NativeExpiry, NativeTtl};

/// Where the backend is.
const HERE: BackendKind = BackendKind::Dynamodb;

pub(super) async fn examine(store: &DynamoDb, wanted: &Wanted<'_>, lines: &mut Lines) {
    let ttl = match store.native_ttl().await {
        Ok(native) => ttl(&native, wanted.job("ttl_cleanup") && wanted.config.jobs.ttl_cleanup.sweep),
        Err(error) => unanswered(&error),
    };
    lines.add(HERE, "ttl", ttl);
    backups::of_dynamodb(wanted, lines).await;
}

/// Whether DynamoDB deletes by itself what has expired, and costs nothing for it.
fn ttl(native: &NativeTtl, is_cleaned: bool) -> Found {
    const SWITCH_ON: &str = "`actingweb-maintd schema apply` switches it on";
    let off = |how: &str| {
        let instead =
            if is_cleaned { "ttl_cleanup has to do it, and pays for it" } else { "nobody deletes what has expired" };
        Found::warning(format!("{how}: {instead}"), SWITCH_ON)
    };
    match native {
        NativeTtl::On(attribute) if attribute == TTL_ATTRIBUTE => {
            Found::ok("DynamoDB deletes by itself what has expired")
        }
        NativeTtl::Starting(attribute) if attribute == TTL_ATTRIBUTE => {
            Found::ok("DynamoDB is about to delete by itself what has expired")
        }
        NativeTtl::On(other) | NativeTtl::Starting(other) => Found::failure(
            format!("DynamoDB expires attributes by `{other}`, and what ActingWeb means is in `{TTL_ATTRIBUTE}`"),
            format!("switch TTL off for `{other}` in the table of attributes, and an hour later on: {SWITCH_ON}"),
        ),
        NativeTtl::Stopping => off("DynamoDB is about to stop deleting what has expired"),
        NativeTtl::Off | NativeTtl::Never => off("DynamoDB does not delete what has expired"),
    }
}
