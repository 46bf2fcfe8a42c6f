//! Expired rows deleted per second, beside an application and alone, against the one statement
//! that the library ships and that people put into `pg_cron`.

use std::time::{Duration, Instant};

use actingweb_maintd::jobs::ttl_cleanup;
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::throttle;
use anyhow::ensure;
use sqlx::Connection;

use super::Effort;
use super::application::{self, Application};
use super::server::{self, Server};
use super::statistics::median_of;
use super::table::{Row, Target, Unit};

/// The peer's statement, as somebody would write it.
const SINGLE_DELETE: &str = "DELETE FROM attributes WHERE ttl_timestamp < floor(extract(epoch FROM now()))";

/// The database that each side gets a fresh copy of, and its copy.
const TEMPLATE: &str = "expiring";
const COPY: &str = "expiring_copy";

/// How long the application is watched before anything is deleted.
const IDLE: Duration = Duration::from_secs(5);

/// Who deletes.
#[derive(Clone, Debug)]
enum Side {
    /// The job, with these settings.
    Ours(Box<(ttl_cleanup::Settings, throttle::Settings)>),
    /// One statement.
    Peer,
}

/// What deleting came to.
#[derive(Clone, Copy, Debug)]
struct Deletion {
    rows_per_second: f64,
    wal: f64,
}

/// The application before and while rows are deleted.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    idle_p99: f64,
    p99: f64,
}

impl Neighbour {
    fn times(&self) -> f64 {
        self.p99 / self.idle_p99
    }
}

/// One side after the other.
type Pair<T> = (T, T);

/// Deletes beside an application.
pub(crate) async fn beside_an_application(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let rows = effort.pick(1_000_000, 100_000);
    server.create(TEMPLATE, &application::contents(rows)).await?;
    let mut pairs: Vec<Pair<(Deletion, Neighbour)>> = Vec::new();
    for _ in 0..effort.pick(5, 1) {
        let defaults = Side::Ours(Box::default());
        let ours = watched(server, defaults, rows).await?;
        let peer = watched(server, Side::Peer, rows).await?;
        eprintln!("  beside an application: ours {ours:?}, one DELETE {peer:?}");
        pairs.push((ours, peer));
    }
    server.remove(TEMPLATE).await?;
    let deletions: Vec<Pair<Deletion>> = pairs.iter().map(|(ours, peer)| (ours.0, peer.0)).collect();
    let neighbours = |figure: fn(&Neighbour) -> f64| {
        (median_of(&pairs, |(ours, _)| figure(&ours.1)), median_of(&pairs, |(_, peer)| figure(&peer.1)))
    };
    let (ours, peer) = neighbours(|neighbour| neighbour.p99);
    let (ours_idle, peer_idle) = neighbours(|neighbour| neighbour.idle_p99);
    let (ours_times, peer_times) = neighbours(Neighbour::times);
    Ok(vec![
        speed("rows deleted/s beside 200 operations/s", &deletions, 0.3),
        Row {
            what: "p99 of those operations, times their p99 before".to_owned(),
            ours: format!("{ours:.1} ms after {ours_idle:.1} ms"),
            peer: format!("one DELETE: {peer:.1} ms after {peer_idle:.1} ms, {peer_times:.1} x"),
            figure: ours_times,
            unit: Unit::Times,
            target: Target::AtMost(2.5),
        },
        log_written(&deletions),
    ])
}

/// Deletes with nobody else there, with two workers and with batches that may be large and long.
pub(crate) async fn alone(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let rows = effort.pick(1_000_000, 100_000);
    server.create(TEMPLATE, &application::contents(rows)).await?;
    let unhurried = || {
        let job = ttl_cleanup::Settings {
            workers: Bounded::new(2),
            batch_size: Bounded::new(10_000),
            ..ttl_cleanup::Settings::default()
        };
        let throttle = throttle::Settings { batch_latency: Span::millis(250), ..throttle::Settings::default() };
        Side::Ours(Box::new((job, throttle)))
    };
    let mut pairs = Vec::new();
    for _ in 0..effort.pick(5, 1) {
        server.copy(TEMPLATE, COPY).await?;
        let ours = delete(server, unhurried(), rows).await?;
        server.copy(TEMPLATE, COPY).await?;
        let peer = delete(server, Side::Peer, rows).await?;
        eprintln!("  alone: ours {ours:?}, one DELETE {peer:?}");
        pairs.push((ours, peer));
    }
    server.remove(COPY).await?;
    server.remove(TEMPLATE).await?;
    Ok(vec![speed("rows deleted/s with nobody waiting, 2 workers, batches of 10000 or 250 ms", &pairs, 0.6)])
}

/// One side on a fresh database, while an application uses it.
async fn watched(server: &Server, side: Side, rows: u32) -> anyhow::Result<(Deletion, Neighbour)> {
    server.copy(TEMPLATE, COPY).await?;
    let application = Application::start(server, COPY, rows)?;
    // Until it has connected and its first pages are in memory.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle_from = application::now();
    tokio::time::sleep(IDLE).await;
    let idle_to = application::now();
    server.execute(COPY, "CHECKPOINT").await?;
    let from = application::now();
    let deletion = delete(server, side, rows).await?;
    let to = application::now();
    let diary = tokio::task::spawn_blocking(move || application.stop()).await??;
    server.remove(COPY).await?;
    Ok((deletion, Neighbour { idle_p99: diary.p99(idle_from, idle_to), p99: diary.p99(from, to) }))
}

/// Deletes what has expired in the copy: half of its rows.
async fn delete(server: &Server, side: Side, rows: u32) -> anyhow::Result<Deletion> {
    let before = server.cost("maintd", COPY).await?;
    let store = server.store(COPY)?;
    let begun = Instant::now();
    match side {
        Side::Ours(settings) => {
            let (job, throttle) = *settings;
            server::clean_up(&server::runner(&store), job, throttle).await?;
        }
        Side::Peer => server.psql(COPY, SINGLE_DELETE).await?,
    }
    let seconds = begun.elapsed().as_secs_f64();
    let wal = server.cost("maintd", COPY).await?.wal - before.wal;
    let mut connection = server.connect("maintd", COPY).await?;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(&mut connection).await?;
    connection.close().await?;
    ensure!(left == i64::from(rows / 2), "{left} rows are left of {rows}");
    Ok(Deletion { rows_per_second: f64::from(rows / 2) / seconds, wal: wal as f64 })
}

fn speed(what: &str, pairs: &[Pair<Deletion>], target: f64) -> Row {
    let show = |figure: f64| format!("{figure:.0}");
    Row {
        what: what.to_owned(),
        ours: show(median_of(pairs, |(ours, _)| ours.rows_per_second)),
        peer: format!("one DELETE: {}", show(median_of(pairs, |(_, peer)| peer.rows_per_second))),
        figure: median_of(pairs, |(ours, peer)| ours.rows_per_second / peer.rows_per_second),
        unit: Unit::Times,
        target: Target::AtLeast(target),
    }
}

fn log_written(pairs: &[Pair<Deletion>]) -> Row {
    let show = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
    Row {
        what: "write-ahead log written by the deletion".to_owned(),
        ours: show(median_of(pairs, |(ours, _)| ours.wal)),
        peer: format!("one DELETE: {}", show(median_of(pairs, |(_, peer)| peer.wal))),
        figure: median_of(pairs, |(ours, peer)| ours.wal / peer.wal),
        unit: Unit::Times,
        target: Target::AtMost(1.1),
    }
}
