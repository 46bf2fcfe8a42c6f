//! A daemon on DynamoDB alone: its requests go wrong one by one, or the process ends at one of
//! them, and the work goes on.
//!
//! The DynamoDB is in this process, and waiting for a daemon keeps a thread busy: hence more than one.

use actingweb_maintd::model::row::{Attribute, Row};
use actingweb_maintd::model::{Record, Table, clock, json};
use actingweb_maintd::schedule::Schedule;
use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::storage::{Bulk, Runs, Slots};
use actingweb_maintd::work::Reason;
use chrono::TimeDelta;
use chrono_tz::Tz;
use nix::sys::signal::Signal;

use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::dynamodb::TestTables;
use crate::harness::eventually;
use crate::harness::ledger::{Entry, History, Killed, Ledger, Stretch, is_process};
use crate::harness::witness::Fate;

const JOB: &str = "ttl_cleanup";

/// Rows that have expired, which take longer to go than there is time between two slots and
/// between two renewals of the lease; and rows that have not.
const DEAD: usize = 150;
const ALIVE: usize = 20;

/// Far beyond the newest run.
const ALL: u32 = 1_000;

/// The tables, and what was done to them.
struct Scene {
    tables: TestTables,
    dead: usize,
    killed: Vec<Killed>,
}

impl Scene {
    async fn new() -> Self {
        let mut scene = Self { tables: TestTables::new().await, dead: 0, killed: Vec::new() };
        scene.add_dead().await;
        scene.add("alive", ALIVE, 3600).await;
        scene
    }

    async fn add_dead(&mut self) {
        self.add(&format!("dead-{}", self.dead), DEAD, -60).await;
        self.dead += DEAD;
    }

    async fn add(&self, id: &str, count: usize, from_now: i64) {
        let ttl_timestamp = Some(clock::now().timestamp() + from_now);
        let row = |number: usize| {
            let data = Some(json::Value::Int(number.to_string()));
            let attribute = Attribute { ttl_timestamp, ..Attribute::new(id, "numbers", &number.to_string(), data) };
            Record::from(Row::Attribute(attribute))
        };
        let rows: Vec<Record> = (0..count).map(row).collect();
        self.store().write(&rows).await.expect("adding attributes");
    }

    fn store(&self) -> std::sync::Arc<DynamoDb> {
        self.tables.store()
    }

    fn daemon(&self) -> Maintd {
        Maintd::beside(&self.tables)
            .env("MAINTD_JOBS__TTL_CLEANUP__BACKENDS", "dynamodb")
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
            .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "100")
            .env("MAINTD_LEASE__TTL", "1s")
    }

    /// Waits until the work is done, slots are passed over, and no run is left behind.
    async fn until_done(&self) {
        let store = self.store();
        eventually("the rows to go", async || store.count(Table::Attributes).await.unwrap() == ALIVE as u64).await;
        store.pause(JOB, "ada").await.unwrap();
        eventually("slots to be skipped", async || {
            let passed = store.passed(Some(JOB), ALL).await.unwrap();
            passed.iter().filter(|passed| passed.reason == Reason::Paused).map(|passed| passed.count).sum::<u64>() >= 2
        })
        .await;
        store.resume(JOB).await.unwrap();
        eventually("no run to be left behind", async || {
            let runs = store.history(Some(JOB), ALL).await.unwrap();
            runs.iter().skip(1).all(|run| run.outcome.is_some())
        })
        .await;
    }

    /// Judges what is left when all daemons have ended. Rows that a process had deleted when it
    /// ended, and had not told of, are in no report.
    async fn judge(&self, about: &str) {
        let store = self.store();
        let left = store.count(Table::Attributes).await.unwrap();
        let alive = store.read_all(Table::Attributes, "alive").await.unwrap().len();
        let mut told = 0;
        let mut runs = Vec::new();
        let mut history = store.history(Some(JOB), ALL).await.unwrap();
        history.reverse();
        for (run, term) in history.into_iter().zip(1..) {
            let report = run.report;
            told += report.deleted as i64;
            runs.push(Entry {
                run_id: run.run_id.to_string(),
                slot: run.slot,
                holder: run.holder,
                term,
                outcome: run.outcome.map(|outcome| outcome.name().to_owned()),
                stopped: report.stopped.map(|stopped| format!("{stopped:?}").to_lowercase()),
                started_at: run.started_at,
                finished_at: run.finished_at,
                // Here a page has rows that live, too.
                examined: (report.deleted + report.skipped) as i64,
                deleted: report.deleted as i64,
                skipped: report.skipped as i64,
            });
        }
        let gone = self.dead as i64 + ALIVE as i64 - left as i64;
        let is_told = if self.killed.is_empty() { told == gone } else { told <= gone };
        assert!(is_told, "{about}: {told} rows are told of, and {gone} are gone");
        let passed = store.passed(Some(JOB), ALL).await.unwrap().into_iter().map(|passed| Stretch {
            first_slot: passed.from,
            last_slot: passed.to,
            count: passed.count as i64,
            fate: passed.fate.name().to_owned(),
        });
        let passed: Vec<Stretch> = passed.collect();
        let slots = runs.iter().filter_map(|run| run.slot).chain(passed.iter().map(|stretch| stretch.first_slot));
        let baseline = slots.min().expect("something was due") - TimeDelta::seconds(1);
        let item = self.own_item().await;
        let standing = store.standing(JOB).await.unwrap();
        let history = History {
            name: format!("dynamodb/{JOB}"),
            schedule: Schedule::parse("every 1s", Tz::UTC).expect("a schedule"),
            baseline: Some(baseline),
            last_slot: standing.last_slot,
            open_slot: standing.open.map(|open| open.slot),
            term: item["term"].as_n().unwrap().parse().unwrap(),
            held_by: item.get("holder").map(|holder| holder.as_s().unwrap().clone()),
            fences: 0,
            runs,
            passed: Some(passed),
            killed: self.killed.clone(),
        };
        let fate =
            Fate { gone: told, live_and_gone: (ALIVE - alive) as i64, expired_and_left: left as i64 - alive as i64 };
        let ledger = Ledger { histories: vec![history], fate };
        let problems = ledger.problems();
        assert!(problems.is_empty(), "{about}: the ledger does not hold:\n{}\n{ledger:#?}", problems.join("\n"));
    }

    /// The item of the job as it is stored.
    async fn own_item(&self) -> crate::harness::dynamodb::Item {
        let items = self.tables.dump(&self.tables.own_name()).await;
        let is_job = |item: &crate::harness::dynamodb::Item| {
            item["pk"].as_s().is_ok_and(|pk| pk == "job") && item["sk"].as_s().is_ok_and(|sk| sk == JOB)
        };
        items.into_iter().find(is_job).expect("the job is known")
    }
}

