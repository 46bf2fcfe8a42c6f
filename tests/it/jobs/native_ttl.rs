//! Whether DynamoDB itself deletes what has expired, as `ttl_cleanup` finds it.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::ttl_cleanup::{self, NativeTtl, Settings};
use actingweb_maintd::jobs::{self, Place};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::runner::{Ran, Start};
use actingweb_maintd::storage::NativeTtl::{Off, On};
use actingweb_maintd::storage::dynamodb::{self, DynamoDb};
use actingweb_maintd::storage::{NativeExpiry, Store};
use actingweb_maintd::throttle::{self, Budget};
use actingweb_maintd::work::{Outcome, Progress, Run, Severity, Stop};
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveSpecification};

use crate::harness::dynamodb::TestTables;
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};
use crate::harness::runner::{job_of, run_job, runner, runner_of};

fn settings(sweep: bool, native_ttl: NativeTtl) -> jobs::Settings {
    let ttl_cleanup = Settings { sweep, native_ttl, ..Settings::default() };
    jobs::Settings { ttl_cleanup, ..jobs::Settings::default() }
}

async fn run(tables: &TestTables, sweep: bool, native_ttl: NativeTtl) -> Run {
    run_job(&runner(&tables.store()), ttl_cleanup::NAME, &settings(sweep, native_ttl)).await
}

fn kinds(run: &Run) -> Vec<(&str, Severity)> {
    run.report.defects.iter().map(|finding| (finding.kind.as_str(), finding.severity)).collect()
}

async fn switch(tables: &TestTables, attribute: &str, enabled: bool) {
    let how = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(enabled).build().unwrap();
    let request = tables.client().update_time_to_live().table_name(tables.name(Table::Attributes));
    request.time_to_live_specification(how).send().await.unwrap();
}

#[tokio::test]
async fn where_it_works_a_run_that_does_not_sweep_deletes_nothing_and_finds_nothing() {
    let tables = TestTables::new().await;
    tables.add_attributes("sessions", 30, -60).await;
    tables.add_attributes("sessions", 30, 600).await;
    let told = run(&tables, false, NativeTtl::Check).await;
    assert_eq!((told.outcome, told.report.deleted, told.report.examined), (Some(Outcome::Succeeded), 0, 60));
    assert_eq!(kinds(&told), []);
    assert_eq!(tables.count_attributes().await, 60);
    let swept = run(&tables, true, NativeTtl::Check).await;
    assert_eq!((swept.outcome, swept.report.deleted, swept.report.examined), (Some(Outcome::Succeeded), 30, 60));
    assert_eq!(kinds(&swept), []);
    assert_eq!(tables.count_attributes().await, 30);
}

#[tokio::test]
async fn what_is_off_is_told_and_switched_on_on_request_only() {
    let tables = TestTables::new().await;
    switch(&tables, "ttl_timestamp", false).await;
    assert_eq!(tables.store().native_ttl().await.unwrap(), Off);
    assert_eq!(kinds(&run(&tables, false, NativeTtl::Check).await), [("off", Severity::Critical)]);
    assert_eq!(kinds(&run(&tables, true, NativeTtl::Check).await), [("off", Severity::Warning)]);
    assert_eq!(kinds(&run(&tables, true, NativeTtl::Ignore).await), []);
    let runner = runner(&tables.store());
    let job = job_of(&runner, ttl_cleanup::NAME, &settings(false, NativeTtl::Enable));
    let preview = job.preview(&*runner.store).await.unwrap();
    assert_eq!(preview.defects[0].kind, "off");
    assert_eq!(tables.store().native_ttl().await.unwrap(), Off, "a dry run changes nothing");
    assert_eq!(kinds(&run(&tables, false, NativeTtl::Enable).await), []);
    assert_eq!(tables.store().native_ttl().await.unwrap(), On("ttl_timestamp".to_owned()));
    assert_eq!(kinds(&run(&tables, false, NativeTtl::Check).await), []);
}

#[tokio::test]
async fn a_wrong_attribute_is_told_and_never_changed() {
    let tables = TestTables::new().await;
    switch(&tables, "ttl_timestamp", false).await;
    switch(&tables, "expires", true).await;
    for mode in [NativeTtl::Check, NativeTtl::Enable] {
        assert_eq!(kinds(&run(&tables, true, mode).await), [("wrong_attribute", Severity::Critical)]);
        assert_eq!(tables.store().native_ttl().await.unwrap(), On("expires".to_owned()));
    }
}

