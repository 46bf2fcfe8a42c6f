//! What only reading whole tables and indexes shows.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use actingweb_maintd::jobs::index_health::Settings;
use actingweb_maintd::model::setting::Size;
use actingweb_maintd::storage::postgres::IndexRead;
use actingweb_maintd::work::Stop;

use super::scene::{finding, kinds, look, run, until_dead};
use crate::harness::cluster::TestDb;
use crate::harness::private::Private;
use crate::harness::{eventually, store};

fn deep() -> Settings {
    Settings { deep: true, bloat_size: Size(64 << 10), ..Settings::default() }
}

#[tokio::test]
async fn keys_that_come_close_to_the_largest_are_found() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    // What compresses well is no trouble.
    run(&db, "INSERT INTO properties VALUES ('a', repeat('x', 5000), '')").await;
    assert_eq!(kinds(&look(&*store, deep()).await), []);
    let random = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 75) AS n)";
    run(&db, &format!("INSERT INTO properties SELECT 'b', {random}, ''")).await;
    let report = look(&*store, deep()).await;
    assert_eq!(kinds(&report), [("key_size".to_owned(), "properties".to_owned())]);
    let found = finding(&report, "key_size");
    assert_eq!(found.rows, Some(1));
    assert!(found.what.contains("the longest 2401: an index takes 2704"), "{found:?}");
    run(&db, "DELETE FROM properties WHERE id = 'b'").await;
    assert_eq!(kinds(&look(&*store, deep()).await), []);
}

#[tokio::test]
async fn exact_bloat_replaces_the_estimate() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    run(&db, "CREATE EXTENSION pgstattuple").await;
    // Nobody has analysed, so nobody could estimate.
    run(&db, "ALTER TABLE properties SET (autovacuum_enabled = false)").await;
    run(&db, "INSERT INTO properties SELECT md5(n::text), 'x', '' FROM generate_series(1, 30000) AS n").await;
    run(&db, "DELETE FROM properties WHERE left(id, 1) < 'c'").await;
    until_dead(&db, "properties", 20_000).await;
    run(&db, "VACUUM properties; ALTER TABLE properties RESET (autovacuum_enabled)").await;
    let report = look(&*store, deep()).await;
    assert_eq!(kinds(&report), [("index_bloat".to_owned(), "properties_pkey".to_owned())], "{report:#?}");
    let health = report.health.expect("figures");
    let exact = health.indexes.iter().find(|figure| figure.index == "properties_pkey").and_then(|figure| figure.bloat);
    assert!(exact.is_some_and(|bloat| bloat > 0.5), "{exact:?}");
    assert!(health.deep && health.notes.iter().any(|note| note.contains("CREATE EXTENSION amcheck")), "{health:?}");
}

/// A page of an index is written over, as a disk might do it.
#[tokio::test]
async fn an_index_whose_content_is_damaged_is_found() {
    let mut server = Private::start(&[("fsync", "off")], &[]).await;
    execute(&server, "CREATE EXTENSION amcheck").await;
    execute(
        &server,
        "INSERT INTO actors SELECT n::text, md5(n::text), '' FROM generate_series(1, 5000) AS n; CHECKPOINT",
    )
    .await;
    let open = |server: &Private| {
        store::open(store::settings_of(server.cluster().host(), server.cluster().port(), "postgres"))
    };
    assert_eq!(kinds(&look(&*open(&server), deep()).await), []);

    let path: String =
        sqlx::query_scalar("SELECT pg_relation_filepath('ix_actors_creator')").fetch_one(server.pool()).await.unwrap();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(server.cluster().data_dir().join(path))
        .expect("the index");
    // What the server has in memory it would not read again.
    server.stop().await;
    let mut page = [0_u8; 8192];
    file.read_exact_at(&mut page, 3 * 8192).expect("a page");
    // Values become others, and nothing else: no server survives every damage.
    let is_value =
        |at: usize, page: &[u8]| page[at..at + 32].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    for at in 0..page.len() - 32 {
        if is_value(at, &page) {
            page[at..at + 32].fill(b'0');
        }
    }
    file.write_all_at(&page, 3 * 8192).expect("a page");
    server.start_again().await;
    let store = open(&server);
    let report = look(&*store, deep()).await;
    assert_eq!(kinds(&report), [("index_corrupt".to_owned(), "ix_actors_creator".to_owned())], "{report:#?}");
    let found = finding(&report, "index_corrupt");
    assert!(found.what.contains("does not hold what it must") && found.remedy.contains("pg_amcheck"), "{found:?}");
    execute(&server, "REINDEX INDEX ix_actors_creator").await;
    assert_eq!(kinds(&look(&*store, deep()).await), []);
}

