//! The daemon's role: the script that makes it is made from what the daemon needs. That it is enough is shown by all
//! other tests, whose daemons have it.

use std::fs;
use std::path::Path;

use actingweb_maintd::storage::postgres::{Part, Postgres, role_script};
use sqlx::AssertSqlSafe;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::role::{APPLICATION, JOBS, MAINTENANCE, REPAIRS, make, run};
use crate::harness::store::{open_as, store};

/// `INSTA_UPDATE=always` writes it again, as it does with snapshots.
#[test]
fn the_script_follows_from_what_the_daemon_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/postgresql/role.sql");
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        fs::write(&path, role_script()).expect("writing the script");
    }
    assert_eq!(fs::read_to_string(&path).expect("the script"), role_script());
    let printed = Maintd::bare().run(&["doctor", "--role-sql"]);
    assert_eq!((printed.code, printed.stdout), (0, role_script()));
    // These are on without being asked for.
    let is_asked_for = |part: &Part| ![Part::Base, Part::Monitoring, Part::IndexBloat].contains(part);
    let others = Part::ALL.into_iter().filter(is_asked_for);
    let tried: Vec<&str> = JOBS.iter().chain(REPAIRS).copied().collect();
    assert_eq!(others.map(Part::name).collect::<Vec<_>>(), tried, "each part has tests that run with it");
}

/// Everything that the role was given, in the server's own words.
async fn grants(db: &TestDb, role: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT format('%s %s', privilege_type, table_name) FROM information_schema.role_table_grants \
             WHERE grantee = $1 AND table_schema = 'public' \
         UNION ALL SELECT format('member of %s', roleid::regrole) FROM pg_auth_members WHERE member = to_regrole($1) \
         UNION ALL SELECT format('owner of %s', relname) FROM pg_class \
             WHERE relowner = to_regrole($1) AND relkind = 'r' ORDER BY 1",
    )
    .bind(role)
    .fetch_all(db.pool())
    .await
    .expect("reading the catalog")
}

