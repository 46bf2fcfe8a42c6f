//! The daemons, and what befalls them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

use super::daemon::{Daemon, Database};
use super::samples::{Sample, Watch};
use super::server::Server;
use super::statistics::milliseconds;

/// How many they are. The first of them is never restarted.
pub(crate) const SIZE: usize = 3;

/// When their job is due.
pub(crate) const SCHEDULE: &str = "every 1s";

/// Connections that each of them may have.
pub(crate) const BUDGET: i64 = 5;

/// How long `attributes` is locked: for less than a statement may wait, and for more than a lease
/// lasts.
const LOCKED: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];

/// The daemons of a soak.
#[derive(Debug)]
pub(crate) struct Fleet {
    places: Vec<Place>,
    /// Where their settings are.
    settings: TempDir,
    /// Looks at the server, and terminates connections there.
    observer: PgConnection,
    locking: Option<JoinHandle<anyhow::Result<()>>>,
    reload: Again,
    lock: Again,
    terminate: Again,
    restart: Again,
    seen: Seen,
}

/// A place that one process takes after another.
#[derive(Debug)]
struct Place {
    database: Database,
    process: Process,
    watch: Watch,
}

#[derive(Debug)]
enum Process {
    Up(Daemon),
    /// One ends, and the next one starts.
    Changing(JoinHandle<anyhow::Result<Daemon>>),
    Ended,
}

/// Something that happens again and again.
#[derive(Debug)]
struct Again {
    every: Duration,
    times: u32,
}

/// What was seen all the while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The daemon that is never restarted.
    pub(crate) lasting: Vec<Sample>,
    /// Scrapes that were answered, and those that were not, with the reasons.
    pub(crate) answered: u64,
    pub(crate) unanswered: Vec<String>,
    /// The most connections that one daemon had.
    pub(crate) connections: i64,
    /// Reloads that were told and taken over, and the longest that one took, in milliseconds.
    pub(crate) reloads: u32,
    pub(crate) slowest_reload: f64,
    /// How often tables were locked, connections terminated, and daemons restarted.
    pub(crate) locks: u32,
    pub(crate) terminations: u32,
    pub(crate) restarts: u32,
}

impl Again {
    fn every(seconds: u64) -> Self {
        Self { every: Duration::from_secs(seconds), times: 0 }
    }

    /// Whether it is to happen `now`; the first time, the second …
    fn is_due(&mut self, now: Duration) -> Option<usize> {
        let due = now >= self.every * (self.times + 1);
        self.times += u32::from(due);
        due.then_some(self.times as usize)
    }
}

impl Fleet {
    /// Starts them.
    pub(crate) async fn start(server: &Server) -> anyhow::Result<Self> {
        let settings = tempfile::tempdir()?;
        settle(settings.path(), 0)?;
        let mut places = Vec::new();
        for number in 1..=SIZE {
            let role = format!("daemon_{number}");
            server.execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER")).await?;
            let database = server.database(&role);
            let process = Process::Up(block_in_place(|| Daemon::start(&database, &file(settings.path())))?);
            places.push(Place { database, process, watch: Watch::default() });
        }
        Ok(Self {
            places,
            settings,
            observer: server.connect().await?,
            locking: None,
            reload: Again::every(20),
            lock: Again::every(90),
            terminate: Again::every(70),
            restart: Again::every(150),
            seen: Seen::default(),
        })
    }

    /// Lets happen to them what is due `now`.
    pub(crate) async fn befall(&mut self, server: &Server, now: Duration) -> anyhow::Result<()> {
        for place in &mut self.places {
            if let Process::Changing(change) = &mut place.process
                && change.is_finished()
            {
                place.process = Process::Up(change.await??);
                place.watch = Watch::default();
            }
        }
        if let Some(time) = self.reload.is_due(now) {
            self.reload(time)?;
        }
        if let Some(time) = self.lock.is_due(now) {
            if let Some(before) = self.locking.take() {
                before.await??;
            }
            self.locking = Some(tokio::spawn(lock(server.connect().await?, LOCKED[time % LOCKED.len()])));
            self.seen.locks += 1;
        }
        if let Some(time) = self.terminate.is_due(now) {
            sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1")
                .bind(&self.places[time % SIZE].database.role)
                .execute(&mut self.observer)
                .await?;
            self.seen.terminations += 1;
        }
        if let Some(time) = self.restart.is_due(now) {
            // Never the first.
            let place = &mut self.places[1 + time % (SIZE - 1)];
            if let Process::Up(daemon) = std::mem::replace(&mut place.process, Process::Ended) {
                let (database, file) = (place.database.clone(), file(self.settings.path()));
                place.process = Process::Changing(spawn_blocking(move || {
                    end(daemon)?;
                    Daemon::start(&database, &file)
                }));
                self.seen.restarts += 1;
            }
        }
        Ok(())
    }