#[tokio::test]
async fn rows_that_it_cannot_delete_are_told_and_counted() {
    let tables = TestTables::new().await;
    tables.add_attributes("old", 2, -6 * 365 * 86_400).await;
    tables.add_attributes("late", 3, -3 * 86_400).await;
    // In milliseconds it would be about the year 50,000.
    tables.add_attributes("far", 1, 1_500_000_000_000).await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = [("id", "a"), ("bucket_name", "b:n"), ("bucket", "b"), ("name", "n"), ("ttl_timestamp", "1")];
    tables.put_raw(Table::Attributes, item.map(|(name, value)| (name.to_owned(), text(value))).into()).await;
    let runner = runner(&tables.store());
    let told = run_job(&runner, ttl_cleanup::NAME, &settings(false, NativeTtl::Check)).await;
    let expected = ["not_a_number", "not_in_seconds", "too_old", "stalled"].map(|kind| (kind, Severity::Critical));
    assert_eq!(kinds(&told), expected);
    let rows: Vec<_> = told.report.defects.iter().map(|finding| finding.rows).collect();
    assert_eq!(rows, [Some(1), Some(1), Some(2), None]);
    let text = runner.metrics.encode();
    let line = |severity: &str, count: u64| {
        format!("maintd_findings{{backend=\"dynamodb\",check=\"native_ttl\",severity=\"{severity}\"}} {count}\n")
    };
    assert!(text.contains(&line("critical", 4)) && text.contains(&line("warning", 0)), "{text}");
    // Swept, some of them are dealt with, and do not come again.
    let swept = run(&tables, true, NativeTtl::Check).await;
    assert_eq!((swept.report.deleted, kinds(&swept).len()), (5, 4));
    let again = run(&tables, true, NativeTtl::Check).await;
    assert_eq!(kinds(&again), ["not_a_number", "not_in_seconds"].map(|kind| (kind, Severity::Critical)));
}

#[tokio::test]
async fn being_refused_is_a_finding_and_the_rest_is_done() {
    let tables = TestTables::new().await;
    switch(&tables, "ttl_timestamp", false).await;
    tables.add_attributes("sessions", 30, -60).await;
    let proxy = DynamoDbProxy::start(tables.emulator().endpoint()).await;
    let at_proxy = dynamodb::Settings { endpoint_url: Some(proxy.endpoint()), ..tables.settings() };
    let metrics = Arc::new(Metrics::new("test", "test"));
    let store = DynamoDb::new(at_proxy, tables.emulator().login(), Duration::from_secs(10), metrics);
    let runner = runner_of(Arc::new(store) as Arc<dyn Store>);
    proxy.play(|seen| {
        (seen.operation == "UpdateTimeToLive").then_some(Fault::Refused(400, "AccessDeniedException", "not authorized"))
    });
    let run = run_job(&runner, ttl_cleanup::NAME, &settings(true, NativeTtl::Enable)).await;
    assert_eq!((run.outcome, run.report.deleted), (Some(Outcome::Succeeded), 30));
    assert_eq!(kinds(&run), [("off", Severity::Warning)]);
    assert!(run.report.defects[0].what.contains("not authorized"), "{:?}", run.report.defects);
    // What passes is waited for.
    proxy.play(|seen| (seen.operation == "UpdateTimeToLive" && seen.nth <= 6).then_some(Fault::Page(503)));
    let run = run_job(&runner, ttl_cleanup::NAME, &settings(true, NativeTtl::Enable)).await;
    assert_eq!((run.outcome, kinds(&run)), (Some(Outcome::Succeeded), Vec::new()));
    assert!(proxy.faults() >= 6);
}

#[tokio::test]
async fn segments_share_the_budget() {
    let tables = TestTables::new().await;
    tables.add_attributes("sessions", 400, -60).await;
    let place = Place { backend: BackendKind::Dynamodb, budget: Arc::new(Budget::new(1_000, 400)) };
    let jobs = jobs::registry(&jobs::Settings::default(), &throttle::Settings::default(), &[place]);
    let job = jobs.into_iter().find(|job| job.name() == ttl_cleanup::NAME).unwrap();
    let runner = runner(&tables.store());
    let run = match runner.run(&job, Start::Manual, &Stop::new(), &Progress::new()).await.unwrap() {
        Ran::Ended(run) => *run,
        other => panic!("{other:?}"),
    };
    assert_eq!((run.outcome, run.report.deleted, run.report.examined), (Some(Outcome::Succeeded), 400, 400));
    assert!(run.report.waited["budget"] > 0.0, "{:?}", run.report.waited);
}