/// What lets the `nth` request of an operation end like this.
fn fault(op: &str, when: &str, nth: u32, end: &str) -> String {
    let passing = if nth == 1 { String::new() } else { format!("{}*off->", nth - 1) };
    format!("dynamodb.{op}.{when}={passing}1*return({end})")
}

/// Lets the `nth` request of an operation go wrong once, in a daemon that lives on.
async fn breaks(op: &str, when: &str, nth: u32) {
    let about = format!("dynamodb.{op}.{when}, number {nth}");
    let scene = Scene::new().await;
    // Nobody is killed, so no lease has to end; only a short one is renewed while the work lasts. One that is lost on a
    // machine that stands still, or an answer that then comes too late, would leave rows that nobody tells of.
    let lease = if op == "renew" { "2s" } else { "10s" };
    let daemon =
        scene.daemon().env("FAILPOINTS", fault(op, when, nth, "error")).env("MAINTD_LEASE__TTL", lease).start();
    scene.until_done().await;
    let broken = daemon.metric("maintd_store_errors_total", &[("backend", "dynamodb"), ("kind", "unavailable")]);
    let is_replaced = matches!(op, "begin_schedule" | "claim" | "finish" | "pass");
    // Whoever then sees that it was done has no error to count.
    assert!(broken > Some(0.0) || is_replaced, "{about} was never met");
    daemon.stop();
    scene.judge(&about).await;
}

/// Lets a process end at the `nth` request of an operation, and another one go on.
async fn ends(op: &str, when: &str, nth: u32) {
    let about = format!("dynamodb.{op}.{when}, number {nth}");
    let mut scene = Scene::new().await;
    if op == "pass" {
        scene.store().pause(JOB, "ada").await.unwrap();
    }
    let daemon = scene.daemon().env("FAILPOINTS", fault(op, when, nth, "abort")).start_to_end();
    let process = daemon.pid().as_raw().unsigned_abs();
    let (code, log) = tokio::task::spawn_blocking(|| daemon.wait()).await.expect("waiting");
    assert_eq!(code, 128 + Signal::SIGABRT as i32, "{about}: {log}");
    scene.killed.push(Killed { process, at: clock::now() });
    let store = scene.store();
    store.resume(JOB).await.unwrap();
    let left_open = store.history(Some(JOB), ALL).await.unwrap().into_iter().filter(|run| run.outcome.is_none());
    let left_open: Vec<_> = left_open.map(|run| run.run_id).collect();
    assert!(left_open.len() <= 1, "{about}: {left_open:?}");
    scene.add_dead().await;
    let daemon = scene.daemon().start();
    scene.until_done().await;
    daemon.stop();
    let runs = store.history(Some(JOB), ALL).await.unwrap();
    for run in runs.iter().filter(|run| left_open.contains(&run.run_id)) {
        assert!(is_process(&run.holder, process), "{about}: {run:?}");
        assert_eq!(run.outcome.map(|outcome| outcome.name()), Some("lost"), "{about}");
    }
    scene.judge(&about).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_at_a_report_has_told_it_or_lost_it() {
    // It reads the lease and the run, and then writes.
    for (when, nth) in [("before", 1), ("before", 3), ("after", 3)] {
        ends("finish", when, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_in_a_batch_leaves_the_rest_to_the_next() {
    for (when, nth) in [("before", 1), ("after", 30)] {
        ends("delete_expired", when, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_at_a_claim_has_its_slot_run_by_the_next() {
    for (when, nth) in [("before", 2), ("after", 2)] {
        ends("claim", when, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_while_it_passes_slots_over_loses_none() {
    for when in ["before", "after"] {
        ends("pass", when, 2).await;
    }
    ends("renew", "after", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_breaks_is_made_again() {
    for (when, nth) in [("before", 1), ("before", 2), ("after", 2)] {
        breaks("claim", when, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_breaks_is_made_again() {
    for (when, nth) in [("before", 1), ("after", 2), ("before", 3), ("after", 3)] {
        breaks("finish", when, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_breaks_is_made_again_and_counted_once() {
    for (when, nth) in [("before", 1), ("after", 1), ("after", 40), ("after", 60)] {
        breaks("delete_expired", when, nth).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_breaks_around_a_run_breaks_nothing() {
    for op in ["begin_schedule", "standing", "cutoff", "expired", "renew", "pass"] {
        breaks(op, "after", 1).await;
    }
}

/// Its leases end before the work does, each time, and the work goes on all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_can_never_renew_its_lease_makes_progress() {
    let scene = Scene::new().await;
    let daemon: Daemon = scene.daemon().env("FAILPOINTS", "dynamodb.renew.before=return(error)").start();
    scene.until_done().await;
    daemon.stop();
    scene.judge("no renewal").await;
}
