//! Each step of each transaction of a run goes wrong once: the connection breaks before it or
//! after it, when nobody knows whether it was done, or the process ends there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_maintd::schedule::Schedule;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use nix::sys::signal::Signal;
use sqlx::PgPool;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd, sum};
use crate::harness::eventually;
use crate::harness::ledger::{Killed, Ledger};
use crate::harness::seeds;
use crate::harness::witness::Witness;

/// The transactions of a run, and how many statements each of them has in the scene below.
const TRANSACTIONS: &[(&str, usize)] = &[
    ("begin_schedule", 1),
    ("standing", 1),
    ("claim", 11),
    ("delete_expired", 2),
    ("renew", 1),
    ("finish", 3),
    ("pass", 3),
    ("schema", 4),
    ("cutoff", 1),
    ("expired", 2),
    ("forget", 1),
];

/// Those that write a row for each stretch of slots that were passed over for one reason. How many
/// stretches there are is up to how long the machine takes for what comes between; at least as many
/// as are in the table.
const WRITE_STRETCHES: [&str; 2] = ["claim", "pass"];

/// The schedule of the scene, and the one that ends it.
const OFTEN: &str = "[jobs.index_health]\nenabled = false\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n";
const RARELY: &str = "[jobs.index_health]\nenabled = false\n[jobs.ttl_cleanup]\nschedule = \"@yearly\"\n";

/// Rows of the scene, which take longer to go than there is time between two slots and between two
/// renewals of the lease.
const ROWS: i64 = 150;

/// Databases that one test has, at the same time.
const AT_ONCE: u64 = 6;

/// The points of one transaction.
fn points(transaction: &str) -> Vec<String> {
    let (_, statements) = TRANSACTIONS.iter().find(|(name, _)| *name == transaction).expect("it is in the table");
    let numbers = (1..=*statements).map(|number| number.to_string());
    let steps = ["begin".to_owned()].into_iter().chain(numbers).chain(["commit".to_owned()]);
    steps.flat_map(|step| ["before", "after"].map(|when| format!("postgresql.{transaction}.{step}.{when}"))).collect()
}

/// The scene: a database that was left by a daemon which died in a run an hour ago. The next one
/// has to close that run, to account for all the slots since, to run the newest one, and to
/// account for those that fall due meanwhile.
struct Scene {
    db: TestDb,
    witness: Witness,
    baseline: Option<DateTime<Utc>>,
    killed: Vec<Killed>,
}

impl Scene {
    async fn new() -> Self {
        let mut scene = Self::fresh().await;
        let died: DateTime<Utc> =
            sqlx::query_scalar("SELECT date_trunc('second', now()) - interval '1 hour' + interval '2s'")
                .fetch_one(scene.db.pool())
                .await
                .expect("asking for the time");
        for sql in [
            "INSERT INTO maintd.leases (deployment, backend, job, term, secret, holder, run_id, busy_since, acquired_at, \
                 expires_at, last_slot, open_slot, schedule) \
             VALUES ('public', 'postgresql', 'ttl_cleanup', 1, gen_random_uuid(), 'host/1', gen_random_uuid(), \
                 $1 - interval '1s', $1 - interval '1s', $1, $1 - interval '2s', $1 - interval '1s', 'every 1s')",
            "INSERT INTO maintd.runs (run_id, deployment, backend, job, slot, trigger, holder, term, started_at) \
             SELECT run_id, deployment, backend, job, open_slot, 'schedule', holder, term, acquired_at \
             FROM maintd.leases WHERE expires_at = $1",
            "INSERT INTO maintd.run_workers (run_id, worker, term, secret, batches) \
             SELECT run_id, 0, term, secret, 1 FROM maintd.leases WHERE expires_at = $1",
        ] {
            sqlx::query(sql).bind(died).execute(scene.db.pool()).await.expect(sql);
        }
        scene.baseline = Some(died - TimeDelta::seconds(2));
        scene.killed.push(Killed { process: 1, at: died });
        scene
    }

    /// Where no daemon has ever been.
    async fn fresh() -> Self {
        let db = TestDb::new().await;
        let witness = Witness::new(db.pool()).await;
        witness.add(ROWS, -60).await;
        witness.add(20, 3600).await;
        Self { db, witness, baseline: None, killed: Vec::new() }
    }

