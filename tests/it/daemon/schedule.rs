//! Running on schedule, and showing it.

use std::net::TcpListener;

use actingweb_maintd::model::clock;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, maintd};
use crate::harness::eventually;
use crate::harness::store::{add_attributes, count_attributes};

#[tokio::test]
async fn what_has_expired_goes_on_schedule_and_every_surface_shows_it() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 250, -60).await;
    add_attributes(&db, "alive", 50, 3600).await;
    let daemon = Maintd::on(&db)
        .config("[deployment]\nname = \"a deployment of tests\"\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n")
        .start()
        .ready();
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 50).await;
    daemon.until_said("ttl_cleanup succeeded: 250 rows deleted");
    daemon.until("the run to be shown", |daemon| daemon.status()["jobs"][0]["last_run"]["outcome"] == "succeeded");

    let history = maintd(&db, &["job", "history", "--json", "--limit", "1000"]).json();
    let runs = history["runs"].as_array().unwrap();
    let worked: Vec<&Value> = runs.iter().filter(|run| run["report"]["deleted"] != 0).collect();
    assert_eq!(worked.len(), 1, "{history:#}");
    let run = worked[0];
    assert_eq!((&run["trigger"], &run["outcome"]), (&"schedule".into(), &"succeeded".into()));
    assert_eq!(run["report"]["deleted"], 250);
    let time = |key: &str| run[key].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert_eq!(time("slot").timestamp_subsec_nanos(), 0, "slots of `every 1s` are whole seconds");
    assert!(time("slot") <= time("started_at") && time("started_at") <= time("finished_at"));

    let job = [("job", "ttl_cleanup"), ("backend", "postgresql")];
    assert_eq!(daemon.rows_deleted(), 250);
    assert!(daemon.metric("maintd_rows_examined_total", &job).unwrap() >= 250.0);
    assert!(daemon.metric("maintd_job_runs_total", &[job[0], ("outcome", "succeeded")]).unwrap() >= 1.0);
    assert_eq!(daemon.metric("maintd_job_runs_total", &[job[0], ("outcome", "failed")]), Some(0.0));
    assert_eq!(daemon.metric("maintd_up", &[job[1]]), Some(1.0));
    assert!(daemon.metric("maintd_expired_rows", &[job[1]]).is_some());
    let now = clock::now().timestamp() as f64;
    for name in ["maintd_job_last_success_timestamp_seconds", "maintd_job_last_run_timestamp_seconds"] {
        let at = daemon.metric(name, &job).unwrap();
        assert!((now - at).abs() < 3600.0, "{name} is {at}, now is {now}");
    }
    assert!(daemon.metric("maintd_job_next_run_timestamp_seconds", &job).is_some());

    let (code, page) = daemon.get("/");
    assert_eq!(code, 200);
    for shown in ["a deployment of tests", "ttl_cleanup", "every 1s", "succeeded", db.name()] {
        assert!(page.contains(shown), "the page does not show {shown}:\n{page}");
    }
    assert_eq!(daemon.status()["deployment"], "a deployment of tests");
    assert_eq!(daemon.get("/healthz"), (200, "ok\n".to_owned()));
    let log = daemon.stop();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
}

#[tokio::test]
async fn a_disabled_job_is_shown_and_does_not_run() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5, -60).await;
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__ENABLED", "false")
        .start()
        .ready();
    daemon.until("the backlog to be shown", |daemon| daemon.status()["backends"][0]["backlog"]["expired_rows"] == 5);
    let job = daemon.status()["jobs"][0].clone();
    assert_eq!((&job["enabled"], &job["next_run"]), (&false.into(), &Value::Null));
    assert_eq!(daemon.metric("maintd_job_next_run_timestamp_seconds", &[("job", "ttl_cleanup")]), None);
    // By hand it can be started all the same.
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup"]).code, 0);
    daemon.stop();
    assert_eq!(count_attributes(&db).await, 0);
    let history = maintd(&db, &["job", "history", "--json"]).json();
    assert_eq!(history["runs"].as_array().unwrap().len(), 1);
    assert_eq!(history["runs"][0]["trigger"], "manual");
}

#[tokio::test]
async fn a_taken_port_ends_the_daemon_with_its_address() {
    let db = TestDb::new().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Maintd::on(&db).env("MAINTD_HTTP__LISTEN", &address).run(&["run"]);
    assert_eq!(output.code, 1);
    for said in [&address, "http.listen", "in use"] {
        assert!(output.stderr.contains(said), "{said} is not in {}", output.stderr);
    }
}

#[tokio::test]
async fn a_run_that_is_going_on_is_shown() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5_000, -60).await;
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "20")
        .start();
    let job = [("job", "ttl_cleanup")];
    daemon.until("rows to go", |daemon| daemon.rows_deleted() > 0);
    assert_eq!(daemon.metric("maintd_job_running", &job), Some(1.0));
    assert_eq!(daemon.metric("maintd_lease_held", &job), Some(1.0));
    daemon.until("the size of the next batch to be shown", |daemon| {
        daemon.metric("maintd_throttle_batch_size", &job).is_some_and(|rows| rows > 0.0)
    });
    assert!(daemon.status()["jobs"][0]["running"]["holder"].is_string());
    daemon.until("the waiting to be counted", |daemon| {
        daemon.metric("maintd_throttle_wait_seconds_total", &[("reason", "rate")]).unwrap() > 0.0
    });
    let list = maintd(&db, &["job", "list"]);
    assert!(list.stdout.contains("running"), "{list:?}");
    let held = maintd(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!(held.code, 1);
    daemon.stop();
}

#[tokio::test]
async fn a_run_that_begins_while_the_history_is_read_stays_shown() {
    const READ: &str = "postgresql.last_success.commit.after";
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5_000, -60).await;
    assert_eq!(maintd(&db, &["job", "pause", "ttl_cleanup"]).code, 0);
    // The first look at the history sees no run; one begins before it has shown so.
    let daemon = Maintd::on(&db)
        .env("FAILPOINTS", format!("{READ}=1*return(delay:10000)"))
        .env("MAINTD_LOG__FILTER", "info,actingweb_maintd::fault=trace")
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "20")
        .start();
    let jobs_looked_at = |daemon: &Daemon| daemon.log().matches(READ).count();
    let running = |daemon: &Daemon| daemon.status()["jobs"][0]["running"]["run_id"].as_str().map(str::to_owned);
    daemon.until("the history to be read", |daemon| jobs_looked_at(daemon) == 1);
    assert_eq!(maintd(&db, &["job", "resume", "ttl_cleanup"]).code, 0);
    let run = daemon.until_some("a run", running);
    assert_eq!(jobs_looked_at(&daemon), 1, "the look was over before the run began");
    daemon.until("the next job to be looked at", |daemon| jobs_looked_at(daemon) > 1);
    assert_eq!(running(&daemon), Some(run));
    daemon.stop();
}

#[tokio::test]
async fn what_expires_while_it_runs_goes_as_well() {
    let db = TestDb::new().await;
    let daemon = Daemon::start(&db);
    add_attributes(&db, "expired", 10, -60).await;
    add_attributes(&db, "expires_soon", 10, 1).await;
    eventually("the expired rows to be gone", async || count_attributes(&db).await == 0).await;
    daemon.until("all of them to be counted", |daemon| daemon.rows_deleted() == 20);
    daemon.stop();
}
