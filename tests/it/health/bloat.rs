//! How bloated indexes are: estimated without reading one, confirmed by reading the one in question.

use actingweb_maintd::jobs::index_health::Settings;
use actingweb_maintd::model::setting::{Bounded, Size};
use actingweb_maintd::storage::Store;
use actingweb_maintd::work::{IndexFigures, Severity};

use super::scene::{finding, kinds, look, run, run_in_a_session, until_dead};
use crate::harness::cluster::TestDb;
use crate::harness::{eventually, store};

/// An index, what makes it what it is, and what happens to it then.
struct Case(&'static str, &'static str, &'static [&'static str]);

const PROPERTIES: &str = "INSERT INTO properties SELECT md5(n::text), 'property_' || n % 37, 'x' \
                          FROM generate_series(1, 60000) AS n ORDER BY md5((n * 7)::text)";
const TTLS: &str = "INSERT INTO attributes SELECT md5(n::text), n::text, '', '', NULL, NULL, \
                    CASE WHEN n % 3 > 0 THEN 1700000000 + n END FROM generate_series(1, 60000) AS n";

/// Indexes as deployments grow them: unique and not, by one value and by several, with few and with many equal ones,
/// partial, on an expression; filled in order and at random, with several fill factors, after deletes and updates.
const CASES: &[Case] = &[
    Case("pkey, random order", "properties_pkey", &[PROPERTIES]),
    Case("pkey, fill factor 70", "properties_pkey", &["ALTER INDEX properties_pkey SET (fillfactor = 70)", PROPERTIES]),
    Case("pkey, fill factor 50", "properties_pkey", &["ALTER INDEX properties_pkey SET (fillfactor = 50)", PROPERTIES]),
    Case(
        "pkey, fill factor 100",
        "properties_pkey",
        &["ALTER INDEX properties_pkey SET (fillfactor = 100)", PROPERTIES],
    ),
    Case("pkey, 60 % deleted", "properties_pkey", &[PROPERTIES, "DELETE FROM properties WHERE left(id, 1) < 'a'"]),
    Case(
        "pkey, a range deleted",
        "properties_pkey",
        &[
            "INSERT INTO properties SELECT lpad((n / 10)::text, 12, '0'), 'property_' || n % 10, 'x' FROM generate_series(1, 60000) AS n",
            "DELETE FROM properties WHERE id < lpad('4000', 12, '0')",
        ],
    ),
    Case(
        "10 creators",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n % 10 || '@example.com', '' FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "1,000 creators",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n % 1000 || '@example.com', '' FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "15,000 creators, random order",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n % 15000 || '@example.com', '' FROM generate_series(1, 60000) AS n ORDER BY md5(n::text)",
        ],
    ),
    Case(
        "45,000 creators",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n % 45000 || '@example.com', '' FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "a creator each",
        "ix_actors_creator",
        &["INSERT INTO actors SELECT n::text, 'user' || n || '@example.com', '' FROM generate_series(1, 60000) AS n"],
    ),
    Case(
        "a creator each, random order",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n || '@example.com', '' FROM generate_series(1, 60000) AS n ORDER BY md5(n::text)",
        ],
    ),
    Case(
        "creators as chance has it",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || (random() * 20000)::int || '@example.com', '' FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "some creators with many actors",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || (exp(random() * 8))::int || '@example.com', '' FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "creators, half of the actors deleted",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n % 2000 || '@example.com', '' FROM generate_series(1, 60000) AS n",
            "DELETE FROM actors WHERE md5(id) < '8'",
        ],
    ),
    Case(
        "creators, half of them deleted",
        "ix_actors_creator",
        &[
            "INSERT INTO actors SELECT n::text, 'user' || n % 2000 || '@example.com', '' FROM generate_series(1, 60000) AS n ORDER BY md5(n::text)",
            "DELETE FROM actors WHERE creator < 'user15'",
        ],
    ),
    Case("TTLs", "idx_attributes_ttl", &[TTLS]),
    Case(
        "TTLs, the older half deleted",
        "idx_attributes_ttl",
        &[TTLS, "DELETE FROM attributes WHERE ttl_timestamp < 1700030000"],
    ),
    Case("TTLs, renewed", "idx_attributes_ttl", &[TTLS, "UPDATE attributes SET ttl_timestamp = ttl_timestamp + 3600"]),
    Case(
        "many equal TTLs",
        "idx_attributes_ttl",
        &[
            "INSERT INTO attributes SELECT n::text, '', '', '', NULL, NULL, 1700000000 + n / 50 FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "chains",
        "idx_attributes_chain_id",
        &[
            "INSERT INTO attributes SELECT n::text, '', '', '', CASE WHEN n % 2 = 0 THEN jsonb_build_object('chain_id', md5((n / 7)::text)) END \
         FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "look-up entries",
        "idx_property_lookup_actor_id",
        &[
            "INSERT INTO actors SELECT md5((n / 3)::text), '', '' FROM generate_series(3, 60000, 3) AS n",
            "INSERT INTO property_lookup SELECT 'property_' || n % 3, n::text, md5((n / 3)::text) FROM generate_series(3, 59999) AS n ORDER BY md5(n::text)",
        ],
    ),
    Case(
        "secrets",
        "idx_trusts_secret",
        &[
            "INSERT INTO trusts SELECT n::text, '', '', '', '', md5(n::text), '', true, true, true FROM generate_series(1, 60000) AS n",
        ],
    ),
    Case(
        "secrets, changed, and some deleted",
        "idx_trusts_secret",
        &[
            "INSERT INTO trusts SELECT n::text, '', '', '', '', md5(n::text), '', true, true, true FROM generate_series(1, 60000) AS n",
            "UPDATE trusts SET secret = md5(secret)",
            "DELETE FROM trusts WHERE secret < '5'",
        ],
    ),
    Case(
        "few secrets",
        "idx_trusts_secret",
        &[
            "INSERT INTO trusts SELECT n::text, '', '', '', '', md5(n::text), '', true, true, true FROM generate_series(1, 3000) AS n",
        ],
    ),
];

/// Points between an estimate and what becomes of the index when it is built anew, in hundredths of its size: the
/// sizes are those of `pgstatindex`.
#[expect(clippy::print_stdout, reason = "the figures are those of the README")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimates_come_true_when_indexes_are_built_anew() {
    let (mut errors, mut lines) = ([Vec::new(), Vec::new()], Vec::new());
    // The statistics of an index on an expression are shown to its owner only.
    let db = TestDb::repairing().await;
    run(&db, "CREATE EXTENSION pgstattuple").await;
    let store = store::store(&db);
    for Case(name, index, statements) in CASES {
        let table = table_of(&db, index).await;
        // Each rebuild would wait for an autovacuum to give way, a second at a time.
        run(&db, &format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
        run(&db, &format!("TRUNCATE actors, {table} CASCADE; ALTER INDEX {index} RESET (fillfactor)")).await;
        for statement in *statements {
            run(&db, statement).await;
            run(&db, &format!("VACUUM {table}")).await;
        }
        run(&db, &format!("ANALYZE {table}")).await;
        for (state, errors) in ["as it has grown", "built anew"].into_iter().zip(&mut errors) {
            let estimate = figure(&*store, index).await.bloat.expect("an estimate");
            let (before, filled) = measured(&db, index).await;
            run(&db, &format!("REINDEX INDEX {index}")).await;
            let (after, _) = measured(&db, index).await;
            let truth = (1.0 - after as f64 / before as f64).max(0.0);
            errors.push((estimate - truth).abs() * 100.0);
            lines.push(format!(
                "{name}, {state}: {:.1} %, in truth {:.1} %; pages {filled:.0} % full; {before} bytes",
                estimate * 100.0,
                truth * 100.0
            ));
        }
    }
    // Of those that were just built there is nothing to tell, so they count by themselves.
    for (state, mut errors) in ["as they have grown", "built anew"].into_iter().zip(errors) {
        errors.sort_by(f64::total_cmp);
        let (median, most) = (errors[errors.len() / 2], errors[errors.len() * 9 / 10]);
        lines.push(format!("{state}: median error {median:.2} points, 90th percentile {most:.2}"));
        assert!(median <= 3.0 && most <= 7.0, "{}", lines.join("\n"));
    }
    println!("{}", lines.join("\n"));
}

/// Where nobody has analysed, nobody knows.
#[tokio::test]
async fn nothing_is_estimated_of_what_nobody_has_analysed() {
    let db = TestDb::new().await;
    run(&db, "ALTER TABLE actors SET (autovacuum_enabled = false)").await;
    run(&db, "INSERT INTO actors SELECT n::text, 'creator', '' FROM generate_series(1, 1000) AS n").await;
    assert_eq!(figure(&*store::store(&db), "ix_actors_creator").await.bloat, None);
}

/// What was loaded since nobody has counted, however little there was when somebody did.
#[tokio::test]
async fn what_was_loaded_since_the_last_count_is_no_bloat() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    let bloat = async || figure(&*store, "properties_pkey").await.bloat;
    run(&db, "ALTER TABLE properties SET (autovacuum_enabled = false); ANALYZE properties").await;
    run(&db, PROPERTIES).await;
    assert_eq!(bloat().await, None, "it was empty when it was counted");
    run(&db, "TRUNCATE properties; INSERT INTO properties VALUES ('a', 'b', 'c'); ANALYZE properties").await;
    run(&db, PROPERTIES).await;
    let of_one = bloat().await.expect("an estimate");
    assert!(of_one < 0.1, "{of_one}");
    run(&db, "ANALYZE properties").await;
    let counted = bloat().await.expect("an estimate");
    assert!(counted < 0.6, "{counted}");
}

