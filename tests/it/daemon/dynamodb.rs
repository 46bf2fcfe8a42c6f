//! The daemon on DynamoDB, alone and beside PostgreSQL.
//!
//! The DynamoDB is in this process, and waiting for a daemon keeps a thread busy: hence more than one.

use serde_json::Value;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::dynamodb::TestTables;
use crate::harness::eventually;
use crate::harness::store::{add_attributes, count_attributes};

/// A daemon on the tables alone, cleaning up each second.
fn cleaning(tables: &TestTables) -> Maintd {
    Maintd::beside(tables)
        .env("MAINTD_JOBS__TTL_CLEANUP__BACKENDS", "dynamodb")
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
}

fn runs(tables: &TestTables) -> Vec<Value> {
    let history = Maintd::beside(tables).run(&["job", "history", "--json", "--limit", "1000"]).json();
    history["runs"].as_array().expect("runs").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_goes_and_every_number_agrees() {
    let tables = TestTables::new().await;
    tables.add_attributes("tokens", 40, 600).await;
    tables.add_attributes("tokens", 60, -60).await;
    tables.add_attributes("sessions", 15, -60).await;
    let daemon = cleaning(&tables).start().ready();
    daemon.until("the rows to be counted", |daemon| daemon.rows_deleted() == 75);
    assert_eq!(tables.count_attributes().await, 40);
    let labels = [("backend", "dynamodb"), ("job", "ttl_cleanup"), ("table", "attributes"), ("reason", "expired")];
    assert_eq!(daemon.metric("maintd_rows_deleted_total", &labels), Some(75.0));
    let units = daemon.metric("maintd_dynamodb_consumed_units_total", &[("table", "attributes"), ("unit", "write")]);
    assert!(units.is_some_and(|units| units >= 75.0), "{units:?}");
    assert_eq!(daemon.metric("maintd_up", &[("backend", "dynamodb")]), Some(1.0));
    let status = daemon.status();
    assert_eq!(status["backends"].as_array().map(Vec::len), Some(1));
    assert_eq!(status["jobs"][0]["backend"], "dynamodb");
    daemon.stop();
    let told: u64 = runs(&tables).iter().filter_map(|run| run["report"]["deleted"].as_u64()).sum();
    assert_eq!(told, 75);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_runs_there_unless_it_is_told_to() {
    let tables = TestTables::new().await;
    tables.add_attributes("tokens", 5, -60).await;
    let list = Maintd::beside(&tables).run(&["job", "list", "--json"]).json();
    assert_eq!((&list["jobs"][0]["backend"], &list["jobs"][0]["enabled"]), (&"dynamodb".into(), &false.into()));
    let dry = Maintd::beside(&tables).run(&["job", "run", "ttl_cleanup", "--dry-run", "--json"]);
    assert_eq!(dry.code, 2, "{dry:?}");
    assert_eq!(dry.json()["report"]["buckets"]["tokens"], 5);
    // By hand it can always be started.
    let run = Maintd::beside(&tables).run(&["job", "run", "ttl_cleanup", "--json"]);
    assert_eq!((run.code, &run.json()["report"]["deleted"]), (0, &5.into()), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tables_it_says_so_until_they_are_made() {
    let tables = TestTables::empty().await;
    let daemon = cleaning(&tables).start();
    daemon.until("the reason to be told", |daemon| daemon.get("/readyz").1.contains(tables.prefix()));
    let (code, why) = daemon.get("/readyz");
    assert_eq!(code, 503);
    assert!(why.contains("storage.dynamodb.table_prefix"), "{why}");
    let status = Maintd::beside(&tables).run(&["schema", "status"]);
    assert_eq!(status.code, 2, "{status:?}");
    assert!(tables.client().list_tables().send().await.unwrap().table_names().is_empty(), "nothing else makes a table");

    let applied = Maintd::beside(&tables).run(&["schema", "apply", "--json"]).json();
    assert_eq!(applied["applied"]["dynamodb"]["tables"].as_array().map(Vec::len), Some(9));
    assert_eq!(
        (&applied["applied"]["dynamodb"]["maintd"], &applied["applied"]["dynamodb"]["ttl"]),
        (&true.into(), &true.into())
    );
    let status = Maintd::beside(&tables).run(&["schema", "status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let again = Maintd::beside(&tables).run(&["schema", "apply"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "nothing to do: everything is at its newest revision\n"));
    daemon.ready().stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_makes_its_own_table_when_asked_and_no_other() {
    let tables = TestTables::new().await;
    tables.client().delete_table().table_name(tables.own_name()).send().await.unwrap();
    let daemon = cleaning(&tables).start();
    daemon.until("the reason to be told", |daemon| daemon.get("/readyz").1.contains("schema apply"));
    daemon.stop();
    let daemon = cleaning(&tables).start_with(&["--apply-schema"]).ready();
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_daemons_one_runs_each_slot() {
    let tables = TestTables::new().await;
    let start = || cleaning(&tables).start().ready();
    let daemons = [start(), start()];
    for round in 0..3 {
        tables.add_attributes(&format!("round_{round}"), 20, -60).await;
        eventually("the expired rows to be gone", async || tables.count_attributes().await == 0).await;
    }
    let counted = || daemons.iter().map(Daemon::rows_deleted).sum::<u64>();
    daemons[0].until("each row to be counted once", |_| counted() == 60);
    daemons.into_iter().for_each(|daemon| drop(daemon.stop()));
    let runs = runs(&tables);
    // The end of a daemon may have come in the middle of one, which the other one may have taken up then.
    let (cut, whole): (Vec<&Value>, Vec<&Value>) = runs.iter().partition(|run| run["report"]["stopped"] == "shutdown");
    let mut slots: Vec<&str> = whole.iter().filter_map(|run| run["slot"].as_str()).collect();
    slots.sort_unstable();
    let all = slots.len();
    slots.dedup();
    assert_eq!(slots.len(), all, "a slot ran twice");
    assert!(cut.len() <= 2 && whole.iter().all(|run| run["outcome"] == "succeeded"), "{runs:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_goes_on_when_one_was_killed() {
    let tables = TestTables::new().await;
    let start = || cleaning(&tables).env("MAINTD_LEASE__TTL", "1s").start().ready();
    let first = start();
    tables.add_attributes("before", 10, -60).await;
    first.until("the rows to be counted", |first| first.rows_deleted() == 10);
    let second = start();
    first.kill();
    tables.add_attributes("after", 10, -60).await;
    eventually("the expired rows to be gone", async || tables.count_attributes().await == 0).await;
    second.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_and_resumed() {
    let tables = TestTables::new().await;
    let paused = Maintd::beside(&tables).run(&["job", "pause", "ttl_cleanup", "--json"]).json();
    assert_eq!(paused["backend"], "dynamodb");
    tables.add_attributes("tokens", 3, -60).await;
    let refused = Maintd::beside(&tables).run(&["job", "run", "ttl_cleanup"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("is paused by"), "{refused:?}");
    assert_eq!(tables.count_attributes().await, 3);
    Maintd::beside(&tables).run(&["job", "resume", "ttl_cleanup"]);
    assert_eq!(Maintd::beside(&tables).run(&["job", "run", "ttl_cleanup"]).code, 0);
    assert_eq!(tables.count_attributes().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_backends_at_once_are_kept_apart() {
    let (db, tables) = (TestDb::new().await, TestTables::new().await);
    let both = || Maintd::on(&db).and(&tables).env("MAINTD_JOBS__TTL_CLEANUP__BACKENDS", "postgresql,dynamodb");
    add_attributes(&db, "expired", 12, -60).await;
    tables.add_attributes("expired", 7, -60).await;
    let daemon = both().env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start().ready();
    let deleted = |daemon: &Daemon, backend| daemon.metric("maintd_rows_deleted_total", &[("backend", backend)]);
    daemon.until("both to be swept", |daemon| {
        (deleted(daemon, "postgresql"), deleted(daemon, "dynamodb")) == (Some(12.0), Some(7.0))
    });
    assert_eq!((count_attributes(&db).await, tables.count_attributes().await), (0, 0));
    daemon.stop();

    let unclear = both().run(&["job", "run", "ttl_cleanup"]);
    assert_eq!(unclear.code, 64, "{unclear:?}");
    assert!(unclear.stderr.contains("postgresql and dynamodb: say which with --backend"), "{unclear:?}");
    for backend in ["postgresql", "dynamodb"] {
        let run = both().run(&["job", "run", "ttl_cleanup", "--backend", backend, "--json"]);
        assert_eq!((run.code, &run.json()["backend"]), (0, &backend.into()), "{run:?}");
    }
    let history = both().run(&["job", "history", "--json"]).json();
    let backends: std::collections::BTreeSet<&str> =
        history["runs"].as_array().unwrap().iter().filter_map(|run| run["backend"].as_str()).collect();
    assert_eq!(backends.len(), 2);
    let schema = both().run(&["schema", "status", "--json"]);
    assert_eq!(schema.code, 0, "{schema:?}");
    assert_eq!(schema.json()["backends"].as_object().map(serde_json::Map::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_down_does_not_stop_the_other() {
    let (db, tables) = (TestDb::new().await, TestTables::new().await);
    add_attributes(&db, "expired", 12, -60).await;
    let daemon = Maintd::on(&db)
        .and(&tables)
        .env("AWS_DB_HOST", "http://127.0.0.1:1")
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .start();
    daemon.until("the rows to be counted", |daemon| daemon.rows_deleted() == 12);
    daemon.until("the other to be told", |daemon| daemon.get("/readyz").1.contains("AWS_DB_HOST"));
    let (code, why) = daemon.get("/readyz");
    assert_eq!(code, 503);
    assert!(why.contains("dynamodb") && !why.contains("postgresql:"), "{why}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_told_to_run_where_the_deployment_is_not_is_warned_about() {
    let tables = TestTables::empty().await;
    let check =
        Maintd::beside(&tables).env("MAINTD_JOBS__TTL_CLEANUP__BACKENDS", "postgresql").run(&["config", "check"]);
    assert_eq!(check.code, 0, "{check:?}");
    let said = format!("{}{}", check.stdout, check.stderr);
    assert!(said.contains("jobs.ttl_cleanup.backends: names postgresql"), "{check:?}");
}
