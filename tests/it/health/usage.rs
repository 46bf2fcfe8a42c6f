//! Indexes that nobody uses: only what earlier runs and every replica bear out.

use std::process::Command;

use actingweb_maintd::jobs::index_health::Settings;
use actingweb_maintd::model::setting::Span;
use actingweb_maintd::storage::Runs;
use sqlx::PgPool;

use super::scene::{kinds, look, run, run_in_a_session};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::private::Private;
use crate::harness::replica::Replica;
use crate::harness::tools::tool;
use crate::harness::{eventually, store};

/// The extra index is somebody's, as he says.
fn settings() -> Settings {
    let acknowledge = vec!["index_extra mine: for the yearly report".to_owned()];
    Settings { acknowledge, unused_after: Span::secs(30 * 24 * 60 * 60), ..Settings::default() }
}

fn unused() -> [(String, String); 2] {
    [("index_extra", "mine"), ("index_unused", "mine")].map(|(kind, object)| (kind.to_owned(), object.to_owned()))
}

#[tokio::test]
async fn an_index_is_unused_when_an_earlier_run_saw_the_same_count() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "CREATE INDEX mine ON properties (name)").await;
    assert_eq!(Maintd::on(&db).run(&["index", "check"]).code, 2);
    let extra = [("index_extra".to_owned(), "mine".to_owned())];
    assert_eq!(kinds(&look(&*store, settings()).await), extra, "that run was just now");

    // So it was: a month ago.
    run(&db, "UPDATE maintd.runs SET started_at = started_at - interval '31 days', finished_at = finished_at - interval '31 days'").await;
    let report = look(&*store, settings()).await;
    assert_eq!(kinds(&report), unused());
    assert_eq!(report.remaining(), 1, "the other one is acknowledged: {report:#?}");
    // Those that must be there are never unused, however idle they are.

    // Who resets the statistics has no memory.
    run(&db, "SELECT pg_stat_reset()").await;
    assert_eq!(kinds(&look(&*store, settings()).await), extra);
}