/// Who analyses tables learns nothing of indexes for which there is no estimate at all.
#[tokio::test]
async fn only_what_could_be_estimated_is_told_as_unknown() {
    let db = TestDb::new().await;
    run(
        &db,
        "ALTER TABLE actors SET (autovacuum_enabled = false); \
         CREATE INDEX hashed ON actors USING hash (creator); CREATE INDEX more ON actors (creator) INCLUDE (passphrase)",
    )
    .await;
    run(&db, "INSERT INTO actors SELECT n::text, n::text, '' FROM generate_series(1, 1000) AS n").await;
    let settings = Settings { bloat_size: Size(8 << 10), ..Settings::default() };
    let notes = look(&*store::store(&db), settings).await.health.expect("figures").notes.join(" ");
    assert!(notes.contains("is not known of") && notes.contains("ix_actors_creator"), "{notes}");
    assert!(!notes.contains("hashed") && !notes.contains("more,") && !notes.contains("more:"), "{notes}");
}

#[tokio::test]
async fn a_bloated_index_is_found_and_only_that_one_is_read() {
    let db = TestDb::new().await;
    let store = store::store(&db);
    let settings = Settings { bloat_size: Size(64 << 10), bloat_percent: Bounded::new(50), ..Settings::default() };
    run(&db, "ALTER TABLE properties SET (autovacuum_enabled = false)").await;
    run(&db, PROPERTIES).await;
    run(&db, "DELETE FROM properties WHERE left(id, 1) < 'c'").await;
    until_dead(&db, "properties", 40_000).await;
    run(&db, "VACUUM ANALYZE properties; ALTER TABLE properties RESET (autovacuum_enabled)").await;
    let report = look(&*store, settings.clone()).await;
    assert_eq!(kinds(&report), [("index_bloat".to_owned(), "properties_pkey".to_owned())]);
    let found = finding(&report, "index_bloat");
    assert_eq!(found.severity, Severity::Warning);
    assert!(found.what.contains("by an estimate that nobody could confirm"), "{found:?}");
    assert!(found.remedy.contains("REINDEX INDEX CONCURRENTLY public.properties_pkey"), "{found:?}");

    run(&db, "CREATE EXTENSION pgstattuple").await;
    let report = look(&*store, settings.clone()).await;
    let found = finding(&report, "index_bloat");
    assert!(!found.what.contains("estimate"), "{found:?}");
    // Less than somebody wants to hear of.
    let patient = Settings { bloat_percent: Bounded::new(95), ..settings.clone() };
    assert_eq!(kinds(&look(&*store, patient).await), []);
    let patient = Settings { bloat_size: Size(1 << 30), ..settings.clone() };
    assert_eq!(kinds(&look(&*store, patient).await), []);

    run(&db, "REINDEX INDEX CONCURRENTLY properties_pkey").await;
    assert_eq!(kinds(&look(&*store, settings).await), []);
}

