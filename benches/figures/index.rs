//! What a look at all tables and indexes costs, beside `check_postgres` for what both can tell.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actingweb_maintd::jobs::index_health::{IndexHealth, Settings};
use actingweb_maintd::jobs::{Job, Place};
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::storage::Store;
use actingweb_maintd::throttle;
use anyhow::{Context, ensure};
use sqlx::Connection;

use super::Effort;
use super::application;
use super::server::Server;
use super::statistics::{median_of, milliseconds};
use super::table::{Row, Target, Unit};

const DATABASE: &str = "looked_at";

/// What the peer is asked: bloat of tables and indexes, and the age of transactions, for the whole database and for
/// autovacuum. It cannot compare schemas, nor tell unfinished indexes.
const ACTIONS: [&str; 3] = ["bloat", "txn_wraparound", "autovac_freeze"];

/// Looks with both in turns.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let rows = effort.pick(2_000_000, 50_000);
    server.create(DATABASE, &contents(rows)).await?;
    let store = server.store(DATABASE)?;
    let job = IndexHealth::new(Settings::default(), throttle::Settings::default(), Place::on(BackendKind::Postgresql));
    // Connects.
    look(&job, &*store).await?;
    let before = pages(server).await?;
    let mut pairs = Vec::new();
    for _ in 0..effort.pick(21, 5) {
        pairs.push((look(&job, &*store).await?, peer(server)?));
    }
    // Whoever has gone has told what he read; the peer asks the catalogue only, too.
    store.close(Duration::from_secs(10)).await;
    drop((job, Arc::into_inner(store)));
    wait_until_gone(server).await?;
    let read = pages(server).await? - before;
    server.remove(DATABASE).await?;
    let (ours, peer) = (median_of(&pairs, |(ours, _)| *ours), median_of(&pairs, |(_, peer)| *peer));
    let looked = Row {
        what: "a look at all tables and indexes".to_owned(),
        ours: format!("{rows} rows: {ours:.1} ms"),
        peer: format!(
            "check_postgres, {}: {peer:.0} ms, ours is {:.2} x",
            ACTIONS.join(" + "),
            median_of(&pairs, |(ours, peer)| ours / peer)
        ),
        figure: ours,
        unit: Unit::Milliseconds,
        target: Target::AtMost(100.0),
    };
    let untouched = Row {
        what: "pages of indexes that it reads".to_owned(),
        ours: format!("{read} in {} looks", pairs.len()),
        peer: "by pg_statio_all_indexes".to_owned(),
        figure: read as f64,
        unit: Unit::Count,
        target: Target::AtMost(0.0),
    };
    Ok(vec![looked, untouched])
}

async fn look(job: &IndexHealth, store: &dyn Store) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let report = job.preview(store).await?;
    let took = milliseconds(begun.elapsed());
    // The server's autovacuum is off, so that none comes in the middle of a measurement.
    let found: Vec<_> = report.defects.iter().map(|defect| defect.kind.as_str()).collect();
    ensure!(found == ["dead_rows"], "something is wrong: {:?}", report.defects);
    Ok(took)
}

fn peer(server: &Server) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for action in ACTIONS {
        let mut command = Command::new("check_postgres");
        command.args(["--host", server.host(), "--port", &server.port().to_string(), "--dbuser", "maintd"]);
        command.args(["--dbname", DATABASE, "--action", action]).stdin(Stdio::null());
        command.env("PGBINDIR", server.program("psql").parent().context("psql is in a directory")?);
        let output = command.output().context("starting check_postgres")?;
        // It ends with 1 or 2 for what is to be seen to, with 3 when it could not look.
        ensure!(output.status.code().is_some_and(|code| code < 3), "check_postgres failed: {output:?}");
    }
    Ok(milliseconds(begun.elapsed()))
}

/// Pages of the application's indexes that anybody has read.
async fn pages(server: &Server) -> anyhow::Result<i64> {
    let mut connection = server.connect("postgres", DATABASE).await?;
    let pages = sqlx::query_scalar(
        "SELECT sum(idx_blks_read + idx_blks_hit)::bigint FROM pg_statio_all_indexes \
         WHERE schemaname = 'public' AND relname <> 'alembic_version'",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(pages)
}

async fn wait_until_gone(server: &Server) -> anyhow::Result<()> {
    let mut connection = server.connect("postgres", "postgres").await?;
    let begun = Instant::now();
    let somebody = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1)";
    while sqlx::query_scalar::<_, bool>(somebody).bind(DATABASE).fetch_one(&mut connection).await? {
        ensure!(begun.elapsed() < Duration::from_secs(60), "somebody stays connected");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(connection.close().await?)
}

/// Something in every table.
fn contents(rows: u32) -> String {
    format!(
        "{}; INSERT INTO actors SELECT 'actor-' || n, 'user' || n || '@example.com', '' FROM generate_series(0, 99999) AS n; \
         INSERT INTO trusts SELECT 'actor-' || n, 'peer', '', '', '', md5(n::text), '', true, true, true \
         FROM generate_series(0, 99999) AS n; \
         INSERT INTO property_lookup SELECT 'email', 'user' || n || '@example.com', 'actor-' || n \
         FROM generate_series(0, 99999) AS n; \
         INSERT INTO subscriptions SELECT 'actor-' || n, 'peer:s', 'peer', 's', NULL, NULL, NULL, NULL, 1, false \
         FROM generate_series(0, 99999) AS n",
        application::contents(rows)
    )
}
