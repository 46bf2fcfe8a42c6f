//! How the tables are, by what the server counts.

use std::time::{Duration, Instant};

use actingweb_maintd::jobs::index_health::Settings;
use serde_json::json;

use super::scene::{Case, finding, hold, kinds, look, run, run_in_a_session, until_dead};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::private::Private;
use crate::harness::{eventually, store};

#[tokio::test]
async fn rules_for_texts_that_are_others_are_found() {
    hold(&[
        Case {
            provoke: "CREATE COLLATION same (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
                      ALTER TABLE subscriptions ALTER subid TYPE varchar(255) COLLATE same",
            kind: "collation",
            object: "subscriptions.subid",
            says: &["different texts can be equal"],
            mend: "ALTER TABLE subscriptions ALTER subid TYPE varchar(255) COLLATE \"default\"",
        },
        Case {
            provoke: "ALTER TABLE subscriptions ALTER subid TYPE varchar(255) COLLATE \"en-x-icu\"",
            kind: "collation",
            object: "subscriptions.subid",
            says: &["rules of its own, en-x-icu"],
            mend: "ALTER TABLE subscriptions ALTER subid TYPE varchar(255) COLLATE \"C\"",
        },
        Case {
            provoke: "CREATE COLLATION old FROM \"en-x-icu\"; \
                      ALTER TABLE subscriptions ALTER subid TYPE varchar(255) COLLATE old; \
                      UPDATE pg_collation SET collversion = '1' WHERE collname = 'old'",
            kind: "collation",
            object: "subscriptions.subid",
            says: &["sorted by another version"],
            mend: "ALTER TABLE subscriptions ALTER subid TYPE varchar(255) COLLATE \"default\"",
        },
    ])
    .await;
}

/// Indexes of texts are only as good as the rules of the operating system that they were built by.
#[tokio::test]
async fn an_operating_system_that_sorts_otherwise_than_before_is_found() {
    let server = Private::start(&[], &[]).await;
    let name = "sorted";
    run_on(&server, &format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'")).await;
    let store = store::open(store::settings_of(server.cluster().host(), server.cluster().port(), name));
    store.apply(true).await.expect("the schemas");
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
    run_on(&server, &format!("UPDATE pg_database SET datcollversion = '1.2' WHERE datname = '{name}'")).await;
    let report = look(&*store, Settings::default()).await;
    assert_eq!(kinds(&report), [("collation".to_owned(), name.to_owned())]);
    assert!(finding(&report, "collation").what.contains("by version 1.2 of the system's rules"), "{report:#?}");
    run_on(&server, &format!("ALTER DATABASE {name} REFRESH COLLATION VERSION")).await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

#[tokio::test]
async fn tables_that_are_read_from_end_to_end_are_found() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "INSERT INTO properties SELECT n::text, 'email', n::text FROM generate_series(1, 20000) AS n; ANALYZE properties").await;
    let often = "DO $$ BEGIN FOR n IN 1..1100 LOOP PERFORM FROM properties WHERE value = 'x' LIMIT 1; END LOOP; END $$";
    run_in_a_session(db.pool(), &["SET enable_indexscan = off", "SET enable_bitmapscan = off", often]).await;
    let report = until_found(&*store, "sequential_scans").await;
    let found = finding(&report, "sequential_scans");
    assert_eq!(found.object.as_deref(), Some("properties"));
    assert!(found.what.contains("rows was read from end to end 1100 times"), "{found:?}");
    let (_, remedy) = found.remedy.split_once("the function: ").expect("what to do at the end");
    let (steps, _) = remedy.split_once("; index_unused").expect("its end");
    assert_eq!(steps.split(", then ").count(), 2, "{steps}");
    for step in steps.split(", then ") {
        run(&db, step).await;
    }
    until_gone(&*store).await;
}

#[tokio::test]
async fn readings_of_a_table_that_was_small_then_are_nothing_to_tell() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    let often = "DO $$ BEGIN FOR n IN 1..1100 LOOP PERFORM FROM properties WHERE value = 'x' LIMIT 1; END LOOP; END $$";
    let fill = "INSERT INTO properties SELECT n::text, 'email', n::text FROM generate_series(1, 20000) AS n";
    run_in_a_session(db.pool(), &["SET enable_indexscan = off", "SET enable_bitmapscan = off", often, fill]).await;
    let told = "SELECT seq_scan >= 1100 AND n_live_tup >= 20000 FROM pg_stat_user_tables WHERE relname = 'properties'";
    eventually("the readings to be told", async || {
        sqlx::query_scalar::<_, bool>(told).fetch_one(db.pool()).await.unwrap()
    })
    .await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

#[tokio::test]
async fn a_server_without_autovacuum_is_found() {
    let db = TestDb::new().await;
    // Without these counts it does nothing, and they can be switched off for a database alone.
    run(&db, &format!("ALTER DATABASE {} SET track_counts = off", db.name())).await;
    let found = kinds(&look(&*store::store(&db), Settings::default()).await);
    assert_eq!(found, [("dead_rows".to_owned(), db.name().to_owned())]);
    run(&db, &format!("ALTER DATABASE {} RESET track_counts", db.name())).await;
    assert_eq!(kinds(&look(&*store::store(&db), Settings::default()).await), []);
}

