//! A server that ends connections, ends itself, or lets nobody at the table.

use std::time::Duration;

use fastrand::Rng;
use sqlx::PgPool;

use super::{at_pace, budget, connections};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::fleet::{Fleet, LEASE};
use crate::harness::private::Private;
use crate::harness::seeds;
use crate::harness::witness::Witness;

/// Ends all connections of the daemons, as an administrator does.
async fn terminate_backends(pool: &PgPool) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'actingweb-maintd'",
    )
    .execute(pool)
    .await
    .expect("ending connections");
}

#[test]
fn connections_that_the_server_ends_again_and_again_cost_nothing_but_time() {
    seeds::with_each(0..4, async |seed| {
        let db = TestDb::new().await;
        let witness = Witness::new(db.pool()).await;
        witness.add(100, 3600).await;
        let fleet = Fleet::start(db.pool(), seed, 2, |_, _| at_pace(Maintd::on(&db), "1000", "10")).await;
        let mut random = Rng::with_seed(seed);
        for _ in 0..10 {
            witness.fill_up(300).await;
            fleet.somebody_at_work().await;
            for _ in 0..random.usize(1..6) {
                tokio::time::sleep(Duration::from_millis(random.u64(..150))).await;
                terminate_backends(db.pool()).await;
            }
        }
        fleet.rest().await.assert_holds();
    });
}

/// Two daemons whose server goes away in the middle of a run, and comes back.
async fn the_server_goes_away(crash: bool) {
    let mut private = Private::start(&[], &[]).await;
    let witness = Witness::new(private.pool()).await;
    witness.add(100, 3600).await;
    let (host, port) = (private.cluster().host().to_owned(), private.cluster().port());
    let launch = move |_, _: &mut Rng| at_pace(Maintd::at(&host, port, "postgres"), "300", "20");
    let mut fleet = Fleet::start(private.pool(), u64::from(crash), 2, launch).await;
    for _ in 0..2 {
        witness.fill_up(300).await;
        fleet.somebody_at_work().await;
        fleet.some_time().await;
        if crash {
            private.crash().await;
        } else {
            private.stop().await;
        }
        for place in 0..2 {
            let daemon = fleet.daemon(place);
            daemon.until("its readiness to tell", |daemon| daemon.get("/readyz").0 == 503);
            assert_eq!((daemon.get("/healthz").0, daemon.get("/metrics").0), (200, 200));
        }
        private.start_again().await;
        for place in 0..2 {
            fleet.daemon(place).until("it to be ready again", |daemon| daemon.get("/readyz").0 == 200);
        }
    }
    fleet.rest().await.assert_holds();
}

#[tokio::test]
async fn a_server_that_is_stopped_and_started_in_the_middle_of_runs_costs_nothing_but_time() {
    the_server_goes_away(false).await;
}

#[tokio::test]
async fn a_server_that_crashes_in_the_middle_of_runs_costs_nothing_but_time() {
    the_server_goes_away(true).await;
}

#[tokio::test]
async fn a_table_that_is_locked_for_several_leases_stalls_the_work_and_nothing_else() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(100, 3600).await;
    witness.add(2000, -60).await;
    let fleet = Fleet::start(db.pool(), 0, 2, |_, _| at_pace(Maintd::on(&db), "300", "20")).await;
    fleet.somebody_at_work().await;
    let mut migration = db.pool().begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE attributes IN ACCESS EXCLUSIVE MODE").execute(&mut *migration).await.expect("the lock");
    let (before, mut since) = (deleted(db.pool()).await, None);
    eventually("several leases to pass", async || {
        for place in 0..2 {
            let daemon = fleet.daemon(place);
            assert_eq!((daemon.get("/healthz").0, daemon.get("/metrics").0), (200, 200));
        }
        let connections = connections(db.pool()).await;
        assert!(connections <= budget(2), "{connections} connections at once");
        let now = witness.now().await;
        now > *since.get_or_insert(now) + 4 * LEASE.as_secs() as i64
    })
    .await;
    assert_eq!(deleted(db.pool()).await, before, "nobody deletes from a table that is locked");
    for place in 0..2 {
        fleet.daemon(place).until("its readiness to tell", |daemon| {
            let (code, body) = daemon.get("/readyz");
            code == 503 && body.contains("cannot read the attributes")
        });
    }
    migration.rollback().await.expect("giving the table back");
    fleet.rest().await.assert_holds();
}

/// Rows that the runs have deleted so far, those that are going on included.
async fn deleted(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT (SELECT coalesce(sum(deleted), 0)::bigint FROM maintd.run_workers) \
             + (SELECT coalesce(sum((report->>'deleted')::bigint), 0)::bigint FROM maintd.runs)",
    )
    .fetch_one(pool)
    .await
    .expect("reading what was deleted")
}
