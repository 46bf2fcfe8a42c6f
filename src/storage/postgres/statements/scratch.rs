//! Statements for places to restore into.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use super::quote_identifier;
use crate::model::Table;

/// Makes a database with nothing in it. It cannot be in a transaction.
pub(in crate::storage::postgres) fn create_database(name: &str) -> SqlStr {
    AssertSqlSafe(format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", quote_identifier(name)))
        .into_sql_str()
}

/// Says on a database whose drill it is for.
pub(in crate::storage::postgres) fn mark_database(name: &str, owner: Uuid) -> SqlStr {
    AssertSqlSafe(format!("COMMENT ON DATABASE {} IS '{}'", quote_identifier(name), comment(owner))).into_sql_str()
}

/// What the comment says.
pub(in crate::storage::postgres) fn comment(owner: Uuid) -> String {
    format!("a drill of the deployment {owner}, by actingweb-maintd")
}

/// Removes a database, unless somebody is connected to it or `force` disconnects them. It cannot be in a
/// transaction.
pub(in crate::storage::postgres) fn drop_database(name: &str, force: bool) -> SqlStr {
    let how = if force { " WITH (FORCE)" } else { "" };
    AssertSqlSafe(format!("DROP DATABASE IF EXISTS {}{how}", quote_identifier(name))).into_sql_str()
}

/// Removes the application's tables and Alembic's ledger. What others have built on them is in the way.
pub(in crate::storage::postgres) fn drop_tables(schema: &str) -> SqlStr {
    let schema = quote_identifier(schema);
    let names: Vec<String> = Table::ALL
        .iter()
        .map(|table| table.name())
        .chain(["alembic_version"])
        .map(|name| format!("{schema}.{name}"))
        .collect();
    AssertSqlSafe(format!("DROP TABLE IF EXISTS {}", names.join(", "))).into_sql_str()
}
