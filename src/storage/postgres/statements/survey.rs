//! Statements that look at a server before programs work on it.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::quote_identifier;

/// Begins a transaction that takes no time.
pub(in crate::storage::postgres) const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// Whether the server's files can be copied.
pub(in crate::storage::postgres) const REPLICATION: &str = "/* survey */ SELECT \
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS may, \
         current_setting('wal_level') AS wal_level, current_setting('max_wal_senders')::bigint AS senders, \
         current_setting('server_version') AS version, current_setting('server_version_num')::int AS number, \
         (SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database \
          WHERE has_database_privilege(oid, 'CONNECT')) AS bytes, \
         clock_timestamp() AS at, (SELECT system_identifier FROM pg_control_system()) AS system_identifier";

/// Makes a schema.
pub(in crate::storage::postgres) fn make_schema(schema: &str) -> SqlStr {
    AssertSqlSafe(format!("CREATE SCHEMA {}", quote_identifier(schema))).into_sql_str()
}