    /// Scrapes them, and counts their connections.
    pub(crate) async fn watch(&mut self) -> anyhow::Result<()> {
        let connections: Vec<(String, i64)> = sqlx::query_as(
            "SELECT usename::text, count(*) FROM pg_stat_activity \
             WHERE application_name = 'actingweb-maintd' AND usename IS NOT NULL GROUP BY 1",
        )
        .fetch_all(&mut self.observer)
        .await?;
        for place in &mut self.places {
            let role = &place.database.role;
            let connections = connections.iter().find(|(name, _)| name == role).map_or(0, |(_, count)| *count);
            place.watch.connected(connections);
            self.seen.connections = self.seen.connections.max(connections);
            let Process::Up(daemon) = &place.process else { continue };
            match block_in_place(|| place.watch.scrape(daemon)) {
                Ok(()) => self.seen.answered += 1,
                Err(error) => self.seen.unanswered.push(format!("{role}: {error:#}")),
            }
        }
        Ok(())
    }

    /// Measures all of them `now`, and puts it in a line.
    pub(crate) fn sample(&mut self, now: Duration) -> anyhow::Result<String> {
        let mut line = String::new();
        for (index, place) in self.places.iter_mut().enumerate() {
            line.push_str(" | ");
            match &place.process {
                Process::Up(daemon) => {
                    let sample = place.watch.sample(daemon, now)?;
                    line.push_str(&sample.to_string());
                    if index == 0 {
                        self.seen.lasting.push(sample);
                    }
                }
                Process::Changing(_) | Process::Ended => line.push_str(&format!("{:^29}", "restarting")),
            }
        }
        Ok(line)
    }

    /// Ends them, and returns what was seen.
    pub(crate) async fn stop(self) -> anyhow::Result<Seen> {
        if let Some(locking) = self.locking {
            locking.await??;
        }
        for place in self.places {
            match place.process {
                Process::Up(daemon) => block_in_place(|| end(daemon))?,
                Process::Changing(change) => {
                    let daemon = change.await??;
                    block_in_place(|| end(daemon))?;
                }
                Process::Ended => {}
            }
        }
        Ok(self.seen)
    }

    /// Has all that are up take over other settings.
    fn reload(&mut self, time: usize) -> anyhow::Result<()> {
        settle(self.settings.path(), time)?;
        for place in &mut self.places {
            let Process::Up(daemon) = &mut place.process else { continue };
            let told = SystemTime::now();
            daemon.signal(Signal::SIGHUP)?;
            let line = block_in_place(|| daemon.until("the reload", |line| line["reload"].is_string()))?;
            ensure!(line.fields["reload"] != "refused", "the settings were not taken over: {}", line.fields);
            self.seen.reloads += 1;
            self.seen.slowest_reload = self.seen.slowest_reload.max(milliseconds(line.at.duration_since(told)?));
        }
        Ok(())
    }
}

fn file(settings: &Path) -> PathBuf {
    settings.join("settings.toml")
}

/// Writes settings that differ from time to time. At once, because a daemon may be reading them.
fn settle(settings: &Path, time: usize) -> anyhow::Result<()> {
    let text = format!(
        "[jobs.ttl_cleanup]\nschedule = \"{SCHEDULE}\"\nmax_rows_per_second = {}\n\
         [storage.postgresql.pool]\nmax_size = {BUDGET}\n",
        5_000 + time
    );
    let written = settings.join("written.toml");
    fs::write(&written, text)?;
    Ok(fs::rename(written, file(settings))?)
}

/// Locks the table for some time, as a migration does.
async fn lock(mut connection: PgConnection, time: Duration) -> anyhow::Result<()> {
    sqlx::raw_sql("BEGIN; LOCK TABLE attributes IN ACCESS EXCLUSIVE MODE").execute(&mut connection).await?;
    tokio::time::sleep(time).await;
    sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Ends a daemon, which must end well.
fn end(daemon: Daemon) -> anyhow::Result<()> {
    daemon.signal(Signal::SIGTERM).context("a daemon has ended by itself")?;
    let status = daemon.ended()?;
    ensure!(status.success(), "a daemon did not end well: {status}");
    Ok(())
}
