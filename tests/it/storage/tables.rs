//! The application's tables: what only PostgreSQL has. What both backends have in common is in the
//! suite that runs on both.

use std::collections::BTreeSet;
use std::time::Duration;

use actingweb_maintd::model::row::{Actor, Attribute, LookupEntry, LookupOwner, Property, Suspension, Trust};
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::model::{Record, Row, Source, Table, Unreadable, json};
use actingweb_maintd::storage::postgres::{self, PoolSettings, Postgres};
use actingweb_maintd::storage::{
    Actors, AttributeKey, Attributes, Bulk, ErrorKind, Indexed, Lookup, NewValue, Place, Properties, Segment,
    Suspensions, Trusts, Watermarks,
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::AssertSqlSafe;

use crate::harness::cluster::TestDb;
use crate::harness::eventually;
use crate::harness::store::{open, settings_of, unlimited};

fn property(id: &str, name: &str, value: &str) -> Property {
    Property { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() }
}

async fn add_actor(store: &Postgres, id: &str) {
    let actor = Actor { id: id.to_owned(), ..Actor::default() };
    assert!(store.create_actor(&actor).await.unwrap());
}

/// The values by which an actor is found.
async fn entries(db: &TestDb, id: &str) -> Vec<String> {
    sqlx::query_scalar("SELECT value FROM property_lookup WHERE actor_id = $1 ORDER BY 1")
        .bind(id)
        .fetch_all(db.pool())
        .await
        .unwrap()
}

async fn run(db: &TestDb, sql: &'static str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db.pool()).await.unwrap();
}

/// A walk over a segment.
async fn walk(store: &Postgres, table: Table, segment: Segment, limit: u32) -> Vec<Record> {
    let mut records = Vec::new();
    let mut place = Some(Place::default());
    while let Some(from) = place {
        let stretch = store.scan(table, segment, &from, limit).await.unwrap();
        assert!(stretch.records.len() <= limit.max(1) as usize);
        records.extend(stretch.records);
        place = stretch.next;
    }
    records
}

#[tokio::test]
async fn a_look_up_entry_that_cannot_be_made_never_costs_the_property() {
    let db = TestDb::new().await;
    let store = unlimited(&db);
    add_actor(&store, "a").await;
    assert_eq!(store.set_property(&property("a", "email", "old@x")).await.unwrap(), Indexed::Yes);

    // Nothing that the index could compress.
    let mut random = fastrand::Rng::with_seed(4);
    let long: String = (0..20_000).map(|_| random.alphanumeric()).collect();
    assert_eq!(store.set_property(&property("a", "email", &long)).await.unwrap(), Indexed::TooLong);
    assert_eq!(store.property("a", "email").await.unwrap(), Some(long.clone()));
    assert!(entries(&db, "a").await.is_empty());
    assert_eq!(store.actor_by_property("email", &long).await.unwrap().as_deref(), Some("a"));
    let refused = store.create_lookup("email", &long, "a").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Limit, "{}", refused.chain());

    assert_eq!(store.set_property(&property("nobody", "email", "n@x")).await.unwrap(), Indexed::NoActor);
    assert_eq!(store.property("nobody", "email").await.unwrap().as_deref(), Some("n@x"));
    assert_eq!(store.create_lookup("email", "n@x", "nobody").await.unwrap_err().kind, ErrorKind::Limit);

    add_actor(&store, "b").await;
    assert_eq!(store.set_property(&property("a", "email", "mine@x")).await.unwrap(), Indexed::Yes);
    let taken = store.set_property(&property("b", "email", "mine@x")).await.unwrap();
    assert_eq!(taken, Indexed::Taken("a".to_owned()));
    assert!(store.delete_property("b", "email").await.unwrap());
    assert_eq!(entries(&db, "a").await, ["mine@x"], "an entry of somebody else stays");
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 1);
    assert!(entries(&db, "a").await.is_empty());
}

