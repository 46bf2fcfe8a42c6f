//! What DynamoDB itself deletes of expired attributes.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::TimeToLiveStatus;

use super::own::Item;
use super::{DynamoDb, Op};
use crate::model::layout::TTL_ATTRIBUTE;
use crate::storage::{Ends, NativeExpiry, NativeTtl, Result};

#[async_trait]
impl NativeExpiry for DynamoDb {
    async fn native_ttl(&self) -> Result<NativeTtl> {
        const OP: Op = Op { name: "native_ttl", phrase: "ask whether DynamoDB expires attributes" };
        self.measured(OP, async {
            let Some(description) = self.time_to_live(OP).await? else { return Ok(NativeTtl::Off) };
            let attribute = description.attribute_name.unwrap_or_default();
            Ok(match description.time_to_live_status {
                Some(TimeToLiveStatus::Enabled) => NativeTtl::On(attribute),
                Some(TimeToLiveStatus::Enabling) => NativeTtl::Starting(attribute),
                Some(TimeToLiveStatus::Disabling) => NativeTtl::Stopping,
                _ => NativeTtl::Off,
            })
        })
        .await
    }

    async fn enable_native_ttl(&self) -> Result<bool> {
        const OP: Op = Op { name: "enable_native_ttl", phrase: "have DynamoDB expire attributes" };
        self.measured(OP, self.expire_attributes(OP)).await
    }
}

/// What the rows of a page show of their TTLs, that have passed before `cutoff` or are odd.
pub(super) fn ends(items: &[Item], cutoff: i64, examined: u64) -> Ends {
    let mut ends = Ends { examined, ..Ends::default() };
    for ttl in items.iter().filter_map(|item| item.get(TTL_ATTRIBUTE)) {
        match ttl.as_n().ok().and_then(|digits| digits.parse::<f64>().ok()).map(|ttl| ttl as i64) {
            None => ends.not_numbers += 1,
            Some(ttl) if ttl >= Ends::NOT_SECONDS => ends.not_seconds += 1,
            Some(ttl) if ttl < cutoff.saturating_sub(Ends::TOO_OLD) => ends.too_old += 1,
            Some(ttl) if ttl < cutoff => ends.oldest = ends.oldest.into_iter().chain([ttl]).min(),
            Some(_) => {}
        }
    }
    ends
}
