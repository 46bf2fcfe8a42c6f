//! The store on a DynamoDB that is throttled, does half of what it is asked, and fails.

mod answers;
mod batches;
mod lost_answers;
mod lost_states;
mod runs;
mod throttled;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::row::{Actor, Attribute, Property, Row};
use actingweb_maintd::model::{Record, Table, json};
use actingweb_maintd::storage::dynamodb::{DynamoDb, Settings};
use actingweb_maintd::storage::{Error, ErrorKind, Result};
use futures_util::future::BoxFuture;

use crate::harness::DEADLINE;
use crate::harness::dynamodb::TestTables;
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};

/// Something to do with a store, for one actor or job.
type Act<T> = fn(Arc<DynamoDb>, String) -> BoxFuture<'static, T>;

/// Tables, and the way to them that goes wrong.
struct Scene {
    tables: TestTables,
    proxy: DynamoDbProxy,
    /// Behind the proxy.
    store: Arc<DynamoDb>,
    /// Past it.
    direct: Arc<DynamoDb>,
}

impl Scene {
    /// Nothing takes too long: what is asked a second time only because the machine stood still would be counted twice.
    async fn new() -> Self {
        Self::leased(DEADLINE).await
    }

    /// No request lasts longer than half of `lease`.
    async fn leased(lease: Duration) -> Self {
        let tables = TestTables::new().await;
        let proxy = DynamoDbProxy::start(tables.emulator().endpoint()).await;
        let settings = Settings { endpoint_url: Some(proxy.endpoint()), ..tables.settings() };
        let metrics = Arc::new(Metrics::new("test", "test"));
        let store = Arc::new(DynamoDb::new(settings, tables.emulator().login(), lease, metrics));
        let direct = tables.store();
        Self { tables, proxy, store, direct }
    }

    /// Everything that is stored, in words that can be compared.
    async fn contents(&self) -> BTreeMap<String, Vec<String>> {
        let mut contents = BTreeMap::new();
        for name in Table::ALL.map(|table| self.tables.name(table)).into_iter().chain([self.tables.own_name()]) {
            let items = self.tables.dump(&name).await.into_iter();
            let items = items.map(|item| format!("{:?}", item.into_iter().collect::<BTreeMap<_, _>>()));
            let mut items: Vec<String> = items.collect();
            items.sort();
            contents.insert(name, items);
        }
        contents
    }
}

/// A request of an operation that goes wrong.
#[derive(Clone, Debug)]
struct Cut {
    fault: Fault,
    /// Which request, from 1.
    nth: u64,
    /// All after it go wrong as well.
    for_good: bool,
}

impl Cut {
    /// Lets it go wrong from now on.
    fn begin(&self, proxy: &DynamoDbProxy) {
        let Self { fault, nth, for_good } = self.clone();
        proxy.play(move |seen| (seen.of_all == nth || for_good && seen.of_all > nth).then(|| fault.clone()));
    }
}

/// Lets each request of what `test` does go wrong, in each way: once, and then for good. `test`
/// begins with what goes wrong when it has prepared everything.
async fn at_each_request(proxy: &DynamoDbProxy, faults: &[Fault], test: impl AsyncFn(Cut)) {
    for fault in faults {
        for for_good in [false, true] {
            for nth in 1.. {
                let cut = Cut { fault: fault.clone(), nth, for_good };
                test(cut).await;
                proxy.heal();
                if proxy.faults() == 0 {
                    assert!(nth > 1, "there was no request");
                    break;
                }
                assert!(nth < 50, "there is no end to the requests");
            }
        }
    }
}

/// What is reported when an answer was lost: what really happened, or that nobody knows.
fn assert_honest(reported: &Result<bool>, happened: bool, about: &str) {
    match reported {
        Ok(reported) => assert_eq!(*reported, happened, "{about}"),
        Err(error) => assert_unanswered(error, about),
    }
}

/// The error says that nobody knows.
fn assert_unanswered(error: &Error, about: &str) {
    let is_right = matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Timeout);
    assert!(is_right, "{about}: {:?}: {}", error.kind, error.chain());
}

/// An actor with what DynamoDB must have.
fn actor(id: &str) -> Actor {
    Actor { id: id.to_owned(), creator: "ada".to_owned(), ..Actor::default() }
}

fn property(id: &str, name: &str, value: &str) -> Property {
    Property { id: id.to_owned(), name: name.to_owned(), value: value.to_owned() }
}

fn value(text: &str) -> json::Value {
    json::parse(text).expect("JSON")
}

/// Attributes of an actor, and when they expire.
fn attributes(id: &str, count: usize, ttl_timestamp: Option<i64>) -> Vec<Record> {
    let attribute = |number: usize| Attribute {
        ttl_timestamp,
        ..Attribute::new(id, "numbers", &number.to_string(), Some(json::Value::Int(number.to_string())))
    };
    (0..count).map(|number| Record::from(Row::Attribute(attribute(number)))).collect()
}
