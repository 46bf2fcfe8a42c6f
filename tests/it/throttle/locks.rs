//! Somebody who waits for what a batch has locked, and somebody for whom a batch waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{LARGEST, Work, add_expired, calm};
use crate::harness::cluster::TestDb;
use crate::harness::eventually;
use crate::harness::store::store;

/// Takes a while for some of the rows, about a second for a large batch, so that others come to want a row that a batch has locked.
const SLOWLY: &str = "
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF random() < 0.05 THEN PERFORM pg_sleep(0.02); END IF; RETURN old; END $$;
    CREATE TRIGGER slowly BEFORE DELETE ON attributes FOR EACH ROW EXECUTE FUNCTION slowly();
";

#[tokio::test]
async fn whoever_waits_for_a_batch_makes_the_next_smaller_and_come_later() {
    let db = TestDb::new().await;
    add_expired(db.pool(), 100_000).await;
    let work = Work::at_full_speed(&store(&db), calm()).await;
    assert_eq!(work.rested("lock_wait"), 0.0);
    sqlx::raw_sql(SLOWLY).execute(db.pool()).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let application = tokio::spawn({
        let (pool, over) = (db.pool().clone(), Arc::clone(&over));
        async move {
            // A row of the batch that is deleted next, as they go in this order. It stays where it is, or else it would be
            // passed over; and so it is when it happens to be held just then, so it is none of the very first.
            let next = "SELECT FROM attributes WHERE ctid = ANY(ARRAY( \
                            SELECT ctid FROM attributes WHERE ttl_timestamp = 1000 ORDER BY attributes.ctid OFFSET 20 LIMIT 1)) \
                        FOR UPDATE";
            while !over.load(Ordering::Relaxed) {
                sqlx::query(next).execute(&pool).await.unwrap();
            }
        }
    });
    work.until_resting("lock_wait").await;
    eventually("batches to be small", async || work.size() <= LARGEST / 4).await;
    over.store(true, Ordering::Relaxed);
    application.await.unwrap();
    sqlx::raw_sql("DROP TRIGGER slowly ON attributes").execute(db.pool()).await.unwrap();
    work.until_full_speed().await;
    work.end().await;
}

#[tokio::test]
async fn a_table_that_somebody_has_locked_is_waited_for_outside_of_any_transaction() {
    let db = TestDb::new().await;
    add_expired(db.pool(), 100_000).await;
    let work = Work::at_full_speed(&store(&db), calm()).await;
    let mut locker = db.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE attributes IN ACCESS EXCLUSIVE MODE").execute(&mut *locker).await.unwrap();
    work.until_resting("stalled").await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name = 'actingweb-maintd' AND state LIKE 'idle in transaction%' \
                AND xact_start < clock_timestamp() - interval '250ms'";
    assert_eq!(sqlx::query_scalar::<_, i64>(open).fetch_one(&mut *locker).await.unwrap(), 0);
    locker.rollback().await.unwrap();
    work.until_full_speed().await;
    work.end().await;
}
