//! Reading and deleting expired rows on DynamoDB.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::model::Table;
use actingweb_maintd::storage::{Cursor, Expired, Page, Segment, Store};
use actingweb_maintd::work::Outcome;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::Utc;

use super::own_state::{ended, taken};
use crate::harness::dynamodb::{Item, TestTables};
use crate::harness::store::claim;

/// The store on a test's tables, with all that a store can do.
pub(super) fn store(tables: &TestTables) -> Arc<dyn Store> {
    tables.store()
}

fn row(bucket: &str, name: &str, ttl: Option<AttributeValue>) -> Item {
    let texts = [
        ("id", format!("actor-{}", name.len())),
        ("bucket_name", format!("{bucket}:{name}")),
        ("bucket", bucket.to_owned()),
        ("name", name.to_owned()),
        ("data", "{\"a\": 1}".to_owned()),
    ];
    let mut item: Item = texts.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect();
    item.extend(ttl.map(|ttl| ("ttl_timestamp".to_owned(), ttl)));
    item
}

fn seconds(from_now: i64) -> AttributeValue {
    AttributeValue::N((now() + from_now).to_string())
}

#[expect(clippy::disallowed_methods, reason = "the clock of the application")]
fn now() -> i64 {
    Utc::now().timestamp()
}

async fn add(tables: &TestTables, bucket: &str, count: usize, from_now: i64) {
    for index in 0..count {
        tables.put_raw(Table::Attributes, row(bucket, &format!("{from_now} {index}"), Some(seconds(from_now)))).await;
    }
}

/// Adds rows that have expired.
pub(super) async fn add_expired(tables: &TestTables, bucket: &str, count: usize) {
    add(tables, bucket, count, -60).await;
}

/// The names of the attributes that there are.
pub(super) async fn names(tables: &TestTables) -> BTreeSet<String> {
    let items = tables.dump(&tables.name(Table::Attributes)).await;
    items.iter().map(|item| item["bucket_name"].as_s().unwrap().clone()).collect()
}

async fn expired(store: &dyn Store, buckets: &[&str]) -> Expired {
    let cutoff = store.cutoff(Duration::ZERO).await.unwrap().epoch;
    Expired { cutoff, buckets: buckets.iter().map(|bucket| (*bucket).to_owned()).collect() }
}

async fn pages(store: &dyn Store, which: &Expired, limit: u32) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        let page = store.expired(which, Segment::WHOLE, &from, limit).await.unwrap();
        cursor = page.next.clone();
        pages.push(page);
    }
    pages
}

#[tokio::test]
async fn pages_look_at_every_row_once_and_find_what_has_expired() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    add(&tables, "sessions", 20, -60).await;
    add(&tables, "sessions", 30, 600).await;
    tables.put_raw(Table::Attributes, row("for ever", "x", None)).await;
    tables.put_raw(Table::Attributes, row("a text", "x", Some(AttributeValue::S("1".to_owned())))).await;
    let which = expired(&*store, &[]).await;
    let pages = pages(&*store, &which, 7).await;
    assert!(pages.iter().all(|page| page.examined <= 7));
    assert_eq!(pages.iter().map(|page| page.examined).sum::<u64>(), 52);
    assert!(pages.iter().map(|page| page.read_units).sum::<f64>() > 0.0);
    let candidates: Vec<_> = pages.into_iter().flat_map(|page| page.candidates).collect();
    assert_eq!(candidates.len(), 20);
    assert!(!format!("{candidates:?}").contains("sessions"), "names may be tokens");
    let lease = taken(&*store, &claim("test")).await.lease;
    let batch = store.delete_expired(&which, &candidates, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 20);
    assert!(batch.write_units > 0.0);
    assert_eq!(names(&tables).await.len(), 32);
    assert!(!store.any_expired(&which).await.unwrap());
}

#[tokio::test]
async fn segments_have_each_row_once() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    add(&tables, "sessions", 60, -60).await;
    add(&tables, "sessions", 40, 600).await;
    let which = expired(&*store, &[]).await;
    for of in [1, 3, 8] {
        let (mut candidates, mut examined) = (Vec::new(), 0);
        for index in 0..of {
            let mut cursor = Some(Cursor::default());
            while let Some(from) = cursor {
                let page = store.expired(&which, Segment { index, of }, &from, 7).await.unwrap();
                examined += page.examined;
                assert!(page.candidates.iter().all(|candidate| !candidates.contains(candidate)), "a row came twice");
                candidates.extend(page.candidates);
                cursor = page.next;
            }
        }
        assert_eq!((candidates.len(), examined), (60, 100), "{of}");
    }
}

#[tokio::test]
async fn what_dynamodb_itself_cannot_go_by_is_seen_and_never_deleted() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    let number = |digits: String| Some(AttributeValue::N(digits));
    let six_years = 6 * 365 * 86_400;
    for (name, ttl) in [
        ("text", Some(AttributeValue::S("1".to_owned()))),
        ("true", Some(AttributeValue::Bool(true))),
        ("nothing", Some(AttributeValue::Null(true))),
        ("none", None),
        ("milliseconds", number((now() * 1000).to_string())),
        ("years", number((now() - six_years).to_string())),
        ("zero", number("0".to_owned())),
        ("hours", number((now() - 7200).to_string())),
        ("minutes", number((now() - 120).to_string())),
        ("alive", number((now() + 7200).to_string())),
    ] {
        tables.put_raw(Table::Attributes, row("b", name, ttl)).await;
    }
    let which = expired(&*store, &[]).await;
    let page = pages(&*store, &which, 100).await.remove(0);
    let ends = page.ends;
    assert_eq!((ends.examined, ends.not_numbers, ends.not_seconds, ends.too_old), (10, 2, 1, 2));
    let age = now() - ends.oldest.unwrap();
    assert!((7200..7300).contains(&age), "{age}");
    assert_eq!(page.candidates.len(), 4);
    let lease = taken(&*store, &claim("test")).await.lease;
    store.delete_expired(&which, &page.candidates, &lease.fence(0)).await.unwrap();
    let kept = ["text", "true", "nothing", "none", "milliseconds", "alive"].map(|name| format!("b:{name}"));
    assert_eq!(names(&tables).await, BTreeSet::from(kept));
    // Of other buckets nothing is seen.
    let elsewhere = expired(&*store, &["other"]).await;
    let ends = pages(&*store, &elsewhere, 100).await.remove(0).ends;
    assert_eq!((ends.not_numbers, ends.not_seconds, ends.too_old, ends.oldest), (0, 0, 0, None));
}

