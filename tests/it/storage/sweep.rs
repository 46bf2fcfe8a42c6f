//! Reading and deleting expired rows.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::storage::{Backlog, Cursor, Expired, Segment, Sweep};

use crate::harness::cluster::TestDb;
use crate::harness::eventually;
use crate::harness::store::{add_attributes, claim, count_attributes, open_for_a_minute, store, won};

#[tokio::test]
async fn pages_cover_every_expired_row_once_and_in_order() {
    let db = TestDb::new().await;
    let store = store(&db);
    // Many rows share a TTL, so that pages end between equal ones.
    for back in [50, 40, 30] {
        add_attributes(&db, &format!("back_{back}"), 40, -back).await;
    }
    add_attributes(&db, "alive", 40, 600).await;
    let cutoff = store.cutoff(Duration::ZERO).await.unwrap().epoch;
    let which = Expired { cutoff, buckets: Vec::new() };
    let mut seen = Vec::new();
    let mut cursor = Some(Cursor::default());
    let mut pages = 0;
    while let Some(from) = cursor {
        let page = store.expired(&which, Segment::WHOLE, &from, 7).await.unwrap();
        for candidate in page.candidates {
            assert!(!seen.contains(&candidate), "a row came twice");
            seen.push(candidate);
        }
        pages += 1;
        cursor = page.next;
    }
    assert_eq!(seen.len(), 120);
    assert_eq!(pages, 18);
}

#[tokio::test]
async fn rows_of_other_buckets_count_against_the_page_but_are_not_candidates() {
    let db = TestDb::new().await;
    let store = store(&db);
    add_attributes(&db, "mine", 10, -60).await;
    add_attributes(&db, "yours", 30, -90).await;
    let cutoff = store.cutoff(Duration::ZERO).await.unwrap().epoch;
    let which = Expired { cutoff, buckets: vec!["mine".to_owned()] };
    let first = store.expired(&which, Segment::WHOLE, &Cursor::default(), 20).await.unwrap();
    assert_eq!((first.examined, first.candidates.len()), (20, 0));
    let second = store.expired(&which, Segment::WHOLE, &first.next.unwrap(), 100).await.unwrap();
    assert_eq!((second.examined, second.candidates.len()), (20, 10));
    assert!(second.next.is_none());
    let lease = won(&store, &claim("test")).await;
    let batch = store.delete_expired(&which, &second.candidates, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 10);
    assert_eq!(count_attributes(&db).await, 30);
    assert!(!store.any_expired(&which).await.unwrap());
}

#[tokio::test]
async fn a_row_that_was_extended_or_is_locked_is_passed_over() {
    let db = TestDb::new().await;
    let store = store(&db);
    add_attributes(&db, "sessions", 10, -60).await;
    let cutoff = store.cutoff(Duration::ZERO).await.unwrap().epoch;
    let which = Expired { cutoff, buckets: Vec::new() };
    let page = store.expired(&which, Segment::WHOLE, &Cursor::default(), 100).await.unwrap();
    sqlx::query("UPDATE attributes SET ttl_timestamp = ttl_timestamp + 3600 WHERE name = '3'")
        .execute(db.pool())
        .await
        .unwrap();
    let mut locker = db.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM attributes WHERE name = '5' FOR UPDATE").execute(&mut *locker).await.unwrap();
    let lease = won(&store, &claim("test")).await;
    let batch = store.delete_expired(&which, &page.candidates, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 8);
    locker.rollback().await.unwrap();
    assert!(store.any_expired(&which).await.unwrap(), "the locked one is still there");
    let left: Vec<String> =
        sqlx::query_scalar("SELECT name FROM attributes ORDER BY name").fetch_all(db.pool()).await.unwrap();
    assert_eq!(left, ["3", "5"]);
}

#[tokio::test]
async fn somebody_who_waits_for_the_batch_is_seen() {
    let db = TestDb::new().await;
    let store = open_for_a_minute(&db);
    add_attributes(&db, "sessions", 20, -60).await;
    // The batch stands still before its first row goes, for as long as we hold the other lock.
    sqlx::raw_sql(
        "CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN OLD; END $$; \
         CREATE TRIGGER stand_still BEFORE DELETE ON attributes FOR EACH ROW EXECUTE FUNCTION stand_still()",
    )
    .execute(db.pool())
    .await
    .unwrap();
    let mut gate = db.pool().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(42)").execute(&mut *gate).await.unwrap();

    let which = Expired { cutoff: store.cutoff(Duration::ZERO).await.unwrap().epoch, buckets: Vec::new() };
    let page = store.expired(&which, Segment::WHOLE, &Cursor::default(), 100).await.unwrap();
    let lease = won(&store, &claim("test")).await;
    let deleting = tokio::spawn({
        let (store, which, fence) = (Arc::clone(&store), which.clone(), lease.fence(0));
        async move { store.delete_expired(&which, &page.candidates, &fence).await.unwrap() }
    });
    until_somebody_waits(&db, "advisory").await;
    let application = tokio::spawn({
        let pool = db.pool().clone();
        async move { sqlx::query("UPDATE attributes SET data = '1'").execute(&pool).await.unwrap() }
    });
    until_somebody_waits(&db, "transactionid").await;
    gate.rollback().await.unwrap();
    let batch = deleting.await.unwrap();
    application.await.unwrap();
    assert_eq!((batch.deleted, batch.waiters), (20, 1));
}

async fn until_somebody_waits(db: &TestDb, for_lock: &str) {
    eventually(&format!("somebody waits for a lock of the kind {for_lock}"), async || {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) \
                 WHERE NOT granted AND locktype = $1 AND datname = current_database())",
        )
        .bind(for_lock)
        .fetch_one(db.pool())
        .await
        .unwrap()
    })
    .await;
}

#[tokio::test]
async fn the_backlog_is_counted_up_to_its_cap_and_knows_its_oldest_row() {
    let db = TestDb::new().await;
    let store = store(&db);
    let empty = store.backlog().await.unwrap();
    assert_eq!((empty.expired_rows, empty.capped, empty.oldest_age_seconds), (0, false, None));
    add_attributes(&db, "sessions", 10, -3600).await;
    let some = store.backlog().await.unwrap();
    assert_eq!((some.expired_rows, some.capped), (10, false));
    assert!(some.oldest_age_seconds.unwrap() >= 3600);
    add_attributes(&db, "tokens", Backlog::CAP as i64 + 5, -60).await;
    let many = store.backlog().await.unwrap();
    assert_eq!((many.expired_rows, many.capped), (Backlog::CAP, true));
}
