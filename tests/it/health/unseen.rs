//! What could not be looked at is told as that, and costs nothing of what could.

use actingweb_maintd::jobs::index_health::Settings;
use actingweb_maintd::work::{Health, Report};

use super::scene::{kinds, look, run};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};
use crate::harness::store;

/// What a command says it could not look at, and what it found.
fn told(output: &Output) -> (Vec<String>, Vec<(String, bool)>) {
    let report: Report = serde_json::from_value(output.json()["report"].clone()).expect("a report");
    let found = report.defects.iter().map(|defect| (defect.kind.clone(), defect.acknowledged.is_some()));
    (report.health.as_ref().expect("what was seen").unseen.clone(), found.collect())
}

fn health(report: &Report) -> &Health {
    report.health.as_deref().expect("what was seen")
}

#[tokio::test]
async fn at_a_revision_that_nobody_knows_nothing_is_said_to_be_well() {
    let db = TestDb::new().await;
    run(&db, "DROP INDEX ix_actors_creator; UPDATE alembic_version SET version_num = 'f00000000000'").await;
    let output = Maintd::on(&db).run(&["index", "check"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stdout.contains("Nothing was found, and not everything was looked at"), "{output:?}");
    assert!(output.stdout.contains("nobody knows what the schema public must have"), "{output:?}");
    let (unseen, found) = told(&Maintd::on(&db).run(&["index", "check", "--json"]));
    assert!(found.is_empty() && unseen.contains(&"index_missing".to_owned()), "{unseen:?} {found:?}");
}

/// A role that may not read a table, and an extension that is not there.
#[tokio::test]
async fn what_may_not_be_read_leaves_the_rest() {
    let db = TestDb::new().await;
    let revoke = format!("REVOKE SELECT ON properties FROM {}; DROP INDEX ix_actors_creator", db.role());
    run(&db, &revoke).await;
    let report = look(&*store::store(&db), Settings { deep: true, ..Settings::default() }).await;
    assert_eq!(kinds(&report), [("index_missing".to_owned(), "ix_actors_creator".to_owned())], "{report:#?}");
    assert_eq!(health(&report).unseen, ["index_corrupt", "key_size"]);
    let notes = health(&report).notes.join("\n");
    for words in ["CREATE EXTENSION amcheck", "the table properties could not be read", "permission denied"] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    assert!(!report.is_clean());
}

/// What a deep look has found stands until a deep look does not find it, whatever is looked at in between.
#[tokio::test]
async fn what_a_deep_look_has_found_stands_until_the_next_one() {
    let db = TestDb::new().await;
    run(&db, "CREATE EXTENSION amcheck").await;
    run(&db, &format!("GRANT EXECUTE ON FUNCTION bt_index_check(regclass, boolean) TO {}", db.role())).await;
    let random = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 75) AS n)";
    run(&db, &format!("INSERT INTO properties SELECT 'b', {random}, ''")).await;
    let check = |config: &str, arguments: &[&str]| {
        let arguments = [&["index", "check"], arguments].concat();
        Maintd::on(&db).config(config).run(&arguments)
    };
    let found = vec![("key_size".to_owned(), false)];
    assert_eq!(told(&check("", &["--deep", "--json"])), (vec![], found.clone()));
    let shallow = check("", &["--json"]);
    assert_eq!((shallow.code, told(&shallow).1), (2, found));
    let shown = check("", &[]);
    assert!(shown.stdout.contains("What only a deep look shows is as it was at"), "{shown:?}");

    // Another table cannot be looked at; what is found again is told once.
    run(&db, &format!("REVOKE SELECT ON trusts FROM {}", db.role())).await;
    let partly = check("", &["--deep", "--json"]);
    assert_eq!(told(&partly), (vec!["key_size".to_owned()], vec![("key_size".to_owned(), false)]), "{partly:?}");
    run(&db, &format!("GRANT SELECT ON trusts TO {}", db.role())).await;

    // Somebody decides that it may stay, and it counts no more from then on.
    let acknowledge = "[jobs.index_health]\nacknowledge = [\"key_size properties: one long name\"]\n";
    let left = check(acknowledge, &["--json"]);
    assert_eq!((left.code, told(&left).1), (0, vec![("key_size".to_owned(), true)]), "{left:?}");
    let decided_otherwise = check("", &["--json"]);
    assert_eq!(decided_otherwise.code, 2);

    run(&db, "DELETE FROM properties WHERE id = 'b'").await;
    assert_eq!(check("", &[]).code, 2, "nobody has looked deep since");
    let deep = check("", &["--deep", "--json"]);
    assert_eq!((deep.code, told(&deep)), (0, (vec![], vec![])), "{deep:?}");
    let after = check("", &["--json"]);
    assert_eq!((after.code, told(&after).1), (0, vec![]), "{after:?}");
    assert!(after.json()["report"]["health"]["deep_at"].is_string(), "{after:?}");
}