    fn daemon(&self) -> Maintd {
        Maintd::on(&self.db)
            .config(OFTEN)
            .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "100")
            .env("MAINTD_LEASE__TTL", "1s")
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__MIN_SIZE", "1")
            .env("MAINTD_STORAGE__POSTGRESQL__POOL__MAX_SIZE", "5")
    }

    /// Waits until the work is done, and slots are passed over.
    async fn until_done(&self) {
        let pool = self.db.pool();
        let now = self.witness.now().await;
        eventually("the rows to go", async || self.witness.fate(now).await.expired_and_left == 0).await;
        self.pause().await;
        eventually("slots to be skipped", async || {
            sqlx::query_scalar("SELECT coalesce(sum(count), 0) >= 2 FROM maintd.passed_slots WHERE reason = 'paused'")
                .fetch_one(pool)
                .await
                .expect("reading the passed slots")
        })
        .await;
        self.resume().await;
        eventually("no run to be left behind", async || {
            sqlx::query_scalar(
                "SELECT NOT EXISTS (SELECT FROM maintd.runs r JOIN maintd.leases l USING (deployment, backend, job) \
                     WHERE r.outcome IS NULL AND (r.run_id IS DISTINCT FROM l.run_id OR l.expires_at < now()))",
            )
            .fetch_one(pool)
            .await
            .expect("reading the history")
        })
        .await;
    }

    /// Keeps the job from running, so that its slots are passed over one by one.
    async fn pause(&self) {
        let sql = "UPDATE maintd.leases SET paused_at = now(), paused_by = 'ada'";
        sqlx::query(sql).execute(self.db.pool()).await.expect("pausing");
    }

    async fn resume(&self) {
        let sql = "UPDATE maintd.leases SET paused_at = NULL, paused_by = NULL";
        sqlx::query(sql).execute(self.db.pool()).await.expect("resuming");
    }

    /// Judges what is left when all daemons have ended.
    async fn judge(&self, point: &str) {
        let schedule = Schedule::parse("every 1s", Tz::UTC).expect("a schedule");
        let now = self.witness.now().await;
        let baseline = match self.baseline {
            Some(baseline) => baseline,
            None => self.first_slot().await - TimeDelta::seconds(1),
        };
        let ledger = Ledger::read(self.db.pool(), &schedule, Some(baseline), now, &self.killed).await;
        let problems = ledger.problems();
        assert!(problems.is_empty(), "{point}: the ledger does not hold:\n{}\n{ledger:#?}", problems.join("\n"));
    }

    /// The first slot that was accounted for.
    async fn first_slot(&self) -> DateTime<Utc> {
        sqlx::query_scalar(
            "SELECT least((SELECT min(slot) FROM maintd.runs), (SELECT min(first_slot) FROM maintd.passed_slots))",
        )
        .fetch_one(self.db.pool())
        .await
        .expect("reading the slots")
    }
}

/// What was counted, or is in the history: ends of runs, rows deleted, and fates of slots.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    runs: [i64; 4],
    deleted: i64,
    slots: [i64; 3],
}

const OUTCOMES: [&str; 4] = ["succeeded", "partial", "failed", "lost"];
const FATES: [&str; 3] = ["ran", "skipped", "missed"];

impl Sums {
    fn counted(daemon: &Daemon) -> Self {
        // All at once, as they go on counting.
        let metrics = daemon.metrics();
        let metric = |name: &str, label: &str, value: &str| {
            sum(&metrics, name, &[(label, value)]).unwrap_or_else(|| panic!("{name} begins at zero")) as i64
        };
        Self {
            runs: OUTCOMES.map(|outcome| metric("maintd_job_runs_total", "outcome", outcome)),
            deleted: metric("maintd_rows_deleted_total", "job", "ttl_cleanup"),
            slots: FATES.map(|fate| metric("maintd_schedule_slots_total", "fate", fate)),
        }
    }

