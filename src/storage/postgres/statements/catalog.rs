//! What the server's catalogue and statistics say of the application's tables, `$2`, in the schema `$1`. Each row
//! comes as one document. No page of a table or an index is read for any of them. Of what somebody drops at this very
//! moment the server knows no size and no definition any more: it is left out, as it is a moment later.

/// The database as a whole. Whoever is sent changes of rows is no replica: it reads its own tables and indexes. Nor is
/// who only receives the log, as for an archive: he replays nothing, and so says of nothing that he has. Who has said
/// nothing at all yet, or may not be seen by our role, may be one, and counts.
pub(in crate::storage::postgres) const DATABASE: &str = "/* catalog */ SELECT to_jsonb(found)::text FROM ( \
     SELECT datname::text AS name, current_setting('server_version_num')::int AS version, \
         pg_is_in_recovery() AS is_standby, \
         age(datfrozenxid) AS transaction_age, mxid_age(datminmxid) AS multixact_age, \
         current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age, \
         current_setting('autovacuum_multixact_freeze_max_age')::bigint AS multixact_freeze_max_age, \
         current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS autovacuum, \
         current_setting('autovacuum_vacuum_threshold')::float8 AS vacuum_threshold, \
         current_setting('autovacuum_vacuum_scale_factor')::float8 AS vacuum_scale_factor, \
         current_setting('block_size')::int AS block, \
         extract(epoch FROM current_setting('autovacuum_naptime')::interval)::float8 AS naptime, \
         (SELECT stats_reset FROM pg_stat_database WHERE datid = d.oid) AS statistics_since, \
         (SELECT count(*) FROM pg_stat_replication r WHERE r.state IS DISTINCT FROM 'backup' \
             AND (r.replay_lsn IS NOT NULL OR r.write_lsn IS NULL) \
             AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid \
                 AND s.slot_type = 'logical')) AS replicas, \
         to_jsonb(d) ->> 'datcollversion' AS collation_version \
     FROM pg_database d WHERE datname = current_database()) AS found";

/// What the operating system's rules for texts are now, from version 15 on.
pub(in crate::storage::postgres) const COLLATION_NOW: &str = "/* catalog */ \
     SELECT pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()";

/// The tables.
pub(in crate::storage::postgres) const TABLES: &str = "/* catalog */ SELECT to_jsonb(found)::text FROM ( \
     SELECT c.relname::text AS name, c.relkind = 'p' AS is_partitioned, c.relpersistence = 'u' AS is_unlogged, \
         greatest(c.reltuples, 0)::bigint AS rows, \
         pg_relation_size(c.oid) AS bytes, \
         CASE WHEN c.relfrozenxid::text <> '0' THEN age(c.relfrozenxid) END AS transaction_age, \
         CASE WHEN c.relminmxid::text <> '0' THEN mxid_age(c.relminmxid) END AS multixact_age, \
         coalesce(s.n_live_tup, 0) AS live, coalesce(s.n_dead_tup, 0) AS dead, \
         EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.relid = c.oid) AS is_vacuumed, \
         coalesce(s.seq_scan, 0) AS sequential_scans, coalesce(s.seq_tup_read, 0) AS sequential_rows, \
         coalesce(s.idx_scan, 0) AS index_scans, \
         (SELECT option_value::boolean FROM pg_options_to_table(c.reloptions) \
          WHERE option_name = 'autovacuum_enabled') AS autovacuum, \
         (SELECT option_value::float8 FROM pg_options_to_table(c.reloptions) \
          WHERE option_name = 'autovacuum_vacuum_threshold') AS vacuum_threshold, \
         (SELECT option_value::float8 FROM pg_options_to_table(c.reloptions) \
          WHERE option_name = 'autovacuum_vacuum_scale_factor') AS vacuum_scale_factor \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid \
     WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p')) AS found WHERE bytes IS NOT NULL";

/// Their columns. Which rules a text is compared by is only told where they are not the database's own.
pub(in crate::storage::postgres) const COLUMNS: &str = "/* catalog */ SELECT to_jsonb(found)::text FROM ( \
     SELECT c.relname::text AS \"table\", a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, \
         a.attnotnull AS not_null, a.atthasdef OR a.attidentity <> '' AS has_default, \
         CASE WHEN k.collname <> 'default' THEN k.collname::text END AS collation, \
         k.collisdeterministic AS is_deterministic, k.collversion AS collation_version, \
         pg_collation_actual_version(nullif(k.oid, 'pg_catalog.\"default\"'::regcollation)) AS collation_version_now \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_collation k ON k.oid = a.attcollation \
     WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
     ORDER BY c.relname, a.attnum) AS found";

/// Their foreign keys.
pub(in crate::storage::postgres) const FOREIGN_KEYS: &str = "/* catalog */ SELECT to_jsonb(found)::text FROM ( \
     SELECT c.relname::text AS \"table\", k.conname::text AS name, t.relname::text AS \"to\", \
         t.relnamespace = c.relnamespace AS is_here, \
         ARRAY(SELECT attname::text FROM unnest(k.conkey) AS number JOIN pg_attribute \
               ON attrelid = k.conrelid AND attnum = number) AS columns, \
         k.confdeltype = 'c' AS cascades, k.condeferrable AND k.condeferred AS is_deferred, \
         k.convalidated AS is_validated, pg_get_constraintdef(k.oid) AS definition \
     FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_class t ON t.oid = k.confrelid \
     WHERE n.nspname = $1 AND c.relname = ANY($2) AND k.contype = 'f' AND k.conparentid = 0) AS found \
     WHERE definition IS NOT NULL";

