//! What a running daemon takes over.

use actingweb_maintd::model::clock;
use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{hold_batches, last_success, reload, success, told, until_a_batch_waits};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, maintd};
use crate::harness::eventually;
use crate::harness::store::{add_attributes, count_attributes};

fn runs(db: &TestDb) -> Vec<Value> {
    let history = maintd(db, &["job", "history", "--json", "--limit", "1000"]).json();
    history["runs"].as_array().expect("runs").clone()
}

/// How many runs have ended well in this process.
fn succeeded(daemon: &Daemon) -> f64 {
    daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]).expect("counters begin at zero")
}

#[tokio::test]
async fn another_schedule_starts_the_job() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 50, -60).await;
    let daemon = Maintd::on(&db).config("[jobs.ttl_cleanup]\nschedule = \"@yearly\"\n").start().ready();
    let begun = last_success(&daemon);
    let yearly = daemon.metric("maintd_job_next_run_timestamp_seconds", &[]).expect("it is enabled");
    assert_eq!(success(&daemon), 1.0);

    let line = reload(&daemon, "[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n");
    let message = "the configuration was loaded: jobs.ttl_cleanup.schedule \"@yearly\" → \"every 1s\"";
    assert_eq!(told(&line), ("applied", message));
    assert_eq!(daemon.status()["jobs"][0]["schedule"], "every 1s");
    assert!(success(&daemon) == 1.0 && last_success(&daemon) > begun);
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.until("the next run to be shown", |daemon| {
        daemon.metric("maintd_job_next_run_timestamp_seconds", &[]).is_some_and(|next| next < yearly)
    });
    let seen = succeeded(&daemon);
    daemon.until("more runs", |daemon| succeeded(daemon) >= seen + 2.0);

    // And back: what comes next is far away again.
    reload(&daemon, "[jobs.ttl_cleanup]\nschedule = \"@yearly\"\n");
    daemon.until("the next run to be shown", |daemon| {
        daemon.metric("maintd_job_next_run_timestamp_seconds", &[]) == Some(yearly)
    });
    daemon.stop();
}

#[tokio::test]
async fn a_zone_moves_the_slots() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).config("[jobs.ttl_cleanup]\nschedule = \"30 3 1 1 *\"\n").start().ready();
    let next = |daemon: &Daemon| daemon.status()["jobs"][0]["next_run"].as_str().expect("a slot").to_owned();
    daemon.until("the slot in UTC", |daemon| daemon.status()["jobs"][0]["next_run"].is_string());
    assert!(next(&daemon).ends_with("-01-01T03:30:00Z"), "{}", next(&daemon));
    reload(&daemon, "[schedule]\ntimezone = \"Asia/Tokyo\"\n[jobs.ttl_cleanup]\nschedule = \"30 3 1 1 *\"\n");
    assert!(next(&daemon).ends_with("-12-31T18:30:00Z"), "{}", next(&daemon));
    daemon.stop();
}

#[tokio::test]
async fn a_run_that_is_going_on_ends_under_its_old_settings() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let config = |rate: u32, size: u32, grace: &str| {
        format!(
            "[jobs.ttl_cleanup]\nschedule = \"every 1s\"\nmax_rows_per_second = {rate}\nbatch_size = {size}\n\
             grace = \"{grace}\"\n[lease]\nttl = \"10m\"\n"
        )
    };
    let migration = hold_batches(&db).await;
    let daemon = Maintd::on(&db).config(&config(1_000, 300, "0s")).start();
    until_a_batch_waits(&db).await;
    let line = reload(&daemon, &config(2_000, 400, "1h"));
    assert_eq!(told(&line).0, "applied", "{line:#}");
    assert_eq!(daemon.metric("maintd_job_running", &[]), Some(1.0));
    migration.rollback().await.unwrap();
    daemon.until("another run", |daemon| succeeded(daemon) >= 2.0);
    daemon.stop();

    let runs = runs(&db);
    let first = &runs[runs.len() - 1]["report"];
    let limits = |report: &Value| {
        let limits = &report["limits"];
        json!([limits["max_rows_per_second"], limits["batch_size"], limits["grace"]])
    };
    assert_eq!(limits(first), json!([1_000, 300, 0.0]), "{runs:#?}");
    // Under the new grace none of them would have gone.
    assert_eq!(first["deleted"], 100);
    for run in &runs[..runs.len() - 1] {
        assert_eq!(limits(&run["report"]), json!([2_000, 400, 3600.0]), "{runs:#?}");
    }
}

#[tokio::test]
async fn a_job_can_be_disabled_and_enabled() {
    let db = TestDb::new().await;
    let config = |enabled| format!("[jobs.ttl_cleanup]\nenabled = {enabled}\nschedule = \"every 1s\"\n");
    let daemon = Maintd::on(&db).config(&config(true)).start().ready();
    daemon.until("a run", |daemon| succeeded(daemon) > 0.0);
    reload(&daemon, &config(false));
    let job = daemon.status()["jobs"][0].clone();
    assert_eq!((&job["enabled"], &job["next_run"]), (&false.into(), &Value::Null));
    daemon.until("the next run not to be told", |daemon| {
        daemon.metric("maintd_job_next_run_timestamp_seconds", &[("job", "ttl_cleanup")]).is_none()
    });
    let disabled = clock::now();
    add_attributes(&db, "expired", 10, -60).await;
    daemon.until("slots to pass", |_| clock::now() > disabled + TimeDelta::seconds(3));
    reload(&daemon, "[jobs.ttl_cleanup]\nenabled = false\nschedule = \"every 2s\"\n");
    assert_eq!(daemon.status()["jobs"][0]["next_run"], Value::Null);
    let enabled = clock::now();

    reload(&daemon, &config(true));
    assert_eq!(daemon.status()["jobs"][0]["enabled"], true);
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    assert!(daemon.metric("maintd_job_next_run_timestamp_seconds", &[]).is_some());
    daemon.stop();
    // The newest slot may be caught up with; none before it.
    let between = disabled..enabled - TimeDelta::seconds(1);
    let runs = runs(&db);
    let slot = |run: &Value| run["slot"].as_str().expect("a slot").parse::<DateTime<Utc>>().expect("a time");
    assert!(!runs.iter().any(|run| slot(run) > between.start && slot(run) < between.end), "{between:?}: {runs:#?}");
}

