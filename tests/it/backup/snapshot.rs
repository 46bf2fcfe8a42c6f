//! Snapshots: only past a pooler, and from a replica as well.

use std::sync::Arc;

use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::postgres::{Direct, Postgres};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::workbench::{Workbench, digests_in};
use crate::harness::cluster::TestDb;
use crate::harness::pooler::Pooler;
use crate::harness::private::Private;
use crate::harness::replica::Replica;
use crate::harness::store::{add_attributes, open, settings, settings_of};

async fn refusal(store: &Arc<Postgres>) -> Option<String> {
    store.snapshot().await.err().map(|error| error.chain())
}

/// Asks the server through the pooler for as long as somebody wants.
async fn ask(port: u16, dbname: String, over: CancellationToken) {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("postgres")
        .database(&dbname)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
        .extra_float_digits(None);
    let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
    while !over.is_cancelled() {
        sqlx::raw_sql("SELECT 1").execute(&mut connection).await.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_keeps_no_sessions_is_refused() {
    let db = TestDb::new().await;
    for (connections, clients) in [(1, 0), (4, 0), (4, 6)] {
        let pooler = Pooler::start(&db, connections);
        let through = settings_of(db.host(), pooler.port, db.name());
        let over = CancellationToken::new();
        let asking: Vec<_> =
            (0..clients).map(|_| tokio::spawn(ask(pooler.port, db.name().to_owned(), over.clone()))).collect();
        for _ in 0..5 {
            let why = refusal(&open(through.clone())).await.expect("a refusal");
            assert!(why.contains("storage.postgresql.direct"), "{why}");
        }
        over.cancel();
        for client in asking {
            client.await.unwrap();
        }
        let direct = Direct { host: None, port: Some(Bounded::new(db.port().into())) };
        let past = open(actingweb_maintd::storage::postgres::Settings { direct, ..through });
        assert_eq!(refusal(&past).await, None);
    }
    let pooler = Pooler::in_mode("session", &db, 10);
    assert_eq!(refusal(&open(settings_of(db.host(), pooler.port, db.name()))).await, None);
    assert_eq!(refusal(&open(settings(&db))).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_read_from_a_replica_and_from_no_other_cluster() {
    let primary = Private::start(&[], &[]).await;
    sqlx::raw_sql("INSERT INTO actors (id, creator, passphrase) VALUES ('a', 'c', 'p')")
        .execute(primary.pool())
        .await
        .unwrap();
    let replica = Replica::of(&primary).await;
    replica.catches_up(&primary).await;
    let usual = settings_of(primary.cluster().host(), primary.cluster().port(), "postgres");
    let to = |port: u16| Direct { host: None, port: Some(Bounded::new(port.into())) };
    let settings = actingweb_maintd::storage::postgres::Settings { direct: to(replica.port()), ..usual.clone() };
    let store = open(settings.clone());
    let bench = Workbench::of(settings);
    let manifest = bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert_eq!(bench.digests(&store, &manifest).await, digests_in(&open(usual.clone())).await);
    assert_eq!(manifest.tables["actors"].rows, Some(1));

    // The server of the other tests is another cluster.
    let db = TestDb::new().await;
    add_attributes(&db, "b", 1, 0).await;
    let astray = actingweb_maintd::storage::postgres::Settings { direct: to(db.port()), ..usual };
    let error = Workbench::of(astray.clone()).create(&open(astray)).await.unwrap_err().chain();
    assert!(error.contains("storage.postgresql.direct"), "{error}");
}
