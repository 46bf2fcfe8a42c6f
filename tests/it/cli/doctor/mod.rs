//! `doctor`.

mod backups;
mod dynamodb;
mod server;

use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, maintd};
use crate::harness::dynamodb::TestTables;
use crate::harness::role;

/// What was found.
#[derive(Debug)]
struct Examined {
    code: i32,
    checks: Vec<Value>,
}

fn examine(maintd: Maintd) -> Examined {
    let output = maintd.run(&["doctor", "--json"]);
    let checks = output.json()["checks"].as_array().unwrap_or_else(|| panic!("{output:?}")).clone();
    Examined { code: output.code, checks }
}

impl Examined {
    /// What was found about one thing: how it is, what, and what to do.
    #[track_caller]
    fn only<'a>(&'a self, check: &'a str) -> (&'a str, &'a str, &'a str) {
        let found: Vec<_> = self.all(check).collect();
        assert_eq!(found.len(), 1, "{check}: {self:#?}");
        found[0]
    }

    fn all<'a>(&'a self, check: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let of_it = self.checks.iter().filter(move |line| line["check"] == check);
        of_it.map(|line| (text(line, "state"), text(line, "what"), text(line, "remedy")))
    }

    /// Whether this is as it should be, and everything else as well.
    #[track_caller]
    fn assert_well(&self) {
        for line in &self.checks {
            assert!(line["state"] == "ok" && line["remedy"].is_null(), "{line:#}");
        }
        assert_eq!(self.code, 0);
    }

    fn names(&self, backend: &str) -> Vec<&str> {
        let of_it = self.checks.iter().filter(|line| line["backend"] == backend);
        of_it.map(|line| line["check"].as_str().expect("a name")).collect()
    }
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

/// Does what a remedy says: the statements in it.
async fn follow(pool: &PgPool, remedy: &str) {
    let statements: Vec<&str> = remedy.lines().filter(|line| line.ends_with(';')).collect();
    assert!(!statements.is_empty(), "{remedy}");
    let sql = statements.iter().map(|line| line.rsplit_once(": ").map_or(*line, |(_, sql)| sql)).collect::<String>();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap_or_else(|error| panic!("{remedy}: {error}"));
}

/// Everything that a configuration can ask of the role.
const EVERYTHING: &str = "[jobs.ttl_cleanup]\nvacuum_after = 1\n[jobs.diff_prune]\nenabled = true\n\
    [jobs.orphan_scan]\nenabled = true\n[jobs.lookup_check]\nenabled = true\nrepair = true\n\
    [jobs.index_health]\ndeep = true\nrepair = [\"index_bloat\"]\n[jobs.backup]\nenabled = true\n\
    [jobs.backup_drill]\nenabled = true\n[backup]\nwhere = \"/tmp\"\nkeep_free = \"1MiB\"\n\
    [backup.drill]\nallow_production_server = true\n";