    async fn in_history(pool: &PgPool) -> Self {
        let (runs, deleted, slots): (Vec<i64>, i64, Vec<i64>) = sqlx::query_as(
            "SELECT ARRAY(SELECT count(run_id) FROM unnest($1::text[]) WITH ORDINALITY AS o (outcome, place) \
                     LEFT JOIN maintd.runs USING (outcome) GROUP BY place ORDER BY place), \
                 (SELECT coalesce(sum((report->>'deleted')::bigint), 0)::bigint FROM maintd.runs), \
                 ARRAY[(SELECT count(DISTINCT slot) FROM maintd.runs JOIN maintd.leases USING (deployment, backend, job) \
                         WHERE slot <= last_slot), \
                     (SELECT coalesce(sum(count), 0)::bigint FROM maintd.passed_slots WHERE fate = 'skipped'), \
                     (SELECT coalesce(sum(count), 0)::bigint FROM maintd.passed_slots WHERE fate = 'missed')]",
        )
        .bind(OUTCOMES)
        .fetch_one(pool)
        .await
        .expect("reading the history");
        Self { runs: runs.try_into().expect("each outcome"), deleted, slots: slots.try_into().expect("each fate") }
    }
}

/// Waits until the counters of the only daemon that there was say what the history says. Nothing is
/// due any more from here on.
async fn until_counted(point: &str, scene: &Scene, daemon: &Daemon) {
    std::fs::write(daemon.config(), RARELY).expect("writing the configuration");
    daemon.signal(Signal::SIGHUP);
    // The answer to these was lost, and with it what else was in it; the history has it.
    let is_lost = |transaction: &str| point == format!("postgresql.{transaction}.commit.after");
    let mut seen = (Sums::default(), Sums::default());
    let told = async || {
        seen = (Sums::counted(daemon), Sums::in_history(scene.db.pool()).await);
        let (counted, history) = &seen;
        counted.deleted == history.deleted
            && (counted.runs == history.runs || is_lost("claim"))
            && (counted.slots == history.slots || is_lost("claim") || is_lost("pass"))
    };
    eventually(&format!("the counters to be those of the history after {point}"), told).await;
}

/// Lets `point` go wrong once in a daemon that lives on.
async fn breaks(point: &str) {
    let scene = if point.contains("begin_schedule") { Scene::fresh().await } else { Scene::new().await };
    let daemon = scene.daemon().env("FAILPOINTS", format!("{point}=1*return(error)")).start();
    scene.until_done().await;
    let again = daemon.metric("maintd_store_errors_total", &[("kind", "unavailable")]);
    // What breaks while a transaction begins is tried again at once, and no error for anybody.
    assert!(again > Some(0.0) || point.contains(".begin."), "{point} was never met");
    until_counted(point, &scene, &daemon).await;
    daemon.stop();
    scene.judge(point).await;
}

/// Lets a process end at `point`, and another one go on.
async fn ends(point: &str) {
    let mut scene = if point.contains("begin_schedule") { Scene::fresh().await } else { Scene::new().await };
    if point.contains(".pass.") {
        scene.pause().await;
    }
    let daemon = scene.daemon().env("FAILPOINTS", format!("{point}=1*return(abort)")).start_to_end();
    let process = daemon.pid().as_raw().unsigned_abs();
    let (code, log) = daemon.wait();
    assert_eq!(code, 128 + Signal::SIGABRT as i32, "{point}: {log}");
    scene.resume().await;
    eventually("the server to be done with what it was asked", async || {
        sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'actingweb-maintd')",
        )
        .fetch_one(scene.db.pool())
        .await
        .expect("reading what the server does")
    })
    .await;
    let at = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(scene.db.pool()).await.expect("the time");
    scene.killed.push(Killed { process, at });
    scene.witness.add(ROWS, -60).await;
    let daemon = scene.daemon().start();
    scene.until_done().await;
    daemon.stop();
    scene.judge(point).await;
}

/// Lets something happen at each of the points, several at the same time.
fn at_each<F: Future<Output = ()>>(points: &[String], happen: impl Fn(String) -> F + Copy + Send + Sync) {
    let next = &AtomicUsize::new(0);
    seeds::with_each(0..AT_ONCE, |_| async move {
        while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
            happen(point.clone()).await;
        }
    });
}

