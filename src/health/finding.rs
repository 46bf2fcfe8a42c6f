//! What is found, and what would cure it.

use std::collections::BTreeSet;

use crate::metrics::Check;
use crate::model::expected::Index;
use crate::model::{BackendKind, Table};
use crate::work::{Defect, IndexFigures, Severity};

/// Every check of this room, in the order in which findings are shown.
pub const CHECKS: [Check; 29] = [
    Check::TableMissing,
    Check::TableStatus,
    Check::ColumnMissing,
    Check::ColumnDifferent,
    Check::KeyDifferent,
    Check::TableUnlogged,
    Check::Collation,
    Check::TransactionAge,
    Check::IndexMissing,
    Check::IndexDifferent,
    Check::IndexInvalid,
    Check::IndexCorrupt,
    Check::TimeToLive,
    Check::BillingMode,
    Check::ForeignKeyDifferent,
    Check::ColumnExtra,
    Check::IndexExtra,
    Check::IndexDuplicate,
    Check::IndexCovered,
    Check::IndexLeftover,
    Check::IndexBuilding,
    Check::IndexBloat,
    Check::IndexUnused,
    Check::IndexDrift,
    Check::SequentialScans,
    Check::DeadRows,
    Check::KeySize,
    Check::ItemSize,
    Check::TableSettings,
];

/// Whether a check is made on a backend: some only by a deep look, and some not at all.
pub const fn is_made(check: Check, backend: BackendKind, deep: bool) -> bool {
    use Check as C;
    let is_postgresql = matches!(backend, BackendKind::Postgresql);
    match check {
        C::TableMissing | C::KeyDifferent | C::IndexMissing | C::IndexDifferent | C::IndexExtra => true,
        C::KeySize => deep,
        C::IndexCorrupt => deep && is_postgresql,
        C::ItemSize => deep && !is_postgresql,
        C::TableStatus | C::IndexBuilding | C::IndexDrift | C::BillingMode | C::TimeToLive | C::TableSettings => {
            !is_postgresql
        }
        _ => is_postgresql,
    }
}

/// Those whose findings can be repaired, as far as they can.
pub const REPAIRABLE: [Check; 5] =
    [Check::IndexMissing, Check::IndexInvalid, Check::IndexBloat, Check::TimeToLive, Check::BillingMode];

/// How bad a finding of a check is.
pub const fn severity(check: Check) -> Severity {
    match check {
        Check::TableMissing
        | Check::TableStatus
        | Check::ColumnMissing
        | Check::ColumnDifferent
        | Check::KeyDifferent
        | Check::TableUnlogged
        | Check::Collation
        | Check::TransactionAge
        | Check::IndexMissing
        | Check::IndexDifferent
        | Check::IndexInvalid
        | Check::IndexCorrupt => Severity::Critical,
        _ => Severity::Warning,
    }
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examined {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Every index of the application's tables.
    pub indexes: Vec<IndexFigures>,
    /// What is to be known beside that: what could not be looked at and why, and what nobody can tell.
    pub notes: Vec<String>,
    /// The checks that could not be made, wholly or of some tables: that they have found nothing says nothing.
    pub unseen: BTreeSet<Check>,
}

impl Examined {
    /// Notes that something could not be looked at, and why.
    pub fn leave_out(&mut self, checks: impl IntoIterator<Item = Check>, why: impl Into<String>) {
        self.unseen.extend(checks);
        self.notes.push(why.into());
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub check: Check,
    /// The table or index that it is about, by its name in the store; or the database.
    pub object: String,
    /// What is wrong, with what shows it.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// How many rows it is about, where it is about rows.
    pub rows: Option<u64>,
    /// What we could do about it.
    pub cure: Option<Cure>,
}

impl Finding {
    /// A finding that nobody but a person can deal with.
    pub fn new(check: Check, object: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (object, what, remedy) = (object.into(), what.into(), remedy.into());
        Self { check, object, what, remedy, rows: None, cure: None }
    }

    /// The same, and we could do something about it.
    #[must_use]
    pub fn with_cure(self, cure: Cure) -> Self {
        Self { cure: Some(cure), ..self }
    }

    /// As a report has it.
    pub fn defect(self, acknowledged: Option<String>) -> Defect {
        Defect {
            kind: self.check.name().to_owned(),
            severity: severity(self.check),
            rows: self.rows,
            object: Some(self.object),
            what: self.what,
            remedy: self.remedy,
            acknowledged,
        }
    }
}

/// What cures a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cure {
    /// An index of PostgreSQL is made that is missing.
    CreateIndex {
        /// The table.
        table: Table,
        /// The index.
        index: Index,
    },
    /// An index of PostgreSQL is built anew, beside the old one, and then takes its place.
    RebuildIndex {
        /// The table.
        table: Table,
        /// Its name.
        index: String,
        /// As what the server knows it: once somebody has built it anew, it is another.
        oid: i64,
        /// Its bytes now.
        bytes: u64,
        /// The bytes that it is expected to have then, where that was measured.
        expected: Option<u64>,
    },
    /// The global secondary index that a table of DynamoDB must have is made.
    CreateSecondaryIndex {
        /// The table.
        table: Table,
    },
    /// DynamoDB expires attributes.
    EnableTimeToLive,
    /// A table of DynamoDB is paid by request.
    PayPerRequest {
        /// The table.
        table: Table,
    },
}