#[tokio::test]
async fn an_index_that_was_used_meanwhile_is_not_unused() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "CREATE INDEX mine ON properties (name)").await;
    assert_eq!(Maintd::on(&db).run(&["index", "check"]).code, 2);
    run(&db, "UPDATE maintd.runs SET finished_at = finished_at - interval '31 days'").await;
    run_in_a_session(db.pool(), &["SET enable_seqscan = off", "SELECT FROM properties WHERE name = 'x'"]).await;
    eventually("the use to be seen", async || kinds(&look(&*store, settings()).await) != unused()).await;
    assert_eq!(store.history(Some("index_health"), 5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_replica_uses_is_used_and_one_that_is_not_asked_leaves_it_open() {
    let server = Private::start(&[("max_wal_senders", "4")], &[]).await;
    let (host, port) = (server.cluster().host().to_owned(), server.cluster().port());
    let store = store::open(store::settings_of(&host, port, "postgres"));
    sqlx::query("CREATE INDEX mine ON properties (name)").execute(server.pool()).await.unwrap();
    let replica = Replica::of(&server).await;
    replica.catches_up(&server).await;
    let scans = |report: &actingweb_maintd::work::Report| {
        let indexes = report.health.clone().expect("figures").indexes;
        indexes.into_iter().find(|figure| figure.index == "mine").expect("the index").scans
    };

    let unasked = look(&*store, settings()).await;
    assert_eq!(scans(&unasked), None);
    let notes = unasked.health.expect("figures").notes.join(" ");
    assert!(notes.contains("1 servers follow this one and 0 were asked"), "{notes}");

    let asking = Settings { replicas: vec![format!("127.0.0.1:{}", replica.port())], ..settings() };
    assert_eq!(scans(&look(&*store, asking.clone()).await), Some(0));
    replica.execute("SET enable_seqscan = off; SELECT FROM properties WHERE name = 'x'").await;
    eventually("the use on the replica to be seen", async || scans(&look(&*store, asking.clone()).await) == Some(1))
        .await;
    let gone = Settings { replicas: vec!["127.0.0.1:1".to_owned()], ..settings() };
    let report = look(&*store, gone).await;
    assert_eq!(scans(&report), None);
    let notes = report.health.expect("figures").notes.join(" ");
    assert!(notes.contains("the replica 127.0.0.1:1 does not say"), "{notes}");
}

/// After a failover an address may lead to another server than it did.
#[tokio::test]
async fn only_replicas_are_asked_and_each_of_them_once() {
    let server = Private::start(&[("max_wal_senders", "4")], &[]).await;
    let (host, port) = (server.cluster().host().to_owned(), server.cluster().port());
    let store = store::open(store::settings_of(&host, port, "postgres"));
    let replica = Replica::of(&server).await;
    replica.catches_up(&server).await;
    let asked = async |replicas: &[(&str, u16)]| {
        let replicas = replicas.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let health = look(&*store, Settings { replicas, ..settings() }).await.health.expect("figures");
        (health.indexes.iter().all(|index| index.scans.is_some()), health.notes.join(" "))
    };
    let (is_known, notes) = asked(&[("127.0.0.1", replica.port())]).await;
    assert!(is_known && notes.is_empty(), "{notes}");
    let (is_known, notes) = asked(&[("127.0.0.1", port)]).await;
    assert!(!is_known && notes.contains("follows no other") && notes.contains("0 were asked"), "{notes}");
    let (is_known, notes) = asked(&[("127.0.0.1", replica.port()), ("localhost", replica.port())]).await;
    assert!(!is_known && notes.contains("was asked already"), "{notes}");

    let other = Private::start(&[("max_wal_senders", "4")], &[]).await;
    let of_other = Replica::of(&other).await;
    let (is_known, notes) = asked(&[("127.0.0.1", of_other.port())]).await;
    assert!(!is_known && notes.contains("of another cluster") && notes.contains("0 were asked"), "{notes}");
}

/// It has no indexes that anybody could use, whatever it calls itself.
#[tokio::test]
async fn whoever_only_receives_the_log_is_no_replica() {
    let server = Private::start(&[("max_wal_senders", "4")], &[]).await;
    let cluster = server.cluster();
    let store = store::open(store::settings_of(cluster.host(), cluster.port(), "postgres"));
    let log = tempfile::tempdir().expect("a directory");
    let mut receiver = Command::new(tool("pg_receivewal"))
        .args(["--host", cluster.host(), "--port", &cluster.port().to_string(), "--username", "postgres"])
        .args(["--status-interval", "1", "--directory"])
        .arg(log.path())
        .env("PGAPPNAME", "barman_receive_wal")
        .spawn()
        .expect("starting pg_receivewal");
    let receives = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND write_lsn IS NOT NULL \
                    AND application_name = 'barman_receive_wal')";
    eventually("the log to be received", async || {
        sqlx::query_scalar::<_, bool>(receives).fetch_one(server.pool()).await.unwrap()
    })
    .await;
    let replicas = store.catalog().await.expect("the catalogue").database.replicas;
    receiver.kill().expect("ending pg_receivewal");
    receiver.wait().expect("the end of pg_receivewal");
    assert_eq!(replicas, 0);
}

/// Who subscribes to changes of rows has indexes of its own.
#[tokio::test]
async fn a_subscriber_is_no_replica() {
    let server = Private::start(&[("wal_level", "logical"), ("max_wal_senders", "4")], &[]).await;
    let (host, port) = (server.cluster().host().to_owned(), server.cluster().port());
    for statement in [
        "CREATE PUBLICATION changes FOR TABLE actors",
        "SELECT pg_create_logical_replication_slot('changes', 'pgoutput')",
        "CREATE DATABASE subscriber",
    ] {
        sqlx::query(statement).execute(server.pool()).await.unwrap();
    }
    let subscriber = PgPool::connect_with((*server.pool().connect_options()).clone().database("subscriber"));
    let subscriber = subscriber.await.unwrap();
    let subscribe = format!(
        "CREATE TABLE actors (id text PRIMARY KEY, creator text, passphrase text); \
         CREATE SUBSCRIPTION changes CONNECTION 'host={host} port={port} user=postgres dbname=postgres' PUBLICATION changes \
         WITH (create_slot = false, copy_data = false)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(subscribe)).execute(&subscriber).await.unwrap();
    let follows = "SELECT EXISTS (SELECT FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid)";
    eventually("the subscriber to follow", async || {
        sqlx::query_scalar::<_, bool>(follows).fetch_one(server.pool()).await.unwrap()
    })
    .await;
    let store = store::open(store::settings_of(&host, port, "postgres"));
    assert_eq!(store.catalog().await.unwrap().database.replicas, 0);
    let health = look(&*store, settings()).await.health.expect("figures");
    assert!(health.notes.iter().all(|note| !note.contains("follow this one")), "{health:?}");
}
