//! Logical backups: what is dumped is what was there in one moment, and what is restored is that.

use std::os::unix::fs::PermissionsExt;

use actingweb_maintd::backup::{Consistency, Error, Form, postgresql};
use actingweb_maintd::model::digest::{Digest, Kind};
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::model::{BackendKind, Record, Table};
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::storage::{Bulk, Place, Segment, Upkeep};
use age::secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::workbench::{Workbench, digests_in};
use crate::conformance::strategies::rows_of_each_table;
use crate::harness::cluster::TestDb;
use crate::harness::store::{settings, store, unlimited};
use crate::harness::tools::tool;

/// Rows of every table, with everything in them that is easily mistaken for something else.
async fn fill(db: &TestDb) {
    let store = unlimited(db);
    for rows in rows_of_each_table(Some(BackendKind::Postgresql), 24) {
        let records: Vec<Record> = rows.into_iter().map(Record::from).collect();
        store.write(&records).await.expect("writing rows");
    }
    // The look-up table refers to actors; and values that are long, and numbers as only PostgreSQL writes them.
    sqlx::raw_sql(
        "INSERT INTO property_lookup SELECT 'email', E'a\\tb\\\\N\\n' || id, id FROM actors; \
         INSERT INTO properties SELECT 'long', 'n' || n, repeat(md5(n::text), 4000) FROM generate_series(1, 40) n; \
         INSERT INTO attributes (id, bucket_name, bucket, name, data, \"timestamp\") VALUES \
             ('n', 'b:1', 'b', '1', '{\"a\": 1.50, \"b\": 1e22, \"c\": -0.0, \"d\": [null, \"\\u0001\"]}', '0001-01-01 BC'), \
             ('n', 'b:2', 'b', '2', NULL, 'infinity'), ('n', 'b:3', 'b', '3', 'null', '-infinity')",
    )
    .execute(db.pool())
    .await
    .expect("adding rows");
}

/// Changes rows until it is asked to stop. Returns how often.
async fn keep_changing(pool: sqlx::PgPool, over: CancellationToken) -> u64 {
    let mut rounds = 0;
    while !over.is_cancelled() {
        sqlx::raw_sql(
            "INSERT INTO attributes (id, bucket_name, bucket, name) \
                 SELECT 'w', 'b:' || gen_random_uuid(), 'b', '' FROM generate_series(1, 20); \
             UPDATE properties SET value = value || 'x' WHERE id = 'long' AND name = 'n' || (1 + random() * 39)::int; \
             DELETE FROM attributes WHERE ctid = ANY(ARRAY( \
                 SELECT ctid FROM attributes WHERE id = 'w' LIMIT 10))",
        )
        .execute(&pool)
        .await
        .expect("changing rows");
        rounds += 1;
    }
    rounds
}