#[tokio::test]
async fn a_copy_is_told_from_the_original_and_adopted() {
    let original = TestDb::new().await;
    let well = examine(Maintd::on(&original));
    well.assert_well();
    let what = well.only("identity").1.to_owned();

    let copy = original.clone().await;
    let copied = maintd(&copy, &["doctor"]);
    assert_eq!(copied.code, 2);
    for part in ["FAILURE", "was first seen in the database", original.name(), "--adopt moved", "--adopt copied"] {
        assert!(copied.stdout.contains(part), "{part}: {copied:?}");
    }
    let told = examine(Maintd::on(&copy));
    let (state, _, remedy) = told.only("identity");
    assert!(state == "failure" && remedy.contains("doctor --adopt copied"), "{remedy}");

    let adopted = maintd(&copy, &["doctor", "--adopt", "copied", "--json"]);
    assert_eq!(adopted.code, 0, "{adopted:?}");
    assert_eq!(adopted.json()["database"], copy.name());
    let now = examine(Maintd::on(&copy));
    now.assert_well();
    examine(Maintd::on(&original)).assert_well();
    assert_ne!(now.only("identity").1, what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_store_is_looked_at_as_far_as_it_answers() {
    let (db, tables) = (TestDb::empty().await, TestTables::new().await);
    let both = || Maintd::on(&db).and(&tables);
    let found = examine(both());
    assert_eq!(found.code, 2);
    // Without tables there is nobody to be asked who they are, and everything else is asked.
    let server = ["pooler", "tls", "version", "server", "privileges", "time_zone", "replication", "archive", "disk"];
    assert_eq!(found.names("postgresql"), [["connection", "schema", "clocks"].as_slice(), &server].concat());
    let (state, what, remedy) = found.all("schema").next().expect("PostgreSQL comes first");
    assert_eq!((state, what), ("failure", "the schema public holds no ActingWeb tables"));
    assert!(remedy.contains("schema apply"), "{remedy}");
    let all = ["connection", "schema", "identity", "complete", "clocks", "ttl"];
    assert_eq!(found.names("dynamodb"), all);
    assert_eq!(both().run(&["schema", "apply"]).code, 0);
    // The application's role is enough, and sees less than others might.
    let applied = examine(both());
    assert_eq!(applied.code, 0, "{applied:#?}");
    assert_eq!((applied.only("privileges").0, applied.names("dynamodb")), ("warning", all.to_vec()));

    let which = both().run(&["doctor", "--adopt", "moved"]);
    assert_eq!(which.code, 64);
    assert!(which.stderr.contains("--backend postgresql"), "{which:?}");
}

#[tokio::test]
async fn where_nobody_answers_it_says_what_to_look_at() {
    let db = TestDb::new().await;
    for (maintd, remedy) in [
        (Maintd::at("127.0.0.1", 1, "actingweb"), "check that the server runs"),
        (Maintd::on(&db).env("PG_DB_NAME", "nowhere"), "PG_DB_NAME"),
        (Maintd::beside_tables("http://127.0.0.1:1", "t"), "check that it can be reached"),
    ] {
        let found = examine(maintd);
        assert_eq!((found.code, found.checks.len()), (2, 1), "{found:#?}");
        let (state, what, said) = found.only("connection");
        assert!(state == "failure" && said.contains(remedy) && !what.contains(remedy), "{found:#?}");
    }
}

#[tokio::test]
async fn a_role_that_may_too_little_is_told_what_to_be_granted() {
    let db = TestDb::new().await;
    let role = format!("bare_{}", db.name());
    let extension = format!("CREATE ROLE {role} LOGIN; CREATE EXTENSION amcheck");
    sqlx::raw_sql(AssertSqlSafe(extension)).execute(db.pool()).await.expect("a role");
    let bare = || Maintd::on(&db).env("PG_DB_USER", &role).with_programs().config(EVERYTHING);
    let found = examine(bare());
    assert_eq!(found.code, 2);
    let told: Vec<(&str, &str, &str)> = found.all("privileges").collect();
    let of = |phrase: &str| {
        *told.iter().find(|line| line.1.contains(phrase)).unwrap_or_else(|| panic!("{phrase}: {told:#?}"))
    };
    let (state, what, remedy) = of("for the job diff_prune");
    assert_eq!(state, "failure");
    assert!(what.ends_with("SELECT, DELETE on subscription_diffs; SELECT on subscriptions"), "{what}");
    let grant = format!("GRANT SELECT, DELETE ON \"public\".subscription_diffs TO \"{role}\";");
    assert_eq!(remedy.lines().next(), Some(grant.as_str()));
    for (phrase, state) in [
        ("any work of the daemon", "failure"),
        ("how replicas, the archive and vacuums are", "warning"),
        ("the job orphan_scan", "failure"),
        ("lookup_check with repair", "failure"),
        ("a backup by pg_dump", "failure"),
        ("a drill in a database", "failure"),
        ("vacuum_after", "failure"),
        ("a repair of indexes", "failure"),
        ("corruption in indexes", "warning"),
    ] {
        assert_eq!(of(phrase).0, state, "{phrase}");
    }
    for (_, _, remedy) in &told {
        follow(db.pool(), remedy).await;
    }
    examine(bare()).assert_well();
    let end = format!(
        "REASSIGN OWNED BY {role} TO {0}; REVOKE {0} FROM {role}; DROP OWNED BY {role}; DROP ROLE {role}",
        role::APPLICATION
    );
    sqlx::raw_sql(AssertSqlSafe(end)).execute(db.pool()).await.expect("the role is gone");
}

/// Only what is configured is asked for.
/// The rights of an owner are more than anybody needs who repairs nothing there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repairs_of_one_store_need_nothing_of_the_other() {
    let (db, tables) = (TestDb::new().await, TestTables::new().await);
    let repairing = |what: &str| {
        let job = format!("[jobs.index_health]\nrepair = [\"{what}\"]\n");
        examine(Maintd::on(&db).and(&tables).config(&job))
    };
    let of_dynamodb = repairing("billing_mode");
    assert_eq!(of_dynamodb.only("privileges").0, "ok", "{of_dynamodb:#?}");
    let of_postgresql = repairing("index_bloat");
    assert!(of_postgresql.all("privileges").any(|line| line.1.contains("a repair of indexes")), "{of_postgresql:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_kept_in_a_directory_that_is_there() {
    let (db, tables) = (TestDb::new().await, TestTables::new().await);
    let there = tempfile::tempdir().expect("a directory");
    let keeps = |path: &Path, is_enabled: bool| {
        let job = format!("[jobs.diff_prune]\nenabled = {is_enabled}\narchive = \"{}\"\n", path.display());
        examine(Maintd::on(&db).and(&tables).config(&job))
    };
    let missing = there.path().join("missing");
    let wrong = keeps(&missing, true);
    let states: Vec<&str> = wrong.all("diff_archive").map(|line| line.0).collect();
    assert_eq!((wrong.code, states), (2, vec!["failure", "failure"]), "{wrong:#?}");
    let (_, what, remedy) = wrong.all("diff_archive").next().expect("a line for each store");
    assert!(what.contains("deletes none") && remedy.contains(missing.to_str().expect("UTF-8")), "{what}: {remedy}");
    assert!(!missing.exists());
    let well = keeps(there.path(), true);
    assert!(well.all("diff_archive").all(|line| line.0 == "ok") && well.all("diff_archive").count() == 2, "{well:#?}");
    assert_eq!(keeps(&missing, false).all("diff_archive").count(), 0);
}

#[tokio::test]
async fn people_read_what_to_do_below_what_is_wrong() {
    let db = TestDb::new().await;
    let well = maintd(&db, &["doctor"]);
    assert!(well.code == 0 && !well.stdout.contains("->"), "{well:?}");
    let wrong = Maintd::on(&db).with_programs().config(EVERYTHING).run(&["doctor"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let lines: Vec<&str> = wrong.stdout.lines().collect();
    let at = lines.iter().position(|line| line.contains("a repair of indexes")).expect("a line");
    assert!(lines[at].contains("privileges") && lines[at].contains("FAILURE"), "{wrong:?}");
    assert!(lines[at + 1].trim().starts_with("-> GRANT \"actingweb\" TO \"maintd\";"), "{wrong:?}");
}
