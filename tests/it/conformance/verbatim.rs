//! Rows as their backend has them: what nobody knows, and what nobody can read, comes back too.

use std::collections::BTreeMap;

use actingweb_maintd::model::{Source, Table};
use actingweb_maintd::storage::{Bulk, ErrorKind};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::fixtures::{rows, state};
use crate::harness::cluster::TestDb;
use crate::harness::dynamodb::{Item, TestTables};
use crate::harness::store::unlimited;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Items that the library would not write, and some that it cannot read.
pub(crate) fn strange_items() -> Vec<(Table, Item)> {
    let n = |digits: &str| AttributeValue::N(digits.to_owned());
    let attribute = |name: &str, data: &str| {
        vec![
            ("id", s("a")),
            ("bucket_name", s(&format!("b:{name}"))),
            ("bucket", s("b")),
            ("name", s(name)),
            ("data", s(data)),
        ]
    };
    let with = |name: &str, more: &[(&'static str, AttributeValue)]| {
        let mut attributes = attribute(name, "1");
        attributes.retain(|(known, _)| more.iter().all(|(new, _)| new != known));
        attributes.extend(more.iter().cloned());
        (Table::Attributes, item(&attributes))
    };
    let everything = AttributeValue::M(
        [
            ("list".to_owned(), AttributeValue::L(vec![s("é"), n("1.50"), AttributeValue::Null(true)])),
            ("truth".to_owned(), AttributeValue::Bool(false)),
            ("bytes".to_owned(), AttributeValue::B(Blob::new([0, 255]))),
            ("texts".to_owned(), AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()])),
            ("numbers".to_owned(), AttributeValue::Ns(vec!["1".to_owned(), "2.5".to_owned()])),
            ("all bytes".to_owned(), AttributeValue::Bs(vec![Blob::new([1]), Blob::new([2])])),
        ]
        .into(),
    );
    vec![
        (Table::Attributes, item(&attribute("spaces", "{\"b\":1,  \"a\":[1.50,1E2]}"))),
        (Table::Attributes, item(&attribute("twice", "{\"a\": 1, \"a\": 2}"))),
        (Table::Attributes, item(&attribute("raw", "\"\u{1f600}\u{7f}/\\/\""))),
        (Table::Attributes, item(&attribute("no json", "{\"a\""))),
        with("another time", &[("timestamp", s("2026-01-02T03:04:05Z"))]),
        with("a fraction", &[("ttl_timestamp", n("1.5"))]),
        with("far away", &[("ttl_timestamp", n("99999999999999999999999999999999999999"))]),
        with("a text for a number", &[("ttl_timestamp", s("1795365796"))]),
        with("nothing", &[("data", AttributeValue::Null(true))]),
        with("more", &[("nobody knows", everything)]),
        (
            Table::Trusts,
            item(&[
                ("id", s("a")),
                ("peerid", s("p")),
                ("secret", s("x")),
                ("approved", AttributeValue::N("1".to_owned())),
            ]),
        ),
        (Table::Actors, item(&[("id", s("only an id"))])),
        (Table::Subscriptions, item(&[("id", s("a")), ("peer_sub_id", s("p:s"))])),
        (Table::PropertyLookup, item(&[("lookup_key", s("no digest")), ("actor_id", s("a"))])),
    ]
}

#[tokio::test]
async fn items_are_copied_with_all_that_is_in_them() {
    let (from, to) = (TestTables::new().await, TestTables::new().await);
    for (table, item) in strange_items() {
        from.put_raw(table, item).await;
    }
    let (source, target) = (from.store(), to.store());
    for table in Table::ALL {
        let records = rows(&*source, table).await;
        target.write(&records).await.unwrap_or_else(|error| panic!("{table}: {}", error.chain()));
        let sorted = |items: Vec<Item>| {
            let mut items: Vec<BTreeMap<String, AttributeValue>> =
                items.into_iter().map(|item| item.into_iter().collect()).collect();
            items.sort_by_key(|item| format!("{item:?}"));
            items
        };
        assert_eq!(sorted(to.dump(&to.name(table)).await), sorted(from.dump(&from.name(table)).await), "{table}");
    }
    assert_eq!(state(&*target).await, state(&*source).await);
}

#[tokio::test]
async fn what_cannot_be_read_says_where_and_cannot_cross() {
    let (tables, db) = (TestTables::new().await, TestDb::new().await);
    for (table, item) in strange_items() {
        tables.put_raw(table, item).await;
    }
    let (from, to) = (tables.store(), unlimited(&db));
    let mut unreadable = Vec::new();
    for record in rows(&*from, Table::Attributes).await {
        let Err(why) = &record.meaning else { continue };
        let Source::Dynamodb(item) = &record.source else { panic!("{record:?}") };
        assert_eq!(why.table, Table::Attributes);
        assert!(item.contains_key(&why.attribute), "{why}");
        unreadable.push(format!("{why}"));
        let refused = to.write(&[record]).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Limit);
        assert!(refused.chain().contains("attributes"), "{}", refused.chain());
    }
    assert!(unreadable.iter().any(|why| why.contains("timestamp")), "{unreadable:?}");
    assert!(unreadable.iter().any(|why| why.contains("data")), "{unreadable:?}");
    assert_eq!(state(&*to).await, [] as [String; 0]);
}

#[tokio::test]
async fn rows_of_postgresql_are_copied_as_they_are_written_there() {
    let (from_db, to_db) = (TestDb::new().await, TestDb::new().await);
    sqlx::raw_sql(
        r#"INSERT INTO attributes (id, bucket_name, bucket, name, data, "timestamp", ttl_timestamp) VALUES
               ('a', 'b:scale', 'b', 'scale', '{"b": 1.50, "a": [1E2, -0.0, 1e400, 0.1000]}', NULL, NULL),
               ('a', 'b:null', 'b', 'null', 'null', '2026-01-02 03:04:05.000006', 9223372036854775807),
               ('a', 'b:none', 'b', 'none', NULL, '1901-01-01', -1),
               ('a', 'not:the parts', 'b', 'c', '"é"', NULL, 0);
           INSERT INTO actors VALUES ('', '', '', NULL), ('a', 'A@Example.com', 'p', '2026-01-01 00:00:00');
           INSERT INTO property_lookup VALUES ('email', '', 'a');
           INSERT INTO properties VALUES ('a', '', ''), ('a', 'n', E'\n\\');
           INSERT INTO subscription_suspensions VALUES ('a', 'a:b', '', '2026-01-01 01:00:00+01'),
               ('a', 'a', 'b', '2026-01-01 00:00:00.1+00');
           INSERT INTO subscriptions VALUES ('a', 'p:s', 'p', 's', NULL, '', NULL, '', -1, true)"#,
    )
    .execute(from_db.pool())
    .await
    .unwrap();
    let (from, to) = (unlimited(&from_db), unlimited(&to_db));
    for table in Table::ALL {
        to.write(&rows(&*from, table).await).await.unwrap_or_else(|error| panic!("{table}: {}", error.chain()));
        let query = format!("SELECT t::text FROM {table} AS t ORDER BY 1");
        let text = async |db: &TestDb| -> Vec<String> {
            sqlx::query_scalar(sqlx::AssertSqlSafe(query.clone())).fetch_all(db.pool()).await.unwrap()
        };
        assert_eq!(text(&to_db).await, text(&from_db).await);
    }
}