/// Lets each point of these transactions go wrong whose name ends like this.
fn each_point_breaks(transactions: &[&str], end: &str) {
    let points = transactions.iter().flat_map(|transaction| points(transaction));
    let points: Vec<String> = points.filter(|point| point.ends_with(end)).collect();
    at_each(&points, async |point| breaks(&point).await);
}

/// The table above has all that the scene meets, so that none of them is left out below.
#[tokio::test]
async fn the_table_has_every_step_of_every_transaction_of_a_run() {
    let mut met = BTreeSet::new();
    for scene in [Scene::fresh().await, Scene::new().await] {
        let daemon = scene.daemon().env("MAINTD_LOG__FILTER", "info,actingweb_maintd::fault=trace").start();
        scene.until_done().await;
        until_counted("nothing", &scene, &daemon).await;
        let log = daemon.stop();
        scene.judge("nothing").await;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        met.extend(lines.filter_map(|line| line["point"].as_str().map(str::to_owned)));
    }
    let ours = |point: &&String| {
        TRANSACTIONS.iter().any(|(transaction, _)| point.starts_with(&format!("postgresql.{transaction}.")))
    };
    let met: BTreeSet<String> = met.iter().filter(ours).cloned().collect();
    let table: BTreeSet<String> = TRANSACTIONS.iter().flat_map(|(transaction, _)| points(transaction)).collect();
    let is_more_of_the_same = |point: &&String| {
        WRITE_STRETCHES.iter().any(|transaction| {
            let step = point.strip_prefix(&format!("postgresql.{transaction}.")).and_then(|step| step.split_once('.'));
            step.is_some_and(|(number, _)| number.parse::<usize>().is_ok())
        })
    };
    assert_eq!(table.difference(&met).collect::<Vec<_>>(), Vec::<&String>::new(), "these were not met");
    let unknown: Vec<&String> = met.difference(&table).filter(|point| !is_more_of_the_same(point)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "these are not in the table");
}

#[test]
fn a_claim_breaks_before_each_step() {
    each_point_breaks(&["claim"], "before");
}

#[test]
fn a_claim_breaks_after_each_step() {
    each_point_breaks(&["claim"], "after");
}

#[test]
fn a_batch_breaks_at_each_step() {
    each_point_breaks(&["delete_expired"], "");
}

#[test]
fn a_renewal_breaks_at_each_step() {
    each_point_breaks(&["renew"], "");
}

#[test]
fn a_report_breaks_at_each_step() {
    each_point_breaks(&["finish"], "");
}

#[test]
fn passing_slots_over_breaks_at_each_step() {
    each_point_breaks(&["pass"], "");
}

#[test]
fn looking_where_a_job_stands_breaks_at_each_step() {
    each_point_breaks(&["standing"], "");
}

#[test]
fn what_a_run_reads_breaks_at_each_step() {
    each_point_breaks(&["schema", "cutoff", "expired", "forget"], "");
}

#[test]
fn the_begin_of_a_schedule_breaks_at_each_step() {
    each_point_breaks(&["begin_schedule"], "");
}

#[test]
fn a_process_ends_in_the_middle_of_what_matters() {
    let points = [
        "begin_schedule.commit.after",
        "claim.commit.before",
        "claim.commit.after",
        "delete_expired.2.after",
        "delete_expired.commit.after",
        "renew.1.after",
        "finish.1.after",
        "finish.commit.before",
        "finish.commit.after",
        "pass.1.after",
        "pass.commit.before",
        "pass.commit.after",
    ];
    at_each(&points.map(|point| format!("postgresql.{point}")), async |point| ends(&point).await);
}

/// Its leases end before the work does, each time, and the work goes on all the same.
#[tokio::test]
async fn a_daemon_that_can_never_renew_its_lease_makes_progress() {
    let scene = Scene::new().await;
    let daemon = scene.daemon().env("FAILPOINTS", "postgresql.renew.1.before=return(error)").start();
    scene.until_done().await;
    until_counted("no renewal", &scene, &daemon).await;
    assert!(daemon.metric("maintd_job_runs_total", &[("outcome", "lost")]) >= Some(2.0));
    daemon.stop();
    scene.judge("no renewal").await;
}
