//! The cost of a batch while somebody holds an old snapshot, a dump for example, so that nothing
//! dead can be cleared away. A loop that looks for its rows anew walks over all that it has
//! deleted, again with every batch.

use std::time::{Duration, Instant};

use actingweb_maintd::storage::{Claim, Claimed, Cursor, Expired, Leases, Segment, Sweep};
use anyhow::{bail, ensure};
use sqlx::{AssertSqlSafe, Connection};

use super::Effort;
use super::application;
use super::server::Server;
use super::statistics::{median, milliseconds};
use super::table::{Row, Target, Unit};

const TEMPLATE: &str = "watched";
const COPY: &str = "watched_copy";

/// Batches, and rows in each.
const BATCHES: usize = 400;

/// Deletes in batches of one size, our way and by the usual loop.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let size = effort.pick(250, 50);
    server.create(TEMPLATE, &application::contents(2 * BATCHES as u32 * size)).await?;
    let ours = under_a_snapshot(server, async || by_place(server, size).await).await?;
    let peer = under_a_snapshot(server, async || by_search(server, size).await).await?;
    server.remove(TEMPLATE).await?;
    Ok(vec![Row {
        what: format!("a batch of {size} under an old snapshot, the last hundred of {BATCHES} by the first"),
        ours: format!("{:.2} ms, then {:.2} ms", ours.0, ours.1),
        peer: format!("a loop of DELETE … LIMIT: {:.2} ms, then {:.2} ms, {:.1} x", peer.0, peer.1, peer.1 / peer.0),
        figure: ours.1 / ours.0,
        unit: Unit::Times,
        target: Target::AtMost(1.25),
    }])
}

/// Measures `batches` on a fresh database whose past somebody holds on to. Returns the median of
/// the first and that of the last hundred, in milliseconds.
async fn under_a_snapshot(
    server: &Server,
    batches: impl AsyncFnOnce() -> anyhow::Result<Vec<Duration>>,
) -> anyhow::Result<(f64, f64)> {
    server.copy(TEMPLATE, COPY).await?;
    let mut dump = server.connect("postgres", COPY).await?;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM attributes").execute(&mut dump).await?;
    let took: Vec<f64> = batches().await?.into_iter().map(milliseconds).collect();
    dump.close().await?;
    server.remove(COPY).await?;
    ensure!(took.len() == BATCHES, "{} batches", took.len());
    Ok((median(&took[..100]), median(&took[BATCHES - 100..])))
}

/// As the job does it: a page ahead, then its rows by their places.
async fn by_place(server: &Server, size: u32) -> anyhow::Result<Vec<Duration>> {
    let store = server.store(COPY)?;
    let claim =
        Claim { job: "ttl_cleanup", due: None, holder: "bench".to_owned(), workers: 1, ttl: Duration::from_secs(600) };
    let Claimed::Won(won) = store.claim(&claim).await? else { bail!("the lease was not won") };
    let which = Expired { cutoff: store.cutoff(Duration::ZERO).await?.epoch, buckets: Vec::new() };
    let mut took = Vec::new();
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        let begun = Instant::now();
        let page = store.expired(&which, Segment::WHOLE, &from, 40 * size).await?;
        cursor = page.next;
        // Each of its batches bears its share.
        let reading = begun.elapsed() / 40;
        for batch in page.candidates.chunks(size as usize) {
            let begun = Instant::now();
            let deleted = store.delete_expired(&which, batch, &won.lease.fence(0)).await?.deleted;
            ensure!(deleted == u64::from(size), "a batch deleted {deleted} rows");
            took.push(reading + begun.elapsed());
        }
    }
    Ok(took)
}

/// As it is usually done: the first rows in the order of the index, each time.
async fn by_search(server: &Server, size: u32) -> anyhow::Result<Vec<Duration>> {
    let mut connection = server.connect("maintd", COPY).await?;
    let sql = format!(
        "DELETE FROM attributes WHERE ctid = ANY(ARRAY( \
             SELECT ctid FROM attributes WHERE ttl_timestamp < floor(extract(epoch FROM now()))::bigint \
             ORDER BY ttl_timestamp LIMIT {size} FOR UPDATE SKIP LOCKED))"
    );
    let mut took = Vec::new();
    loop {
        let begun = Instant::now();
        let deleted = sqlx::query(AssertSqlSafe(sql.as_str())).execute(&mut connection).await?.rows_affected();
        if deleted == 0 {
            break;
        }
        took.push(begun.elapsed());
    }
    connection.close().await?;
    Ok(took)
}