/// The digest of a table as jobs read it.
async fn scanned(store: &Postgres, table: Table) -> Digest {
    let (mut digest, mut place) = (Digest::new(Kind::Exact), Place::default());
    loop {
        let stretch = store.scan(table, Segment { index: 0, of: 1 }, &place, 500).await.expect("a stretch");
        stretch.records.iter().for_each(|record| digest.add(record));
        match stretch.next {
            Some(next) => place = next,
            None => return digest,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_restored_is_what_was_there_however_it_changed_meanwhile() {
    let (db, target) = (TestDb::new().await, TestDb::empty().await);
    let origin = store(&db);
    fill(&db).await;
    let mut bench = Workbench::of(settings(&db));
    bench.shop.settings.postgresql.globals = true;

    let over = CancellationToken::new();
    let changing = tokio::spawn(keep_changing(db.pool().clone(), over.clone()));
    let manifest = bench.create(&origin).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    over.cancel();
    assert!(changing.await.unwrap() > 0);
    assert_eq!((manifest.form, manifest.consistency), (Form::Logical, Consistency::Snapshot));
    assert!(manifest.has_digests() && manifest.tables.len() == Table::ALL.len(), "{manifest:?}");
    assert!(manifest.versions.server.is_some() && manifest.versions.client.is_some(), "{manifest:?}");
    assert!(manifest.files.iter().any(|file| file.name == "globals.sql" && file.size > 0));
    assert!(manifest.rows().is_some_and(|rows| rows == bench.progress.done() && rows > 200));
    assert_eq!(bench.inspect(&origin, &manifest).await.unwrap(), None);

    let shelf = bench.shelf(&origin).await;
    let into = settings(&target);
    postgresql::restore(bench.desk(), &shelf, &manifest, &into)
        .await
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    let restored = store(&target);
    let wanted = bench.digests(&origin, &manifest).await;
    assert_eq!(digests_in(&restored).await, wanted);
    assert_ne!(digests_in(&origin).await, wanted);
    for table in Table::ALL {
        assert_eq!(scanned(&restored, table).await, wanted[table.name()], "{table}");
    }

    // A table that lost its rows is found out, and nothing is restored over what is there.
    let refused = postgresql::restore(bench.desk(), &shelf, &manifest, &into).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{}", refused.chain());
    restored.apply(false).await.unwrap();
    restored.mark_incomplete("a restore", "a test").await.unwrap();
    sqlx::raw_sql("DELETE FROM trusts; DROP TABLE subscriptions").execute(target.pool()).await.unwrap();
    postgresql::restore(bench.desk(), &shelf, &manifest, &into)
        .await
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    assert_eq!(digests_in(&restored).await, wanted);

    let mut other = manifest.clone();
    other.tables.insert("lost".to_owned(), Default::default());
    let found = bench.inspect(&origin, &other).await.unwrap();
    assert_eq!(found.as_deref(), Some("the dump has no rows of lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_set_is_one_stream() {
    let (db, target) = (TestDb::new().await, TestDb::empty().await);
    let origin = store(&db);
    fill(&db).await;
    let mut bench = Workbench::of(settings(&db));
    let identity = age::x25519::Identity::generate();
    let file = bench.path().join("identity");
    std::fs::write(&file, identity.to_string().expose_secret()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    bench.shop.settings.encryption.recipients = vec![identity.to_public().to_string()];
    bench.shop.settings.encryption.identity_file = Some(file);
    bench.shop.settings.postgresql.jobs = Bounded::new(1);

    let manifest = bench.create(&origin).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(manifest.files.iter().any(|file| file.name.starts_with("dump.pgc")), "{manifest:?}");
    assert_eq!(bench.inspect(&origin, &manifest).await.unwrap(), None);
    let shelf = bench.shelf(&origin).await;
    let restored = postgresql::restore(bench.desk(), &shelf, &manifest, &settings(&target)).await;
    restored.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert_eq!(digests_in(&store(&target)).await, bench.digests(&origin, &manifest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_an_older_revision_and_without_digests_rows_are_counted() {
    let db = TestDb::new().await;
    let origin = store(&db);
    fill(&db).await;
    sqlx::raw_sql("DROP TABLE subscription_suspensions; ALTER TABLE trusts DROP COLUMN aw_version")
        .execute(db.pool())
        .await
        .unwrap();
    let mut bench = Workbench::of(settings(&db));
    bench.shop.settings.postgresql.digests = false;
    let manifest = bench.create(&origin).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(!manifest.has_digests());
    assert_eq!(manifest.tables["properties"].rows, Some(24 + 40));
    assert!(!manifest.tables.contains_key("subscription_suspensions"));
    // A row in each block makes a table large enough to be read in several pieces.
    sqlx::raw_sql(
        "ALTER TABLE properties SET (fillfactor = 10); INSERT INTO properties \
         SELECT 'piece', 'p' || n, repeat('x', 800) FROM generate_series(1, 8500) n",
    )
    .execute(db.pool())
    .await
    .unwrap();
    let digests = digests_in(&origin).await;
    assert_eq!(digests["trusts"].count(), 24);
    assert_eq!(digests["properties"].count(), 24 + 40 + 8_500);
    assert_eq!(digests["properties"], scanned(&origin, Table::Properties).await);

    bench.shop.settings.keep_free = "1000000GiB".parse().unwrap();
    let error = bench.create(&origin).await.unwrap_err().chain();
    assert!(error.contains("keep_free") || error.contains("space"), "{error}");
    bench.shop.settings.keep_free = "1MiB".parse().unwrap();
    bench.shop.settings.bin_dir = Some(bench.path().to_path_buf());
    let error = bench.create(&origin).await.unwrap_err().chain();
    assert!(error.contains("postgresql-client-") && error.contains("backup.bin_dir"), "{error}");
    assert_eq!(bench.drafts(), [] as [String; 0]);
}

/// PostgreSQL 16 and later has zstd where it was built with it.
#[tokio::test]
async fn a_client_without_zstd_compresses_with_gzip() {
    let db = TestDb::new().await;
    let origin = store(&db);
    let mut bench = Workbench::of(settings(&db));
    let bin = bench.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    // All clients have this gzip by its level.
    let script = format!(
        r#"#!/bin/sh
case "$*" in
--version) echo 'pg_dump (PostgreSQL) 99.1'; exit ;;
*--compress=zstd*) echo 'pg_dump: error: this build does not support compression with ZSTD' >&2; exit 1 ;;
esac
for argument; do
    shift
    [ "$argument" != --compress=gzip:1 ] || argument=--compress=1
    set -- "$@" "$argument"
done
exec {} "$@"
"#,
        tool("pg_dump").display()
    );
    std::fs::write(bin.join("pg_dump"), script).unwrap();
    std::fs::set_permissions(bin.join("pg_dump"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bench.shop.settings.bin_dir = Some(bin);
    bench.shop.settings.postgresql.globals = false;
    let manifest = bench.create(&origin).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert_eq!(manifest.compression.as_deref(), Some("gzip:1"));
}
