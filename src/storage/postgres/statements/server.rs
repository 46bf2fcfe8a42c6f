//! Statements that ask how a server is set up. They need no privilege beyond those of anybody who may log in, and tell
//! what is hidden from such a role as hidden.

/// The server, and how we are connected to it. Of a pooler's connection it is the pooler who is connected.
pub(in crate::storage::postgres) const SERVER: &str = "/* server */ SELECT current_setting('server_version') AS version, \
         current_setting('server_version_num')::integer AS number, pg_is_in_recovery() AS is_standby, \
         current_user::text AS role, current_database()::text AS database, current_setting('default_transaction_read_only') = 'on' AS is_read_only, \
         (SELECT CASE WHEN ssl THEN version END FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls, \
         CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END \
             AS data_directory, \
         ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND row_security_active(c.oid) ORDER BY 1) AS guarded";

/// Who follows the server. Those that the role may not see have no state.
pub(in crate::storage::postgres) const STANDBYS: &str = "/* server */ SELECT \
         coalesce(nullif(application_name, ''), client_addr::text, 'unnamed') AS name, state, \
         greatest(pg_wal_lsn_diff(CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END, replay_lsn), 0)::bigint \
             AS bytes \
     FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' ORDER BY 1";

/// Who has asked the server to keep its log for them, and how much of it that is.
pub(in crate::storage::postgres) const SLOTS: &str = "/* server */ SELECT slot_name::text AS name, active, \
         coalesce(wal_status, 'reserved') AS status, \
         greatest(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
             ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint AS bytes \
     FROM pg_replication_slots WHERE NOT temporary ORDER BY 1";

/// Whether the log is archived, and how that goes.
pub(in crate::storage::postgres) const ARCHIVING: &str = "/* server */ SELECT current_setting('archive_mode') AS mode, \
         coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing, \
         last_failed_wal AS failed, last_archived_time AS succeeded \
     FROM pg_stat_archiver";

/// In which time zone those live who write the tables `$2` in the schema `$1`, and what says so. We ourselves name our
/// zone in every transaction, and superusers may write everything.
pub(in crate::storage::postgres) const ZONES: &str = "/* server */ WITH writers AS ( \
         SELECT DISTINCT r.oid, r.rolname::text AS name FROM pg_roles r, pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND c.relkind IN ('r', 'p') AND r.rolcanlogin \
             AND (r.oid = c.relowner OR (NOT r.rolsuper AND r.rolname <> current_user \
                 AND has_table_privilege(r.oid, c.oid, 'INSERT')))) \
     SELECT w.name, split_part(s.config, '=', 2) AS zone, s.setrole <> 0 AS of_role, s.setdatabase <> 0 AS of_database \
     FROM writers w LEFT JOIN LATERAL ( \
         SELECT config, setrole, setdatabase FROM pg_db_role_setting, unnest(setconfig) AS config \
         WHERE lower(split_part(config, '=', 1)) = 'timezone' AND setrole IN (0, w.oid) \
             AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
         ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC LIMIT 1) s ON true \
     ORDER BY w.name";

/// The zone of the server's log, which `initdb` makes the same as that of its sessions, and whether the role may read
/// what is in the server's files. A session that names its zone when it begins, as ours do, is not told the server's.
pub(in crate::storage::postgres) const LOG_ZONE: &str = "/* server */ SELECT current_setting('log_timezone') AS zone, \
         has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') \
             AND has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE') AS may_read";

/// The zone in the server's files; that of the server itself if there is none.
pub(in crate::storage::postgres) const FILE_ZONE: &str = "/* server */ SELECT coalesce((SELECT setting \
         FROM pg_file_settings WHERE lower(name) = 'timezone' AND applied ORDER BY seqno DESC LIMIT 1), 'GMT') AS zone";

/// The cluster.
pub(in crate::storage::postgres) const CLUSTER: &str =
    "/* server */ SELECT system_identifier, pg_is_in_recovery() FROM pg_control_system()";
