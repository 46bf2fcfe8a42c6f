//! Whether what was found is still so when its repair begins: a look may have taken hours since.

use super::Plan;
use crate::health::Finding;
use crate::health::postgresql::indexes;
use crate::metrics::Check;
use crate::model::schema as revisions;
use crate::storage::Result;
use crate::storage::postgres::Postgres;

/// Why an index is not to be made, or one that is out of use not to be built anew, any more. Of one that is bloated the
/// gates see whether it is still the same.
///
/// # Errors
///
/// When the server does not answer.
pub(super) async fn look(store: &Postgres, finding: &Finding, plan: &Plan<'_>) -> Result<Option<String>> {
    if !matches!(finding.check, Check::IndexMissing | Check::IndexInvalid) {
        return Ok(None);
    }
    let status = store.schema().await?;
    let catalog = store.catalog().await?;
    let position = status.revisions.first().and_then(|id| revisions::position(id));
    let now = position.map(|position| indexes::compare(&catalog, position)).unwrap_or_default();
    if now.iter().any(|now| (now.check, &now.object) == (finding.check, &finding.object)) {
        return Ok(None);
    }
    let table = plan.table.name();
    let mut beside = catalog.indexes.iter().filter(|index| index.table == table);
    Ok(Some(match beside.any(indexes::is_being_built) {
        true => format!("somebody is building an index of the table {table} right now"),
        false => format!("{} is not what the look has found any more: somebody was faster", finding.object),
    }))
}
