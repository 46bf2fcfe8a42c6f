//! What `ttl_cleanup` deletes, and what it never deletes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actingweb_maintd::backup::cluster::{Cluster, Options};
use actingweb_maintd::jobs::ttl_cleanup::Settings;
use actingweb_maintd::jobs::{Place, registry};
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::runner::{Ran, Start};
use actingweb_maintd::storage::{Cursor, Expired, Runs, Segment, Sweep};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Outcome, Progress, Reason, Stop, StopReason};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};

use crate::harness::cluster::TestDb;
use crate::harness::eventually;
use crate::harness::runner::{clean_up, clean_up_until, runner};
use crate::harness::store::{add_attributes, claim, count_attributes, open, settings, settings_of, store, won};

#[tokio::test]
async fn a_row_stays_if_and_only_if_its_ttl_is_not_before_the_cutoff() {
    let db = TestDb::new().await;
    for from_now in -5..=5 {
        add_attributes(&db, &format!("second_{}", from_now + 5), 1, from_now).await;
    }
    add_attributes(&db, "far_past", 1, -1_000_000_000).await;
    let before: Vec<i64> = ttls(&db).await;
    let run = clean_up(&runner(&store(&db)), Settings::default()).await;
    let cutoff = run.report.cutoff.unwrap().timestamp();
    let expected: Vec<i64> = before.into_iter().filter(|ttl| *ttl >= cutoff).collect();
    assert_eq!(ttls(&db).await, expected);
    assert_eq!(run.outcome, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn rows_without_a_ttl_stay() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 10, -1).await;
    sqlx::query("INSERT INTO attributes (id, bucket_name, bucket, name) VALUES ('a', 'b:n', 'b', 'n')")
        .execute(db.pool())
        .await
        .unwrap();
    clean_up(&runner(&store(&db)), Settings::default()).await;
    assert_eq!(ttls_with_null(&db).await, [None]);
}

#[tokio::test]
async fn only_named_buckets_are_cleaned_and_grace_keeps_rows_longer() {
    let db = TestDb::new().await;
    add_attributes(&db, "mine", 30, -120).await;
    add_attributes(&db, "mine_too", 30, -30).await;
    add_attributes(&db, "yours", 30, -120).await;
    let settings = Settings {
        buckets: vec!["mine".to_owned(), "mine_too".to_owned()],
        grace: Span::secs(60),
        ..Settings::default()
    };
    let run = clean_up(&runner(&store(&db)), settings).await;
    assert_eq!((run.report.deleted, run.report.more), (30, false));
    let left: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT bucket FROM attributes ORDER BY 1").fetch_all(db.pool()).await.unwrap();
    assert_eq!(left, ["mine_too", "yours"]);
}

#[tokio::test]
async fn workers_share_the_rows_and_leave_none() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5_000, -60).await;
    add_attributes(&db, "alive", 500, 3600).await;
    let settings = Settings { workers: Bounded::new(4), batch_size: Bounded::new(100), ..Settings::default() };
    let run = clean_up(&runner(&store(&db)), settings).await;
    assert_eq!((run.report.deleted, run.report.skipped), (5_000, 0));
    assert_eq!(count_attributes(&db).await, 500);
}

#[tokio::test]
async fn a_run_that_finds_nothing_succeeds() {
    let db = TestDb::new().await;
    let runner = runner(&store(&db));
    add_attributes(&db, "expired", 100, -60).await;
    assert_eq!(clean_up(&runner, Settings::default()).await.report.deleted, 100);
    let again = clean_up(&runner, Settings::default()).await;
    assert_eq!((again.report.examined, again.report.deleted, again.report.batches), (0, 0, 0));
    assert_eq!(again.outcome, Some(Outcome::Succeeded));
}

#[tokio::test]
async fn a_locked_row_makes_the_run_partial_and_goes_with_the_next() {
    let db = TestDb::new().await;
    let runner = runner(&store(&db));
    add_attributes(&db, "expired", 100, -60).await;
    let mut locker = db.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM attributes WHERE name = '50' FOR UPDATE").execute(&mut *locker).await.unwrap();
    let run = clean_up(&runner, Settings::default()).await;
    assert_eq!((run.outcome, run.report.deleted, run.report.more), (Some(Outcome::Partial), 99, true));
    locker.rollback().await.unwrap();
    let run = clean_up(&runner, Settings::default()).await;
    assert_eq!((run.outcome, run.report.deleted), (Some(Outcome::Succeeded), 1));
}