/// Their indexes. One that cannot be used may be one that somebody is building: whoever does holds a lock on its
/// table for as long, which everybody can see; whoever waits for a row holds one on that row, by which nothing is
/// built. `VACUUM` and `ANALYZE` hold the same one, and build nothing. Before
/// version 14 one that was never counted has 0 entries, like one that is empty.
pub(in crate::storage::postgres) const INDEXES: &str = "/* catalog */ SELECT to_jsonb(found)::text FROM ( \
     SELECT i.indexrelid::bigint AS oid, c.relname::text AS \"table\", x.relname::text AS name, m.amname::text AS method, \
         ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts) AS n) AS keys, \
         i.indnatts > i.indnkeyatts AS has_more, pg_get_expr(i.indpred, i.indrelid, true) AS predicate, \
         i.indisprimary AS is_primary, i.indisunique AS is_unique, i.indisreplident AS is_replica_identity, \
         EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x')) AS is_constraint, \
         i.indisvalid AND i.indisready AND i.indislive AS is_valid, x.relkind = 'I' AS is_partitioned, \
         NOT EXISTS (SELECT FROM unnest(i.indoption) AS o WHERE o <> 0) \
             AND NOT EXISTS (SELECT FROM unnest(i.indclass) AS o JOIN pg_opclass ON pg_opclass.oid = o WHERE NOT opcdefault) \
             AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY AS k(number, rules, n) \
                 JOIN pg_attribute e ON e.attrelid = i.indexrelid AND e.attnum = n JOIN pg_type t ON t.oid = e.atttypid \
                 LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = number AND number <> 0 \
                 WHERE rules <> coalesce(a.attcollation, t.typcollation)) AS is_plain, \
         EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock') \
             AND l.pid IS DISTINCT FROM pg_backend_pid() \
             AND NOT EXISTS (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = l.pid) \
             AND NOT EXISTS (SELECT FROM pg_stat_progress_analyze v WHERE v.pid = l.pid)) AS may_be_built, \
         pg_relation_size(i.indexrelid) AS bytes, greatest(x.reltuples, 0)::bigint AS rows, greatest(x.relpages, 0) AS pages, \
         x.reltuples > 0 OR (x.reltuples = 0 AND current_setting('server_version_num')::int >= 140000) AS is_counted, \
         (SELECT option_value::int FROM pg_options_to_table(x.reloptions) WHERE option_name = 'fillfactor') AS fill_factor, \
         (SELECT option_value::boolean FROM pg_options_to_table(x.reloptions) \
          WHERE option_name = 'deduplicate_items') AS deduplicates, \
         coalesce(s.idx_scan, 0) AS scans \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid \
     JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = x.relam \
     LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid \
     WHERE n.nspname = $1 AND c.relname = ANY($2)) AS found WHERE bytes IS NOT NULL AND array_position(keys, NULL) IS NULL";

/// What is known of the values that the indexes are by, as `ANALYZE` last saw them. Of the values themselves only
/// their lengths leave the server.
pub(in crate::storage::postgres) const KEYS: &str = "/* catalog */ SELECT to_jsonb(found)::text FROM ( \
     SELECT i.indexrelid::bigint AS oid, t.attname IS NULL AS is_expression, \
         CASE WHEN a.attlen > 0 THEN a.attlen END AS fixed, \
         s.null_frac AS nulls, s.avg_width AS width, s.n_distinct AS distinct_values, \
         s.most_common_freqs::float8[] AS common, \
         CASE WHEN a.attlen < 0 THEN ARRAY(SELECT octet_length(v) FROM unnest(s.most_common_vals::text::text[]) \
             WITH ORDINALITY AS u(v, n) ORDER BY n) END AS common_lengths, \
         CASE WHEN a.attlen < 0 THEN ARRAY(SELECT octet_length(v) FROM unnest(s.histogram_bounds::text::text[]) AS v) \
             END AS lengths \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid \
     JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum BETWEEN 1 AND i.indnkeyatts \
     LEFT JOIN pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = i.indkey[a.attnum - 1] \
         AND i.indkey[a.attnum - 1] <> 0 \
     LEFT JOIN pg_stats s ON s.schemaname = $1 AND NOT s.inherited \
         AND s.tablename = CASE WHEN t.attname IS NULL THEN x.relname ELSE c.relname END \
         AND s.attname = coalesce(t.attname, a.attname) \
     WHERE n.nspname = $1 AND c.relname = ANY($2) ORDER BY i.indexrelid, a.attnum) AS found";

/// Who answers: whether it is a replica, of which cluster, and since when this server runs, which no two do alike.
pub(in crate::storage::postgres) const WHO: &str = "/* usage */ SELECT pg_is_in_recovery() AS is_standby, \
     system_identifier, pg_postmaster_start_time() AS started FROM pg_control_system()";

/// How often each index was used on this server.
pub(in crate::storage::postgres) const USAGE: &str = "/* usage */ SELECT to_jsonb(found)::text FROM ( \
     SELECT indexrelname::text AS name, idx_scan AS scans FROM pg_stat_all_indexes \
     WHERE schemaname = $1 AND relname = ANY($2)) AS found";
