//! Whether attributes expire, and settings that every table is to have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::index_health;
use actingweb_maintd::metrics::{Check, Metrics};
use actingweb_maintd::model::Table;
use actingweb_maintd::storage::NativeExpiry;
use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::work::RepairOutcome;
use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, StreamSpecification, StreamViewType};
use serde_json::json;

use super::plan::{Plan, switch_expiry};
use super::{Visitor, finds, finds_nothing, kinds, look, only, proxied, refuses, run_repairing};
use crate::harness::dynamodb::{TestTables, client_of};
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};
use crate::harness::ministack::Ministack;

#[tokio::test]
async fn attributes_that_do_not_expire_are_found_and_do_so_from_then_on() {
    let tables = TestTables::new().await;
    let attributes = tables.name(Table::Attributes);
    let store = tables.store();
    switch_expiry(tables.client(), &attributes, "ttl_timestamp", false).await;
    let finding = finds(&*store, Check::TimeToLive, &attributes).await;
    assert!(finding.what.contains("does not expire"), "{finding:?}");
    let run = run_repairing(&store).await;
    let repairs = run.report.health.as_ref().expect("what was seen").repairs.clone();
    assert_eq!(repairs.iter().map(|repaired| repaired.outcome).collect::<Vec<_>>(), [RepairOutcome::Done]);
    assert_eq!(kinds(&run), [""; 0]);
    finds_nothing(&*store).await;
    assert_eq!(run_repairing(&store).await.report.health.expect("what was seen").repairs, []);
}

#[tokio::test]
async fn expiry_by_another_attribute_is_told_and_never_changed() {
    let tables = TestTables::new().await;
    let attributes = tables.name(Table::Attributes);
    let store = tables.store();
    switch_expiry(tables.client(), &attributes, "ttl_timestamp", false).await;
    switch_expiry(tables.client(), &attributes, "expires", true).await;
    let before = store.native_ttl().await.unwrap();
    let finding = finds(&*store, Check::TimeToLive, &attributes).await;
    assert!(finding.what.contains("by `expires`, and ActingWeb stores `ttl_timestamp`"), "{finding:?}");
    assert_eq!(finding.cure, None);
    assert_eq!(kinds(&run_repairing(&store).await), ["time_to_live"]);
    assert_eq!(store.native_ttl().await.unwrap(), before);
}

#[tokio::test]
async fn expiry_that_starts_is_well_and_expiry_that_stops_is_not() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    let status = |status: &'static str| {
        move |seen: crate::harness::dynamodb_proxy::Seen<'_>| {
            let told = vec![("/TimeToLiveDescription/TimeToLiveStatus", json!(status))];
            (seen.operation == "DescribeTimeToLive").then_some(Fault::Told(told))
        }
    };
    proxy.play(status("ENABLING"));
    finds_nothing(&*store).await;
    proxy.play(status("DISABLING"));
    let finding = finds(&*store, Check::TimeToLive, &tables.name(Table::Attributes)).await;
    assert!(finding.what.contains("about to stop") && finding.cure.is_none(), "{finding:?}");
}

/// Whoever may not ask is told so, and whoever gets no answer as well; the rest is looked at.
#[tokio::test]
async fn no_answer_about_expiry_does_not_lose_the_look() {
    let tables = TestTables::new().await;
    Plan::of(Table::Trusts).replace(&tables, Table::Trusts).await;
    let (proxy, store) = proxied(&tables).await;
    for (code, said) in [("AccessDeniedException", "not authorized"), ("ThrottlingException", "Rate exceeded")] {
        proxy.play(refuses("DescribeTimeToLive", code, said));
        let examined = look(&*store).await;
        assert_eq!(only(&examined).check, Check::IndexMissing);
        let [note] = &examined.notes[..] else { panic!("{:?}", examined.notes) };
        assert!(note.contains("whether attributes expire") && note.contains(said), "{note}");
        assert_eq!(examined.unseen, BTreeSet::from([Check::TimeToLive]));
    }
}

fn expecting(expect: &[&str]) -> Visitor {
    let expect = expect.iter().map(|name| (*name).to_owned()).collect();
    Visitor::new(&index_health::Settings { expect, ..index_health::Settings::default() })
}

