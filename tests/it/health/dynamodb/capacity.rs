//! Tables with a small capacity that was forgotten.

use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::{Indexing, Table, clock};
use actingweb_maintd::work::RepairOutcome;
use aws_sdk_dynamodb::types::BillingMode;
use chrono::TimeDelta;
use serde_json::json;

use super::plan::Plan;
use super::{describes, finds, finds_nothing, kinds, look, only, proxied, run_repairing};
use crate::harness::dynamodb::TestTables;

const RAISED: &str = "/Table/ProvisionedThroughput/LastIncreaseDateTime";
const LOWERED: &str = "/Table/ProvisionedThroughput/LastDecreaseDateTime";

#[tokio::test]
async fn a_small_capacity_is_found_and_paid_by_request_from_then_on() {
    let tables = TestTables::new().await;
    let store = tables.store();
    for (plan, what) in [
        (Plan::of(Table::Trusts).with_units(4), ["with 4 for reading and 4 for writing", "its index `secret-index`"]),
        (
            Plan::of(Table::Trusts).with_units(100).with_index_units(1),
            ["its index `secret-index` with 1 for reading and 1 for writing", "logins among it"],
        ),
    ] {
        plan.indexed("secret-index", "secret").replace(&tables, Table::Trusts).await;
        let name = tables.name(Table::Trusts);
        let finding = finds(&*store, Check::BillingMode, &name).await;
        assert!(what.iter().all(|what| finding.what.contains(what)), "{finding:?}");
        let run = run_repairing(&store).await;
        let repairs = run.report.health.as_ref().expect("what was seen").repairs.clone();
        let repaired: Vec<_> = repairs.iter().map(|repaired| (repaired.outcome, &repaired.object)).collect();
        assert_eq!(repaired, [(RepairOutcome::Done, &name)]);
        assert_eq!(kinds(&run), [""; 0]);
        finds_nothing(&*store).await;
        let table = tables.client().describe_table().table_name(&name).send().await.unwrap().table.unwrap();
        assert_eq!(table.billing_mode_summary().unwrap().billing_mode(), Some(&BillingMode::PayPerRequest));
        assert_eq!(run_repairing(&store).await.report.health.expect("what was seen").repairs, []);
    }
}

#[tokio::test]
async fn a_capacity_that_somebody_looks_after_is_left_alone() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    // As much as AWS gives to a table for which nobody chooses anything.
    Plan::of(Table::PeerTrustees).with_units(5).replace(&tables, Table::PeerTrustees).await;
    finds_nothing(&*store).await;
    Plan::of(Table::PeerTrustees).with_units(1).replace(&tables, Table::PeerTrustees).await;
    let finding = finds(&*store, Check::BillingMode, &tables.name(Table::PeerTrustees)).await;
    assert!(!finding.what.contains("login"), "{finding:?}");
    // It goes up and down, and of late.
    let times = |changes: &[(&'static str, i64)]| {
        let at = |days: &i64| json!((clock::now() - TimeDelta::days(*days)).timestamp());
        let changes = changes.iter().map(|(place, days)| (*place, at(days))).collect();
        describes(tables.name(Table::PeerTrustees), changes)
    };
    for changes in [&[(RAISED, 400), (LOWERED, 3)][..], &[(RAISED, 29)], &[(LOWERED, 29)]] {
        proxy.play(times(changes));
        finds_nothing(&*store).await;
    }
    proxy.play(times(&[(RAISED, 400), (LOWERED, 31)]));
    finds(&*store, Check::BillingMode, &tables.name(Table::PeerTrustees)).await;
}

/// Paying by request would undo what somebody has set up.
#[tokio::test]
async fn a_small_index_of_a_regulated_table_is_told_by_itself() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    let plan = Plan::of(Table::Trusts).with_units(100).with_index_units(1).indexed("secret-index", "secret");
    plan.replace(&tables, Table::Trusts).await;
    proxy.play(describes(tables.name(Table::Trusts), vec![(RAISED, json!(clock::now().timestamp()))]));
    let object = format!("{}/secret-index", tables.name(Table::Trusts));
    let finding = finds(&*store, Check::BillingMode, &object).await;
    assert!(finding.what.contains("with 1 for reading and 1 for writing"), "{finding:?}");
    assert!(finding.remedy.contains("register-scalable-target") && finding.cure.is_none(), "{finding:?}");
    // A table that nobody regulates is paid by request with its index.
    proxy.heal();
    let finding = finds(&*store, Check::BillingMode, &tables.name(Table::Trusts)).await;
    assert!(finding.cure.is_some(), "{finding:?}");
}

#[tokio::test]
async fn the_daemons_own_table_is_told_and_left_to_people() {
    let tables = TestTables::new().await;
    let own = tables.own_name();
    tables.client().delete_table().table_name(&own).send().await.unwrap();
    Plan::of(Table::Actors).by(&["pk", "sk"]).with_units(1).make(tables.client(), &own).await;
    let finding = finds(&*tables.store(), Check::BillingMode, &own).await;
    assert!(finding.what.contains("leases among it") && finding.cure.is_none(), "{finding:?}");
    assert!(finding.remedy.contains("--billing-mode PAY_PER_REQUEST"), "{finding:?}");
}

/// The library asks it for each value that the second one does not have, and takes a refusal for a no.
#[tokio::test]
async fn the_first_look_up_table_is_looked_at_as_long_as_it_is_asked() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    let first = format!("{}_property_lookup", tables.prefix());
    let plan = Plan::of(Table::Actors).by(&["property_name", "value"]);
    plan.clone().with_units(1).make(tables.client(), &first).await;
    let finding = finds(&*store, Check::BillingMode, &first).await;
    assert!(finding.what.contains("logins among it: the library asks it"), "{finding:?}");
    assert!(finding.remedy.contains(&format!("--table-name {first} --billing-mode PAY_PER_REQUEST")), "{finding:?}");
    assert!(finding.remedy.contains("lookup check") && finding.cure.is_none(), "{finding:?}");
    // Where an index is asked, nobody asks it.
    let by_index = look(&*tables.indexed(Indexing { by_table: false, ..Indexing::default() })).await;
    assert_eq!(only(&by_index).check, Check::IndexMissing);

    let status = |status: &str| describes(first.clone(), vec![("/Table/TableStatus", json!(status))]);
    proxy.play(status("ARCHIVED"));
    finds(&*store, Check::TableStatus, &first).await;
    // Whoever has no use for it any more deletes it.
    proxy.play(status("DELETING"));
    finds_nothing(&*store).await;
    assert!(proxy.faults() > 0);
    proxy.heal();
    tables.client().delete_table().table_name(&first).send().await.unwrap();
    finds_nothing(&*store).await;
    plan.make(tables.client(), &first).await;
    finds_nothing(&*store).await;
}
