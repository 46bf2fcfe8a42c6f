//! The script that makes the role, for `psql`.

use std::fmt::Write as _;

use super::{AMCHECK, HAS_MAINTAIN, Need, Part};

const HEAD: &str = r"-- The role of actingweb-maintd on PostgreSQL: what it needs for its work, and nothing else.
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
";

const BEGIN: &str = r#"
BEGIN;

-- The role, which can log in and is nothing special. What it owns in the schema maintd is its own state.
SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role') \gexec
-- Whoever is no superuser can hand over only what they could take back.
SELECT format('GRANT %I TO %I', :'role', current_user)
WHERE NOT pg_has_role(:'role', CASE WHEN current_setting('server_version_num')::integer >= 160000
    THEN 'SET' ELSE 'MEMBER' END) \gexec
"#;

/// The text of `deploy/postgresql/role.sql`.
pub fn role_script() -> String {
    let mut script = String::from(HEAD);
    for part in optional() {
        let default = if is_on(part) { "; on if it is not given" } else { "" };
        line(&mut script, &format!("--   {:<17} on for {}{default}", part.name(), part.phrase()));
    }
    script.push_str("\n\\set ON_ERROR_STOP on\n\\set QUIET on\nSET client_min_messages = warning;\n");
    for (name, value) in [("role", "maintd"), ("schema", "public")] {
        line(&mut script, &default(name, value));
    }
    for part in optional() {
        line(&mut script, &default(part.name(), if is_on(part) { "on" } else { "off" }));
    }
    script.push_str(
        "\\if :{?owner} \\else\n\
         SELECT pg_get_userbyid(relowner) AS owner FROM pg_class\n\
         WHERE oid = to_regclass(format('%I.attributes', :'schema')) \\gset\n\
         \\endif\n",
    );
    script.push_str(BEGIN);
    for part in Part::ALL {
        script.push('\n');
        for why in part.why() {
            line(&mut script, &format!("-- {why}"));
        }
        let is_optional = part != Part::Base;
        if is_optional {
            line(&mut script, &format!("\\if :{}", part.name()));
        }
        script.push_str(&grants(part));
        if is_optional {
            script.push_str("\\endif\n");
        }
    }
    script.push_str("\nCOMMIT;\n");
    script
}

/// The parts that somebody can choose.
fn optional() -> impl Iterator<Item = Part> {
    Part::ALL.into_iter().filter(|part| *part != Part::Base)
}

/// Whether a part is wanted unless somebody says otherwise.
fn is_on(part: Part) -> bool {
    matches!(part, Part::Monitoring | Part::IndexBloat)
}

fn default(name: &str, value: &str) -> String {
    format!("\\if :{{?{name}}} \\else \\set {name} {value} \\endif")
}

fn line(script: &mut String, text: &str) {
    writeln!(script, "{text}").expect("text can be written to a text");
}

/// The statements that a part needs.
fn grants(part: Part) -> String {
    let mut text = String::new();
    for need in part.needs() {
        if !matches!(need, Need::Table(..)) {
            text.push_str(&other(*need));
        }
    }
    let tables = part.needs().iter().filter_map(|need| match need {
        Need::Table(table, privileges) => Some(format!("    ('{table}', '{}')", privileges.join(", "))),
        _ => None,
    });
    let tables: Vec<String> = tables.collect();
    if !tables.is_empty() {
        // At an older revision some tables are not there yet.
        let tables = tables.join(",\n");
        line(
            &mut text,
            &format!(
                "SELECT format('GRANT %s ON %I.%I TO %I', privileges, :'schema', name, :'role')\n\
                 FROM (VALUES\n{tables}\n) AS needed (name, privileges)\n\
                 WHERE to_regclass(format('%I.%I', :'schema', name)) IS NOT NULL \\gexec"
            ),
        );
    }
    text
}

fn other(need: Need) -> String {
    match need {
        Need::Table(..) => String::new(),
        Need::OwnSchema => "\
CREATE SCHEMA IF NOT EXISTS maintd;
ALTER SCHEMA maintd OWNER TO :\"role\";
SELECT format('ALTER TABLE maintd.%I OWNER TO %I', relname, :'role') FROM pg_class
WHERE relnamespace = 'maintd'::regnamespace AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) <> :'role' \\gexec
"
        .to_owned(),
        Need::Schema => "GRANT USAGE ON SCHEMA :\"schema\" TO :\"role\";\n".to_owned(),
        Need::WholeSchema => "\
GRANT USAGE ON SCHEMA :\"schema\" TO :\"role\";
GRANT SELECT ON ALL TABLES IN SCHEMA :\"schema\" TO :\"role\";
GRANT SELECT ON ALL SEQUENCES IN SCHEMA :\"schema\" TO :\"role\";
ALTER DEFAULT PRIVILEGES FOR ROLE :\"owner\" IN SCHEMA :\"schema\" GRANT SELECT ON TABLES TO :\"role\";
ALTER DEFAULT PRIVILEGES FOR ROLE :\"owner\" IN SCHEMA :\"schema\" GRANT SELECT ON SEQUENCES TO :\"role\";
"
        .to_owned(),
        Need::Member(role) => format!("GRANT {role} TO :\"role\";\n"),
        Need::Attribute(attribute) => format!("ALTER ROLE :\"role\" {attribute};\n"),
        Need::Maintain(table) => format!(
            "\
SELECT CASE WHEN current_setting('server_version_num')::integer >= {HAS_MAINTAIN}
    THEN format('GRANT MAINTAIN ON %I.{table} TO %I', :'schema', :'role')
    ELSE format('GRANT %I TO %I', :'owner', :'role') END \\gexec
"
        ),
        Need::Owner => "GRANT :\"owner\" TO :\"role\";\n".to_owned(),
        Need::MakesIndexes => "\
SELECT format('GRANT CREATE ON SCHEMA %I TO %I', :'schema', :'role')
WHERE NOT has_schema_privilege(:'role', :'schema', 'CREATE') AND NOT has_schema_privilege(:'owner', :'schema', 'CREATE') \\gexec
"
        .to_owned(),
        Need::Amcheck => {
            let (function, takes) = AMCHECK;
            format!(
                "\
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, :'role')
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'amcheck'
WHERE p.proname = '{function}' AND oidvectortypes(p.proargtypes) = '{takes}' \\gexec
"
            )
        }
    }
}