async fn execute(db: &TestDb, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(db.pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Removes what belongs to the whole server.
async fn forget(db: &TestDb, role: &str) {
    execute(db, &format!("REASSIGN OWNED BY {role} TO {APPLICATION}; DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

async fn lacking(store: &Postgres, parts: &[Part]) -> Vec<(Part, Vec<String>)> {
    let lacking = store.lacking(parts).await.expect("asking");
    lacking.into_iter().map(|lacking| (lacking.part, lacking.grants)).collect()
}

#[tokio::test]
async fn it_can_be_run_again_and_adds_what_is_new() {
    let db = TestDb::new().await;
    let role = format!("role_{}", db.name());
    make(db.host(), db.port(), db.name(), &role, &[]);
    let base = grants(&db, &role).await;
    make(db.host(), db.port(), db.name(), &role, &[]);
    assert_eq!(grants(&db, &role).await, base);
    assert!(base.contains(&"DELETE attributes".to_owned()) && base.contains(&"member of pg_monitor".to_owned()));
    // It may read every table, and change one.
    let is_too_much = |grant: &&String| {
        let changes = !grant.starts_with("SELECT") && !grant.ends_with(" attributes");
        changes && !grant.starts_with("owner of") && !grant.ends_with("pg_monitor") || grant.contains(APPLICATION)
    };
    assert_eq!(base.iter().find(is_too_much), None, "{base:?}");

    let ours = open_as(&db, &role);
    assert_eq!(lacking(&ours, &[Part::Base, Part::Monitoring]).await, []);
    let grant = |privileges: &str, table: &str| format!("GRANT {privileges} ON \"public\".{table} TO \"{role}\";");
    assert_eq!(
        lacking(&ours, &[Part::DiffPrune]).await,
        [(Part::DiffPrune, vec![grant("DELETE", "subscription_diffs")])]
    );
    make(db.host(), db.port(), db.name(), &role, &["diff_prune"]);
    assert_eq!(lacking(&ours, &[Part::DiffPrune]).await, []);
    forget(&db, &role).await;
}

/// What the remedies say is what was missing, for every part.
#[tokio::test]
async fn what_a_role_lacks_is_told_with_statements_that_give_it() {
    let db = TestDb::new().await;
    let role = format!("bare_{}", db.name());
    execute(&db, &format!("CREATE ROLE {role} LOGIN; CREATE EXTENSION amcheck; CREATE SEQUENCE numbers")).await;
    let ours = open_as(&db, &role);
    let mut statements = Vec::new();
    for part in Part::ALL {
        let lacking = ours.lacking(&[part]).await.expect("asking");
        assert!(!lacking.is_empty(), "{part:?}");
        assert!(lacking.iter().all(|one| one.part == part && !one.what.is_empty() && !one.grants.is_empty()));
        statements.push((part, lacking.into_iter().flat_map(|one| one.grants).collect::<Vec<_>>().join(" ")));
    }
    for (part, statements) in statements {
        execute(&db, &statements).await;
        assert_eq!(ours.lacking(&[part]).await.expect("asking"), [], "{part:?}");
    }
    assert_eq!(ours.lacking(&Part::ALL).await.expect("asking"), []);
    execute(&db, &format!("REVOKE {APPLICATION} FROM {role}")).await;
    forget(&db, &role).await;
}

/// Whoever owns a table may lose the right to make indexes on it, and the script is run after that or before.
#[tokio::test]
async fn whoever_repairs_indexes_may_make_one() {
    let db = TestDb::new().await;
    let role = format!("repairer_{}", db.name());
    // Whoever owns a database would own its schema as well, from version 15 on.
    let taken =
        format!("ALTER SCHEMA public OWNER TO CURRENT_USER; REVOKE CREATE ON SCHEMA public FROM PUBLIC, {APPLICATION}");
    execute(&db, &taken).await;
    make(db.host(), db.port(), db.name(), &role, &["index_repair"]);
    assert_eq!(lacking(&open_as(&db, &role), &[Part::IndexRepair]).await, []);
    execute(&db, &format!("REVOKE CREATE ON SCHEMA public FROM {role}")).await;
    let grant = format!("GRANT CREATE ON SCHEMA \"public\" TO \"{role}\";");
    assert_eq!(lacking(&open_as(&db, &role), &[Part::IndexRepair]).await, [(Part::IndexRepair, vec![grant])]);
    execute(&db, &format!("GRANT CREATE ON SCHEMA public TO {APPLICATION}")).await;
    assert_eq!(lacking(&open_as(&db, &role), &[Part::IndexRepair]).await, []);
    make(db.host(), db.port(), db.name(), &role, &["index_repair"]);
    let given = "SELECT EXISTS (SELECT FROM pg_namespace, aclexplode(nspacl) \
                 WHERE nspname = 'public' AND grantee = to_regrole($1) AND privilege_type = 'CREATE')";
    let is_given: bool = sqlx::query_scalar(given).bind(&role).fetch_one(db.pool()).await.unwrap();
    assert!(!is_given, "what it has as a member of the owner it is not given once more");
    execute(&db, &format!("REVOKE {APPLICATION} FROM {role}")).await;
    forget(&db, &role).await;
}

/// A deep look that is scheduled needs more than a privilege.
#[tokio::test]
async fn an_extension_that_is_not_installed_is_lacking() {
    let db = TestDb::new().await;
    let role = format!("bare_{}", db.name());
    execute(&db, &format!("CREATE ROLE {role} LOGIN")).await;
    let ours = open_as(&db, &role);
    let lacking = ours.lacking(&[Part::Amcheck]).await.expect("asking");
    assert_eq!(lacking.len(), 1, "{lacking:?}");
    assert!(lacking[0].what.contains("amcheck, which is not installed"), "{lacking:?}");
    assert_eq!(ours.extensions().await.expect("asking").content, None);
    execute(&db, &lacking[0].grants.join(" ")).await;
    assert_eq!(ours.lacking(&[Part::Amcheck]).await.expect("asking"), []);
    assert_eq!(ours.extensions().await.expect("asking").content.as_deref(), Some("public"));
    forget(&db, &role).await;
}

/// Nothing of ours is there yet, and the role may not make a schema.
#[tokio::test]
async fn the_role_makes_its_own_tables_in_a_schema_that_it_was_given() {
    let db = TestDb::new().await;
    execute(&db, "DROP SCHEMA maintd CASCADE; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let denied = store(&db).apply(false).await.expect_err("it may make no schema");
    assert!(denied.to_string().contains("apply the schema"), "{denied}");
    assert_eq!(lacking(&store(&db), &[Part::Base]).await.len(), 1);
    make(db.host(), db.port(), db.name(), MAINTENANCE, &[]);
    store(&db).apply(false).await.expect("in its schema it may make tables");
    assert_eq!(store(&db).schema().await.expect("a schema").refusal(), None);
}

/// Tables that came later are not there yet.
#[tokio::test]
async fn an_older_revision_is_no_hindrance() {
    let db = TestDb::new().await;
    let role = format!("older_{}", db.name());
    execute(&db, "DROP TABLE property_lookup, subscription_suspensions").await;
    make(db.host(), db.port(), db.name(), &role, JOBS);
    let parts = [Part::Base, Part::OrphanScan, Part::OrphanDelete, Part::LookupCheck, Part::LookupRepair];
    assert_eq!(lacking(&open_as(&db, &role), &parts).await, []);
    forget(&db, &role).await;
}

/// On a managed service nobody is a superuser.
#[tokio::test]
async fn whoever_may_make_roles_can_run_it() {
    let db = TestDb::new().await;
    let (admin, role) = (format!("admin_{}", db.name()), format!("made_{}", db.name()));
    let makes = format!(
        "CREATE ROLE {admin} LOGIN CREATEROLE; GRANT {APPLICATION}, {MAINTENANCE} TO {admin}; \
         GRANT pg_monitor TO {admin} WITH ADMIN OPTION"
    );
    execute(&db, &makes).await;
    assert_eq!(run(db.host(), db.port(), db.name(), &admin, &role, &["diff_prune", "backup"]), Ok(()));
    assert_eq!(lacking(&open_as(&db, &role), &[Part::Base, Part::DiffPrune, Part::Backup]).await, []);
    // It is done wholly or not at all.
    let other = format!("other_{}", db.name());
    let refused = run(db.host(), db.port(), db.name(), &admin, &other, &["physical_backup"]);
    assert!(refused.is_err(), "only a superuser lets somebody copy the server's files");
    let is_there = sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)");
    assert!(!is_there.bind(&other).fetch_one(db.pool()).await.unwrap());
    forget(&db, &role).await;
    forget(&db, &admin).await;
}
