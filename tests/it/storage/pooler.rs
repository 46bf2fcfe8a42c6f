//! Behind PgBouncer in transaction mode, where a client's statements meet other clients' on the
//! same server connection.

use std::sync::Arc;

use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::postgres::{PoolSettings, Settings};
use actingweb_maintd::storage::{Cursor, Expired, Leases, Renewal, Runs, Segment, Sweep};
use sqlx::AssertSqlSafe;

use crate::harness::cluster::TestDb;
use crate::harness::pooler::Pooler;
use crate::harness::store::{claim, open, settings, won};

const CLIENTS: usize = 8;
const ROUNDS: usize = 60;

/// Each client has a schema of its own, so that every statement it sends is a different text and
/// has a different answer: the client's number. An answer to another client's statement would
/// be another number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_clients_over_three_connections_get_their_own_answers() {
    // The role makes the schemas of all of them.
    let db = TestDb::empty().await;
    let pooler = Pooler::start(&db, 3);
    let mut clients = Vec::new();
    for client in 1..=CLIENTS {
        let schema = format!("tenant_{client}");
        let direct = open(Settings { schema: schema.clone(), ..settings(&db) });
        direct.apply(true).await.expect("applying the schema");
        sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO {schema}.attributes (id, bucket_name, bucket, name, ttl_timestamp) \
             SELECT 'a', n::text, 'b', n::text, 1000 + n FROM generate_series(1, {client}) AS n"
        )))
        .execute(db.pool())
        .await
        .expect("filling the schema");
        let pool = PoolSettings { max_size: Bounded::new(2), ..PoolSettings::default() };
        let pooled = Settings { schema, port: Bounded::new(u64::from(pooler.port)), pool, ..settings(&db) };
        clients.push(tokio::spawn(ask_again_and_again(open(pooled), client)));
    }
    for client in clients {
        client.await.expect("a client's answers were its own");
    }
}

async fn ask_again_and_again(store: Arc<actingweb_maintd::storage::postgres::Postgres>, client: usize) {
    let number = client as u64;
    let which = Expired { cutoff: 2000, buckets: Vec::new() };
    for round in 0..ROUNDS {
        assert_eq!(store.backlog().await.expect("backlog").expired_rows, number, "round {round}");
        let page = store.expired(&which, Segment::WHOLE, &Cursor::default(), 100).await.expect("page");
        assert_eq!(page.candidates.len(), client, "round {round}");
        assert_eq!(store.schema().await.expect("schema").schema, format!("tenant_{client}"), "round {round}");
        let counted = store.count_expired(&which).await.expect("count");
        assert_eq!(counted.values().sum::<u64>(), number, "round {round}");
        let lease = won(&store, &claim(&format!("client {client}"))).await;
        let renewal = store.renew(&lease, std::time::Duration::from_secs(10)).await.expect("renewal");
        assert_eq!(renewal, Renewal::Kept, "round {round}");
        let none = store.delete_expired(&which, &[], &lease.fence(0)).await.expect("batch");
        assert_eq!(none.deleted, 0, "round {round}");
        let finish = actingweb_maintd::storage::Finish {
            outcome: actingweb_maintd::work::Outcome::Succeeded,
            error: None,
            report: actingweb_maintd::work::Report::default(),
            slot: actingweb_maintd::storage::SlotAfter::Done,
        };
        store.finish(&lease, &finish).await.expect("finish");
        let history = store.history(None, 1000).await.expect("history");
        assert_eq!(history.len(), round + 1);
        assert!(history.iter().all(|run| run.holder == format!("client {client}")), "round {round}");
    }
}
