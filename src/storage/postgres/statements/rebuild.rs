//! Statements that make indexes and build them anew, and that look how far they are.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use super::{full_name, quote_identifier};
use crate::model::Table;
use crate::model::expected::Index;

/// What holds for a whole session. The server goes on with what was begun when we are gone, as it is useful work; a
/// connection that nobody uses any more ends, and with it the lock that says that somebody repairs. What is made and what
/// is sorted goes where the gates look for space, and not where others have their role or database put it. Older servers
/// do not know all of these settings.
pub(in crate::storage::postgres) const SETTINGS: &str = "/* repair */ SELECT count(set_config(name, value, false)) \
     FROM pg_settings JOIN (VALUES ('lock_timeout', $1), ('statement_timeout', '0'), ('transaction_timeout', '0'), \
         ('idle_in_transaction_session_timeout', '60s'), ('idle_session_timeout', '300s'), \
         ('client_connection_check_interval', '0'), ('tcp_keepalives_idle', '60'), ('tcp_keepalives_interval', '20'), \
         ('tcp_keepalives_count', '4'), ('default_tablespace', ''), ('temp_tablespaces', '')) AS wanted (name, value) USING (name)";

/// Who we are to the server.
pub(in crate::storage::postgres) const SELF: &str =
    "/* repair */ SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// Whether nobody else repairs indexes of the deployment; from now on we do, until the session ends.
pub(in crate::storage::postgres) const LOCK: &str =
    "/* repair */ SELECT pg_try_advisory_lock(hashtextextended('actingweb-maintd repairs ' || $1, 0))";

/// Others may.
pub(in crate::storage::postgres) const UNLOCK: &str = "/* repair */ SELECT pg_advisory_unlock_all()";

