//! How soon another daemon goes on with the work of one that ends, and how soon a daemon does
//! what it is told, with the lease and the schedule that people have by default.
//!
//! These are promises and not comparisons, so what counts is the worst of the repetitions. They
//! are spread over the times between two renewals, two looks at a lease and two attempts.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use sqlx::PgConnection;
use tempfile::NamedTempFile;
use tokio::task::block_in_place;

use super::Effort;
use super::application;
use super::daemon::Daemon;
use super::server::Server;
use super::statistics::{median, milliseconds, percentile};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "handed_over";
const ROLE: &str = "maintd";

/// How long `attributes` is locked: longer than a lease lasts.
const LOCKED: Duration = Duration::from_secs(12);

/// Over how much time repetitions are spread: between two renewals of a lease.
const SPREAD: Duration = Duration::from_millis(3_300);

/// How long the database may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database with work for minutes, and the settings of whoever works there.
struct Stage<'a> {
    server: &'a Server,
    settings: NamedTempFile,
    /// Who looks.
    witness: PgConnection,
}

/// Lets daemons take work over from each other, and tells them things.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    server.create(DATABASE, &application::contents(effort.pick(600_000, 100_000))).await?;
    let witness = server.connect("postgres", DATABASE).await?;
    let mut stage = Stage { server, settings: NamedTempFile::new()?, witness };
    stage.settle(1_000)?;

    let (mut stopped, mut ended) = (Vec::new(), Vec::new());
    for pause in spread(effort.pick(10, 2)) {
        let (next, end) = stage.stopped(pause).await?;
        stopped.push(next);
        ended.push(end);
    }
    let mut killed = Vec::new();
    for pause in spread(effort.pick(6, 1)) {
        killed.push(stage.killed(pause).await?);
    }
    let mut locked = Vec::new();
    for pause in spread(effort.pick(5, 1)) {
        locked.push(stage.locked(pause).await?);
    }
    let mut idle = Vec::new();
    for pause in spread(effort.pick(10, 2)) {
        idle.push(stage.idle(pause).await?);
    }
    let reloaded = stage.reloaded(effort.pick(20, 5)).await?;
    drop(stage);
    server.remove(DATABASE).await?;
    Ok(vec![
        row("a daemon is stopped in a run: to the run of another", &stopped, Unit::Seconds, 1.0),
        row("the same, to its own end", &ended, Unit::Seconds, 1.0),
        row("a daemon is killed in a run: to the run of another", &killed, Unit::Seconds, 12.0),
        row("a daemon is stopped that is idle: to its end", &idle, Unit::Seconds, 1.0),
        row("attributes is unlocked after 12 s and more: to the next batch", &locked, Unit::Seconds, 1.0),
        row("SIGHUP to other settings in force", &reloaded, Unit::Milliseconds, 100.0),
    ])
}

