//! Signals, many of them, and at bad times.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{hold_batches, outcomes, reload, success, told, until_a_batch_waits};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::store::add_attributes;

/// The lines that tell the status.
fn statuses(daemon: &Daemon) -> Vec<Value> {
    daemon.lines().into_iter().filter(|line| line["status"].is_string()).collect()
}

/// Asks for the status, and returns the line that tells it.
fn ask(daemon: &Daemon) -> Value {
    let before = statuses(daemon).len();
    daemon.signal(Signal::SIGUSR1);
    daemon.until_some("the status", |daemon| statuses(daemon).into_iter().nth(before))
}

fn named(name: &str) -> String {
    format!("[deployment]\nname = \"{name}\"\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n")
}

/// The jobs that nobody has switched on.
const OTHERS: &str = "disabled: diff_prune, token_cleanup, orphan_scan, lookup_check, backup, backup_drill";

#[tokio::test]
async fn the_status_is_told_on_request() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).config("[deployment]\nname = \"told\"\n").start().ready();
    daemon.until("the backlog to be shown", |daemon| daemon.status()["backends"][0]["backlog"].is_object());
    let line = ask(&daemon);
    assert_eq!(line["level"], "INFO");
    let mut document: Value = serde_json::from_str(line["status"].as_str().unwrap()).expect("the status is JSON");
    let mut shown = daemon.status();
    // It may have been counted once more in between.
    for status in [&mut document, &mut shown] {
        status["backends"][0]["backlog"] = Value::Null;
    }
    assert_eq!(document, shown);
    assert_eq!(document["deployment"], "told");
    let message = line["message"].as_str().unwrap();
    let due = shown["jobs"][0]["next_run"].as_str().unwrap();
    let looks = shown["jobs"].as_array().unwrap().iter().find(|job| job["job"] == "index_health").unwrap();
    let looked_at = looks["next_run"].as_str().unwrap();
    let dues = format!("ttl_cleanup is due at {due}; index_health is due at {looked_at}");
    assert_eq!(message, format!("status: ready; {dues}; {OTHERS}"));
    daemon.stop();
}

#[test]
fn the_status_says_what_is_wrong() {
    // Nobody listens there.
    let daemon = Maintd::at("127.0.0.1", 1, "actingweb").env("MAINTD_JOBS__TTL_CLEANUP__ENABLED", "false").start();
    daemon.until("it to be told", |daemon| daemon.get("/readyz").1.contains("no connection"));
    let line = ask(&daemon);
    let message = line["message"].as_str().unwrap();
    assert!(message.starts_with("status: not ready: ") && message.contains("no connection"), "{message}");
    assert!(
        message.ends_with(
            "; disabled: ttl_cleanup, diff_prune, token_cleanup, orphan_scan, lookup_check, backup, backup_drill"
        ),
        "{message}"
    );
    daemon.stop();
}

#[tokio::test]
async fn a_storm_of_signals_ends_with_the_newest_configuration() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).config(&named("before the storm")).start().ready();
    for round in 0..100 {
        let text = if round % 3 == 0 { "no TOML".to_owned() } else { named(&format!("round {round}")) };
        fs::write(daemon.config(), text).unwrap();
        daemon.signal(Signal::SIGHUP);
    }
    fs::write(daemon.config(), named("after the storm")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.until("the newest", |daemon| daemon.status()["deployment"] == "after the storm");
    // Whatever is still on its way, at the end the file is what is in force.
    daemon.until("the flag to clear", |daemon| success(daemon) == 1.0);
    let count = outcomes(&daemon).len();
    assert!((1..=101).contains(&count), "{count}");
    let seen = daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]).unwrap();
    daemon.until("runs", |daemon| {
        daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]).unwrap() >= seen + 2.0
    });
    assert_eq!(daemon.status()["deployment"], "after the storm");
    daemon.stop();
}

/// A pipe in the place of a file: whoever opens it waits for somebody at its other end.
fn make_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[tokio::test]
async fn a_file_system_that_hangs_does_not_stop_the_scheduler() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).config(&named("before")).start().ready();
    let runs = |daemon: &Daemon| daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]).unwrap();
    make_pipe(daemon.config());
    daemon.signal(Signal::SIGHUP);
    // Opening waits as well, until the daemon has opened it.
    let mut other_end = OpenOptions::new().write(true).open(daemon.config()).unwrap();
    for _ in 0..100 {
        daemon.signal(Signal::SIGHUP);
    }
    // The second answer comes after everything that was sent before the first.
    ask(&daemon);
    ask(&daemon);
    let seen = runs(&daemon);
    daemon.until("more runs", |daemon| runs(daemon) >= seen + 2.0);
    assert_eq!(outcomes(&daemon).len(), 0);
    assert_eq!((daemon.get("/healthz").0, success(&daemon)), (200, 1.0));

    // What the hundred asked for is read from what is there by now.
    let next = daemon.config().with_extension("next");
    fs::write(&next, named("after")).unwrap();
    fs::rename(&next, daemon.config()).unwrap();
    other_end.write_all(named("between").as_bytes()).unwrap();
    drop(other_end);
    daemon.until("both outcomes", |daemon| outcomes(daemon).len() >= 2);
    let said: Vec<String> = outcomes(&daemon).iter().map(|line| told(line).1.to_owned()).collect();
    let change = |old: &str, new: &str| format!("the configuration was loaded: deployment.name \"{old}\" → \"{new}\"");
    assert_eq!(said, [change("before", "between"), change("between", "after")]);
    // A hundred were one: the next outcome is that of the next signal.
    assert_eq!(told(&reload(&daemon, &named("at last"))).1, change("after", "at last"));
    daemon.stop();
}

#[tokio::test]
async fn a_daemon_ends_whose_configuration_is_still_being_loaded() {
    let db = TestDb::new().await;
    let daemon = Maintd::on(&db).config(&named("before")).start().ready();
    make_pipe(daemon.config());
    daemon.signal(Signal::SIGHUP);
    let other_end = OpenOptions::new().write(true).open(daemon.config()).unwrap();
    let log = daemon.stop();
    assert!(!log.contains("the configuration was loaded"), "{log}");
    drop(other_end);
}

#[tokio::test]
async fn a_daemon_that_is_stopping_loads_nothing_and_tells_its_status() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let migration = hold_batches(&db).await;
    let config = |name: &str| named(name) + "[lease]\nttl = \"10m\"\n[drain]\ngrace = \"10m\"\n";
    let daemon = Maintd::on(&db).config(&config("before")).start();
    until_a_batch_waits(&db).await;
    daemon.signal(Signal::SIGTERM);
    daemon.until_said("waiting for running jobs");
    fs::write(daemon.config(), config("after")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.until_said("the configuration is not loaded again, as the daemon is stopping");
    let line = ask(&daemon);
    assert!(line["message"].as_str().unwrap().contains("ttl_cleanup is running on "), "{line:#}");
    assert_eq!(daemon.status()["deployment"], "before");
    migration.rollback().await.unwrap();
    let (code, log) = daemon.wait();
    assert_eq!(code, 0, "{log}");
}

#[tokio::test]
async fn a_closing_terminal_ends_a_command_as_it_ends_any_other() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let migration = hold_batches(&db).await;
    let maintd = Maintd::on(&db).env("MAINTD_LEASE__TTL", "10m");
    let mut command = maintd.into_command(&["job", "run", "ttl_cleanup"]);
    let mut command = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_a_batch_waits(&db).await;
    kill(Pid::from_raw(command.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    assert_eq!(command.wait().unwrap().signal(), Some(Signal::SIGHUP as i32));
    migration.rollback().await.unwrap();
}
