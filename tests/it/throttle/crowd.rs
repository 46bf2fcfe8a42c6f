//! What makes a run slow without stopping it: a vacuum, and a server that is nearly full.

use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::throttle::Settings;
use sqlx::{Connection, PgConnection};

use super::vacuum::unvacuumed;
use super::{LARGEST, Work, add_expired, calm, store_on};
use crate::harness::cluster::server;
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::store::store;

/// Goes on, with batches that stay small.
async fn goes_on_slowly(work: &Work, reason: &str) {
    work.until_resting(reason).await;
    work.until_gone(LARGEST).await;
    assert!(work.size() <= LARGEST / 4, "batches are {} rows large", work.size());
    let rested = work.rested(reason);
    eventually("it rests on", async || work.rested(reason) > rested).await;
}

#[tokio::test]
async fn a_run_is_slow_while_a_vacuum_works_on_its_table() {
    let db = unvacuumed().await;
    add_expired(db.pool(), 200_000).await;
    let work = Work::at_full_speed(&store(&db), Settings { yield_to_autovacuum: true, ..calm() }).await;
    let options = server().options(db.name());
    let vacuuming = tokio::spawn(async move {
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        // A page, then a rest: it does not end before it is ended.
        sqlx::raw_sql("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1").execute(&mut connection).await.unwrap();
        sqlx::raw_sql("VACUUM attributes").execute(&mut connection).await
    });
    goes_on_slowly(&work, "autovacuum").await;
    let ended = "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_progress_vacuum \
                 WHERE datname = current_database()";
    assert_eq!(sqlx::query_scalar::<_, i64>(ended).fetch_one(db.pool()).await.unwrap(), 1);
    vacuuming.await.unwrap().expect_err("it was ended");
    work.until_full_speed().await;
    work.end().await;
}

#[tokio::test]
async fn a_run_is_slow_while_hardly_any_connections_are_left() {
    let server = Private::start(&[("max_connections", "40")], &[]).await;
    add_expired(server.pool(), 100_000).await;
    // Of the 37 that are not the superuser's this needs a few.
    let work =
        Work::at_full_speed(&store_on(&server), Settings { connection_headroom: Bounded::new(20), ..calm() }).await;
    assert_eq!(work.rested("connections"), 0.0);
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(PgConnection::connect_with(&server.pool().connect_options()).await.unwrap());
    }
    goes_on_slowly(&work, "connections").await;
    for connection in crowd {
        connection.close().await.unwrap();
    }
    work.until_full_speed().await;
    work.end().await;
}
