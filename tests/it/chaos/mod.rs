//! What nobody wishes for, and what must hold all the same.

mod dynamodb;
mod faults;
mod kills;
mod network;
mod server;
mod stops;
mod storms;

use fastrand::Rng;
use sqlx::PgPool;

use crate::harness::daemon::Maintd;
use crate::harness::fleet::POOL;

/// A daemon that cleans up at one of many paces: mostly resting between batches, or mostly in one.
fn at_some_pace(maintd: Maintd, random: &mut Rng) -> Maintd {
    let rate = random.choice(["300", "1000", "0"]).expect("a choice");
    let batch = random.choice(["10", "50"]).expect("a choice");
    let workers = random.choice(["1", "1", "3"]).expect("a choice");
    at_pace(maintd, rate, batch).env("MAINTD_JOBS__TTL_CLEANUP__WORKERS", workers)
}

/// A daemon that deletes so many rows in a second, 0 for as many as it can, and in a batch. It does
/// not slow down when the machine does.
fn at_pace(maintd: Maintd, rate: &str, batch: &str) -> Maintd {
    maintd.env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", rate).env("MAINTD_JOBS__TTL_CLEANUP__BATCH_SIZE", batch)
}

/// Connections that so many daemons may have at once: their pools', and one outside of each pool,
/// by which a daemon asks why there is none.
fn budget(daemons: usize) -> usize {
    daemons * (POOL + 1)
}

/// Connections that daemons have to the database, as its server counts them.
async fn connections(pool: &PgPool) -> usize {
    let connections: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'actingweb-maintd'",
    )
    .fetch_one(pool)
    .await
    .expect("counting connections");
    usize::try_from(connections).expect("a count")
}
