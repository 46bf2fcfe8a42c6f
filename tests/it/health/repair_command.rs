//! `index check --repair` and the job on schedule: what is found is repaired, and gone; and a daemon that is killed in the
//! middle leaves nothing that the next one does not deal with.

use serde_json::{Value, json};

use super::scene::run;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};

/// Small bloat counts as well, and other tests on the server are no reason to wait.
const SETTINGS: &str = r#"
    [jobs.index_health]
    bloat_size = "64KiB"
    lock_wait = "60s"
    long_transaction = "1h"
    keep_free = "1MiB"
    [throttle]
    yield_to_autovacuum = false
"#;

/// Points at which the daemon is killed, in the order in which it comes to them.
const POINTS: [&str; 10] =
    ["begin", "begun", "watch", "seen", "built", "rename", "renamed", "remove", "removed", "close"];

async fn spoil(db: &TestDb) {
    run(
        db,
        "CREATE EXTENSION pgstattuple; DROP INDEX idx_property_lookup_actor_id; \
         INSERT INTO properties SELECT md5(n::text), 'x', '' FROM generate_series(1, 12000) AS n; \
         DELETE FROM properties WHERE left(id, 1) < 'd'; VACUUM ANALYZE properties; \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_actors_creator'::regclass",
    )
    .await;
}

fn repair(db: &TestDb) -> Output {
    Maintd::on(db).config(SETTINGS).run(&["index", "check", "--repair", "--json"])
}

/// The indexes of the application's tables, whether they are valid.
async fn indexes(db: &TestDb) -> Vec<(String, bool)> {
    let query = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indrelid \
                 WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
    sqlx::query_as(query).fetch_all(db.pool()).await.unwrap()
}

#[tokio::test]
async fn what_can_be_repaired_is_repaired_and_gone() {
    let db = TestDb::repairing().await;
    let well = indexes(&db).await;
    spoil(&db).await;
    let only_looks = Maintd::on(&db).config(SETTINGS).run(&["index", "check", "--json"]);
    assert_eq!(only_looks.code, 2);
    let kinds = |document: &Value| -> Vec<String> {
        let defects = document["report"]["defects"].as_array().cloned().unwrap_or_default();
        defects.iter().map(|defect| defect["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&only_looks.json()), ["index_missing", "index_invalid", "index_bloat"]);
    assert_eq!(only_looks.json()["report"]["health"]["repairs"], Value::Null);

    let repaired = repair(&db);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let document = repaired.json();
    assert_eq!(kinds(&document), Vec::<String>::new());
    let repairs = document["report"]["health"]["repairs"].as_array().expect("repairs").clone();
    assert_eq!(repairs.len(), 3);
    assert!(repairs.iter().all(|repaired| repaired["outcome"] == "done"), "{repairs:#?}");
    let bloated = repairs.iter().find(|repaired| repaired["kind"] == "index_bloat").expect("the bloated one");
    let bytes = |key: &str| bloated[key].as_f64().unwrap_or_else(|| panic!("no {key}: {bloated}"));
    assert!(bytes("bytes_after") < bytes("bytes_before") / 2.0, "{bloated}");
    let predicted = bytes("bytes_expected") / bytes("bytes_after");
    assert!((0.9..1.1).contains(&predicted), "{bloated}");
    assert_eq!(indexes(&db).await, well, "the same names, all of them valid");

    let history = Maintd::on(&db).run(&["job", "history", "index_health", "--json"]).json();
    assert_eq!(history["runs"][0]["report"]["health"]["repairs"].as_array().map(Vec::len), Some(3));
    assert_eq!(repair(&db).code, 0);
}

#[tokio::test]
async fn the_schedule_repairs_what_it_is_told_to() {
    let db = TestDb::repairing().await;
    spoil(&db).await;
    let settings = SETTINGS.replace("[throttle]", "repair = [\"index_missing\"]\n[throttle]");
    let run = Maintd::on(&db).config(&settings).run(&["job", "run", "index_health", "--json"]);
    assert_eq!(run.code, 2);
    let report = run.json()["report"].clone();
    assert_eq!(report["health"]["repairs"].as_array().map(Vec::len), Some(1), "{report:#}");
    let left: Vec<&Value> = report["defects"].as_array().unwrap().iter().map(|defect| &defect["kind"]).collect();
    assert_eq!(left, [&json!("index_invalid"), &json!("index_bloat")]);
    // What somebody has decided to leave is left.
    let settings = settings.replace(
        "repair = [\"index_missing\"]",
        "repair = [\"index_invalid\"]\nacknowledge = [\"index_invalid ix_actors_creator: in the night of Sunday\"]",
    );
    let run = Maintd::on(&db).config(&settings).run(&["job", "run", "index_health", "--json"]);
    assert_eq!(run.json()["report"]["health"]["repairs"], Value::Null, "{run:?}");
}

/// Whoever is killed has begun something, which the server goes on with perhaps; the next one leaves everything well.
#[tokio::test]
async fn a_daemon_that_is_killed_at_any_step_leaves_nothing_that_stays() {
    let mut killed = 0;
    for point in POINTS {
        let db = TestDb::repairing().await;
        let well = indexes(&db).await;
        spoil(&db).await;
        for count in 0..3 {
            let fault = format!("repair::{point}={count}*off->return(abort)");
            let end = Maintd::on(&db)
                .config(SETTINGS)
                .env("FAILPOINTS", &fault)
                .run(&["index", "check", "--repair", "--json"]);
            killed += u32::from(end.code != 0 && end.code != 2);
            // The lease of whoever was killed has to run out.
            run(&db, "UPDATE maintd.leases SET expires_at = now() - interval '1 s' WHERE job = 'index_health'").await;
        }
        let end = repair(&db);
        assert_eq!(end.code, 0, "{point}: {end:?}");
        assert_eq!(indexes(&db).await, well, "{point}");
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM maintd.repairs").fetch_one(db.pool()).await.unwrap();
        assert_eq!(left, 0, "{point}");
    }
    assert!(killed >= 9, "only {killed} were killed: points have other names now");
}