impl Stage<'_> {
    /// Stops a daemon that has been at work for `pause`. Returns the seconds until another one has
    /// begun, and until the process has ended.
    async fn stopped(&mut self, pause: Duration) -> anyhow::Result<(f64, f64)> {
        let (first, second) = self.pair(pause).await?;
        let told = SystemTime::now();
        let status = block_in_place(|| {
            first.signal(Signal::SIGTERM)?;
            first.ended()
        })?;
        let ended = told.elapsed()?.as_secs_f64();
        ensure!(status.success(), "the daemon did not end well: {status}");
        let begun = self.begun(&second).await?;
        stop(second)?;
        Ok((begun - seconds(told), ended))
    }

    /// Kills a daemon that has been at work for `pause`, and returns the seconds until another one
    /// has begun.
    async fn killed(&mut self, pause: Duration) -> anyhow::Result<f64> {
        let (first, second) = self.pair(pause).await?;
        let told = SystemTime::now();
        block_in_place(|| {
            first.signal(Signal::SIGKILL)?;
            first.ended()
        })?;
        let begun = self.begun(&second).await?;
        stop(second)?;
        Ok(begun - seconds(told))
    }

    /// Locks the table under a daemon at work, for `pause` longer than a lease lasts, and returns
    /// the seconds from its release to the next batch of the same run.
    async fn locked(&mut self, pause: Duration) -> anyhow::Result<f64> {
        self.make_due().await?;
        let daemon = self.daemon()?;
        self.begun(&daemon).await?;
        let mut other = self.server.connect("application", DATABASE).await?;
        sqlx::raw_sql("BEGIN; LOCK TABLE attributes IN ACCESS EXCLUSIVE MODE").execute(&mut other).await?;
        tokio::time::sleep(LOCKED + pause).await;
        let before = self.batches(&daemon).await?;
        sqlx::raw_sql("COMMIT").execute(&mut other).await?;
        let released = Instant::now();
        while self.batches(&daemon).await? == before {
            ensure!(released.elapsed() < PATIENCE, "no batch in {PATIENCE:?} after the lock");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = released.elapsed().as_secs_f64();
        stop(daemon)?;
        Ok(took)
    }

    /// Stops a daemon that has nothing to do, and returns the seconds until its process has ended.
    async fn idle(&mut self, pause: Duration) -> anyhow::Result<f64> {
        sqlx::query("TRUNCATE maintd.leases, maintd.passed_slots").execute(&mut self.witness).await?;
        let daemon = self.daemon()?;
        tokio::time::sleep(pause).await;
        let told = Instant::now();
        stop(daemon)?;
        Ok(told.elapsed().as_secs_f64())
    }

    /// Has a daemon load other settings, `times` times, and returns the milliseconds until each of
    /// them was in force.
    async fn reloaded(&mut self, times: u64) -> anyhow::Result<Vec<f64>> {
        let mut daemon = self.daemon()?;
        let mut took = Vec::new();
        for time in 1..=times {
            self.settle(1_000 + time)?;
            let told = SystemTime::now();
            daemon.signal(Signal::SIGHUP)?;
            let line = block_in_place(|| daemon.until("the reload", |line| line["reload"].is_string()))?;
            ensure!(line.fields["reload"] == "applied", "the settings were not taken over: {}", line.fields);
            took.push(milliseconds(line.at.duration_since(told)?));
        }
        stop(daemon)?;
        Ok(took)
    }

    /// A daemon that has been at work for `pause`, and one that waits beside it.
    async fn pair(&mut self, pause: Duration) -> anyhow::Result<(Daemon, Daemon)> {
        self.make_due().await?;
        let first = self.daemon()?;
        self.begun(&first).await?;
        let second = self.daemon()?;
        tokio::time::sleep(Duration::from_millis(500) + pause).await;
        Ok((first, second))
    }

    fn daemon(&self) -> anyhow::Result<Daemon> {
        block_in_place(|| Daemon::start(&self.server.database(DATABASE, ROLE), self.settings.path()))
    }

    /// Has jobs work slowly, so that a run lasts.
    fn settle(&self, rows_per_second: u64) -> anyhow::Result<()> {
        let text = format!("[jobs.ttl_cleanup]\nmax_rows_per_second = {rows_per_second}\n");
        Ok(fs::write(self.settings.path(), text)?)
    }

    /// Lets the newest slot be one that nobody has run.
    async fn make_due(&mut self) -> anyhow::Result<()> {
        let sql = "TRUNCATE maintd.leases, maintd.passed_slots; \
                   INSERT INTO maintd.leases (deployment, backend, job, last_slot) \
                   VALUES ('public', 'postgresql', 'ttl_cleanup', now() - interval '1 day')";
        sqlx::raw_sql(sql).execute(&mut self.witness).await?;
        Ok(())
    }

    /// When the first run of `daemon` began, by the server's clock, which is this machine's.
    async fn begun(&mut self, daemon: &Daemon) -> anyhow::Result<f64> {
        let sql = "SELECT extract(epoch FROM min(started_at))::float8 FROM maintd.runs WHERE holder LIKE '%/' || $1";
        let patience = Instant::now();
        loop {
            let process = daemon.process().to_string();
            let begun: Option<f64> = sqlx::query_scalar(sql).bind(process).fetch_one(&mut self.witness).await?;
            if let Some(begun) = begun {
                return Ok(begun);
            }
            ensure!(patience.elapsed() < PATIENCE, "no run in {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The batches that the run of `daemon` has committed so far.
    async fn batches(&mut self, daemon: &Daemon) -> anyhow::Result<i64> {
        let sql = "SELECT sum(batches)::bigint FROM maintd.run_workers JOIN maintd.runs USING (run_id) \
                   WHERE holder LIKE '%/' || $1";
        let process = daemon.process().to_string();
        let batches: Option<i64> = sqlx::query_scalar(sql).bind(process).fetch_one(&mut self.witness).await?;
        batches.context("the run has ended")
    }
}

/// Stops a daemon that is not measured any more, or whose end is all that is.
fn stop(daemon: Daemon) -> anyhow::Result<()> {
    let status = block_in_place(|| {
        daemon.signal(Signal::SIGTERM)?;
        daemon.ended()
    })?;
    ensure!(status.success(), "the daemon did not end well: {status}");
    Ok(())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// As many pauses as there are repetitions.
fn spread(repetitions: u32) -> impl Iterator<Item = Duration> {
    (0..repetitions).map(move |repetition| SPREAD * repetition / repetitions)
}

fn row(what: &str, took: &[f64], unit: Unit, bound: f64) -> Row {
    Row {
        what: what.to_owned(),
        ours: format!("the worst of {}, median {}", took.len(), unit.show(median(took))),
        peer: String::new(),
        figure: percentile(took, 1.0),
        unit,
        target: Target::AtMost(bound),
    }
}
