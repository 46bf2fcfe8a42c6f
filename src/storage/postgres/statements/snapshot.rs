//! Statements of a snapshot that several connections share.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::quoted;
use super::{Blocks, in_part, quote_identifier};
use crate::model::Table;
use crate::model::layout::{ColumnType, postgresql_columns};

/// Whether the transaction is still there.
pub(in crate::storage::postgres) const PING: &str = "/* snapshot */ SELECT 1";

/// The application's tables that are there, with their columns.
pub(in crate::storage::postgres) const TABLES: &str = "/* snapshot */ SELECT c.relname::text, \
         array_agg(a.attname::text) AS columns \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p') GROUP BY c.relname";

/// Shows others the snapshot, and tells what it is of. A limit for whole transactions, which newer servers
/// have, would end it; older ones do not know the setting.
pub(in crate::storage::postgres) const EXPORT: &str = "/* snapshot */ SELECT pg_export_snapshot() AS name, \
         statement_timestamp() AS at, current_setting('server_version_num')::int AS number, \
         current_setting('server_version') AS version, system_identifier, \
         pg_database_size(current_database()) AS bytes, current_setting('block_size')::bigint AS block, \
         (SELECT set_config('transaction_timeout', '0', true) FROM pg_settings WHERE name = 'transaction_timeout') \
     FROM pg_control_system()";

/// How large tables are: rows as they were last estimated, none if they never were, and bytes without and with
/// what is kept beside the rows.
pub(in crate::storage::postgres) const SIZES: &str = "/* snapshot */ SELECT c.relname::text, c.reltuples::float8, \
         pg_relation_size(c.oid) AS main, pg_table_size(c.oid) AS whole \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY($2)";

/// Begins the transaction that keeps the snapshot. No transaction but this one, and those that read within it,
/// outlasts a lease: a dump takes as long as it takes, and a server that ended it for being idle would end every
/// large backup. It holds no lock but the weakest, and changes nothing.
///
/// The tables are locked before there is a snapshot: whoever empties one in between (`TRUNCATE`) would leave it
/// empty in the snapshot, too.
pub(in crate::storage::postgres) fn begin(schema: &str, tables: &[Table]) -> SqlStr {
    let names: Vec<String> = tables.iter().map(|table| super::full_name(schema, *table)).collect();
    let lock = match names.as_slice() {
        [] => String::new(),
        names => format!("; LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", ")),
    };
    AssertSqlSafe(format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '60s'; \
         SET LOCAL lock_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = 0{lock}"
    ))
    .into_sql_str()
}

/// Begins a transaction that reads within the snapshot called `name`, with no limit on the server but that of a
/// statement, in milliseconds.
pub(in crate::storage::postgres) fn share(name: &str, statement: u64) -> SqlStr {
    let name = name.replace('\'', "''");
    AssertSqlSafe(format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{name}'; \
         SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = '30s'; \
         SET LOCAL idle_in_transaction_session_timeout = 0; \
         SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'"
    ))
    .into_sql_str()
}

/// Copies rows out as the texts of all columns of the layout, in its order; columns that are not there yet at an
/// older revision are NULL. `blocks` are the first and the one after the last, which none follows if there is none.
///
/// In the binary form, whose fields tell their length: nothing has to be escaped, and nothing to be understood.
pub(in crate::storage::postgres) fn copy_out(schema: &str, table: Table, columns: &[String], blocks: Blocks) -> String {
    let texts = postgresql_columns(table).iter().map(|column| {
        let is_there = columns.iter().any(|name| name == column.name);
        match column.r#type {
            _ if !is_there => "NULL::text".to_owned(),
            // What is text already needs no cast, each of which takes a moment for every row.
            ColumnType::Text => format!("t.{}", quoted(column)),
            _ => format!("t.{}::text", quoted(column)),
        }
    });
    let texts = texts.collect::<Vec<_>>().join(", ");
    let place = in_part(blocks);
    let schema = quote_identifier(schema);
    format!("/* digest */ COPY (SELECT {texts} FROM {schema}.{} AS t{place}) TO STDOUT (FORMAT binary)", table.name())
}

/// Counts the rows of a table.
pub(in crate::storage::postgres) fn count(schema: &str, table: Table) -> SqlStr {
    AssertSqlSafe(format!("/* digest */ SELECT count(*) FROM {}", super::full_name(schema, table))).into_sql_str()
}
