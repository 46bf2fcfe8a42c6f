//! The daemon's own store on a test's database, and rows in it.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::Indexing;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::postgres::{Postgres, Settings, SslMode};
use actingweb_maintd::storage::{Claim, Claimed, Lease, Leases};

use super::cluster::{Server, TestDb};

/// How the daemon reaches a test's database.
pub(crate) fn settings(db: &TestDb) -> Settings {
    Settings { user: db.role().to_owned(), ..settings_of(db.host(), db.port(), db.name()) }
}

/// How to reach a database on a test's server, as its superuser.
pub(crate) fn settings_of(host: &str, port: u16, dbname: &str) -> Settings {
    Settings {
        host: host.to_owned(),
        port: Bounded::new(u64::from(port)),
        dbname: dbname.to_owned(),
        user: "postgres".to_owned(),
        sslmode: SslMode::Disable,
        ..Settings::default()
    }
}

/// The store on a database of `server`, as `user`.
pub(crate) fn open_at(server: &Server, dbname: &str, user: &str) -> Arc<Postgres> {
    open(Settings { user: user.to_owned(), ..settings_of(&server.host, server.port, dbname) })
}

/// A store with these settings.
pub(crate) fn open(settings: Settings) -> Arc<Postgres> {
    open_for(settings, Duration::from_secs(10))
}

/// A store whose transactions may last as a lease of a minute allows, for tests that stop one.
pub(crate) fn open_for_a_minute(db: &TestDb) -> Arc<Postgres> {
    open_for(settings(db), Duration::from_secs(60))
}

/// A store that finds actors by what they store as `indexing` says.
pub(crate) fn open_indexed(settings: Settings, indexing: Indexing) -> Arc<Postgres> {
    Arc::new(made(settings, Duration::from_secs(10)).indexed(indexing))
}

fn open_for(settings: Settings, lease: Duration) -> Arc<Postgres> {
    Arc::new(made(settings, lease))
}

fn made(settings: Settings, lease: Duration) -> Postgres {
    Postgres::new(settings, lease, Arc::new(Metrics::new("test", "test"))).expect("settings")
}

/// The store on a test's database, with what `role` may do.
pub(crate) fn open_as(db: &TestDb, role: &str) -> Arc<Postgres> {
    open(Settings { user: role.to_owned(), ..settings(db) })
}

/// The store on a test's database for somebody who may do everything: who is the application and the daemon at once,
/// or makes rows for what is tested.
pub(crate) fn unlimited(db: &TestDb) -> Arc<Postgres> {
    open(settings_of(db.host(), db.port(), db.name()))
}

/// The store on a test's database, with what its daemon's role may do.
pub(crate) fn store(db: &TestDb) -> Arc<Postgres> {
    open(settings(db))
}

/// A claim by `holder` on the job `ttl_cleanup`, by hand.
pub(crate) fn claim(holder: &str) -> Claim {
    Claim { job: "ttl_cleanup", due: None, holder: holder.to_owned(), workers: 1, ttl: Duration::from_secs(10) }
}

/// The lease that `claim` must win.
pub(crate) async fn won(store: &Postgres, claim: &Claim) -> Lease {
    match store.claim(claim).await.expect("claiming") {
        Claimed::Won(won) => won.lease,
        other => panic!("the lease was not won: {other:?}"),
    }
}

/// Adds `count` attributes whose TTL lies `from_now` seconds from now, in `bucket`.
pub(crate) async fn add_attributes(db: &TestDb, bucket: &str, count: i64, from_now: i64) {
    sqlx::query(
        "INSERT INTO attributes (id, bucket_name, bucket, name, data, ttl_timestamp) \
         SELECT 'actor-' || n % 97, $1 || ':' || n, $1, n::text, jsonb_build_object('n', n), \
             floor(extract(epoch FROM now()))::bigint + $3 \
         FROM generate_series(1, $2) AS n",
    )
    .bind(bucket)
    .bind(count)
    .bind(from_now)
    .execute(db.pool())
    .await
    .expect("adding attributes");
}

/// How many attributes there are.
pub(crate) async fn count_attributes(db: &TestDb) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM attributes").fetch_one(db.pool()).await.expect("counting attributes")
}
