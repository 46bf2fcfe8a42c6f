-- The role of actingweb-maintd on PostgreSQL: what it needs for its work, and nothing else.
--
-- `actingweb-maintd doctor --role-sql` prints this script, which follows from what the daemon does, and
-- `actingweb-maintd doctor` says what its role lacks for what is configured.
--
--   psql -d actingweb -v diff_prune=on -v backup=on -f role.sql
--
-- Run it as a superuser, or as somebody who may create roles, hand over pg_monitor and is a member of whoever owns the
-- tables, in the database of the application and after its tables were made. It can be run again: it adds what is
-- missing, is done wholly or not at all, and takes nothing away, but for the schema maintd, which becomes this role's:
-- deployments that share a database share the role. It sets no password: `\password maintd` in psql does that, and
-- `password_file` below [storage.postgresql], or ~/.pgpass, hands it to the daemon.
--
-- Variables, each given with -v:
--   role      the role's name; maintd if it is not given
--   schema    the schema of the application's tables; public if it is not given
--   owner     whoever owns them; the owner of the table attributes if it is not given
--   monitoring        on for seeing how replicas, the archive and vacuums are; on if it is not given
--   diff_prune        on for the job diff_prune
--   orphan_scan       on for the job orphan_scan
--   orphan_delete     on for the command orphan delete
--   lookup_check      on for the job lookup_check
--   lookup_repair     on for lookup_check with repair
--   backup            on for a backup by pg_dump
--   physical_backup   on for a backup by pg_basebackup
--   drill_database    on for a drill in a database on this server
--   vacuum            on for vacuum_after
--   index_repair      on for a repair of indexes
--   index_bloat       on for estimating how bloated indexes are; on if it is not given
--   amcheck           on for looking for corruption in indexes

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
\if :{?role} \else \set role maintd \endif
\if :{?schema} \else \set schema public \endif
\if :{?monitoring} \else \set monitoring on \endif
\if :{?diff_prune} \else \set diff_prune off \endif
\if :{?orphan_scan} \else \set orphan_scan off \endif
\if :{?orphan_delete} \else \set orphan_delete off \endif
\if :{?lookup_check} \else \set lookup_check off \endif
\if :{?lookup_repair} \else \set lookup_repair off \endif
\if :{?backup} \else \set backup off \endif
\if :{?physical_backup} \else \set physical_backup off \endif
\if :{?drill_database} \else \set drill_database off \endif
\if :{?vacuum} \else \set vacuum off \endif
\if :{?index_repair} \else \set index_repair off \endif
\if :{?index_bloat} \else \set index_bloat on \endif
\if :{?amcheck} \else \set amcheck off \endif
\if :{?owner} \else
SELECT pg_get_userbyid(relowner) AS owner FROM pg_class
WHERE oid = to_regclass(format('%I.attributes', :'schema')) \gset
\endif

BEGIN;

-- The role, which can log in and is nothing special. What it owns in the schema maintd is its own state.
SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role') \gexec
-- Whoever is no superuser can hand over only what they could take back.
SELECT format('GRANT %I TO %I', :'role', current_user)
WHERE NOT pg_has_role(:'role', CASE WHEN current_setting('server_version_num')::integer >= 160000
    THEN 'SET' ELSE 'MEMBER' END) \gexec

-- The daemon's own state is in the schema maintd, which belongs to the role. Of the application's
-- tables, ttl_cleanup and token_cleanup need one. UPDATE is for SELECT ... FOR UPDATE SKIP LOCKED:
-- no row of the application is ever changed.
CREATE SCHEMA IF NOT EXISTS maintd;
ALTER SCHEMA maintd OWNER TO :"role";
SELECT format('ALTER TABLE maintd.%I OWNER TO %I', relname, :'role') FROM pg_class
WHERE relnamespace = 'maintd'::regnamespace AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) <> :'role' \gexec
GRANT USAGE ON SCHEMA :"schema" TO :"role";
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('alembic_version', 'SELECT'),
    ('attributes', 'SELECT, UPDATE, DELETE')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec

-- Without pg_monitor a role is not shown how far replicas are (pg_stat_replication), what others do
-- and for how long (pg_stat_activity, pg_stat_progress_vacuum), which files wait for the archive
-- (pg_ls_archive_statusdir), and where the server's files are (data_directory). The daemon works
-- without, and cannot go slower for the sake of what it does not see.
\if :monitoring
GRANT pg_monitor TO :"role";
\endif

-- diff_prune thins out changes that subscribers have fetched.
\if :diff_prune
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('subscription_diffs', 'SELECT, DELETE'),
    ('subscriptions', 'SELECT')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- orphan_scan reads every table, and changes none.
