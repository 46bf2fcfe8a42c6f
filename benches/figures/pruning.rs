//! Changes of subscriptions deleted by the batch, in a small table and in a large one, and of an actor
//! that has very many; against the statement by which the library clears them.

use std::time::{Duration, Instant};

use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::storage::{Claim, Claimed, Cut, Fence, Leases, Pruning};
use anyhow::{bail, ensure};
use sqlx::{Connection, PgConnection};

use super::Effort;
use super::server::Server;
use super::statistics::median_of;
use super::table::{Row, Target, Unit};

const DATABASE: &str = "changes";

/// Changes that each actor has.
const EACH: i64 = 1000;

/// Changes in a batch.
const BATCH: i64 = 500;

/// What the library deletes with, up to a number.
const CLEAR: &str = "DELETE FROM subscription_diffs WHERE id = $1 AND subid = $2 AND seqnr <= $3";

/// Milliseconds that things take in one table.
#[derive(Clone, Copy, Debug)]
struct Figures {
    batch: f64,
    library: f64,
    owners: f64,
    /// The same of one actor with very many changes.
    batch_of_many: f64,
    library_of_many: f64,
}

/// Deletes from tables of two sizes.
pub(crate) async fn measure(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    // In the large one a tenth is one actor's.
    let (few, many, of_one) = effort.pick((600, 9000, 1_000_000), (60, 180, 20_000));
    let small = measure_in(server, few, EACH, effort).await?;
    eprintln!("  {few} actors: {small:?}");
    let large = measure_in(server, many, of_one, effort).await?;
    eprintln!("  {many} actors and one with {of_one} changes: {large:?}");
    let rows = |actors: i64, of_one: i64| (actors * EACH + of_one) as f64 / 1e6;
    let sizes = format!("{:.1} M rows against {:.1} M", rows(many, of_one), rows(few, EACH));
    let row = |what: String, ours: (f64, f64), peer: Option<(f64, f64)>, target: Target| Row {
        what,
        ours: format!("{:.1} ms after {:.1} ms", ours.1, ours.0),
        peer: peer.map_or(String::new(), |(small, large)| {
            format!("the library's DELETE: {large:.1} ms after {small:.1} ms, {:.2} x", large / small)
        }),
        figure: ours.1 / ours.0,
        unit: Unit::Times,
        target,
    };
    Ok(vec![
        row(
            format!("a batch of {BATCH} changes, {sizes}"),
            (small.batch, large.batch),
            Some((small.library, large.library)),
            Target::AtMost(1.5),
        ),
        row(
            format!("a batch of {BATCH} changes of an actor with {of_one}, against one with {EACH}"),
            (small.batch, large.batch_of_many),
            Some((small.library, large.library_of_many)),
            // Told for its own sake: keys are in the order of texts, so of few changes the next numbers lie side by
            // side in the index, and of many each on a page of its own.
            Target::Free,
        ),
        row(
            format!("finding 100 actors that have changes, {sizes}"),
            (small.owners, large.owners),
            None,
            Target::AtMost(2.0),
        ),
    ])
}

async fn measure_in(server: &Server, actors: i64, of_one: i64, effort: Effort) -> anyhow::Result<Figures> {
    server.create(DATABASE, &contents(actors, of_one)).await?;
    server.execute(DATABASE, "CHECKPOINT").await?;
    let store = server.store(DATABASE)?;
    let claim =
        Claim { job: "diff_prune", due: None, holder: "bench".to_owned(), workers: 1, ttl: Duration::from_secs(3600) };
    let fence = match store.claim(&claim).await? {
        Claimed::Won(won) => won.lease.fence(0),
        other => bail!("the lease was not won: {other:?}"),
    };
    let mut connection = server.connect("application", DATABASE).await?;
    let (mut batches, mut cleared, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let pairs: i64 = effort.pick(100, 10);
    // In turns, each with actors of its own from all over the table.
    for pair in 0..pairs {
        let actor = |of_pair: i64| format!("actor-{}", (pair * 2 + of_pair) * actors / (2 * pairs));
        batches.push(prune(&store, &fence, &actor(0), 0).await?);
        cleared.push(clear(&mut connection, &actor(1), BATCH).await?);
        let begun = Instant::now();
        let owners = store.diff_owners(Some(&actor(0)), 100).await?;
        found.push(milliseconds(begun));
        ensure!(!owners.ids.is_empty() || pair == 0, "no actors were found");
    }
    let (mut batches_of_many, mut cleared_of_many) = (Vec::new(), Vec::new());
    for step in 0..effort.pick(20, 3).min(of_one / (2 * BATCH)) {
        batches_of_many.push(prune(&store, &fence, "many", 2 * step * BATCH).await?);
        cleared_of_many.push(clear(&mut connection, "many", (2 * step + 2) * BATCH).await?);
    }
    connection.close().await?;
    server.remove(DATABASE).await?;
    let median = |times: &[f64]| median_of(times, |time| *time);
    Ok(Figures {
        batch: median(&batches),
        library: median(&cleared),
        owners: median(&found),
        batch_of_many: median(&batches_of_many),
        library_of_many: median(&cleared_of_many),
    })
}

/// Subscriptions whose changes lie among each other's, as they come about: ten at a time. The index is
/// made afterwards, which takes less time.
fn contents(actors: i64, of_one: i64) -> String {
    let insert = "INSERT INTO subscription_diffs (id, subid_seqnr, subid, \"timestamp\", diff, seqnr)";
    let row = |id: &str| format!("{id}, 's:' || n, 's', now(), '{{\"n\": ' || n || '}}', n");
    format!(
        "ALTER TABLE subscription_diffs DROP CONSTRAINT subscription_diffs_pkey; \
         {insert} SELECT {of_each} FROM generate_series(0, {EACH} / 10 - 1) AS block, \
             generate_series(0, {actors} - 1) AS actor, generate_series(1, 10) AS i, \
             LATERAL (SELECT block * 10 + i AS n) AS number; \
         {insert} SELECT {of_many} FROM generate_series(1, {of_one}) AS n; \
         ALTER TABLE subscription_diffs ADD CONSTRAINT subscription_diffs_pkey PRIMARY KEY (id, subid_seqnr)",
        of_each = row("'actor-' || actor"),
        of_many = row("'many'"),
    )
}

async fn prune(store: &Postgres, fence: &Fence, id: &str, after: i64) -> anyhow::Result<f64> {
    let numbers = (after + 1..=after + BATCH).collect();
    let cut = Cut { id: id.to_owned(), subid: "s".to_owned(), numbers, is_orphaned: false };
    let begun = Instant::now();
    let batch = store.prune_diffs(&cut, fence).await?;
    ensure!(batch.deleted == BATCH.unsigned_abs(), "{} of {BATCH} changes of {id} were deleted", batch.deleted);
    Ok(milliseconds(begun))
}

async fn clear(connection: &mut PgConnection, id: &str, through: i64) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let deleted = sqlx::query(CLEAR).bind(id).bind("s").bind(through).execute(connection).await?.rows_affected();
    ensure!(deleted == BATCH.unsigned_abs(), "{deleted} of {BATCH} changes of {id} were cleared");
    Ok(milliseconds(begun))
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