/// A session of others that works at something like a repair of the table `$1`. Autovacuum counts as well.
macro_rules! at_work {
    ($relation:literal, $modes:literal) => {
        concat!(
            "EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = ",
            $relation,
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.granted \
             AND l.mode IN (",
            $modes,
            ") AND l.pid IS DISTINCT FROM $2::integer)"
        )
    };
}

/// The table with the name `$1` as it is now, but for what the session `$2` does.
pub(in crate::storage::postgres) const TABLE: &str = concat!(
    "/* watch_repair */ SELECT c.oid::bigint AS oid, ",
    at_work!("c.oid", "'ShareUpdateExclusiveLock'"),
    " AS is_worked_at FROM pg_class c WHERE c.oid = to_regclass($1::text) AND c.relkind = 'r'"
);

/// The indexes of the table with the name `$1`, but for what the session `$2` does. Whoever builds an index anew holds
/// it; whoever makes one does not, but says so.
pub(in crate::storage::postgres) const INDEXES: &str = concat!(
    "/* watch_repair */ SELECT i.indexrelid::bigint AS oid, c.relname::text AS name, \
         i.indisvalid AND i.indisready AND i.indislive AS is_valid, coalesce(pg_relation_size(c.oid), 0) AS bytes, ",
    at_work!(
        "c.oid",
        "'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'"
    ),
    " OR EXISTS (SELECT FROM pg_stat_progress_create_index p \
         WHERE p.index_relid = c.oid AND p.pid <> $2::integer) AS is_held \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass($1::text) ORDER BY c.relname"
);

/// How far the session `$1` that began at `$2` is with what it does to the table with the OID `$3`: whether it works,
/// which index that was not among `$4` it holds or is said to build, and its phase in pages.
pub(in crate::storage::postgres) const WATCH: &str = "/* watch_repair */ SELECT a.state IS NOT DISTINCT FROM 'active' AS is_working, \
         coalesce(p.phase, '') AS phase, coalesce(p.blocks_total, 0) AS total, coalesce(p.blocks_done, 0) AS done, \
         (SELECT min(i.indexrelid::bigint) FROM pg_index i \
          WHERE i.indrelid = $3::bigint::oid AND i.indexrelid <> ALL($4::bigint[]::oid[]) \
              AND (i.indexrelid = p.index_relid OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid \
                  AND l.locktype = 'relation' AND l.relation = i.indexrelid AND l.granted \
                  AND l.mode = 'ShareUpdateExclusiveLock'))) AS new_index \
     FROM pg_stat_activity a LEFT JOIN pg_stat_progress_create_index p USING (pid) \
     WHERE a.pid = $1 AND a.backend_start = $2";

/// Ends the statement of the session `$1` that began at `$2`, if it is the one of the repair `$3`.
pub(in crate::storage::postgres) const CANCEL: &str = "/* watch_repair */ SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity \
     WHERE pid = $1 AND backend_start = $2 AND state = 'active' AND query LIKE '/* repair ' || $3::text || '%'";

/// Ends the session `$1` that began at `$2`, on which nothing works.
pub(in crate::storage::postgres) const END: &str = "/* watch_repair */ SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
     WHERE pid = $1 AND backend_start = $2 AND state <> 'active'";

/// What stands in the way of a repair of the table with the name `$1`, with the index of the name `$2` that is there
/// or is to be there, while transactions are at most `$3` seconds old.
///
/// What builds beside the application waits for every transaction of the database that has a snapshot, and for those
/// that hold the table; a vacuum has none that counts.
pub(in crate::storage::postgres) const ROOM: &str = "/* watch_repair */ SELECT c.oid::bigint AS table_oid, pg_relation_size(c.oid) AS table_bytes, \
         current_setting('block_size')::bigint AS block, current_setting('server_version_num')::int AS version, \
         pg_has_role(c.relowner, 'usage') AS is_owner, pg_get_userbyid(c.relowner)::text AS owner, \
         c.relnamespace::regnamespace::text AS schema, has_schema_privilege(c.relnamespace, 'create') AS may_create, current_user::text AS role, \
         (SELECT r.oid::bigint FROM pg_class r WHERE r.relnamespace = c.relnamespace AND r.relname = $2) AS taken, \
         ARRAY(SELECT i.indexrelid::bigint FROM pg_index i WHERE i.indrelid = c.oid) AS beside, \
         old.indexrelid::bigint AS index_oid, pg_relation_size(old.indexrelid) AS index_bytes, \
         old.indisvalid AND old.indisready AND old.indislive AS is_valid, \
         CASE WHEN space.spcname <> 'pg_default' THEN pg_tablespace_location(space.oid) \
              WHEN pg_has_role('pg_read_all_settings', 'usage') THEN current_setting('data_directory') END AS directory, \
         extract(epoch FROM pg_postmaster_start_time())::bigint AS started, \
         oldest.pid, oldest.age::bigint AS age, prepared.gid::text, prepared.age::bigint AS prepared_age \
     FROM pg_class c \
     LEFT JOIN (pg_index old JOIN pg_class named ON named.oid = old.indexrelid) \
         ON old.indrelid = c.oid AND named.relname = $2 \
     CROSS JOIN pg_database d \
     LEFT JOIN pg_tablespace space ON space.oid = coalesce(nullif(named.reltablespace, 0), d.dattablespace) \
     LEFT JOIN LATERAL (SELECT a.pid, extract(epoch FROM now() - a.xact_start) AS age FROM pg_stat_activity a \
         WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() \
             AND extract(epoch FROM now() - a.xact_start) > $3::float8 \
             AND (a.backend_xmin IS NOT NULL OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = c.oid)) \
             AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid) \
         ORDER BY a.xact_start LIMIT 1) AS oldest ON true \
     LEFT JOIN LATERAL (SELECT p.gid, extract(epoch FROM now() - p.prepared) AS age FROM pg_prepared_xacts p \
         WHERE p.database = current_database() AND extract(epoch FROM now() - p.prepared) > $3::float8 \
             AND EXISTS (SELECT FROM pg_locks l JOIN pg_locks own USING (virtualtransaction) \
                 WHERE l.relation = c.oid AND l.pid IS NULL AND own.pid IS NULL AND own.transactionid = p.transaction) \
         ORDER BY p.prepared LIMIT 1) AS prepared ON true \
     WHERE c.oid = to_regclass($1::text) AND c.relkind = 'r' AND d.datname = current_database()";

/// Makes an index under a name of its own, without keeping anybody from writing. Keys and condition are the words of
/// the server itself.
pub(in crate::storage::postgres) fn create(schema: &str, table: Table, index: &Index, own: &str, id: Uuid) -> SqlStr {
    let (keys, table, own) = (index.keys.join(", "), full_name(schema, table), quote_identifier(own));
    let condition = index.predicate.map(|predicate| format!(" WHERE {predicate}")).unwrap_or_default();
    AssertSqlSafe(format!(
        "/* repair {id} */ CREATE INDEX CONCURRENTLY {own} ON {table} USING btree ({keys}){condition}"
    ))
    .into_sql_str()
}

/// Builds an index anew beside the old one, which is then replaced.
pub(in crate::storage::postgres) fn rebuild(schema: &str, index: &str, id: Uuid) -> SqlStr {
    let name = index_name(schema, index);
    AssertSqlSafe(format!("/* repair {id} */ REINDEX INDEX CONCURRENTLY {name}")).into_sql_str()
}

/// Gives an index another name.
pub(in crate::storage::postgres) fn rename(schema: &str, from: &str, to: &str, id: Uuid) -> SqlStr {
    let (from, to) = (index_name(schema, from), quote_identifier(to));
    AssertSqlSafe(format!("/* repair {id} */ ALTER INDEX {from} RENAME TO {to}")).into_sql_str()
}

/// Removes an index without keeping anybody from writing.
pub(in crate::storage::postgres) fn drop(schema: &str, index: &str, id: Uuid) -> SqlStr {
    let name = index_name(schema, index);
    AssertSqlSafe(format!("/* repair {id} */ DROP INDEX CONCURRENTLY IF EXISTS {name}")).into_sql_str()
}

fn index_name(schema: &str, index: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::expected::indexes;

    #[test]
    fn indexes_are_made_of_the_servers_own_words() {
        let made: Vec<String> = indexes(Table::Attributes, 7)
            .iter()
            .map(|index| create("a\"b", Table::Attributes, index, "own", Uuid::nil()).as_str().to_owned())
            .collect();
        let begin = "/* repair 00000000-0000-0000-0000-000000000000 */ CREATE INDEX CONCURRENTLY \"own\" \
                     ON \"a\"\"b\".attributes USING btree";
        assert_eq!(
            made,
            [
                format!("{begin} (ttl_timestamp) WHERE ttl_timestamp IS NOT NULL"),
                format!("{begin} ((data ->> 'chain_id'::text)) WHERE (data ->> 'chain_id'::text) IS NOT NULL"),
            ]
        );
    }
}