#[tokio::test]
async fn settings_are_only_looked_at_where_they_are_asked_for() {
    let tables = TestTables::new().await;
    let store = tables.store();
    finds_nothing(&*store).await;
    let visitor = expecting(&["deletion_protection", "streams"]);
    let found = visitor.look(&*store).await.findings;
    let objects: Vec<_> = found.iter().map(|finding| (finding.check, finding.object.clone())).collect();
    assert_eq!(objects, Table::ALL.map(|table| (Check::TableSettings, tables.name(table))));
    assert!(found[0].what.contains("no deletion_protection and no streams"), "{found:?}");
    assert!(found[0].remedy.contains("--deletion-protection-enabled` and `aws dynamodb"), "{found:?}");
    for table in Table::ALL {
        let change = tables.client().update_table().table_name(tables.name(table));
        change.deletion_protection_enabled(true).send().await.unwrap();
    }
    let found = visitor.look(&*store).await.findings;
    assert!(found.iter().all(|finding| finding.what.contains("has no streams,")), "{found:?}");
    for table in Table::ALL {
        let stream =
            StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
        let change = tables.client().update_table().table_name(tables.name(table));
        change.stream_specification(stream.build().unwrap()).send().await.unwrap();
    }
    assert_eq!(visitor.look(&*store).await.findings, []);
}

#[tokio::test]
async fn point_in_time_recovery_is_found_missing_and_whoever_may_not_ask_is_told() {
    let server = Ministack::start();
    let proxy = DynamoDbProxy::start(&server.endpoint()).await;
    let settings =
        actingweb_maintd::storage::dynamodb::Settings { endpoint_url: Some(proxy.endpoint()), ..server.settings("t") };
    let metrics = Arc::new(Metrics::new("test", "test"));
    let store = DynamoDb::new(settings, server.login(), Duration::from_secs(20), metrics);
    store.apply_schema(true).await.unwrap();
    let visitor = expecting(&["point_in_time_recovery"]);
    let found = visitor.look(&store).await.findings;
    assert_eq!(found.len(), Table::ALL.len());
    assert!(found[0].remedy.contains("update-continuous-backups"), "{found:?}");
    let client = client_of(&server.endpoint());
    for table in Table::ALL {
        let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build().unwrap();
        let change = client.update_continuous_backups().table_name(format!("t{}", table.suffix()));
        change.point_in_time_recovery_specification(on).send().await.unwrap();
    }
    assert_eq!(visitor.look(&store).await.findings, []);
    // Somebody who does not ask does not need to be let.
    proxy.play(refuses("DescribeContinuousBackups", "AccessDeniedException", "not authorized"));
    finds_nothing(&store).await;
    assert_eq!(proxy.faults(), 0);
    let examined = visitor.look(&store).await;
    assert_eq!((examined.findings, examined.notes.len(), proxy.faults()), (vec![], 1, 1));
    assert!(examined.notes[0].contains("not authorized"), "{:?}", examined.notes);
    assert_eq!(examined.unseen, BTreeSet::from([Check::TableSettings]));
    // Nor does it matter that nobody answers: what was not asked is told, and what was stays.
    proxy.play(|seen| (seen.operation == "DescribeContinuousBackups" && seen.nth > 1).then_some(Fault::Page(503)));
    let examined = visitor.look(&store).await;
    assert_eq!((examined.findings, examined.notes.len()), (vec![], 1));
    assert!(examined.notes[0].starts_with("from t_properties on"), "{:?}", examined.notes);
    assert_eq!(examined.unseen, BTreeSet::from([Check::TableSettings]));
}

/// As a stand-in does that has not all of DynamoDB.
#[tokio::test]
async fn what_cannot_be_asked_at_all_is_a_note() {
    let tables = TestTables::new().await;
    let examined = expecting(&["point_in_time_recovery"]).look(&*tables.store()).await;
    assert_eq!(examined.findings, []);
    let [note] = &examined.notes[..] else { panic!("{:?}", examined.notes) };
    assert!(note.contains("whether point-in-time recovery is on"), "{note}");
    assert_eq!(examined.unseen, BTreeSet::from([Check::TableSettings]));
}