#[tokio::test]
async fn without_a_look_up_table_properties_are_stored_and_found() {
    let db = TestDb::new().await;
    run(&db, "DROP TABLE property_lookup").await;
    let store = unlimited(&db);
    assert_eq!(store.set_property(&property("a", "email", "a@x")).await.unwrap(), Indexed::No);
    assert_eq!(store.actor_by_property("email", "a@x").await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.actor_by_property("other", "a@x").await.unwrap(), None);
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 1);
    assert_eq!(store.lookup("email", "a@x").await.unwrap_err().kind, ErrorKind::Schema);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_writers_of_a_property_leave_one_entry_that_is_right() {
    let db = TestDb::new().await;
    let store = unlimited(&db);
    for id in ["a", "b"] {
        add_actor(&store, id).await;
    }
    for round in 0..5 {
        let racing = (0..24).map(|n: u32| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                // Values are few, so that the two want each other's.
                let id = if n.is_multiple_of(2) { "a" } else { "b" };
                if n.is_multiple_of(7) {
                    store.delete_property(id, "email").await.map(|_| Indexed::No)
                } else {
                    store.set_property(&property(id, "email", &format!("{}@x", n % 5))).await
                }
            })
        });
        for raced in racing.collect::<Vec<_>>() {
            raced.await.unwrap().unwrap_or_else(|error| panic!("{}", error.chain()));
        }
        let stale: Vec<(String, String)> = sqlx::query_as(
            "SELECT actor_id, l.value FROM property_lookup l LEFT JOIN properties p \
             ON p.id = actor_id AND p.name = property_name AND p.value = l.value WHERE p.id IS NULL",
        )
        .fetch_all(db.pool())
        .await
        .unwrap();
        assert_eq!(stale, [], "round {round}");
    }
    // Alone, so each value is its own.
    let racing = (0..24).map(|n| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move { store.set_property(&property("a", "oauthId", &n.to_string())).await })
    });
    for raced in racing.collect::<Vec<_>>() {
        assert_eq!(raced.await.unwrap().unwrap(), Indexed::Yes);
    }
    let value = store.property("a", "oauthId").await.unwrap().unwrap();
    let found: Vec<String> = sqlx::query_scalar("SELECT value FROM property_lookup WHERE property_name = 'oauthId'")
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(found, [value]);
}

/// The driver asks for ISO dates and UTC when it connects, but a pooler may hand us a session in
/// which somebody has set something else: here a trigger does.
#[tokio::test]
async fn times_are_exact_whatever_the_session_is_set_to() {
    let db = TestDb::new().await;
    run(
        &db,
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM set_config('DateStyle', 'German, DMY', false), set_config('TimeZone', 'America/New_York', false); \
             RETURN NEW; END $$; \
         CREATE TRIGGER odd BEFORE INSERT ON properties FOR EACH ROW EXECUTE FUNCTION odd()",
    )
    .await;
    let pool = PoolSettings { min_size: Bounded::new(0), max_size: Bounded::new(2), ..PoolSettings::default() };
    let store = open(postgres::Settings { pool, ..settings_of(db.host(), db.port(), db.name()) });
    let odd = (0..8).map(|n| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move { store.create_property(&property("a", &n.to_string(), "x")).await })
    });
    for odd in odd.collect::<Vec<_>>() {
        assert!(odd.await.unwrap().unwrap());
    }

    let time: DateTime<Utc> = "2026-03-04T05:06:07.000089Z".parse().unwrap();
    let actor = Actor { id: "a".to_owned(), created_at: Some(time), ..Actor::default() };
    assert!(store.create_actor(&actor).await.unwrap());
    assert_eq!(store.actor("a").await.unwrap().unwrap(), actor);
    add_actor(&store, "now").await;
    let trust = Trust {
        id: "a".to_owned(),
        peerid: "p".to_owned(),
        created_at: Some(time),
        capabilities_fetched_at: Some(time),
        established_via: Some("oauth2_client".to_owned()),
        ..Trust::default()
    };
    assert!(store.create_trust(&trust).await.unwrap());
    assert!(!store.create_trust(&Trust { secret: "other".to_owned(), ..trust.clone() }).await.unwrap());
    let read = store.trust("a", "p").await.unwrap().unwrap();
    assert_eq!(read.last_connected_via.as_deref(), Some("oauth"));
    assert_eq!((read.created_at, read.last_accessed), (Some(time), Some(time)));
    assert_eq!(read.capabilities_fetched_at, Some(time));
    let suspension = Row::Suspension(Suspension {
        id: "a".to_owned(),
        target: "t".to_owned(),
        subtarget: String::new(),
        suspended_at: time,
    });
    assert_eq!(store.write(&[Record::from(suspension.clone())]).await.unwrap().records, 1);
    let records = walk(&store, Table::SubscriptionSuspensions, Segment::WHOLE, 10).await;
    assert_eq!(records[0].meaning.as_ref().unwrap(), &suspension);
    assert!(store.suspend("a", "t", "s").await.unwrap());

    // What the server holds, in a session of ours.
    let (stored, fetched, old): (String, String, i64) = sqlx::query_as(
        "SELECT (SELECT created_at::text FROM actors WHERE id = 'a'), \
             (SELECT (capabilities_fetched_at AT TIME ZONE 'UTC')::text FROM trusts), \
             (SELECT count(*) FROM actors, subscription_suspensions WHERE actors.id = 'now' AND subtarget = 's' \
                 AND abs(extract(epoch FROM created_at - now() AT TIME ZONE 'UTC')) < 60 \
                 AND abs(extract(epoch FROM suspended_at - now())) < 60)",
    )
    .fetch_one(db.pool())
    .await
    .unwrap();
    assert_eq!((stored.as_str(), fetched.as_str()), ("2026-03-04 05:06:07.000089", "2026-03-04 05:06:07.000089"));
    assert_eq!(old, 1, "the server's own times are UTC and now");
}

