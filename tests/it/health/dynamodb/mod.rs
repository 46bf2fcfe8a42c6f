//! The same on DynamoDB: with the stand-in in this process, with moto as the second opinion, and with a proxy that
//! tells what no stand-in ever shows.

mod capacity;
mod command;
mod healthy;
mod indexes;
mod plan;
mod repair;
mod sample;
mod settings;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::health::{self, Criteria, Examined, Finding, RepairLimits, Visit};
use actingweb_maintd::jobs::{self, index_health};
use actingweb_maintd::metrics::{Check, Metrics};
use actingweb_maintd::storage::Store;
use actingweb_maintd::storage::dynamodb::{DynamoDb, Settings};
use actingweb_maintd::throttle::{self, Budget};
use actingweb_maintd::work::{Progress, Repaired, Run, Stop};
use serde_json::Value;

use crate::harness::dynamodb::TestTables;
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault, Seen};
use crate::harness::runner::{run_job, runner};

/// Whoever looks and repairs, without a runner.
struct Visitor {
    criteria: Criteria,
    limits: RepairLimits,
    throttle: throttle::Settings,
    budget: Budget,
    stop: Stop,
    progress: Progress,
}

impl Visitor {
    fn new(settings: &index_health::Settings) -> Self {
        Self {
            criteria: settings.criteria(),
            limits: settings.repair_limits(),
            throttle: throttle::Settings::default(),
            budget: Budget::default(),
            stop: Stop::new(),
            progress: Progress::new(),
        }
    }

    fn visit(&self) -> Visit<'_> {
        let Self { criteria, limits, throttle, budget, stop, progress } = self;
        Visit { criteria, limits, throttle, budget, earlier: None, stop, progress, run: None }
    }

    async fn look(&self, store: &dyn Store) -> Examined {
        health::examine(store, self.visit()).await.expect("looking")
    }

    /// Repairs the one finding that there is.
    async fn repair(&self, store: &dyn Store, finding: &Finding) -> Repaired {
        let cure = finding.cure.as_ref().expect("a cure");
        health::repair(store, self.visit(), finding, cure).await.expect("repairing")
    }
}

/// The only finding.
fn only(examined: &Examined) -> &Finding {
    match &examined.findings[..] {
        [finding] => finding,
        findings => panic!("{findings:#?}"),
    }
}

/// What `store` shows with the default settings.
async fn look(store: &dyn Store) -> Examined {
    Visitor::new(&index_health::Settings::default()).look(store).await
}

/// The same, with rows.
async fn look_deep(store: &dyn Store) -> Examined {
    Visitor::new(&deep()).look(store).await
}

fn deep() -> index_health::Settings {
    index_health::Settings { deep: true, ..index_health::Settings::default() }
}

/// The only finding, and it is of this check and about this object.
async fn finds(store: &dyn Store, check: Check, object: &str) -> Finding {
    let examined = look(store).await;
    let finding = only(&examined);
    assert_eq!((finding.check, finding.object.as_str()), (check, object), "{finding:?}");
    assert!(!finding.remedy.is_empty());
    finding.clone()
}

async fn finds_nothing(store: &dyn Store) {
    let examined = look(store).await;
    assert_eq!((examined.findings, examined.notes), (vec![], vec![]));
}

/// Runs the job with the lease, repairing everything that it can.
async fn run_repairing(store: &Arc<DynamoDb>) -> Run {
    let repair = health::REPAIRABLE.map(Check::name).map(str::to_owned).to_vec();
    run_with(store, index_health::Settings { repair, ..index_health::Settings::default() }).await
}

async fn run_with(store: &Arc<DynamoDb>, index_health: index_health::Settings) -> Run {
    let settings = jobs::Settings { index_health, ..jobs::Settings::default() };
    run_job(&runner(store), index_health::NAME, &settings).await
}

fn kinds(run: &Run) -> Vec<&str> {
    run.report.defects.iter().map(|defect| defect.kind.as_str()).collect()
}

/// A store behind a proxy in front of these tables.
async fn proxied(tables: &TestTables) -> (DynamoDbProxy, Arc<DynamoDb>) {
    let proxy = DynamoDbProxy::start(tables.emulator().endpoint()).await;
    let settings = Settings { endpoint_url: Some(proxy.endpoint()), ..tables.settings() };
    let metrics = Arc::new(Metrics::new("test", "test"));
    let store = DynamoDb::new(settings, tables.emulator().login(), Duration::from_secs(10), metrics);
    (proxy, Arc::new(store))
}

/// A script by which the description of a table has these values in these places.
fn describes(
    table: String,
    changes: Vec<(&'static str, Value)>,
) -> impl FnMut(Seen<'_>) -> Option<Fault> + Send + 'static {
    move |seen| (seen.operation == "DescribeTable" && seen.table == table).then(|| Fault::Told(changes.clone()))
}

/// A script by which whoever asks for this is turned away.
fn refuses(
    operation: &'static str,
    code: &'static str,
    message: &'static str,
) -> impl FnMut(Seen<'_>) -> Option<Fault> + Send + 'static {
    move |seen| (seen.operation == operation).then_some(Fault::Refused(400, code, message))
}
