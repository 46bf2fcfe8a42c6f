//! How long the daemon takes from its start until it is ready, and how large it is.

use super::Effort;
use super::processes::{Program, size};
use super::server::Server;
use super::statistics::{median_of, milliseconds};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "waiting";

/// Starts daemon and exporter in turns.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    server.create(DATABASE, "SELECT").await?;
    let mut pairs = Vec::new();
    for _ in 0..effort.pick(21, 5) {
        pairs.push((start(Program::Daemon, server)?, start(Program::Exporter, server)?));
    }
    server.remove(DATABASE).await?;
    let (ours, peer) = (median_of(&pairs, |(ours, _)| *ours), median_of(&pairs, |(_, peer)| *peer));
    let ratio = median_of(&pairs, |(ours, peer)| ours / peer);
    let started = Row {
        what: "start to ready, the database being up".to_owned(),
        ours: format!("{ours:.0} ms"),
        peer: format!("exporter, to pg_up 1: {peer:.0} ms, ours is {ratio:.2} x"),
        figure: ours,
        unit: Unit::Milliseconds,
        target: Target::AtMost(150.0),
    };
    let (ours, peer) = (size(&Program::Daemon.file()?)? / 1e6, size(&Program::Exporter.file()?)? / 1e6);
    let sized = Row {
        what: "size of the program".to_owned(),
        ours: format!("{ours:.1} MB, with the demo"),
        peer: format!("exporter: {peer:.1} MB, ours is {:.2} x", ours / peer),
        figure: ours,
        unit: Unit::Megabytes,
        target: Target::AtMost(18.0),
    };
    Ok(vec![started, sized])
}

fn start(program: Program, server: &Server) -> anyhow::Result<f64> {
    tokio::task::block_in_place(|| {
        let mut service = program.start(server, DATABASE)?;
        let took = service.ready(program)?;
        service.stop(program)?;
        Ok(milliseconds(took))
    })
}