#[tokio::test]
async fn ranges_are_in_the_order_of_bytes_and_walks_complete_whatever_the_collation() {
    let db = TestDb::new().await;
    run(
        &db,
        "ALTER TABLE properties ALTER COLUMN id TYPE varchar(255) COLLATE \"en-x-icu\", \
             ALTER COLUMN name TYPE text COLLATE \"en-x-icu\"",
    )
    .await;
    let store = unlimited(&db);
    let names = ["list:x-#Zz", "list:x-#a0", "list:x-#b", "list:x-$", "list;", "lis", "Zebra", "apple", "é"];
    for name in names {
        assert!(store.create_property(&property("a", name, "v")).await.unwrap());
    }
    let named = |found: Vec<Property>| found.into_iter().map(|property| property.name).collect::<Vec<_>>();
    assert_eq!(named(store.property_range("a", "list:x-#", "list:x-$").await.unwrap()), names[..4]);
    assert_eq!(named(store.property_prefix("a", "list:x-#").await.unwrap()), names[..3]);
    let last = store.last_property_name("a", "list:x-#", "list:x-#~").await.unwrap();
    assert_eq!(last.as_deref(), Some("list:x-#b"));
    assert_eq!(named(store.plain_properties("a").await.unwrap()), ["Zebra", "apple", "lis", "list;", "é"]);

    let mut random = fastrand::Rng::with_seed(7);
    let mut ids: BTreeSet<String> =
        ["", "_actingweb_system", "Z", "zz", "é", "-", "G", "f", "F0", "0"].map(str::to_owned).into();
    ids.extend((0..300).map(|_| format!("{:032x}", random.u128(..))));
    ids.extend((0..50).map(|_| format!("{:032X}", random.u128(..))));
    run(&db, "DELETE FROM properties").await;
    let rows: Vec<Record> = ids.iter().map(|id| Record::from(Row::Property(property(id, "n", "v")))).collect();
    assert_eq!(store.write(&rows).await.unwrap().records, ids.len() as u64);
    for (of, limit) in [(1, 7), (3, 50), (16, 0)] {
        let mut seen = Vec::new();
        for index in 0..of {
            seen.extend(walk(&store, Table::Properties, Segment { index, of }, limit).await);
        }
        let seen: Vec<String> = seen.into_iter().map(|record| record.meaning.unwrap().id().to_owned()).collect();
        assert_eq!(seen.len(), ids.len());
        assert_eq!(BTreeSet::from_iter(seen), ids);
    }
}