#[tokio::test]
async fn a_job_that_is_disabled_while_it_runs_comes_to_its_end() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 20, -60).await;
    let config =
        |enabled| format!("[jobs.ttl_cleanup]\nenabled = {enabled}\nschedule = \"every 1s\"\n[lease]\nttl = \"10m\"\n");
    let migration = hold_batches(&db).await;
    let daemon = Maintd::on(&db).config(&config(true)).start();
    until_a_batch_waits(&db).await;
    reload(&daemon, &config(false));
    // Enabled again while it is still running, it is not tried a second time.
    reload(&daemon, &config(true));
    reload(&daemon, &config(false));
    migration.rollback().await.unwrap();
    daemon.until("the run to end", |daemon| daemon.metric("maintd_job_running", &[]) == Some(0.0));
    assert_eq!(count_attributes(&db).await, 0);
    let log = daemon.stop();
    assert!(!log.contains("does not run"), "{log}");
    let runs = runs(&db);
    assert_eq!((runs.len(), &runs[0]["outcome"]), (1, &"succeeded".into()), "{runs:#?}");
}

#[tokio::test]
async fn the_name_of_the_deployment_is_shown() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).config("[deployment]\nname = \"before\"\n").start();
    assert_eq!(daemon.status()["deployment"], "before");
    reload(&daemon, "[deployment]\nname = \"after\"\n");
    assert_eq!(daemon.status()["deployment"], "after");
    assert!(daemon.get("/").1.contains("after"));
    let line = reload(&daemon, "");
    assert_eq!(told(&line).1, "the configuration was loaded: deployment.name \"after\" → unset");
    assert_eq!(daemon.status()["deployment"], Value::Null);
    daemon.stop();
}

#[tokio::test]
async fn the_log_becomes_more_or_less_talkative() {
    let db = TestDb::new().await;
    let config = |filter: &str| format!("[log]\nfilter = \"{filter}\"\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n");
    let daemon = Maintd::on(&db).config(&config("info")).start().ready();
    let levels = |daemon: &Daemon, since: usize| -> Vec<String> {
        let lines = daemon.lines();
        lines[since..].iter().map(|line| line["level"].as_str().expect("a level").to_owned()).collect()
    };
    assert!(!levels(&daemon, 0).iter().any(|level| level == "DEBUG"));
    reload(&daemon, &config("debug"));
    // A batch is told at that level.
    add_attributes(&db, "expired", 10, -60).await;
    daemon.until("it to be talkative", |daemon| levels(daemon, 0).iter().any(|level| level == "DEBUG"));

    // The last that is heard is why nothing is heard any more.
    let line = reload(&daemon, &config("error"));
    assert_eq!(told(&line).1, "the configuration was loaded: log.filter \"debug\" → \"error\"");
    // Every line of before is out once a run has begun and ended after it.
    let seen = succeeded(&daemon);
    daemon.until("a run", |daemon| succeeded(daemon) >= seen + 2.0);
    let since = daemon.lines().len();
    daemon.until("two more runs", |daemon| succeeded(daemon) >= seen + 4.0);
    assert_eq!(levels(&daemon, since), [""; 0]);

    let line = reload(&daemon, &config("info"));
    assert_eq!(told(&line).1, "the configuration was loaded: log.filter \"error\" → \"info\"");
    daemon.until_said("ttl_cleanup succeeded");
    daemon.stop();
}

#[tokio::test]
async fn the_history_is_kept_for_as_long_as_it_says_now() {
    let db = TestDb::new().await;
    let config = |keep: &str| format!("[history]\nkeep = \"{keep}\"\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n");
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup"]).code, 0);
    sqlx::query(
        "UPDATE maintd.runs SET started_at = started_at - interval '2 hours', finished_at = now() - interval '2 hours'",
    )
    .execute(db.pool())
    .await
    .unwrap();
    let daemon = Maintd::on(&db).config(&config("1d")).start().ready();
    daemon.until("runs", |daemon| succeeded(daemon) >= 2.0);
    let manual = || runs(&db).iter().filter(|run| run["trigger"] == "manual").count();
    assert_eq!(manual(), 1);
    reload(&daemon, &config("1h"));
    eventually("the old run to be forgotten", async || manual() == 0).await;
    daemon.stop();
}

#[tokio::test]
async fn the_grace_at_the_end_is_what_it_says_now() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let config = |grace: &str| {
        format!("[drain]\ngrace = \"{grace}\"\n[lease]\nttl = \"10m\"\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n")
    };
    let migration = hold_batches(&db).await;
    let daemon = Maintd::on(&db).config(&config("1h")).start();
    until_a_batch_waits(&db).await;
    reload(&daemon, &config("100ms"));
    daemon.signal(Signal::SIGTERM);
    let (code, log) = daemon.wait();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("the grace to drain is over"), "{log}");
    migration.rollback().await.unwrap();
}
