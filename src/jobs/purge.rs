//! What follows a purge: the rows are gone, and their room is not free before a vacuum came by.

use std::time::Instant;

use super::Workplace;
use crate::metrics::{Check, Severity};
use crate::model::Table;
use crate::storage::Vacuumed;

/// Vacuums `table` when `deleted` rows are at least `vacuum_after`; 0 for never. Otherwise it says
/// so when nobody else will. What goes wrong is told and counted, and makes no run fail.
pub(super) async fn after_purge(job: &'static str, at: Workplace<'_>, table: Table, deleted: u64, vacuum_after: u64) {
    if deleted == 0 || at.stop.requested().is_some() {
        return;
    }
    if vacuum_after > 0 && deleted >= vacuum_after {
        vacuum(job, at, table).await;
    } else {
        look(job, at, table).await;
    }
}

async fn vacuum(job: &'static str, at: Workplace<'_>, table: Table) {
    let begun = Instant::now();
    let trouble = match at.pressure.vacuum(table, at.stop).await {
        Ok(Vacuumed::Needless) => return,
        Ok(Vacuumed::Done) => {
            tracing::info!(job.name = job, "vacuumed {table} in {:.1?}", begun.elapsed());
            None
        }
        Ok(Vacuumed::Stopped) => Some("the run was asked to stop".to_owned()),
        Ok(Vacuumed::PassedOver) => Some(
            "the server passed it over: somebody has locked it, or the daemon's role may not vacuum it, which takes \
             its owner or, from PostgreSQL 17 on, GRANT MAINTAIN"
                .to_owned(),
        ),
        Err(error) => Some(error.chain()),
    };
    at.metrics.findings(at.backend, Check::Vacuum, Severity::Warning, Some(u64::from(trouble.is_some())));
    if let Some(trouble) = trouble {
        tracing::warn!(job.name = job, "{table} was not vacuumed: {trouble}");
    }
}

async fn look(job: &'static str, at: Workplace<'_>, table: Table) {
    let found = match at.pressure.unvacuumed().await {
        Ok(None) => return,
        Ok(Some(found)) => Some(found),
        Err(error) => {
            tracing::debug!(job.name = job, error = error.chain(), "whether autovacuum comes is not known");
            None
        }
    };
    let count = found.as_ref().map(|found| found.len() as u64);
    at.metrics.findings(at.backend, Check::Autovacuum, Severity::Warning, count);
    if found.is_some_and(|found| found.contains(&table)) {
        tracing::warn!(
            job.name = job,
            "what {job} has deleted of {table} keeps its room, as autovacuum does not come to it: switch it on \
             (autovacuum, track_counts, and the table's autovacuum_enabled), or vacuum the table by other means"
        );
    }
}