#[tokio::test]
async fn pages_follow_the_index_and_read_no_more_than_they_return() {
    let db = TestDb::new().await;
    run(
        &db,
        "INSERT INTO attributes (id, bucket_name, bucket, name, data) \
             SELECT md5((n % 5000)::text), 'b:' || n, 'b', n, '{}' FROM generate_series(1, 20000) n; \
         ANALYZE attributes; SELECT pg_stat_reset()",
    )
    .await;
    let store = unlimited(&db);
    for index in 0..2 {
        walk(&store, Table::Attributes, Segment { index, of: 2 }, 500).await;
    }
    store.close(Duration::from_secs(5)).await;
    let counted = || async {
        sqlx::query_as::<_, (i64, i64, i64)>(
            "SELECT seq_scan, idx_scan, (SELECT idx_tup_read FROM pg_stat_user_indexes \
                 WHERE indexrelname = 'attributes_pkey') FROM pg_stat_user_tables WHERE relname = 'attributes'",
        )
        .fetch_one(db.pool())
        .await
        .unwrap()
    };
    eventually("the walk has been counted", async || counted().await.1 >= 41).await;
    let (sequential, _, read) = counted().await;
    assert_eq!(sequential, 0);
    assert!(read < 20_000 + 100, "{read} entries of the index were read for 20,000 rows");
}

