//! A deployment on one of the backends, as the library reaches it and as we do, and what is really
//! stored there.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::layout::{TTL_ATTRIBUTE, postgresql_columns};
use actingweb_maintd::model::{BackendKind, Indexing, Table};
use actingweb_maintd::storage::Store;
use actingweb_maintd::storage::dynamodb::{DynamoDb, Login, Settings};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{TimeToLiveSpecification, TimeToLiveStatus};
use chrono::NaiveDateTime;
use sqlx::{AssertSqlSafe, Row};

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::dynamodb::{Item, TestTables, client_of, items};
use crate::harness::ministack::Ministack;
use crate::harness::python::{alembic, on_dynamodb, on_postgresql, python_file};
use crate::harness::store;

/// Where a deployment can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Postgresql,
    /// DynamoDB in this process.
    InProcess,
    /// DynamoDB in another.
    Ministack,
}

/// A deployment.
pub(super) struct Place {
    kind: Kind,
    at: At,
    store: Arc<dyn Store>,
}

enum At {
    Postgresql(TestDb),
    Dynamodb {
        settings: Settings,
        client: Client,
        /// Whether the library may make the tables.
        makes_tables: bool,
        /// Ends with this value.
        server: Box<dyn Any + Send + Sync>,
    },
}

impl Place {
    /// One whose tables are made as the library makes them.
    pub(super) async fn of_the_library(kind: Kind) -> Self {
        if kind != Kind::Postgresql {
            return Self::on_dynamodb(kind, Indexing::default(), true).await;
        }
        let db = TestDb::empty().await;
        alembic(&db, &["upgrade", "head"]).await;
        let store = store::store(&db);
        Self { kind, at: At::Postgresql(db), store }
    }

    /// One whose tables are made by us.
    pub(super) async fn of_ours(kind: Kind) -> Self {
        Self::indexed(kind, Indexing::default()).await
    }

    /// The same, where actors are found as `indexing` says.
    pub(super) async fn indexed(kind: Kind, indexing: Indexing) -> Self {
        let place = if kind == Kind::Postgresql {
            let db = TestDb::empty().await;
            let store = store::store(&db);
            Self { kind, at: At::Postgresql(db), store }
        } else {
            Self::on_dynamodb(kind, indexing, false).await
        };
        place.store.apply(true).await.expect("making the tables");
        if kind == Kind::Ministack {
            place.keep_what_expires().await;
        }
        place
    }

    /// This stand-in really expires rows, once a minute. Here they are to stay, as they do for two
    /// days at AWS.
    async fn keep_what_expires(&self) {
        let (client, prefix) = self.dynamodb();
        let table = format!("{prefix}{}", Table::Attributes.suffix());
        let described = client.describe_time_to_live().table_name(&table).send().await.expect("asking for the TTL");
        let ttl = described.time_to_live_description().expect("a description");
        assert_eq!(ttl.time_to_live_status(), Some(&TimeToLiveStatus::Enabled), "applying has switched it on");
        assert_eq!(ttl.attribute_name(), Some(TTL_ATTRIBUTE));
        let off = TimeToLiveSpecification::builder().attribute_name(TTL_ATTRIBUTE).enabled(false).build();
        let request = client.update_time_to_live().table_name(&table).time_to_live_specification(off.expect("a whole"));
        request.send().await.expect("switching the TTL off");
    }

    /// Another of ours on the same kind of backend.
    pub(super) async fn another(&self) -> Self {
        Self::of_ours(self.kind).await
    }

    /// Nothing yet.
    pub(super) async fn on_dynamodb(kind: Kind, indexing: Indexing, makes_tables: bool) -> Self {
        let (settings, login, client, server): (_, _, _, Box<dyn Any + Send + Sync>) = if kind == Kind::Ministack {
            let server = Ministack::start();
            (server.settings("interop"), server.login(), client_of(&server.endpoint()), Box::new(server))
        } else {
            let tables = TestTables::empty().await;
            (tables.settings(), tables.emulator().login(), tables.client().clone(), Box::new(tables))
        };
        let store = open(&settings, login, indexing);
        Self { kind, at: At::Dynamodb { settings, client, makes_tables, server }, store }
    }

    /// As we reach it.
    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The same, to be shared.
    pub(super) fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub(super) fn backend(&self) -> BackendKind {
        self.store.backend()
    }

    /// Our program on it, which must be reachable from another process.
    pub(super) fn maintd(&self) -> Maintd {
        match &self.at {
            At::Postgresql(db) => Maintd::on(db),
            At::Dynamodb { server, .. } => {
                Maintd::beside(server.downcast_ref::<TestTables>().expect("a DynamoDB in this process"))
            }
        }
    }

    /// A client for the test's own requests to DynamoDB, and what the tables' names begin with.
    pub(super) fn dynamodb(&self) -> (&Client, &str) {
        match &self.at {
            At::Dynamodb { client, settings, .. } => (client, &settings.table_prefix),
            At::Postgresql(_) => panic!("this place is not on DynamoDB"),
        }
    }

    /// Runs one of the scripts beside this file. Returns the document that it prints.
    pub(super) async fn python(&self, script: &str) -> serde_json::Value {
        self.python_with(script, Vec::new()).await
    }

