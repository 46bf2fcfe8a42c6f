//! Statements on whole tables.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::Builder;
use crate::model::Table;

/// Statements on every table.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Bulk([Whole; Table::ALL.len()]);

/// Statements on one table.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Whole {
    /// A page: whether it goes on from a row, and whether there is an upper bound.
    page: [[SqlStr; 2]; 2],
    /// All rows of an actor.
    pub(in crate::storage::postgres) read_all: SqlStr,
    /// Many rows.
    pub(in crate::storage::postgres) write: SqlStr,
    /// How many rows there are.
    pub(in crate::storage::postgres) count: SqlStr,
}

impl Bulk {
    pub(super) fn new(build: &Builder) -> Self {
        Self(Table::ALL.map(|table| Whole::new(build, table)))
    }

    /// The statements on `table`.
    pub(in crate::storage::postgres) fn of(&self, table: Table) -> &Whole {
        &self.0[table as usize]
    }
}

impl Whole {
    fn new(build: &Builder, table: Table) -> Self {
        let sql = |op: &str, text: String| AssertSqlSafe(format!("/* {op} */ {text}")).into_sql_str();
        let page = |goes_on, ends| sql("scan", build.page(table, goes_on, ends));
        let owner = if table == Table::PropertyLookup { "actor_id" } else { "id" };
        Self {
            page: [[page(false, false), page(false, true)], [page(true, false), page(true, true)]],
            read_all: sql("read_all", build.select(table, &format!("WHERE t.{owner} = $1"))),
            write: sql("write", build.upsert(table)),
            count: sql("count", format!("SELECT count(*) FROM {}", build.name(table))),
        }
    }

    /// A page that goes on from a row or begins at a lower bound, up to an upper bound if it `ends`.
    pub(in crate::storage::postgres) fn page(&self, goes_on: bool, ends: bool) -> SqlStr {
        self.page[usize::from(goes_on)][usize::from(ends)].clone()
    }
}