#[tokio::test]
async fn being_asked_to_stop_ends_a_run_at_a_batch_boundary() {
    let db = TestDb::new().await;
    let runner = Arc::new(runner(&store(&db)));
    add_attributes(&db, "expired", 2_000, -60).await;
    let (stop, progress) = (Stop::new(), Progress::new());
    let settings =
        Settings { batch_size: Bounded::new(10), max_rows_per_second: Bounded::new(500), ..Settings::default() };
    let running = tokio::spawn({
        let (runner, stop, progress) = (Arc::clone(&runner), stop.clone(), progress.clone());
        async move { clean_up_until(&runner, settings, throttle::Settings::default(), &stop, &progress).await }
    });
    eventually("some batches are done", async || progress.done() >= 30).await;
    stop.request(StopReason::Shutdown);
    let run = running.await.unwrap();
    assert_eq!((run.outcome, run.report.stopped), (Some(Outcome::Partial), Some(StopReason::Shutdown)));
    assert!(run.report.more);
    assert_eq!(count_attributes(&db).await, 2_000 - run.report.deleted as i64);
    assert_eq!(run.report.deleted % 10, 0);
}

#[tokio::test]
async fn the_deadline_ends_a_run_and_the_next_goes_on() {
    let db = TestDb::new().await;
    let runner = runner(&store(&db));
    add_attributes(&db, "expired", 1_000, -60).await;
    let slow = Settings { deadline: Span::secs(1), max_rows_per_second: Bounded::new(200), ..Settings::default() };
    let run = clean_up(&runner, slow).await;
    assert_eq!((run.outcome, run.report.stopped), (Some(Outcome::Partial), Some(StopReason::Deadline)));
    let rest = clean_up(&runner, Settings::default()).await;
    assert_eq!(run.report.deleted + rest.report.deleted, 1_000);
}

/// A writer extends random rows for the whole run: none that it extended may be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_extended_meanwhile_is_never_deleted() {
    for seed in 0..12 {
        let db = TestDb::new().await;
        let runner = runner(&store(&db));
        add_attributes(&db, "sessions", 3_000, -60).await;
        let over = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(extend_random_rows(db.pool().clone(), seed, Arc::clone(&over)));
        let settings = Settings {
            batch_size: Bounded::new(20 + 40 * (seed % 3)),
            workers: Bounded::new(1 + seed % 3),
            ..Settings::default()
        };
        let run = clean_up(&runner, settings).await;
        over.store(true, Ordering::Relaxed);
        let extended = writer.await.unwrap();
        let left: Vec<String> = sqlx::query_scalar("SELECT name FROM attributes").fetch_all(db.pool()).await.unwrap();
        let left: BTreeSet<String> = left.into_iter().collect();
        let lost: Vec<&String> = extended.difference(&left).collect();
        assert!(lost.is_empty(), "seed {seed}: extended and deleted: {lost:?}");
        assert!(!extended.is_empty(), "seed {seed}: the writer never came to write");
        assert_eq!(run.report.deleted as usize + left.len(), 3_000, "seed {seed}");
    }
}

/// Extends rows one by one until `over`, and returns the names of those whose extension was
/// committed.
async fn extend_random_rows(pool: sqlx::PgPool, seed: u64, over: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut extended = BTreeSet::new();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    while !over.load(Ordering::Relaxed) {
        // Xorshift: any even spread will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let name = (state % 3_000 + 1).to_string();
        let done = sqlx::query("UPDATE attributes SET ttl_timestamp = ttl_timestamp + 86400 WHERE name = $1")
            .bind(&name)
            .execute(&pool)
            .await
            .unwrap();
        if done.rows_affected() == 1 {
            extended.insert(name);
        }
    }
    extended
}

#[tokio::test]
async fn a_rate_is_kept() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 600, -60).await;
    let settings = Settings { max_rows_per_second: Bounded::new(400), ..Settings::default() };
    let run = clean_up(&runner(&store(&db)), settings).await;
    assert_eq!(run.report.deleted, 600);
    // How exact the rate is, is measured by `./x bench`; that it was waited for shows here.
    assert!(run.report.waited["rate"] > 0.0, "{:?}", run.report.waited);
}

