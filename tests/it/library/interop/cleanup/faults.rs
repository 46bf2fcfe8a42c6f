//! A DynamoDB whose answers get lost, and that refuses and is busy, while tokens are cleaned up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::{self, token_cleanup};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::Table;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::Store;
use actingweb_maintd::storage::dynamodb::{DynamoDb, Settings};
use actingweb_maintd::work::Outcome;
use fastrand::Rng;

use super::scene::Scene;
use crate::harness::dynamodb::TestTables;
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};
use crate::harness::runner::{run_job, runner, runner_of};
use crate::harness::seeds;

async fn tables(seed: u64) -> TestTables {
    let tables = TestTables::new().await;
    let store = tables.store() as Arc<dyn Store>;
    store.write(&Scene::new(seed, true).records()).await.expect("writing");
    tables
}

async fn keys(tables: &TestTables) -> BTreeSet<(String, String)> {
    let items = tables.dump(&tables.name(Table::Attributes)).await;
    let text = |item: &crate::harness::dynamodb::Item, name: &str| item[name].as_s().expect("text").clone();
    items.iter().map(|item| (text(item, "id"), text(item, "bucket_name"))).collect()
}

/// With each seed what is left is what is left when nothing goes wrong.
#[test]
fn whatever_answers_get_lost_the_same_rows_go() {
    seeds::with_each(20..23, async |seed| {
        let (calm, rough) = (tables(seed).await, tables(seed).await);
        assert_eq!(keys(&calm).await, keys(&rough).await);
        let token_cleanup = token_cleanup::Settings { batch_size: Bounded::new(20), ..Default::default() };
        let settings = jobs::Settings { token_cleanup, ..jobs::Settings::default() };
        run_job(&runner(&calm.store()), token_cleanup::NAME, &settings).await;

        let proxy = DynamoDbProxy::start(rough.emulator().endpoint()).await;
        let at_proxy = Settings { endpoint_url: Some(proxy.endpoint()), ..rough.settings() };
        let metrics = Arc::new(Metrics::new("test", "test"));
        let store = DynamoDb::new(at_proxy, rough.emulator().login(), Duration::from_secs(60), metrics);
        let mut rng = Rng::with_seed(seed);
        proxy.play(move |seen| {
            // What the daemon keeps for itself has tests of its own.
            let is_work = matches!(seen.operation, "Scan" | "BatchGetItem" | "DeleteItem" | "TransactWriteItems");
            let fault =
                if rng.bool() { Fault::THROTTLED } else { Fault::LOSSES[rng.usize(0..Fault::LOSSES.len())].clone() };
            (is_work && rng.u8(0..12) == 0).then_some(fault)
        });
        let run = run_job(&runner_of(Arc::new(store) as Arc<dyn Store>), token_cleanup::NAME, &settings).await;
        assert_eq!(keys(&rough).await, keys(&calm).await, "seed {seed}: {run:#?}");
        assert_eq!((run.outcome, run.report.more), (Some(Outcome::Succeeded), false), "seed {seed}: {run:#?}");
        assert!(proxy.faults() > 5, "{} faults", proxy.faults());
    });
}