    /// The same, with more variables in its environment.
    pub(super) async fn python_with(
        &self,
        script: &str,
        more: Vec<(&'static str, Option<String>)>,
    ) -> serde_json::Value {
        let mut environment = match &self.at {
            At::Postgresql(db) => on_postgresql(db, ""),
            At::Dynamodb { settings, makes_tables, .. } => on_dynamodb(settings, *makes_tables),
        };
        environment.extend(more);
        let printed = python_file(&environment, &format!("tests/it/library/interop/{script}.py")).await;
        serde_json::from_str(&printed).expect("a document")
    }

    /// Every attribute with its value as a text and its TTL, in the order of the keys.
    pub(super) async fn attributes(&self) -> Vec<serde_json::Value> {
        let mut rows: Vec<serde_json::Value> = match &self.at {
            At::Postgresql(db) => {
                let sql = "SELECT jsonb_build_object('id', id, 'bucket_name', bucket_name, 'bucket', bucket, 'name', name, \
                               'data', data::text, 'ttl', ttl_timestamp)::text FROM attributes";
                let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(db.pool()).await.expect("reading attributes");
                rows.iter().map(|row| serde_json::from_str(row).expect("a document")).collect()
            }
            At::Dynamodb { client, settings, .. } => {
                let items = items(client, &format!("{}{}", settings.table_prefix, Table::Attributes.suffix())).await;
                let text = |item: &Item, name: &str| item.get(name).and_then(|value| value.as_s().ok().cloned());
                let ttl = |item: &Item| item.get(TTL_ATTRIBUTE)?.as_n().ok()?.parse::<i64>().ok();
                let row = |item: &Item| {
                    let [id, bucket_name, bucket, name, data] =
                        ["id", "bucket_name", "bucket", "name", "data"].map(|name| text(item, name));
                    serde_json::json!({
                        "id": id, "bucket_name": bucket_name, "bucket": bucket, "name": name, "data": data, "ttl": ttl(item),
                    })
                };
                items.iter().map(row).collect()
            }
        };
        rows.sort_by_key(|row| (row["id"].to_string(), row["bucket_name"].to_string()));
        rows
    }

    /// Everything that is stored, as the backend has it, in the order of the keys.
    pub(super) async fn raw(&self) -> Raw {
        let mut raw = Raw::new();
        for table in Table::ALL {
            let mut rows = match &self.at {
                At::Postgresql(db) => raw_rows(db, table).await,
                At::Dynamodb { client, settings, .. } => {
                    raw_items(client, &format!("{}{}", settings.table_prefix, table.suffix())).await
                }
            };
            rows.sort();
            raw.insert(table, rows);
        }
        raw
    }
}

fn open(settings: &Settings, login: Login, indexing: Indexing) -> Arc<dyn Store> {
    let metrics = Arc::new(Metrics::new("test", "test"));
    // Longer than in life: the tests' machine may be busy.
    Arc::new(DynamoDb::new(settings.clone(), login, Duration::from_secs(60), metrics).indexed(indexing))
}

/// What is stored: each row by the names of its columns or attributes.
pub(super) type Raw = BTreeMap<Table, Vec<BTreeMap<String, String>>>;

async fn raw_rows(db: &TestDb, table: Table) -> Vec<BTreeMap<String, String>> {
    let columns: Vec<&str> = postgresql_columns(table).iter().map(|column| column.name).collect();
    let list: Vec<String> = columns.iter().map(|name| format!("\"{name}\"::text")).collect();
    let sql = format!("SELECT {} FROM {table}", list.join(", "));
    let mut connection = db.pool().acquire().await.expect("a connection");
    sqlx::query("SET TIME ZONE 'UTC'").execute(&mut *connection).await.expect("setting the time zone");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.expect("reading a table");
    let cell = |row: &sqlx::postgres::PgRow, index: usize| row.get::<Option<String>, _>(index);
    rows.iter()
        .map(|row| {
            let cells = columns.iter().enumerate();
            cells.filter_map(|(index, name)| Some(((*name).to_owned(), cell(row, index)?))).collect()
        })
        .collect()
}

async fn raw_items(client: &Client, table: &str) -> Vec<BTreeMap<String, String>> {
    let items = items(client, table).await;
    items.into_iter().map(|item| item.into_iter().map(|(name, value)| (name, format!("{value:?}"))).collect()).collect()
}

/// Both have the same stored, but for the moments at which they stored it.
pub(super) fn assert_alike(one: &Raw, other: &Raw) {
    for (table, rows) in one {
        let others = &other[table];
        assert_eq!(rows.len(), others.len(), "{table}");
        for (row, other) in rows.iter().zip(others) {
            let names = |row: &BTreeMap<String, String>| row.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(row), names(other), "{table}: {row:?}, {other:?}");
            for (name, value) in row {
                let is_near = is_a_moment(*table, name) && are_near(value, &other[name]);
                assert!(value == &other[name] || is_near, "{table} {name}: {value}, {}; {row:#?}", other[name]);
            }
        }
    }
}

/// What shows when something was done.
fn is_a_moment(table: Table, name: &str) -> bool {
    matches!(
        (table, name),
        (Table::Actors, "created_at")
            | (Table::Attributes, "ttl_timestamp")
            | (Table::SubscriptionDiffs, "timestamp")
            | (Table::SubscriptionSuspensions, "suspended_at")
    )
}

/// Whether two moments are of the same form and not far from each other.
fn are_near(one: &str, other: &str) -> bool {
    // PostgreSQL leaves out zeros at the end.
    let same_form = one.len() == other.len() || !one.starts_with("S(");
    same_form && seconds(one).is_some() && seconds(one).zip(seconds(other)).is_some_and(|(a, b)| (a - b).abs() < 900)
}

fn seconds(moment: &str) -> Option<i64> {
    let text = moment.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '-');
    let text = text.trim_end_matches(['"', ')']);
    let time = text.get(..19).map(|time| time.replace('T', " "));
    let time = time.and_then(|time| NaiveDateTime::parse_from_str(&time, "%Y-%m-%d %H:%M:%S").ok());
    time.map(|time| time.and_utc().timestamp()).or_else(|| text.parse().ok())
}
