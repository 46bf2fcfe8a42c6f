//! A holder that is stopped for longer than its lease, as when its machine is suspended.

use sqlx::PgPool;

use super::at_pace;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::fleet::Fleet;
use crate::harness::seeds;
use crate::harness::witness::Witness;

/// Rows to delete: the run must be on its way when its holder is stopped.
const ROWS: i64 = 1_000;

/// Where in its run the holder is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    InTransaction,
    BetweenTransactions,
}

/// Stops the only daemon of the fleet at such a point of a run. Returns the process of the server
/// that waits for it, if one does.
async fn stop_at(point: Point, fleet: &mut Fleet<'_>, witness: &Witness, pool: &PgPool) -> Option<i32> {
    let mut waiting = None;
    eventually("the holder to be stopped where it should be", async || {
        witness.fill_up(ROWS).await;
        let index = fleet.somebody_at_work().await;
        fleet.stop(index);
        // What it has asked for is still carried out.
        eventually("the server to be done with what it was asked", async || !is_active(pool).await).await;
        waiting = waits_behind_the_fence(pool).await;
        let there = fleet.has_open_run(index).await
            && match point {
                Point::InTransaction => waiting.is_some(),
                Point::BetweenTransactions => !has_transaction(pool).await,
            };
        if !there {
            fleet.resume(index);
        }
        there
    })
    .await;
    waiting
}

async fn a_stopped_holder_is_taken_over_from(seed: u64, point: Point) {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(100, 3600).await;
    let launch = |place, _: &mut _| match (place, point) {
        (0, Point::InTransaction) => at_pace(Maintd::on(&db), "0", "10"),
        (0, Point::BetweenTransactions) => at_pace(Maintd::on(&db), "300", "10"),
        _ => at_pace(Maintd::on(&db), "0", "500"),
    };
    let mut fleet = Fleet::start(db.pool(), seed, 1, launch).await;
    let waiting = stop_at(point, &mut fleet, &witness, db.pool()).await;
    let now = witness.now().await;
    assert!(witness.fate(now).await.expired_and_left > 0, "the run was to be cut short");

    fleet.join();
    let stopped = fleet.process(0).expect("it is stopped, not gone");
    eventually("the other to finish", async || {
        if let Some(waiting) = waiting {
            let blocks = blocks_beyond_its_lease(db.pool(), waiting, stopped).await;
            assert!(!blocks, "the stopped holder has a transaction open, and its lease is over");
        }
        witness.fate(now).await.expired_and_left == 0
    })
    .await;
    fleet.taken_over_from(0).await;

    fleet.resume(0);
    fleet.daemon(0).until_said("ttl_cleanup lost");
    fleet.daemon(0).until("it to be ready again", |daemon| daemon.get("/readyz").0 == 200);
    // It is as good as any other from then on.
    fleet.terminate(1);
    witness.add(20, -60).await;
    let ledger = fleet.rest().await;
    ledger.assert_holds();
    assert!(ledger.ended("lost") >= 1, "{ledger:#?}");
}

#[test]
fn a_holder_that_is_stopped_inside_a_transaction_blocks_nobody_beyond_its_lease() {
    seeds::with_each(0..4, |seed| a_stopped_holder_is_taken_over_from(seed, Point::InTransaction));
}

#[test]
fn a_holder_that_is_stopped_between_transactions_is_refused_when_it_goes_on() {
    seeds::with_each(10..14, |seed| a_stopped_holder_is_taken_over_from(seed, Point::BetweenTransactions));
}

/// Whether the server is working for a daemon.
async fn is_active(pool: &PgPool) -> bool {
    ask(pool, "SELECT EXISTS (SELECT FROM ours WHERE state = 'active')").await
}

/// Whether a daemon has a transaction open.
async fn has_transaction(pool: &PgPool) -> bool {
    ask(pool, "SELECT EXISTS (SELECT FROM ours WHERE xact_start IS NOT NULL)").await
}

/// The process of the server that waits for a daemon to go on with a batch: it is past the fence,
/// whose row it has locked.
async fn waits_behind_the_fence(pool: &PgPool) -> Option<i32> {
    ask(
        pool,
        "SELECT max(pid) FROM ours WHERE state = 'idle in transaction' AND EXISTS ( \
             SELECT FROM pg_locks l WHERE l.pid = ours.pid AND relation = 'maintd.run_workers'::regclass \
                 AND mode = 'RowExclusiveLock')",
    )
    .await
}

/// Whether the server's process `waiting` has a transaction open although the daemon it waits for
/// has no lease any more.
async fn blocks_beyond_its_lease(pool: &PgPool, waiting: i32, daemon: u32) -> bool {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND xact_start IS NOT NULL) \
        AND NOT EXISTS (SELECT FROM maintd.leases WHERE holder LIKE '%/' || $2 AND expires_at > clock_timestamp())";
    sqlx::query_scalar(sql)
        .bind(waiting)
        .bind(i64::from(daemon))
        .fetch_one(pool)
        .await
        .expect("reading what the server does")
}

/// Asks about `ours`, the daemons' connections to the database.
async fn ask<T>(pool: &PgPool, question: &str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let sql = format!(
        "WITH ours AS (SELECT * FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'actingweb-maintd') {question}"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.expect("reading what the server does")
}