/// A look asks the catalogue and the statistics, and reads nothing of the application.
#[tokio::test]
async fn a_look_reads_no_page_of_a_table_or_an_index() {
    let db = TestDb::new().await;
    run_in_a_session(db.pool(), &[PROPERTIES, "VACUUM ANALYZE properties"]).await;
    // Before PostgreSQL 15 it is told by messages, of which the last arrives last.
    let told = async || {
        let scans = "SELECT seq_scan FROM pg_stat_all_tables WHERE relid = 'alembic_version'::regclass";
        let scans = async || sqlx::query_scalar::<_, i64>(scans).fetch_one(db.pool()).await.unwrap();
        let before = scans().await;
        run_in_a_session(db.pool(), &["SELECT count(*) FROM alembic_version"]).await;
        eventually("what was read to be told", async || scans().await > before).await;
    };
    let store = store::store(&db);
    let read = async || -> i64 {
        sqlx::query_scalar(
            "SELECT (SELECT sum(idx_blks_read + idx_blks_hit) FROM pg_statio_all_indexes WHERE schemaname = 'public' \
                AND relname <> 'alembic_version')::bigint \
             + (SELECT sum(heap_blks_read + heap_blks_hit) FROM pg_statio_all_tables WHERE schemaname = 'public' \
                AND relname <> 'alembic_version')::bigint",
        )
        .fetch_one(db.pool())
        .await
        .unwrap()
    };
    told().await;
    let before = read().await;
    assert!(before > 0);
    look(&*store, Settings::default()).await;
    actingweb_maintd::storage::Upkeep::close(&*store, std::time::Duration::from_secs(10)).await;
    let everybody = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'actingweb-maintd'";
    eventually("the store's connections to end", async || {
        sqlx::query_scalar::<_, i64>(everybody).fetch_one(db.pool()).await.unwrap() == 0
    })
    .await;
    told().await;
    assert_eq!(read().await, before);
}

async fn figure(store: &dyn Store, index: &str) -> IndexFigures {
    let report = look(store, Settings { bloat_size: Size(1 << 40), ..Settings::default() }).await;
    let indexes = report.health.expect("figures").indexes;
    indexes.into_iter().find(|figure| figure.index == index).expect("the index")
}

async fn table_of(db: &TestDb, index: &str) -> String {
    let query = sqlx::query_scalar("SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = $1::regclass");
    query.bind(index).fetch_one(db.pool()).await.unwrap()
}

/// Its bytes, and how full its pages are.
async fn measured(db: &TestDb, index: &str) -> (i64, f64) {
    let query = sqlx::query_as("SELECT index_size, avg_leaf_density FROM pgstatindex($1)");
    query.bind(index).fetch_one(db.pool()).await.unwrap()
}
