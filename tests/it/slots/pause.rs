//! `job pause` and `job resume`.

use serde_json::Value;

use super::{last_slot, ledger, passed_for};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, Output};
use crate::harness::eventually;
use crate::harness::witness::Witness;

const JOB: &[(&str, &str)] = &[("job", "ttl_cleanup"), ("backend", "postgresql")];

/// A command that somebody called ada gives.
fn ada(db: &TestDb, arguments: &[&str]) -> Output {
    Maintd::on(db).env("USER", "ada").run(arguments)
}

fn slow(db: &TestDb) -> Daemon {
    Maintd::on(db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "100")
        .env("MAINTD_LEASE__TTL", "6s")
        .start()
}

fn is_shown_paused(daemon: &Daemon) -> bool {
    let shown = &daemon.status()["jobs"][0]["paused"];
    let by_ada = shown["by"].as_str().is_some_and(|by| by.starts_with("ada@"));
    let (_, page) = daemon.get("/");
    by_ada && page.contains("by ada@") && daemon.metric("maintd_job_paused", JOB) == Some(1.0)
}

fn is_shown_resumed(daemon: &Daemon) -> bool {
    daemon.status()["jobs"][0]["paused"].is_null() && daemon.metric("maintd_job_paused", JOB) == Some(0.0)
}

/// Waits until the stretch of skipped slots has grown, and sees to it that it is one.
async fn until_more_is_skipped(db: &TestDb) {
    let before = passed_for(db.pool(), "skipped/paused").await.first().map_or(0, |stretch| stretch.count);
    eventually("more slots to be skipped", async || {
        let stretches = passed_for(db.pool(), "skipped/paused").await;
        assert!(stretches.len() <= 1, "one stretch that grows, and not {stretches:#?}");
        stretches.first().is_some_and(|stretch| stretch.count >= before + 2)
    })
    .await;
}

async fn left(db: &TestDb) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(db.pool()).await.expect("counting")
}

#[tokio::test]
async fn a_paused_job_rests_on_every_replica_and_through_restarts_until_it_is_resumed() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(2_000, -60).await;
    let daemons = [slow(&db), slow(&db)];
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    eventually("rows to go", async || left(&db).await < 2_000).await;
    let paused = ada(&db, &["job", "pause", "ttl_cleanup"]);
    assert_eq!((paused.code, paused.stderr.as_str()), (0, ""));
    assert!(paused.stdout.starts_with("ttl_cleanup is paused by ada@"), "{}", paused.stdout);

    // The run that is going on ends at its next batch.
    eventually("the run to end", async || {
        let open: i64 = sqlx::query_scalar("SELECT count(*) FROM maintd.runs WHERE outcome IS NULL")
            .fetch_one(db.pool())
            .await
            .expect("reading the runs");
        open == 0
    })
    .await;
    let still = left(&db).await;
    assert!(still > 0, "the run was to be cut short");
    let history = ada(&db, &["job", "history", "--json"]).json();
    let run = &history["runs"][0];
    assert_eq!((&run["outcome"], &run["report"]["stopped"]), (&"partial".into(), &"paused".into()), "{history:#}");
    until_more_is_skipped(&db).await;
    for daemon in &daemons {
        daemon.until("it to be shown", is_shown_paused);
    }
    let [first, second] = daemons;
    first.stop();
    second.kill();
    let daemons = [slow(&db), slow(&db)];
    until_more_is_skipped(&db).await;
    for daemon in &daemons {
        daemon.until("it to be shown again", is_shown_paused);
    }
    assert_eq!(left(&db).await, still);

    let resumed = ada(&db, &["job", "resume", "ttl_cleanup"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.stdout.starts_with("ttl_cleanup runs again. It was paused by ada@"), "{}", resumed.stdout);
    for daemon in &daemons {
        daemon.until("it not to be shown any more", is_shown_resumed);
    }
    let work = left(&db).await;
    eventually("rows to go again", async || left(&db).await < work).await;
    // The rest may go faster.
    for daemon in daemons {
        daemon.stop();
    }
    assert_eq!(ada(&db, &["job", "run", "ttl_cleanup"]).code, 0);
    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();
    assert_eq!(passed_for(db.pool(), "skipped/paused").await.len(), 1);
}

