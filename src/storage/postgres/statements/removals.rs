//! Statements that delete single rows as they were read.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::Builder;
use super::quote_identifier;
use crate::model::Table;
use crate::model::layout::postgresql_key;

/// Statements on every table.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Removals {
    tables: [Single; Table::ALL.len()],
    /// Which of these properties have these values, by their place; locked.
    pub(in crate::storage::postgres) property: SqlStr,
}

/// Statements on one table. Keys go in as an array for each of their columns.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Single {
    /// Locks the rows with these keys that nobody else has locked: their columns and where they are.
    pub(in crate::storage::postgres) lock: SqlStr,
    /// Deletes the rows that are at these places, which have been locked.
    pub(in crate::storage::postgres) delete: SqlStr,
    /// Which of these keys have rows, by their place.
    pub(in crate::storage::postgres) present: SqlStr,
}

impl Removals {
    pub(super) fn new(build: &Builder) -> Self {
        let properties = build.name(Table::Properties);
        let property = format!(
            "/* remove */ SELECT k.ordinal FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY \
                 AS k (id, name, value, ordinal) \
             JOIN {properties} AS t ON t.id = k.id AND t.name = k.name AND t.value = k.value \
             FOR SHARE OF t SKIP LOCKED"
        );
        let property = AssertSqlSafe(property).into_sql_str();
        Self { tables: Table::ALL.map(|table| Single::new(build, table)), property }
    }

    /// The statements on `table`.
    pub(in crate::storage::postgres) fn of(&self, table: Table) -> &Single {
        &self.tables[table as usize]
    }
}

impl Single {
    fn new(build: &Builder, table: Table) -> Self {
        let sql = |text: String| AssertSqlSafe(format!("/* remove */ {text}")).into_sql_str();
        let (name, key) = (build.name(table), postgresql_key(table));
        let columns: Vec<String> = key.iter().map(|column| quote_identifier(column)).collect();
        let arrays: Vec<String> = (1..=key.len()).map(|number| format!("${number}::text[]")).collect();
        let (columns_of_keys, arrays) = (columns.join(", "), arrays.join(", "));
        let same: Vec<String> = columns.iter().map(|column| format!("t.{column} = k.{column}")).collect();
        let same = same.join(" AND ");
        Self {
            lock: sql(build.select_with(
                table,
                "t.ctid::text",
                &format!("JOIN unnest({arrays}) AS k ({columns_of_keys}) ON {same} FOR UPDATE OF t SKIP LOCKED"),
            )),
            delete: sql(format!("DELETE FROM {name} WHERE ctid = ANY($1::text[]::tid[])")),
            present: sql(format!(
                "SELECT k.ordinal FROM unnest({arrays}) WITH ORDINALITY AS k ({columns_of_keys}, ordinal) \
                 WHERE EXISTS (SELECT FROM {name} AS t WHERE {same})"
            )),
        }
    }
}