\if :orphan_scan
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('actors', 'SELECT'),
    ('properties', 'SELECT'),
    ('property_lookup', 'SELECT'),
    ('trusts', 'SELECT'),
    ('peertrustees', 'SELECT'),
    ('subscriptions', 'SELECT'),
    ('subscription_diffs', 'SELECT'),
    ('subscription_suspensions', 'SELECT')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- The command orphan delete: UPDATE is for locking the rows first.
\if :orphan_delete
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('actors', 'SELECT'),
    ('property_lookup', 'SELECT'),
    ('properties', 'SELECT, UPDATE, DELETE'),
    ('trusts', 'SELECT, UPDATE, DELETE'),
    ('peertrustees', 'SELECT, UPDATE, DELETE'),
    ('subscriptions', 'SELECT, UPDATE, DELETE'),
    ('subscription_diffs', 'SELECT, UPDATE, DELETE'),
    ('subscription_suspensions', 'SELECT, UPDATE, DELETE')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- lookup_check compares the look-up table with what it is made from.
\if :lookup_check
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('actors', 'SELECT'),
    ('properties', 'SELECT'),
    ('property_lookup', 'SELECT')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- lookup_check with repair, and the command lookup check --repair. UPDATE is for locking: the rows
-- of properties and actors that an entry comes from must not change meanwhile.
\if :lookup_repair
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('actors', 'SELECT, UPDATE'),
    ('properties', 'SELECT, UPDATE'),
    ('property_lookup', 'SELECT, INSERT, UPDATE, DELETE')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- pg_dump reads the whole schema, whatever lies in it, and what the application adds later.
\if :backup
GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
GRANT SELECT ON ALL SEQUENCES IN SCHEMA :"schema" TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON TABLES TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA :"schema" GRANT SELECT ON SEQUENCES TO :"role";
\endif

-- pg_basebackup copies the files of all databases. pg_hba.conf needs a line for `replication` too.
\if :physical_backup
ALTER ROLE :"role" REPLICATION;
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('actors', 'SELECT'),
    ('properties', 'SELECT'),
    ('property_lookup', 'SELECT'),
    ('trusts', 'SELECT'),
    ('peertrustees', 'SELECT'),
    ('subscriptions', 'SELECT'),
    ('subscription_diffs', 'SELECT'),
    ('subscription_suspensions', 'SELECT')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- A drill makes a database and drops it. Only where backup.drill uses a database on this server:
-- with a cluster of its own it needs nothing here.
\if :drill_database
ALTER ROLE :"role" CREATEDB;
\endif

-- vacuum_after of ttl_cleanup. Before PostgreSQL 17 only whoever owns a table may vacuum it, so the
-- role becomes a member of the owner, and may do with the tables what the owner may.
\if :vacuum
SELECT CASE WHEN current_setting('server_version_num')::integer >= 170000
    THEN format('GRANT MAINTAIN ON %I.attributes TO %I', :'schema', :'role')
    ELSE format('GRANT %I TO %I', :'owner', :'role') END \gexec
\endif

-- index check --repair, and the repairs of index_health: only whoever owns a table may make and drop
-- its indexes, so the role becomes a member of the owner, and may do with the tables what the owner may.
-- Making one takes CREATE on the schema as well, which the owner may have lost since.
\if :index_repair
GRANT :"owner" TO :"role";
SELECT format('GRANT CREATE ON SCHEMA %I TO %I', :'schema', :'role')
WHERE NOT has_schema_privilege(:'role', :'schema', 'CREATE') AND NOT has_schema_privilege(:'owner', :'schema', 'CREATE') \gexec
\endif

-- index_health asks the catalogue, which everybody may read. What ANALYZE knows of a table's values, by
-- which bloat is estimated, is shown only to whoever may read the table.
\if :index_bloat
SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')
FROM (VALUES
    ('actors', 'SELECT'),
    ('properties', 'SELECT'),
    ('property_lookup', 'SELECT'),
    ('trusts', 'SELECT'),
    ('peertrustees', 'SELECT'),
    ('subscriptions', 'SELECT'),
    ('subscription_diffs', 'SELECT'),
    ('subscription_suspensions', 'SELECT')
) AS needed (name, privileges)
WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \gexec
\endif

-- index check --deep, where the extension amcheck is installed.
\if :amcheck
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, :'role')
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'amcheck'
WHERE p.proname = 'bt_index_check' AND oidvectortypes(p.proargtypes) = 'regclass, boolean' \gexec
\endif

COMMIT;