#[tokio::test]
async fn a_paused_job_is_not_run_by_hand_and_every_list_names_who_paused_it() {
    let db = TestDb::new().await;
    Witness::new(db.pool()).await.add(5, -60).await;
    let document = ada(&db, &["job", "pause", "ttl_cleanup", "--json"]).json();
    assert_eq!(document["job"], "ttl_cleanup");
    let paused = document["paused"].clone();
    assert!(paused["by"].as_str().is_some_and(|by| by.starts_with("ada@")), "{document:#}");
    assert!(paused["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{document:#}");

    let run = ada(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("ttl_cleanup is paused by ada@"), "{}", run.stderr);
    assert!(run.stderr.contains("job resume ttl_cleanup"), "{}", run.stderr);
    assert_eq!(left(&db).await, 5);
    // Looking changes nothing, so it is allowed.
    assert_eq!(ada(&db, &["job", "run", "ttl_cleanup", "--dry-run"]).code, 2);
    let list = ada(&db, &["job", "list"]);
    assert!(list.stdout.lines().nth(1).is_some_and(|line| line.contains("paused")), "{}", list.stdout);
    assert_eq!(ada(&db, &["job", "list", "--json"]).json()["jobs"][0]["paused"], paused);

    // Pausing twice changes nothing, whoever does it.
    let again = Maintd::on(&db).env("USER", "bob").run(&["job", "pause", "ttl_cleanup", "--json"]);
    assert_eq!((again.code, &again.json()["paused"]), (0, &paused));
    let resumed = ada(&db, &["job", "resume", "ttl_cleanup", "--json"]).json();
    assert_eq!((&resumed["paused"], &resumed["was_paused"]), (&Value::Null, &paused));
    assert_eq!(ada(&db, &["job", "run", "ttl_cleanup"]).code, 0);
    assert_eq!(left(&db).await, 0);

    let not_paused = ada(&db, &["job", "resume", "ttl_cleanup"]);
    assert_eq!((not_paused.code, not_paused.stdout.as_str()), (0, "ttl_cleanup was not paused.\n"));
    let document = ada(&db, &["job", "resume", "ttl_cleanup", "--json"]).json();
    assert_eq!((&document["paused"], &document["was_paused"]), (&Value::Null, &Value::Null));
    assert_eq!(ada(&db, &["job", "pause", "no_such_job"]).code, 64);
}

#[tokio::test]
async fn a_job_that_was_paused_before_it_ever_ran_is_begun_with_when_it_is_resumed() {
    let db = TestDb::new().await;
    Witness::new(db.pool()).await.add(5, -60).await;
    assert_eq!(ada(&db, &["job", "pause", "ttl_cleanup"]).code, 0);
    let daemon = Daemon::start(&db);
    until_more_is_skipped(&db).await;
    let baseline = passed_for(db.pool(), "skipped/paused").await[0].first - chrono::TimeDelta::seconds(1);
    assert_eq!(left(&db).await, 5);
    assert_eq!(ada(&db, &["job", "resume", "ttl_cleanup"]).code, 0);
    daemon.until("the rows to go", |daemon| daemon.rows_deleted() == 5);
    daemon.stop();
    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();
}

#[tokio::test]
async fn without_our_own_schema_there_is_nothing_to_pause_and_it_is_said_what_to_do() {
    let db = TestDb::empty().await;
    for command in ["pause", "resume"] {
        let output = ada(&db, &["job", command, "ttl_cleanup"]);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("actingweb-maintd schema apply"), "{}", output.stderr);
    }
    let schemas: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname = 'maintd'")
        .fetch_one(db.pool())
        .await
        .expect("reading the schemas");
    assert_eq!(schemas, 0, "nothing was made");
}
