//! Statements that checks make.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::Builder;
use super::quote_identifier;
use crate::model::Table;
use crate::model::layout::postgresql_key;

/// Statements on every table.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Audit {
    tables: [Audited; Table::ALL.len()],
    /// Makes the look-up entry of a property with this value: whether there is the actor, whether there
    /// is such a property that nobody has locked, and whether the entry was made.
    pub(in crate::storage::postgres) add_entry: SqlStr,
}

/// Statements on one table.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Audited {
    /// The rows with these keys, which go in as an array for each of their columns.
    pub(in crate::storage::postgres) by_key: SqlStr,
    /// The rows of an actor that does not exist.
    pub(in crate::storage::postgres) orphans: SqlStr,
}

impl Audit {
    pub(super) fn new(build: &Builder) -> Self {
        let add_entry = format!(
            "/* add_entries */ WITH actor AS (SELECT a.id FROM {actors} AS a WHERE a.id = $1 FOR KEY SHARE SKIP LOCKED), \
             property AS (SELECT p.id FROM {properties} AS p WHERE p.id = $1 AND p.name = $2 AND p.value = $3 \
                 FOR UPDATE SKIP LOCKED), \
             made AS (INSERT INTO {lookup} (property_name, value, actor_id) \
                 SELECT $2, $3, property.id FROM property JOIN actor ON actor.id = property.id \
                 ON CONFLICT DO NOTHING RETURNING 1) \
             SELECT EXISTS (SELECT FROM actor), EXISTS (SELECT FROM property), EXISTS (SELECT FROM made)",
            actors = build.name(Table::Actors),
            properties = build.name(Table::Properties),
            lookup = build.name(Table::PropertyLookup)
        );
        let add_entry = AssertSqlSafe(add_entry).into_sql_str();
        Self { tables: Table::ALL.map(|table| Audited::new(build, table)), add_entry }
    }

    /// The statements on `table`.
    pub(in crate::storage::postgres) fn of(&self, table: Table) -> &Audited {
        &self.tables[table as usize]
    }
}

impl Audited {
    fn new(build: &Builder, table: Table) -> Self {
        let sql = |op: &str, text: String| AssertSqlSafe(format!("/* {op} */ {text}")).into_sql_str();
        let columns: Vec<String> = postgresql_key(table).iter().map(|column| quote_identifier(column)).collect();
        let arrays: Vec<String> = (1..=columns.len()).map(|number| format!("${number}::text[]")).collect();
        let same: Vec<String> = columns.iter().map(|column| format!("t.{column} = k.{column}")).collect();
        let keys = format!("unnest({}) AS k ({})", arrays.join(", "), columns.join(", "));
        let owner = if table == Table::PropertyLookup { "actor_id" } else { "id" };
        let actors = build.name(Table::Actors);
        Self {
            by_key: sql("rows_by_key", build.select(table, &format!("JOIN {keys} ON {}", same.join(" AND ")))),
            // One statement has one snapshot.
            orphans: sql(
                "orphans",
                build.select(
                    table,
                    &format!("WHERE t.{owner} = $1 AND NOT EXISTS (SELECT FROM {actors} AS a WHERE a.id = $1)"),
                ),
            ),
        }
    }
}
