//! Repairs that are put off, refused, cut short, or of which the answer is lost.

use actingweb_maintd::health::Finding;
use actingweb_maintd::jobs::index_health;
use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::{Table, clock};
use actingweb_maintd::storage::Store;
use actingweb_maintd::work::{RepairOutcome, StopReason};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::plan::{Plan, switch_expiry};
use super::{Visitor, describes, finds, finds_nothing, kinds, look, only, proxied, refuses, run_with};
use crate::harness::dynamodb::TestTables;
use crate::harness::dynamodb_proxy::{Fault, Seen};

fn visitor() -> Visitor {
    Visitor::new(&index_health::Settings::default())
}

async fn without_index() -> TestTables {
    let tables = TestTables::new().await;
    Plan::of(Table::Actors).replace(&tables, Table::Actors).await;
    tables
}

async fn finding(store: &dyn Store) -> Finding {
    only(&look(store).await).clone()
}

#[tokio::test]
async fn a_repair_waits_until_the_index_is_built() {
    let tables = without_index().await;
    let (proxy, store) = proxied(&tables).await;
    let found = finding(&*store).await;
    // Looked at before and by the change itself; then the description lags behind, and then it is built.
    proxy.play(|seen| {
        let building = json!("CREATING");
        let told = match (seen.operation, seen.nth) {
            ("DescribeTable", 3) => vec![("/Table/GlobalSecondaryIndexes", json!([]))],
            ("DescribeTable", 4) => vec![("/Table/GlobalSecondaryIndexes/0/IndexStatus", building)],
            ("DescribeTable", 5) => vec![
                ("/Table/GlobalSecondaryIndexes/0/IndexStatus", building),
                ("/Table/GlobalSecondaryIndexes/0/Backfilling", json!(true)),
            ],
            _ => return None,
        };
        Some(Fault::Told(told))
    });
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    assert_eq!((proxy.faults(), proxy.count("DescribeTable"), proxy.count("UpdateTable")), (3, 6, 1));
    proxy.heal();
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn whoever_is_stopped_leaves_the_rest_to_dynamodb() {
    let tables = without_index().await;
    let (proxy, store) = proxied(&tables).await;
    let found = finding(&*store).await;
    let stopped = visitor();
    stopped.stop.request(StopReason::Shutdown);
    proxy.play(|seen| {
        let building = vec![("/Table/GlobalSecondaryIndexes/0/IndexStatus", json!("CREATING"))];
        (seen.operation == "DescribeTable" && seen.table.ends_with("_actors") && seen.nth > 2)
            .then_some(Fault::Told(building))
    });
    let repaired = stopped.repair(&*store, &found).await;
    assert_eq!(repaired.outcome, RepairOutcome::GoingOn, "{repaired:?}");
    // Whoever comes next finds it at work and begins nothing anew; when it comes for the same, it waits.
    proxy.play(describes(
        tables.name(Table::Actors),
        vec![("/Table/GlobalSecondaryIndexes/0/IndexStatus", json!("CREATING"))],
    ));
    finds(&*store, Check::IndexBuilding, &found.object).await;
    let repaired = stopped.repair(&*store, &found).await;
    assert_eq!((repaired.outcome, proxy.count("UpdateTable")), (RepairOutcome::GoingOn, 0));
    proxy.heal();
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn a_lost_answer_does_not_make_an_index_twice() {
    for fault in [Fault::Unanswered, Fault::CutOff, Fault::Doubtful, Fault::Unsent] {
        let tables = without_index().await;
        let (proxy, store) = proxied(&tables).await;
        let found = finding(&*store).await;
        let lost = fault.clone();
        proxy.play(move |seen| (seen.operation == "UpdateTable" && seen.nth == 1).then(|| lost.clone()));
        let repaired = visitor().repair(&*store, &found).await;
        assert_eq!((repaired.outcome, proxy.faults()), (RepairOutcome::Done, 1), "{fault:?}: {repaired:?}");
        finds_nothing(&*store).await;
    }
}

#[tokio::test]
async fn a_table_that_is_being_changed_is_put_off() {
    let tables = without_index().await;
    let (proxy, store) = proxied(&tables).await;
    let found = finding(&*store).await;
    proxy.play(describes(tables.name(Table::Actors), vec![("/Table/TableStatus", json!("UPDATING"))]));
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!((repaired.outcome, proxy.count("UpdateTable")), (RepairOutcome::PutOff, 0));
    assert!(repaired.what.contains("is UPDATING"), "{repaired:?}");
    for (code, outcome) in [
        ("ResourceInUseException", RepairOutcome::PutOff),
        ("LimitExceededException", RepairOutcome::PutOff),
        ("ValidationException", RepairOutcome::Failed),
        ("AccessDeniedException", RepairOutcome::Failed),
    ] {
        proxy.play(refuses("UpdateTable", code, "Nobody can do that now"));
        let repaired = visitor().repair(&*store, &found).await;
        assert_eq!(repaired.outcome, outcome, "{repaired:?}");
        assert!(repaired.what.contains("Nobody can do that now"), "{repaired:?}");
        assert_eq!(repaired.what.contains("dynamodb:UpdateTable"), code == "AccessDeniedException", "{repaired:?}");
    }
    // When the table could be paid in another way again, has nothing to do with its indexes.
    proxy.play(switched_at(DateTime::from_timestamp(1_796_000_000, 0).unwrap()));
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!(
        (repaired.outcome, repaired.what.as_str()),
        (RepairOutcome::PutOff, "Too many switches (LimitExceededException)")
    );
    proxy.heal();
    finds(&*store, Check::IndexMissing, &found.object).await;
}

/// It would keep what the table has at this moment, and hold the table up as soon as that has more.
#[tokio::test]
async fn no_index_is_made_that_nothing_would_regulate_unlike_its_table() {
    let tables = TestTables::new().await;
    Plan::of(Table::Actors).with_units(40).replace(&tables, Table::Actors).await;
    let (proxy, store) = proxied(&tables).await;
    let found = finding(&*store).await;
    let raised = json!(clock::now().timestamp());
    let places = vec![("/Table/ProvisionedThroughput/LastIncreaseDateTime", raised)];
    proxy.play(describes(tables.name(Table::Actors), places));
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!((repaired.outcome, proxy.count("UpdateTable")), (RepairOutcome::PutOff, 0), "{repaired:?}");
    assert!(repaired.what.contains("the 40 units for reading and 40 for writing"), "{repaired:?}");
    assert!(repaired.what.contains("Application Auto Scaling"), "{repaired:?}");
    // Where nothing regulates the table either, there is nothing to wait for.
    proxy.heal();
    assert_eq!(visitor().repair(&*store, &found).await.outcome, RepairOutcome::Done);
    finds_nothing(&*store).await;
}

/// A table that was switched to be paid by request then, and is refused another change.
fn switched_at(since: DateTime<Utc>) -> impl Fn(Seen<'_>) -> Option<Fault> {
    move |seen: Seen<'_>| {
        let summary = json!({"BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": since.timestamp()});
        match seen.operation {
            "UpdateTable" => Some(Fault::Refused(400, "LimitExceededException", "Too many switches")),
            "DescribeTable" => Some(Fault::Told(vec![("/Table/BillingModeSummary", summary)])),
            _ => None,
        }
    }
}

#[tokio::test]
async fn a_table_that_was_switched_today_is_switched_later() {
    let tables = TestTables::new().await;
    let name = tables.name(Table::Subscriptions);
    Plan::of(Table::Subscriptions).with_units(1).replace(&tables, Table::Subscriptions).await;
    let (proxy, store) = proxied(&tables).await;
    let found = finds(&*store, Check::BillingMode, &name).await;
    let since = DateTime::from_timestamp(1_796_000_000, 0).unwrap();
    proxy.play(switched_at(since));
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!(repaired.outcome, RepairOutcome::PutOff);
    let again = (since + chrono::TimeDelta::hours(24)).format("%F %R UTC").to_string();
    assert!(repaired.what.contains("Too many switches") && repaired.what.contains(&again), "{repaired:?}");
    // It takes a while, in which the table is changed and used.
    let updating = tables.name(Table::Subscriptions);
    proxy.play(move |seen| {
        let told = vec![("/Table/TableStatus", json!("UPDATING"))];
        (seen.operation == "DescribeTable" && seen.table == updating && seen.nth == 2).then_some(Fault::Told(told))
    });
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!((repaired.outcome, proxy.faults()), (RepairOutcome::Done, 1), "{repaired:?}");
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn expiry_that_cannot_be_switched_on_says_why() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    switch_expiry(tables.client(), &tables.name(Table::Attributes), "ttl_timestamp", false).await;
    let found = finding(&*store).await;
    for (code, said, outcome, what) in [
        (
            "ValidationException",
            "Time to live has been modified multiple times within a fixed interval",
            RepairOutcome::PutOff,
            Some("once an hour"),
        ),
        ("ValidationException", "Time to live is already disabled", RepairOutcome::Failed, None),
        ("ResourceInUseException", "the table is being changed", RepairOutcome::PutOff, None),
        ("LimitExceededException", "too many changes at a time", RepairOutcome::PutOff, None),
        ("ThrottlingException", "Rate exceeded", RepairOutcome::PutOff, None),
        ("AccessDeniedException", "not authorized", RepairOutcome::Failed, Some("dynamodb:UpdateTimeToLive")),
    ] {
        proxy.play(refuses("UpdateTimeToLive", code, said));
        let repaired = visitor().repair(&*store, &found).await;
        assert_eq!(repaired.outcome, outcome, "{repaired:?}");
        assert!(repaired.what.contains(said) && what.is_none_or(|what| repaired.what.contains(what)), "{repaired:?}");
        assert_eq!(repaired.what.contains("once an hour"), what == Some("once an hour"), "{repaired:?}");
    }
    proxy.heal();
    assert_eq!(visitor().repair(&*store, &found).await.outcome, RepairOutcome::Done);
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn expiry_that_somebody_else_has_just_changed_is_not_taken_for_ours() {
    let tables = TestTables::new().await;
    let attributes = tables.name(Table::Attributes);
    let (proxy, store) = proxied(&tables).await;
    switch_expiry(tables.client(), &attributes, "ttl_timestamp", false).await;
    let found = finding(&*store).await;
    switch_expiry(tables.client(), &attributes, "expires", true).await;
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!(repaired.outcome, RepairOutcome::Failed, "{repaired:?}");
    assert!(repaired.what.contains("by `expires`, not by `ttl_timestamp`"), "{repaired:?}");
    assert_eq!(proxy.count("UpdateTimeToLive"), 0);

    switch_expiry(tables.client(), &attributes, "expires", false).await;
    let status = |status: &'static str| {
        move |seen: Seen<'_>| {
            let told = vec![("/TimeToLiveDescription/TimeToLiveStatus", json!(status))];
            (seen.operation == "DescribeTimeToLive" && seen.nth > 1).then_some(Fault::Told(told))
        }
    };
    for (shown, outcome) in [("DISABLING", RepairOutcome::Failed), ("DISABLED", RepairOutcome::GoingOn)] {
        proxy.play(status(shown));
        let repaired = visitor().repair(&*store, &found).await;
        assert_eq!((repaired.outcome, proxy.count("UpdateTimeToLive")), (outcome, 1), "{shown}: {repaired:?}");
        switch_expiry(tables.client(), &attributes, "ttl_timestamp", false).await;
    }
    proxy.heal();
    assert_eq!(visitor().repair(&*store, &found).await.outcome, RepairOutcome::Done);
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn what_was_replaced_meanwhile_is_not_touched() {
    let tables = without_index().await;
    let store = tables.store();
    let found = finding(&*store).await;
    Plan::of(Table::Actors).by(&["pk"]).replace(&tables, Table::Actors).await;
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!(repaired.outcome, RepairOutcome::Failed, "{repaired:?}");
    tables.client().delete_table().table_name(tables.name(Table::Actors)).send().await.unwrap();
    let repaired = visitor().repair(&*store, &found).await;
    assert_eq!(repaired.outcome, RepairOutcome::Failed, "{repaired:?}");
    // Somebody was faster.
    Plan::of(Table::Actors)
        .indexed("creator-index", "creator")
        .make(tables.client(), &tables.name(Table::Actors))
        .await;
    assert_eq!(visitor().repair(&*store, &found).await.outcome, RepairOutcome::Done);
}

#[tokio::test]
async fn only_what_was_named_and_not_acknowledged_is_repaired() {
    let tables = without_index().await;
    let store = tables.store();
    let object = finding(&*store).await.object;
    let settings = |repair: &str, acknowledge: Option<String>| index_health::Settings {
        repair: vec![repair.to_owned()],
        acknowledge: acknowledge.into_iter().collect(),
        ..index_health::Settings::default()
    };
    let none = run_with(&store, settings("billing_mode", None)).await;
    assert_eq!((kinds(&none), none.report.remaining()), (vec!["index_missing"], 1));
    let known = Some(format!("index_missing {object}: it is made next week"));
    let none = run_with(&store, settings("index_missing", known)).await;
    assert_eq!((kinds(&none), none.report.remaining()), (vec!["index_missing"], 0));
    let done = run_with(&store, settings("index_missing", None)).await;
    assert_eq!((kinds(&done), done.report.remaining()), (vec![], 0));
}
