//! What a run costs that finds nothing: it must not depend on how much there is.

use std::time::Instant;

use actingweb_maintd::jobs::ttl_cleanup;
use actingweb_maintd::runner::Runner;
use actingweb_maintd::throttle;
use anyhow::ensure;

use super::Effort;
use super::server::{self, Server};
use super::statistics::{median_of, milliseconds};
use super::table::{Row, Target, Unit};

const SMALL: &str = "few_alive";
const LARGE: &str = "many_alive";

/// One run.
#[derive(Clone, Copy, Debug)]
struct Look {
    milliseconds: f64,
    pages: f64,
}

/// Runs in a small and in a large database in turns.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let many = effort.pick(10_000_000, 1_000_000);
    server.create(SMALL, &alive(100_000)).await?;
    server.create(LARGE, &alive(many)).await?;
    let (small, large) = (server.store(SMALL)?, server.store(LARGE)?);
    let (small, large) = (server::runner(&small), server::runner(&large));
    server.execute("postgres", "CHECKPOINT").await?;
    for (runner, name) in [(&small, SMALL), (&large, LARGE)] {
        // Connects, and reads the pages that every run reads.
        look(server, runner, name).await?;
    }
    let mut pairs = Vec::new();
    for _ in 0..effort.pick(50, 10) {
        pairs.push((look(server, &large, LARGE).await?, look(server, &small, SMALL).await?));
    }
    for (runner, name) in [(small, SMALL), (large, LARGE)] {
        drop(runner);
        server.remove(name).await?;
    }
    let times = |figure: fn(&Look) -> f64| median_of(&pairs, |(large, small)| figure(large) / figure(small));
    let row = |what: &str, figure: fn(&Look) -> f64, unit: &str| Row {
        what: what.to_owned(),
        ours: format!("{many} rows: {:.1} {unit}", median_of(&pairs, |(large, _)| figure(large))),
        peer: format!("100000 rows: {:.1} {unit}", median_of(&pairs, |(_, small)| figure(small))),
        figure: times(figure),
        unit: Unit::Times,
        target: Target::AtMost(1.5),
    };
    Ok(vec![
        row("a run that finds nothing", |look| look.milliseconds, "ms"),
        row("pages it looks at", |look| look.pages, "pages"),
    ])
}

async fn look(server: &Server, runner: &Runner, name: &str) -> anyhow::Result<Look> {
    let before = server.cost("maintd", name).await?;
    let begun = Instant::now();
    let run = server::clean_up(runner, ttl_cleanup::Settings::default(), throttle::Settings::default()).await?;
    let milliseconds = milliseconds(begun.elapsed());
    ensure!(run.report.examined == 0, "something had expired: {run:?}");
    let pages = server.cost("maintd", name).await?.pages - before.pages;
    Ok(Look { milliseconds, pages: pages as f64 })
}

/// `rows` attributes that expire in a month. The indexes are built afterwards, which is faster.
fn alive(rows: u32) -> String {
    format!(
        "ALTER TABLE attributes DROP CONSTRAINT attributes_pkey; \
         DROP INDEX idx_attributes_ttl; \
         INSERT INTO attributes (id, bucket_name, bucket, name, ttl_timestamp) \
         SELECT 'actor', 'b:' || n, 'b', n, floor(extract(epoch FROM now()))::bigint + 30 * 86400 + n % 86400 \
         FROM generate_series(1, {rows}) AS n; \
         SET maintenance_work_mem = '512MB'; \
         ALTER TABLE attributes ADD PRIMARY KEY (id, bucket_name); \
         CREATE INDEX idx_attributes_ttl ON attributes (ttl_timestamp) WHERE ttl_timestamp IS NOT NULL"
    )
}
