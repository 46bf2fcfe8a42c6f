//! Whole tables, as they are moved: rows in and out per second, beside what people would move them
//! with.

mod dynamodb;
mod postgresql;

use std::time::Instant;

use actingweb_maintd::model::{Record, Table};
use actingweb_maintd::storage::{Place, Segment, Store};
use anyhow::ensure;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Effort;
use super::server::Server;
use super::statistics::median_of;
use super::table::{Row, Target, Unit};

/// Rows in a call, and calls at once.
const CALL: usize = 5_000;
const CALLS: usize = 2;

/// Rows in a stretch.
const STRETCH: u32 = 5_000;

/// Rows per second of both sides, in pairs.
type Pairs = Vec<(f64, f64)>;

/// Moves rows on both backends.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let mut rows = postgresql::measure(server, effort).await?;
    rows.extend(dynamodb::measure(effort).await?);
    Ok(rows)
}

/// Writes rows, and returns how many per second.
async fn write(store: &dyn Store, records: &[Record]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let calls = stream::iter(records.chunks(CALL)).map(|call| store.write(call));
    let written: u64 = calls.buffer_unordered(CALLS).try_fold(0, async |sum, done| Ok(sum + done.records)).await?;
    ensure!(written == records.len() as u64, "{written} rows were written");
    Ok(records.len() as f64 / begun.elapsed().as_secs_f64())
}

/// Reads a table of so many rows in so many segments at once, and returns how many per second.
async fn scan(store: &dyn Store, table: Table, rows: usize, segments: u32) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let counts = (0..segments).map(async |index| {
        let (mut place, mut count) = (Place::default(), 0);
        loop {
            let stretch = store.scan(table, Segment { index, of: segments }, &place, STRETCH).await?;
            count += stretch.records.len();
            match stretch.next {
                Some(next) => place = next,
                None => return anyhow::Ok(count),
            }
        }
    });
    let found: usize = try_join_all(counts).await?.into_iter().sum();
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(found == rows, "{found} rows were found of {rows}");
    Ok(rows as f64 / seconds)
}

fn row(what: String, peer: &str, pairs: &Pairs, target: Target) -> Row {
    Row {
        what,
        ours: format!("{:.0}", median_of(pairs, |(ours, _)| *ours)),
        peer: format!("{peer}: {:.0}", median_of(pairs, |(_, peer)| *peer)),
        figure: median_of(pairs, |(ours, peer)| ours / peer),
        unit: Unit::Times,
        target,
    }
}
