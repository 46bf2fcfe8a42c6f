//! Memory when idle, and how long a scrape takes, beside Prometheus' exporter for PostgreSQL.

use std::time::{Duration, Instant};

use super::Effort;
use super::http::Connection;
use super::processes::{Program, Service};
use super::server::Server;
use super::statistics::{median_of, milliseconds, percentile};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "scraped";

/// Scrapes in the time of idleness, and scrapes in one turn of a measurement.
const SCRAPES: u32 = 40;
const TURN: usize = 100;

/// Daemon and exporter.
struct Both {
    ours: Service,
    peer: Service,
}

/// How long the scrapes of each turn took, in milliseconds.
#[derive(Debug, Default)]
struct Taken {
    ours: Vec<Vec<f64>>,
    peer: Vec<Vec<f64>>,
}

/// Lets both stand idle, then scrapes them.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    server.create(DATABASE, "SELECT").await?;
    let mut both =
        Both { ours: Program::Daemon.start(server, DATABASE)?, peer: Program::Exporter.start(server, DATABASE)? };
    let mut rows = tokio::task::block_in_place(|| {
        both.ours.ready(Program::Daemon)?;
        both.peer.ready(Program::Exporter)?;
        let mut rows = idle(&both, effort)?;
        rows.extend(scrapes(&both, effort)?);
        anyhow::Ok(rows)
    })?;
    rows.push(statements(server, &both, effort).await?);
    both.ours.stop(Program::Daemon)?;
    both.peer.stop(Program::Exporter)?;
    server.remove(DATABASE).await?;
    Ok(rows)
}

/// Memory after the start, and after a minute of being scraped.
fn idle(both: &Both, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let row = |what: &str, target| -> anyhow::Result<Row> {
        let (ours, peer) = (both.ours.memory()? / 1e6, both.peer.memory()? / 1e6);
        Ok(Row {
            what: what.to_owned(),
            ours: format!("{ours:.1} MB"),
            peer: format!("exporter: {peer:.1} MB, ours is {:.2} x", ours / peer),
            figure: ours,
            unit: Unit::Megabytes,
            target: Target::AtMost(target),
        })
    };
    std::thread::sleep(Duration::from_secs(1));
    let mut rows = vec![row("resident memory after the start", 15.0)?];
    let pause = effort.pick(Duration::from_millis(1500), Duration::from_millis(50));
    for _ in 0..SCRAPES {
        both.ours.get("/metrics")?;
        both.peer.get("/metrics")?;
        std::thread::sleep(pause);
    }
    rows.push(row(
        &format!("the same {:.0} s and {SCRAPES} scrapes later", pause.as_secs_f64() * f64::from(SCRAPES)),
        15.0,
    )?);
    Ok(rows)
}

/// How long scrapes take. Connections are kept where the server keeps them, as Prometheus does it;
/// ours does not, so the exporter is also measured without.
fn scrapes(both: &Both, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let series = |service: &Service| -> anyhow::Result<usize> {
        Ok(service.get("/metrics")?.lines().filter(|line| !line.starts_with('#')).count())
    };
    let (ours, peer) = (series(&both.ours)?, series(&both.peer)?);
    let turns = [("as Prometheus scrapes", true), ("with a connection for each", false)];
    let rows = turns.map(|(how, keep)| {
        let Taken { ours: to_us, peer: to_peer } = scrape(both, effort, keep)?;
        let p50 = |turns: &[Vec<f64>]| median_of(turns, |turn| percentile(turn, 0.5));
        let p99 = |turns: &[Vec<f64>]| median_of(turns, |turn| percentile(turn, 0.99));
        anyhow::Ok(Row {
            what: format!("p99 of a scrape {how}"),
            ours: format!("{ours} series, p50 {:.2} ms", p50(&to_us)),
            peer: format!(
                "exporter: {peer} series, p50 {:.2} ms, p99 {:.2} ms; ours is {:.3} x",
                p50(&to_peer),
                p99(&to_peer),
                p99(&to_us) / p99(&to_peer)
            ),
            figure: p99(&to_us),
            unit: Unit::Milliseconds,
            target: Target::AtMost(1.0),
        })
    });
    rows.into_iter().collect()
}

/// Scrapes both in turns. Connecting belongs to a scrape.
fn scrape(both: &Both, effort: Effort, keep: bool) -> anyhow::Result<Taken> {
    let mut taken = Taken::default();
    for _ in 0..effort.pick(2000, 200) / TURN {
        for (service, taken) in [(&both.ours, &mut taken.ours), (&both.peer, &mut taken.peer)] {
            let mut kept: Option<Connection> = None;
            let mut turn = Vec::with_capacity(TURN);
            for _ in 0..TURN {
                let begun = Instant::now();
                let mut connection = kept.take().map_or_else(|| service.connect(), Ok)?;
                let answer = connection.get("/metrics")?;
                turn.push(milliseconds(begun.elapsed()));
                kept = (keep && answer.kept).then_some(connection);
            }
            taken.push(turn);
        }
    }
    Ok(taken)
}

/// Statements that a scrape makes the server run.
async fn statements(server: &Server, both: &Both, effort: Effort) -> anyhow::Result<Row> {
    let scrapes = effort.pick(100, 20);
    let mut per_scrape = [f64::INFINITY; 2];
    let programs = [(Program::Daemon, &both.ours), (Program::Exporter, &both.peer)];
    for ((program, service), least) in programs.into_iter().zip(&mut per_scrape) {
        // The least of some rounds: what the daemon asks of its own accord falls into some.
        for _ in 0..5 {
            let before = server.cost(program.role(), DATABASE).await?.calls;
            tokio::task::block_in_place(|| (0..scrapes).try_for_each(|_| service.get("/metrics").map(drop)))?;
            let calls = server.cost(program.role(), DATABASE).await?.calls - before;
            *least = least.min(calls as f64 / f64::from(scrapes));
        }
    }
    let [ours, peer] = per_scrape;
    Ok(Row {
        what: "statements for a scrape".to_owned(),
        ours: format!("{ours:.0}"),
        peer: format!("exporter: {peer:.0}"),
        figure: ours,
        unit: Unit::Count,
        target: Target::AtMost(0.0),
    })
}