#[tokio::test]
async fn a_table_that_autovacuum_does_not_come_to_is_found() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "ALTER TABLE trusts SET (autovacuum_enabled = false)").await;
    let report = look(&*store, Settings::default()).await;
    assert_eq!(kinds(&report), [("dead_rows".to_owned(), "trusts".to_owned())]);
    assert!(finding(&report, "dead_rows").remedy.contains("RESET (autovacuum_enabled)"), "{report:#?}");
    run(&db, "ALTER TABLE trusts RESET (autovacuum_enabled)").await;
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

/// Autovacuum comes, and can do nothing as long as somebody may still want to see the rows.
#[tokio::test]
async fn dead_rows_that_autovacuum_does_not_get_done_with_are_found() {
    let server = Private::start(&[("autovacuum_naptime", "1s"), ("fsync", "off")], &[]).await;
    let store = store::open(store::settings_of(server.cluster().host(), server.cluster().port(), "postgres"));
    run_on(&server, "INSERT INTO actors SELECT n::text, '', '' FROM generate_series(1, 30000) AS n").await;
    run_on(&server, "ANALYZE actors").await;
    let mut holder = server.pool().begin().await.unwrap();
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *holder).await.unwrap();
    sqlx::query("SELECT count(*) FROM actors").execute(&mut *holder).await.unwrap();
    run_in_a_session(server.pool(), &["UPDATE actors SET passphrase = 'x'"]).await;
    let report = until_found(&*store, "dead_rows").await;
    let found = finding(&report, "dead_rows");
    assert_eq!((found.object.as_deref(), found.rows), (Some("actors"), Some(30_000)));
    holder.rollback().await.unwrap();
    // Now it gets done, and whoever looks waits for that.
    until_gone(&*store).await;
}

/// Whoever looks waits for autovacuum, and may be told to stop meanwhile.
#[tokio::test]
async fn a_look_that_is_cut_short_tells_no_figures() {
    let db = TestDb::new().await;
    let mut holder = db.pool().begin().await.unwrap();
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *holder).await.unwrap();
    sqlx::query("SELECT count(*) FROM actors").execute(&mut *holder).await.unwrap();
    // Nor is it at work already, which whoever looks would take for a good sign.
    sqlx::query("LOCK TABLE actors IN SHARE UPDATE EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let insert = "INSERT INTO actors SELECT n::text, '', '' FROM generate_series(1, 30000) AS n";
    run_in_a_session(db.pool(), &[insert, "UPDATE actors SET passphrase = 'x'"]).await;
    until_dead(&db, "actors", 30_000).await;
    let cut = Maintd::on(&db).config("[jobs.index_health]\ndeadline = \"1s\"\n").run(&["index", "check", "--json"]);
    assert_eq!(cut.code, 2, "{cut:?}");
    let run = cut.json();
    assert_eq!((&run["outcome"], &run["report"]["stopped"]), (&json!("partial"), &json!("deadline")));
    let health = &run["report"]["health"];
    assert_eq!((&health["looked"], &health["indexes"]), (&json!(false), &json!([])), "{health}");
}

/// The server is let run through transactions until autovacuum should long have frozen what is old, which
/// somebody's snapshot does not let it do.
#[tokio::test]
async fn rows_that_nobody_freezes_are_found() {
    let server = Private::start(&[("autovacuum_freeze_max_age", "100000"), ("fsync", "off")], &[]).await;
    let store = store::open(store::settings_of(server.cluster().host(), server.cluster().port(), "postgres"));
    let mut holder = server.pool().begin().await.unwrap();
    sqlx::query("SELECT pg_current_xact_id()").execute(&mut *holder).await.unwrap();
    let burn = "DO $$ BEGIN FOR n IN 1..170000 LOOP BEGIN INSERT INTO burnt VALUES (n); EXCEPTION WHEN division_by_zero \
                THEN NULL; END; IF n % 5000 = 0 THEN COMMIT; END IF; END LOOP; END $$";
    run_on(&server, "CREATE UNLOGGED TABLE burnt (n int)").await;
    run_on(&server, burn).await;
    let report = look(&*store, Settings::default()).await;
    let found = kinds(&report);
    assert!(found.contains(&("transaction_age".to_owned(), "postgres".to_owned())), "{found:?}");
    assert!(found.contains(&("transaction_age".to_owned(), "actors".to_owned())), "{found:?}");
    assert!(finding(&report, "transaction_age").what.contains("from 100000 on autovacuum should"), "{report:#?}");
    holder.rollback().await.unwrap();
    run_on(&server, "VACUUM (FREEZE)").await;
    // Other databases are autovacuum's to freeze, and not ours to tell.
    assert_eq!(kinds(&look(&*store, Settings::default()).await), []);
}

async fn run_on(server: &Private, statement: &str) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(server.pool()).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// What a look finds once the server's statistics have come in.
async fn until_found(store: &dyn actingweb_maintd::storage::Store, kind: &str) -> actingweb_maintd::work::Report {
    until(store, |report| report.defects.iter().any(|defect| defect.kind == kind)).await
}

async fn until_gone(store: &dyn actingweb_maintd::storage::Store) {
    until(store, |report| report.defects.is_empty()).await;
}

async fn until(
    store: &dyn actingweb_maintd::storage::Store,
    is_so: impl Fn(&actingweb_maintd::work::Report) -> bool,
) -> actingweb_maintd::work::Report {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let report = look(store, Settings::default()).await;
        if is_so(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "{report:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