#[tokio::test]
async fn what_cannot_be_read_is_carried_over_verbatim() {
    let db = TestDb::new().await;
    let store = unlimited(&db);
    run(
        &db,
        "INSERT INTO actors VALUES ('a', '', '', 'infinity'), ('b', '', '', '2026-01-02 03:04:05.5'), \
             ('c', '', '', '0044-03-15 BC'), ('d', '', '', NULL); \
         INSERT INTO attributes VALUES ('a', 'b:n', 'b', 'n', '{\"f\": 1.50, \"big\": 1e30, \"a\": \"\\u00e9\"}', NULL, 5)",
    )
    .await;
    let error = store.actor("a").await.unwrap_err();
    assert!(error.chain().contains("actors: created_at is no time"), "{}", error.chain());
    assert_eq!(store.count(Table::Actors).await.unwrap(), 4);

    let other = TestDb::new().await;
    let copy = crate::harness::store::unlimited(&other);
    for table in [Table::Actors, Table::Attributes] {
        let records = walk(&store, table, Segment::WHOLE, 3).await;
        copy.write(&records).await.unwrap();
        assert_eq!(copy.write(&records).await.unwrap().records, records.len() as u64);
        let copied = walk(&copy, table, Segment::WHOLE, 3).await;
        let sources = |records: &[Record]| records.iter().map(|record| record.source.clone()).collect::<Vec<_>>();
        assert_eq!(sources(&copied), sources(&records));
    }
    let readable: Vec<bool> =
        walk(&copy, Table::Actors, Segment::WHOLE, 9).await.iter().map(|record| record.meaning.is_ok()).collect();
    assert_eq!(readable, [false, true, false, true]);
    assert_eq!(copy.read_all(Table::Attributes, "a").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_is_written_as_a_whole_or_not_at_all() {
    let db = TestDb::new().await;
    let store = unlimited(&db);
    let good = |n: usize| Record::from(Row::Property(property(&format!("{n:04}"), "n", "v")));
    let mut batch: Vec<Record> = (0..4500).map(good).collect();
    batch.push(Record::from(Row::Property(property("0007", "n", "last"))));
    assert_eq!(store.write(&batch).await.unwrap().records, 4500);
    assert_eq!(store.property("0007", "n").await.unwrap().as_deref(), Some("last"));

    let refused = |record: Record| {
        let store = std::sync::Arc::clone(&store);
        async move {
            let error = store.write(&[record]).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Limit, "{}", error.chain());
            error.chain()
        }
    };
    let unreadable =
        Unreadable { table: Table::Trusts, attribute: "approved".to_owned(), why: "is a number".to_owned() };
    let source = Source::Dynamodb(std::collections::BTreeMap::new());
    let chain = refused(Record { table: Table::Trusts, source, meaning: Err(unreadable) }).await;
    assert_eq!(chain, "postgresql: cannot write rows: trusts: approved is a number");
    let digest = LookupEntry {
        owner: LookupOwner::Key("00".to_owned()),
        property_name: "email".to_owned(),
        actor_id: "a".to_owned(),
    };
    assert!(refused(Record::from(Row::Lookup(digest.clone()))).await.contains("known as a digest only"));
    refused(Record::from(Row::Lookup(LookupEntry { owner: LookupOwner::Value("v".to_owned()), ..digest }))).await;
    refused(Record::from(Row::Property(property(&"x".repeat(256), "n", "v")))).await;
    assert_eq!(store.count(Table::Properties).await.unwrap(), 4500);
    assert_eq!(store.write(&[]).await.unwrap().records, 0);
}

#[tokio::test]
async fn an_attribute_is_swapped_by_what_python_takes_for_equal() {
    let db = TestDb::new().await;
    let store = unlimited(&db);
    let key = AttributeKey { id: "a", bucket: "b:c", name: "n" };
    let value = |text: &str| json::parse(text).unwrap();
    fn set(data: &json::Value) -> NewValue<'_> {
        NewValue { data, timestamp: None, ttl_seconds: None }
    }
    store
        .set_attribute(key, &NewValue { ttl_seconds: Some(60), ..set(&value("{\"x\": true, \"y\": 2}")) })
        .await
        .unwrap();
    // The key that it shares with another pair.
    let twin = AttributeKey { bucket: "b", name: "c:n", ..key };
    assert_eq!(store.attribute(twin).await.unwrap(), None);
    assert!(!store.delete_attribute(twin).await.unwrap());

    let new = value("{\"x\": null}");
    assert!(!store.swap_attribute(key, &value("{\"y\": 2, \"x\": false}"), &set(&new)).await.unwrap());
    assert!(!store.swap_attribute(key, &value("{\"y\": NaN}"), &set(&new)).await.unwrap());
    assert!(store.swap_attribute(key, &value("{\"y\": 2.0, \"x\": 1}"), &set(&new)).await.unwrap());
    let stored: Attribute = store.attribute(key).await.unwrap().unwrap();
    assert_eq!(stored.data, Some(new));
    assert!(stored.ttl_timestamp.is_some(), "the swap kept the TTL");
    let nan = value("[NaN]");
    assert_eq!(store.set_attribute(key, &set(&nan)).await.unwrap_err().kind, ErrorKind::Limit);

    run(&db, "UPDATE attributes SET data = NULL, ttl_timestamp = floor(extract(epoch FROM now()))::bigint").await;
    assert!(store.live_attribute(key).await.unwrap().is_none());
    let back = value("\"back\"");
    assert!(store.swap_attribute(key, &json::Value::Null, &set(&back)).await.unwrap());
    store.set_attribute(key, &set(&value("0"))).await.unwrap();
    assert!(store.attribute(key).await.unwrap().is_none());
}

#[tokio::test]
async fn watermarks_keep_their_first_time_and_the_newest_number() {
    let db = TestDb::new().await;
    let store = unlimited(&db);
    let mark = |seqnr| ("a".to_owned(), "s".to_owned(), seqnr);
    store.mark(&[mark(1), mark(1), mark(2)]).await.unwrap();
    run(&db, "UPDATE maintd.watermarks SET seen_at = now() - interval '2 days'").await;
    store.mark(&[mark(2), mark(3)]).await.unwrap();
    let numbers = |found: Vec<actingweb_maintd::storage::Watermark>| -> Vec<i64> {
        found.into_iter().map(|watermark| watermark.seqnr).collect()
    };
    let all = store.watermarks("a", "s").await.unwrap();
    let yesterday = all[2].seen_at - TimeDelta::days(1);
    assert_eq!(numbers(all), [1, 2, 3]);
    assert_eq!(store.watermark("a", "s", yesterday).await.unwrap().unwrap().seqnr, 2);
    assert_eq!(store.forget_watermarks(yesterday).await.unwrap(), 1);
    assert_eq!(numbers(store.watermarks("a", "s").await.unwrap()), [2, 3]);
}
