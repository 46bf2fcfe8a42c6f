//! Statements that ask what our role may do. None of them names a table, so that all of them can be asked for whatever
//! is missing.

/// The role, the server's version, and whether it may use what is our own: the schema, and what of it may not be used.
pub(in crate::storage::postgres) const OWN: &str = "/* privileges */ SELECT current_user::text AS role, \
         current_setting('server_version_num')::integer AS number, \
         current_database()::text AS database, own.oid IS NOT NULL AS has_own, \
         coalesce(has_schema_privilege(own.oid, 'USAGE') AND (has_schema_privilege(own.oid, 'CREATE') \
                 OR EXISTS (SELECT FROM pg_class WHERE relnamespace = own.oid AND relname = 'migrations')), \
             has_database_privilege(current_database(), 'CREATE')) AS may_use_own, \
         ARRAY(SELECT relname::text FROM pg_class \
             WHERE relnamespace = own.oid AND relkind IN ('r', 'p') AND NOT (has_table_privilege(oid, 'SELECT') \
                 AND has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE') \
                 AND has_table_privilege(oid, 'DELETE')) ORDER BY 1) AS closed, \
         has_schema_privilege(n.oid, 'USAGE') AS may_use, \
         rolreplication OR rolsuper AS replication, rolcreatedb OR rolsuper AS createdb \
     FROM pg_roles LEFT JOIN pg_namespace own ON own.nspname = 'maintd' LEFT JOIN pg_namespace n ON n.nspname = $1 \
     WHERE rolname = current_user";

/// Which of these privileges `$3` on the tables `$2` the role does not have. Tables that are not there need none.
pub(in crate::storage::postgres) const ON_TABLES: &str = "/* privileges */ SELECT k.place \
     FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS k (name, privilege, place) \
         JOIN pg_class c ON c.relname = k.name JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1 \
     WHERE c.relkind IN ('r', 'p') AND NOT has_table_privilege(c.oid, k.privilege) ORDER BY k.place";

/// What in the schema `$1` a dump has to read and the role may not.
pub(in crate::storage::postgres) const UNREADABLE: &str = "/* privileges */ SELECT c.relname::text, \
         CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END AS kind \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'S') AND NOT has_table_privilege(c.oid, 'SELECT') \
         ORDER BY c.relname";

/// Whether the role has the rights of another one.
pub(in crate::storage::postgres) const MEMBER: &str = "/* privileges */ SELECT pg_has_role($1, 'USAGE')";

/// Who owns tables of the application, without the role having their rights.
pub(in crate::storage::postgres) const OWNERS: &str = "/* privileges */ SELECT DISTINCT \
         pg_get_userbyid(c.relowner)::text AS owner \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = ANY($2::text[]) AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1";

/// Whether the role may make something in the schema `$1`, or will when it has the rights of who owns one of the tables
/// `$2`.
pub(in crate::storage::postgres) const MAY_MAKE: &str = "/* privileges */ SELECT \
         has_schema_privilege(n.oid, 'CREATE') OR EXISTS (SELECT FROM pg_class c \
             WHERE c.relnamespace = n.oid AND c.relname = ANY($2::text[]) \
                 AND has_schema_privilege(c.relowner, n.oid, 'CREATE')) AS may_make \
     FROM pg_namespace n WHERE n.nspname = $1";

/// Whether amcheck is installed.
pub(in crate::storage::postgres) const HAS_AMCHECK: &str =
    "/* privileges */ SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck')";

/// The function of amcheck by the name `$1` that takes `$2`, if the role may not call it.
pub(in crate::storage::postgres) const AMCHECK: &str = "/* privileges */ SELECT p.oid::regprocedure::text AS name \
     FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' \
         JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'amcheck' \
     WHERE p.proname = $1 AND oidvectortypes(p.proargtypes) = $2 AND NOT has_function_privilege(p.oid, 'EXECUTE')";