#[tokio::test]
async fn only_buckets_that_are_named_are_swept() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    add_expired(&tables, "mine", 10).await;
    add_expired(&tables, "mine too", 1).await;
    add_expired(&tables, "yours", 30).await;
    let mut many: Vec<String> = (0..150).map(|n| format!("bucket {n}")).collect();
    many.push("mine".to_owned());
    for which in [expired(&*store, &["mine"]).await, Expired { buckets: many, ..expired(&*store, &[]).await }] {
        let pages = pages(&*store, &which, 100).await;
        assert_eq!(pages.iter().map(|page| page.examined).sum::<u64>(), 41);
        assert_eq!(pages.iter().map(|page| page.candidates.len()).sum::<usize>(), 10);
        assert!(store.any_expired(&which).await.unwrap());
        let counted = store.count_expired(&which).await.unwrap();
        assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("mine".to_owned(), 10)]);
    }
    let all = expired(&*store, &[]).await;
    assert_eq!(store.count_expired(&all).await.unwrap().values().sum::<u64>(), 41);
    // Whatever a page was read for, only what is named is deleted.
    let found = pages(&*store, &all, 100).await.remove(0).candidates;
    let lease = taken(&*store, &claim("test")).await.lease;
    let which = expired(&*store, &["mine"]).await;
    let batch = store.delete_expired(&which, &found, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 10);
    assert!(!store.any_expired(&which).await.unwrap());
    assert_eq!(names(&tables).await.len(), 31);
}

#[tokio::test]
async fn a_row_that_has_changed_or_is_gone_is_passed_over() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    add_expired(&tables, "sessions", 6).await;
    let which = expired(&*store, &[]).await;
    let found = pages(&*store, &which, 100).await.remove(0).candidates;
    // One was extended, one written anew and has expired as well, one is gone.
    tables.put_raw(Table::Attributes, row("sessions", "-60 1", Some(seconds(600)))).await;
    tables.put_raw(Table::Attributes, row("sessions", "-60 2", Some(seconds(-50)))).await;
    tables.put_raw(Table::Attributes, row("sessions", "-60 3", None)).await;
    let lease = taken(&*store, &claim("test")).await.lease;
    let batch = store.delete_expired(&which, &found, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 3);
    let kept = ["-60 1", "-60 2", "-60 3"].map(|name| format!("sessions:{name}"));
    assert_eq!(names(&tables).await, BTreeSet::from(kept));
    // Again, as if the answer had been lost: nothing is counted twice.
    let batch = store.delete_expired(&which, &found, &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 0);
    let run = store.finish(&lease, &ended(Outcome::Partial)).await.unwrap();
    assert_eq!((run.report.deleted, run.report.skipped, run.report.batches), (3, 9, 2));
    assert!(store.any_expired(&which).await.unwrap());
}

#[tokio::test]
async fn two_workers_share_one_count() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    add_expired(&tables, "sessions", 40).await;
    let which = expired(&*store, &[]).await;
    let found = pages(&*store, &which, 100).await.remove(0).candidates;
    let lease = taken(&*store, &claim("test")).await.lease;
    let batches = found.chunks(5).enumerate().map(|(index, chunk)| {
        let (store, which, fence) = (&store, &which, lease.fence(index as u16 % 2));
        async move { store.delete_expired(which, chunk, &fence).await.unwrap().deleted }
    });
    let deleted: u64 = futures_util::future::join_all(batches).await.iter().sum();
    assert_eq!(deleted, 40);
    let history = store.history(None, 1).await.unwrap();
    assert_eq!((history[0].report.deleted, history[0].report.batches), (40, 8));
    let run = store.finish(&lease, &ended(Outcome::Succeeded)).await.unwrap();
    assert_eq!((run.report.deleted, run.report.batches), (40, 8));
}

#[tokio::test]
async fn the_backlog_says_whether_it_has_seen_everything() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    let empty = store.backlog().await.unwrap();
    assert_eq!((empty.expired_rows, empty.capped, empty.oldest_age_seconds), (0, false, None));
    add(&tables, "sessions", 4, -3600).await;
    add(&tables, "sessions", 4, -60).await;
    add(&tables, "sessions", 4, 60).await;
    let some = store.backlog().await.unwrap();
    assert_eq!((some.expired_rows, some.capped), (8, false));
    assert!(some.oldest_age_seconds.unwrap() >= 3600);
    // More than it looks at: some pages of a megabyte.
    for index in 0..20 {
        let mut large = row("large", &index.to_string(), Some(seconds(600)));
        large.insert("data".to_owned(), AttributeValue::S("x".repeat(300_000)));
        tables.put_raw(Table::Attributes, large).await;
    }
    let capped = store.backlog().await.unwrap();
    assert!(capped.capped && capped.expired_rows <= 8, "{capped:?}");
}
