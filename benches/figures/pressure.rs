//! A replica that stands still while rows are deleted: how soon the job pauses for it, and how soon it
//! is as fast again as before once the replica goes on.

use std::time::{Duration, Instant};

use actingweb_maintd::backup::cluster::{Cluster, Options};
use actingweb_maintd::jobs::{self, ttl_cleanup};
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::runner::{Ran, Start};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Progress, Stop, StopReason};
use anyhow::{bail, ensure};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};

use super::Effort;
use super::application::{self, Application};
use super::server::{self, Server};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "replicated";

/// The speed before, and after, is that of this long.
const WINDOW: Duration = Duration::from_secs(1);

/// Between two looks.
const LOOKING: Duration = Duration::from_millis(20);

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one stop of the replica came to.
#[derive(Clone, Copy, Debug)]
struct Paused {
    /// Batches that began after the replica was seen to be late.
    batches: f64,
    /// Seconds from its going on to nine tenths of the speed before.
    seconds: f64,
}

/// Deletes beside an application and beside a replica that stands still for a while.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    // So many that they last for all of it.
    let rate: u32 = effort.pick(10_000, 5_000);
    let rows = effort.pick(2_400_000, 800_000);
    server.create(DATABASE, &application::contents(rows)).await?;
    let replica = Replica::of(server).await?;
    let application = Application::start(server, DATABASE, rows)?;
    let paced = scenes(server, &replica, rate, effort.pick(2, 1)).await;
    let fast = scenes(server, &replica, 4 * rate, 1).await;
    tokio::task::spawn_blocking(move || application.stop()).await??;
    replica.end().await?;
    let (paced, fast) = (paced?, fast?);
    server.remove(DATABASE).await?;
    let batches: Vec<f64> = paced.iter().map(|scene| scene.batches).collect();
    let seconds = |scenes: &[Paused]| scenes.iter().map(|scene| scene.seconds).collect::<Vec<_>>();
    let worst = |figures: &[f64]| figures.iter().copied().fold(0.0, f64::max);
    let back = |what: &str, seconds: &[f64]| Row {
        what: format!("seconds from the replica's going on to 90 % of the speed before, {what}"),
        ours: format!("{seconds:.1?}"),
        peer: String::new(),
        figure: worst(seconds),
        unit: Unit::Seconds,
        target: Target::AtMost(30.0),
    };
    Ok(vec![
        Row {
            what: format!("batches from the replica's being late to the pause for it, {rate} rows/s"),
            ours: format!("{batches:.1?}"),
            peer: String::new(),
            figure: worst(&batches),
            unit: Unit::Count,
            target: Target::AtMost(1.0),
        },
        back(&format!("{rate} rows/s"), &seconds(&paced)),
        back(&format!("{} rows/s", 4 * rate), &seconds(&fast)),
    ])
}

/// So many stops of the replica in one run, at this pace.
async fn scenes(server: &Server, replica: &Replica, rate: u32, count: usize) -> anyhow::Result<Vec<Paused>> {
    let store = server.store(DATABASE)?;
    let (stop, progress) = (Stop::new(), Progress::new());
    let running = tokio::spawn({
        let (stop, progress) = (stop.clone(), progress.clone());
        let runner = server::runner(&store);
        // A batch takes as long as it is until the store is asked again, so that each can be counted.
        let settings = ttl_cleanup::Settings {
            max_rows_per_second: Bounded::new(u64::from(rate)),
            batch_size: Bounded::new(u64::from(rate) / 4),
            ..ttl_cleanup::Settings::default()
        };
        let throttle = throttle::Settings { batch_latency: Span::millis(250), ..throttle::Settings::default() };
        async move {
            let place = jobs::Place::on(runner.backend);
            let jobs = jobs::Settings { ttl_cleanup: settings, ..jobs::Settings::default() };
            let job = jobs::registry(&jobs, &throttle, &[place]).remove(0);
            runner.run(&job, Start::Manual, &stop, &progress).await
        }
    });
    let mut scenes = Vec::new();
    for _ in 0..count {
        scenes.push(scene(server, replica, &progress).await?);
    }
    stop.request(StopReason::Shutdown);
    let Ran::Ended(run) = running.await?? else { bail!("the clean-up did not run") };
    ensure!(run.report.stopped == Some(StopReason::Shutdown), "the rows did not last: {:?}", run.report);
    Ok(scenes)
}

/// Has the replica stand still until the job has paused for ten seconds, and go on.
async fn scene(server: &Server, replica: &Replica, progress: &Progress) -> anyhow::Result<Paused> {
    let mut primary = server.connect("postgres", DATABASE).await?;
    // Until batches have grown, then their speed.
    speed(progress, 3 * WINDOW).await;
    let before = speed(progress, 3 * WINDOW).await;
    replica.execute("SELECT pg_wal_replay_pause()").await?;
    let level = throttle::Settings::default().replication_lag_bytes.0 as i64;
    let late = "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint > $1 \
                FROM pg_stat_replication";
    until("the replica to be late", async || {
        // The application goes on writing, and much more than it usually does.
        sqlx::query("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 500000))")
            .execute(&mut primary)
            .await?;
        Ok(sqlx::query_scalar(late).bind(level).fetch_one(&mut primary).await?)
    })
    .await?;
    let seen = batches(server).await?;
    until("the pause", async || Ok(progress.resting() == Some("replication_lag"))).await?;
    let batches = batches(server).await? - seen;
    tokio::time::sleep(Duration::from_secs(10)).await;
    replica.execute("SELECT pg_wal_replay_resume()").await?;
    let begun = Instant::now();
    let mut now = 0.0;
    while now < 0.9 * before {
        ensure!(begun.elapsed() < PATIENCE, "the speed never came back");
        now = speed(progress, WINDOW).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("  {before:.0} rows/s, paused after {batches} batches, {now:.0} rows/s {seconds:.1} s after the end");
    primary.close().await?;
    Ok(Paused { batches: batches as f64, seconds })
}

/// Rows per second, in the time that this takes.
async fn speed(progress: &Progress, window: Duration) -> f64 {
    let (done, begun) = (progress.done(), Instant::now());
    tokio::time::sleep(window).await;
    (progress.done() - done) as f64 / begun.elapsed().as_secs_f64()
}

/// Batches that the run has committed.
async fn batches(server: &Server) -> anyhow::Result<i64> {
    let mut connection = server.connect("postgres", DATABASE).await?;
    let batches = sqlx::query_scalar("SELECT coalesce(sum(batches), 0)::bigint FROM maintd.run_workers")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(batches)
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !condition().await? {
        ensure!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOKING).await;
    }
    Ok(())
}

/// A replica of the server.
struct Replica {
    cluster: Cluster,
}

impl Replica {
    async fn of(server: &Server) -> anyhow::Result<Self> {
        let settings = vec![("shared_buffers".to_owned(), "256MB".to_owned())];
        let options = Options { durable: true, settings, primary: Some(server.port()), ..Options::default() };
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
        Ok(Self { cluster })
    }

    async fn execute(&self, sql: &'static str) -> anyhow::Result<()> {
        let options = PgConnectOptions::new_without_pgpass().host(self.cluster.host()).port(self.cluster.port());
        let options = options.username(self.cluster.superuser()).database(DATABASE).ssl_mode(PgSslMode::Disable);
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::query(sql).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    async fn end(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self.cluster)).await?)
    }
}
