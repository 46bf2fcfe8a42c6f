//! A DynamoDB of its own for each test.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::demo::dynamodb::Emulator;
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::{Indexing, Table, clock, layout};
use actingweb_maintd::storage::Upkeep;
use actingweb_maintd::storage::dynamodb::{DynamoDb, Settings};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The tables of one test, in a DynamoDB that ends with this value.
pub(crate) struct TestTables {
    emulator: Emulator,
    prefix: String,
    client: Client,
}

impl TestTables {
    /// The application's tables and the daemon's own, and no rows.
    pub(crate) async fn new() -> Self {
        let tables = Self::empty().await;
        tables.store().apply(true).await.expect("making the tables");
        tables
    }

    /// No tables.
    pub(crate) async fn empty() -> Self {
        let emulator = Emulator::start().await.expect("a DynamoDB in this process");
        let prefix = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let client = client_of(emulator.endpoint());
        Self { emulator, prefix, client }
    }

    /// The server.
    pub(crate) fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// What the tables' names begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How to reach the tables.
    pub(crate) fn settings(&self) -> Settings {
        self.emulator.settings(&self.prefix)
    }

    /// The store on the tables. Each has connections of its own.
    pub(crate) fn store(&self) -> Arc<DynamoDb> {
        Arc::new(self.open())
    }

    /// The store, finding actors by what they store as `indexing` says.
    pub(crate) fn indexed(&self, indexing: Indexing) -> Arc<DynamoDb> {
        Arc::new(self.open().indexed(indexing))
    }

    fn open(&self) -> DynamoDb {
        let metrics = Arc::new(Metrics::new("test", "test"));
        DynamoDb::new(self.settings(), self.emulator.login(), Duration::from_secs(10), metrics)
    }

    /// A client for the test's own requests.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The name of a table.
    pub(crate) fn name(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.suffix())
    }

    /// The name of the daemon's own table.
    pub(crate) fn own_name(&self) -> String {
        format!("{}_maintd", self.prefix)
    }

    /// The item under a key of one part or two, as it is stored.
    pub(crate) async fn raw(&self, table: Table, hash: &str, range: Option<&str>) -> Option<Item> {
        let (hash_name, range_name) = layout::dynamodb_key(table);
        let mut request = self
            .client
            .get_item()
            .table_name(self.name(table))
            .consistent_read(true)
            .key(hash_name, AttributeValue::S(hash.to_owned()));
        if let (Some(name), Some(value)) = (range_name, range) {
            request = request.key(name, AttributeValue::S(value.to_owned()));
        }
        request.send().await.expect("reading an item").item
    }

    /// Puts an item as it is, as another program would.
    pub(crate) async fn put_raw(&self, table: Table, item: Item) {
        let request = self.client.put_item().table_name(self.name(table)).set_item(Some(item));
        request.send().await.expect("putting an item");
    }

    /// Adds `count` attributes whose TTL lies `from_now` seconds from now, in `bucket`.
    pub(crate) async fn add_attributes(&self, bucket: &str, count: usize, from_now: i64) {
        let ttl = clock::now().timestamp() + from_now;
        for n in 0..count {
            let name = format!("{from_now} {n}");
            let item = [
                ("id", AttributeValue::S(format!("actor-{}", n % 7))),
                ("bucket_name", AttributeValue::S(format!("{bucket}:{name}"))),
                ("bucket", AttributeValue::S(bucket.to_owned())),
                ("name", AttributeValue::S(name)),
                ("ttl_timestamp", AttributeValue::N(ttl.to_string())),
            ];
            self.put_raw(Table::Attributes, item.map(|(name, value)| (name.to_owned(), value)).into()).await;
        }
    }

    /// How many attributes there are.
    pub(crate) async fn count_attributes(&self) -> usize {
        self.dump(&self.name(Table::Attributes)).await.len()
    }

    /// All items of a table, as they are stored.
    pub(crate) async fn dump(&self, table: &str) -> Vec<Item> {
        items(&self.client, table).await
    }
}

/// A client for whoever is at `endpoint` and lets everybody in.
pub(crate) fn client_of(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// All items of a table, as they are stored.
pub(crate) async fn items(client: &Client, table: &str) -> Vec<Item> {
    let request = client.scan().table_name(table).consistent_read(true);
    let pages = request.into_paginator().items().send();
    pages.collect::<Result<Vec<_>, _>>().await.expect("reading a table")
}

#[tokio::test]
async fn an_emulator_answers_and_ends_with_its_value() {
    let tables = TestTables::empty().await;
    let listed = tables.client().list_tables().send().await.unwrap();
    assert_eq!(listed.table_names(), [] as [String; 0]);
    let address = tables.emulator().endpoint().trim_start_matches("http://").to_owned();
    drop(tables);
    crate::harness::eventually("nobody listens any more", async || {
        tokio::net::TcpStream::connect(&address).await.is_err()
    })
    .await;
}
