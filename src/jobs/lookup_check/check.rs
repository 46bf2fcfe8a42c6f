//! What the two walks of a check share.

use std::time::Duration;

use super::verdict::Kind;
use crate::jobs::pace::{Halt, Pace};
use crate::jobs::shift::Shift;
use crate::model::{BackendKind, Indexing, Record, Row, Table};
use crate::storage::Store;
use crate::work::{Finding, Findings, Report};

/// How many are looked at again together.
pub(super) const SUSPECTS: usize = 1_000;

/// How long an application may take from a property to its entry before the second look.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A check.
pub(super) struct Check<'a> {
    pub(super) backend: BackendKind,
    pub(super) store: &'a dyn Store,
    pub(super) pace: Pace<'a>,
    /// The run, if it may repair.
    pub(super) repairing: Option<&'a Shift<'a>>,
    /// The properties that are looked up.
    pub(super) indexing: Indexing,
    /// Rows in a page.
    pub(super) limit: u32,
    pub(super) findings: Findings,
}

impl Check<'_> {
    /// Looks at everything. Stale entries first: they may be in the way of those that are missing.
    pub(super) async fn run(mut self, report: &mut Report) -> Result<(), Halt> {
        report.more = true;
        self.entries(report).await?;
        self.properties(report).await?;
        report.more = false;
        report.findings = Some(self.findings);
        Ok(())
    }

    /// Rows by their keys, as they are now.
    pub(super) async fn rows(&self, table: Table, keys: &[Vec<String>]) -> Result<Vec<Option<Record>>, Halt> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.pace.persist(|| self.store.rows_by_key(table, keys)).await?;
        self.pace.has_examined(table, 0, found.read_units).await;
        Ok(found.records)
    }

    /// Adds an entry or a property to the findings.
    pub(super) fn find(&mut self, kind: Kind, record: &Record, other: Option<String>) {
        let name = match &record.meaning {
            Ok(Row::Lookup(entry)) => Some(entry.property_name.clone()),
            Ok(Row::Property(property)) => Some(property.name.clone()),
            _ => None,
        };
        let finding = Finding {
            kind: kind.name().to_owned(),
            table: record.table.name().to_owned(),
            id: record.id().to_owned(),
            other,
            name,
            rows: 1,
            deleted_at: None,
        };
        self.findings.add(kind.name(), finding);
    }
}