/// A page that the server itself takes for none: whatever reads the index fails, and nothing else does.
#[tokio::test]
async fn a_page_that_cannot_be_read_costs_no_other_finding() {
    let mut server = Private::start(&[("fsync", "off")], &[]).await;
    let fill = "INSERT INTO actors SELECT n::text, md5(n::text), '' FROM generate_series(1, 5000) AS n";
    execute(&server, &format!("CREATE EXTENSION amcheck; CREATE EXTENSION pgstattuple; {fill}; CHECKPOINT")).await;
    execute(&server, "DROP INDEX idx_trusts_secret").await;
    let path: String =
        sqlx::query_scalar("SELECT pg_relation_filepath('ix_actors_creator')").fetch_one(server.pool()).await.unwrap();
    let path = server.cluster().data_dir().join(path);
    server.stop().await;
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("the index");
    file.write_all_at(&[0xff; 64], 3 * 8192).expect("the head of a page");
    server.start_again().await;
    let store = store::open(store::settings_of(server.cluster().host(), server.cluster().port(), "postgres"));
    let report = look(&*store, deep()).await;
    let found = [("index_missing", "idx_trusts_secret"), ("index_corrupt", "ix_actors_creator")];
    assert_eq!(kinds(&report), found.map(|(kind, object)| (kind.to_owned(), object.to_owned())), "{report:#?}");
    let health = report.health.expect("figures");
    assert_eq!(health.unseen, ["index_bloat"]);
    assert!(
        health.notes.iter().any(|note| note.contains("the index ix_actors_creator could not be read")),
        "{health:?}"
    );
}

/// A look takes hours, and meanwhile others drop indexes or build them anew.
#[tokio::test]
async fn an_index_that_is_gone_meanwhile_is_passed_over() {
    let server = Private::start(&[("fsync", "off")], &[]).await;
    execute(
        &server,
        "CREATE EXTENSION amcheck; CREATE EXTENSION pgstattuple; CREATE INDEX mine ON actors (passphrase)",
    )
    .await;
    let store = store::open(store::settings_of(server.cluster().host(), server.cluster().port(), "postgres"));
    let catalog = store.catalog().await.expect("the catalogue");
    let index = |name| catalog.indexes.iter().find(|index| index.name == name).expect("the index").clone();
    let (mine, creators, stop) = (index("mine"), index("ix_actors_creator"), Stop::new());
    assert!(matches!(store.density("public", &mine, &stop).await, Ok(IndexRead::Done(_))));
    assert_eq!(store.content("public", &mine, &stop).await.unwrap(), IndexRead::Done(Ok(())));

    execute(&server, "REINDEX INDEX CONCURRENTLY ix_actors_creator").await;
    assert_eq!(store.density("public", &creators, &stop).await.unwrap(), IndexRead::Gone);
    assert_eq!(store.content("public", &creators, &stop).await.unwrap(), IndexRead::Gone);

    // It goes while somebody waits for it.
    let mut holder = server.pool().begin().await.unwrap();
    sqlx::query("REINDEX INDEX mine").execute(&mut *holder).await.unwrap();
    let reading = tokio::spawn({
        let (store, mine) = (Arc::clone(&store), mine.clone());
        async move { store.density("public", &mine, &Stop::new()).await }
    });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'mine'::regclass)";
    eventually("the reading to wait", async || {
        sqlx::query_scalar::<_, bool>(waits).fetch_one(server.pool()).await.unwrap()
    })
    .await;
    sqlx::query("DROP INDEX mine").execute(&mut *holder).await.unwrap();
    holder.commit().await.unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), IndexRead::Gone);
    assert_eq!(store.content("public", &mine, &stop).await.unwrap(), IndexRead::Gone);
}

/// The index of a table in parts holds nothing: those of the parts do.
#[tokio::test]
async fn an_index_of_a_table_in_parts_is_not_looked_into() {
    let server = Private::start(&[("fsync", "off")], &[]).await;
    execute(&server, "CREATE EXTENSION amcheck; CREATE EXTENSION pgstattuple").await;
    execute(
        &server,
        "CREATE TABLE parts (LIKE properties INCLUDING DEFAULTS, PRIMARY KEY (id, name)) PARTITION BY HASH (id); \
         CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0); DROP TABLE properties; \
         ALTER TABLE parts RENAME TO properties; CREATE INDEX mine ON properties (name)",
    )
    .await;
    let store = store::open(store::settings_of(server.cluster().host(), server.cluster().port(), "postgres"));
    let report = look(&*store, deep()).await;
    assert_eq!(kinds(&report), [("index_extra".to_owned(), "mine".to_owned())], "{report:#?}");
    let (_, remedy) = finding(&report, "index_extra").remedy.split_once("otherwise ").expect("what to do");
    execute(&server, remedy).await;
    assert_eq!(kinds(&look(&*store, deep()).await), []);
}

async fn execute(server: &Private, statement: &str) {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(server.pool()).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}
