//! Statements that read whole tables and indexes to see how they are.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Blocks, full_name, in_part, quote_identifier};
use crate::model::Table;

/// In which schemas the extensions are that look into indexes, where they are and we may use them.
pub(in crate::storage::postgres) const EXTENSIONS: &str = "/* inspection */ SELECT \
     (SELECT nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace \
      JOIN pg_proc p ON p.pronamespace = n.oid AND proname = 'pgstatindex' AND proargtypes::text = 'regclass'::regtype::oid::text \
      WHERE extname = 'pgstattuple' AND has_function_privilege(p.oid, 'EXECUTE') \
          AND has_schema_privilege(n.oid, 'USAGE')) AS density, \
     (SELECT nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace \
      JOIN pg_proc p ON p.pronamespace = n.oid AND proname = 'bt_index_check' \
          AND proargtypes::text = concat('regclass'::regtype::oid, ' ', 'bool'::regtype::oid) \
      WHERE extname = 'amcheck' AND has_function_privilege(p.oid, 'EXECUTE') \
          AND has_schema_privilege(n.oid, 'USAGE')) AS content";

/// Has the server notice when nobody waits for the answer any more; it can from version 14 on.
pub(in crate::storage::postgres) const NOTICE_OUR_END: &str =
    "SELECT set_config(name, '10s', true) FROM pg_settings WHERE name = 'client_connection_check_interval'";

/// Whether there is an index.
pub(in crate::storage::postgres) const HAS_INDEX: &str =
    "/* inspection */ SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = $1::oid)";

/// How full the pages of an index are. No row when it is gone.
pub(in crate::storage::postgres) fn density(extension: &str) -> SqlStr {
    let extension = quote_identifier(extension);
    AssertSqlSafe(format!(
        "/* density */ SELECT index_size, internal_pages, leaf_pages, avg_leaf_density \
         FROM pg_index i, LATERAL {extension}.pgstatindex(i.indexrelid::regclass) WHERE i.indexrelid = $1::oid AND i.indisvalid"
    ))
    .into_sql_str()
}

/// Holds an index against its table: every row must be found, and every page in order. No row when it is
/// gone.
pub(in crate::storage::postgres) fn content(extension: &str) -> SqlStr {
    let extension = quote_identifier(extension);
    AssertSqlSafe(format!(
        "/* content */ SELECT {extension}.bt_index_check(i.indexrelid::regclass, true) FROM pg_index i \
         WHERE i.indexrelid = $1::oid AND i.indisvalid"
    ))
    .into_sql_str()
}

/// How many rows of a part of a table have keys of more than `$1` bytes, and how long the longest is. An index
/// compresses what is long, like the table does.
pub(in crate::storage::postgres) fn long_keys(schema: &str, table: Table, keys: &[&str], blocks: Blocks) -> SqlStr {
    let length = |key: &&str| format!("coalesce(least(octet_length({key}::text), pg_column_size({key})), 0)");
    let lengths: Vec<String> = keys.iter().map(length).collect();
    let part = in_part(blocks);
    AssertSqlSafe(format!(
        "/* long_keys */ SELECT count(*) FILTER (WHERE bytes > $1), coalesce(max(bytes), 0)::bigint \
         FROM (SELECT ({})::bigint AS bytes FROM {} AS t{part}) AS keys",
        lengths.join(" + "),
        full_name(schema, table)
    ))
    .into_sql_str()
}