/// While somebody holds an old snapshot nothing dead can be cleared away. A batch must not walk
/// over what the batches before it have deleted: the pages it touches stay as many.
#[tokio::test]
async fn the_cost_of_a_batch_stays_flat_under_an_old_snapshot() {
    let preload = ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned());
    let options = Options { settings: vec![preload], ..Options::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await.unwrap().unwrap();
    let store = open(settings_of(cluster.host(), cluster.port(), "postgres"));
    store.apply(true).await.unwrap();
    let mut application = connect(&cluster).await;
    sqlx::raw_sql(
        "CREATE EXTENSION pg_stat_statements; \
         INSERT INTO attributes (id, bucket_name, bucket, name, ttl_timestamp) \
         SELECT 'a', n::text, 'b', n::text, 1000 + n / 100 FROM generate_series(1, 20000) AS n",
    )
    .execute(&mut application)
    .await
    .unwrap();
    let mut dump = connect(&cluster).await;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM attributes")
        .execute(&mut dump)
        .await
        .unwrap();

    let lease = won(&store, &claim("test")).await;
    let which = Expired { cutoff: 2_000, buckets: Vec::new() };
    let page = store.expired(&which, Segment::WHOLE, &Cursor::default(), 20_000).await.unwrap();
    let mut touched = Vec::new();
    for hundred in page.candidates.chunks(5_000) {
        let before = pages_touched(&mut application).await;
        for batch in hundred.chunks(50) {
            assert_eq!(store.delete_expired(&which, batch, &lease.fence(0)).await.unwrap().deleted, 50);
        }
        touched.push(pages_touched(&mut application).await - before);
    }
    assert!(touched[0] >= 5_000, "each row deleted is at least one page touched: {touched:?}");
    assert!(touched[3] <= touched[0] * 5 / 4, "pages touched by each hundred batches grew: {touched:?}");
}

async fn connect(cluster: &Cluster) -> PgConnection {
    let options = PgConnectOptions::new_without_pgpass().host(cluster.host()).port(cluster.port());
    let options = options.username(cluster.superuser()).database("postgres").ssl_mode(PgSslMode::Disable);
    PgConnection::connect_with(&options).await.unwrap()
}

/// Pages that the statements of batches have looked at, as the server counts them: the fence and the deletion, both of
/// which write down how far a worker is. (From PostgreSQL 18 on the comments with their names are not kept.)
async fn pages_touched(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint FROM pg_stat_statements \
         WHERE query ~ 'UPDATE maintd.run_workers'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_dry_run_counts_per_bucket_and_changes_nothing() {
    let db = TestDb::new().await;
    let store = store(&db);
    add_attributes(&db, "tokens", 7, -60).await;
    add_attributes(&db, "sessions", 5, -60).await;
    add_attributes(&db, "alive", 3, 60).await;
    let jobs = registry(&Default::default(), &Default::default(), &[Place::on(BackendKind::Postgresql)]);
    let report = jobs[0].preview(&*store).await.unwrap();
    let counted: Vec<(String, u64)> = report.buckets.unwrap().into_iter().collect();
    assert_eq!(counted, [("sessions".to_owned(), 5), ("tokens".to_owned(), 7)]);
    assert_eq!(count_attributes(&db).await, 15);
    assert!(store.history(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_revision_is_refused_until_it_is_accepted() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 5, -60).await;
    sqlx::query("UPDATE alembic_version SET version_num = 'ffff00000000'").execute(db.pool()).await.unwrap();
    let refusing = runner(&store(&db));
    let job = registry(&Default::default(), &Default::default(), &[Place::on(BackendKind::Postgresql)]).remove(0);
    match refusing.run(&job, Start::Manual, &Stop::new(), &Progress::new()).await.unwrap() {
        Ran::Refused(Reason::Schema, why) => assert!(why.contains("accept_revisions"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(count_attributes(&db).await, 5);
    let vouched = actingweb_maintd::storage::postgres::Settings {
        accept_revisions: vec!["ffff00000000".to_owned()],
        ..settings(&db)
    };
    assert_eq!(clean_up(&runner(&open(vouched)), Settings::default()).await.report.deleted, 5);
}

async fn ttls(db: &TestDb) -> Vec<i64> {
    sqlx::query_scalar("SELECT ttl_timestamp FROM attributes ORDER BY 1").fetch_all(db.pool()).await.unwrap()
}

async fn ttls_with_null(db: &TestDb) -> Vec<Option<i64>> {
    sqlx::query_scalar("SELECT ttl_timestamp FROM attributes ORDER BY 1").fetch_all(db.pool()).await.unwrap()
}
