//! Tables that are missing, cannot be used, or are somebody else's.

use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::{Indexing, Table};
use serde_json::json;

use super::plan::Plan;
use super::{describes, finds, finds_nothing, look, proxied};
use crate::harness::dynamodb::TestTables;

async fn delete(tables: &TestTables, table: Table) {
    tables.client().delete_table().table_name(tables.name(table)).send().await.unwrap();
}

#[tokio::test]
async fn a_missing_table_is_found_until_it_is_made() {
    let tables = TestTables::new().await;
    let store = tables.store();
    for table in Table::ALL {
        delete(&tables, table).await;
        let finding = finds(&*store, Check::TableMissing, &tables.name(table)).await;
        assert!(finding.what.contains(&tables.name(table)) && finding.remedy.contains("schema apply"), "{finding:?}");
        // Without these no actor can be, so none is missing because it was never needed.
        let is_needed = matches!(table, Table::Actors | Table::Properties | Table::Attributes);
        assert_eq!(finding.what.contains("has never needed it"), !is_needed, "{finding:?}");
        store.apply_schema(true).await.unwrap();
        finds_nothing(&*store).await;
    }
    // None at all: perhaps they are looked for in the wrong place.
    let none = look(&*TestTables::empty().await.store()).await.findings;
    assert_eq!(none.len(), Table::ALL.len());
    assert!(none.iter().all(|finding| finding.check == Check::TableMissing), "{none:?}");
    assert!(none[0].remedy.contains("storage.dynamodb.table_prefix (AWS_DB_PREFIX) or .region"), "{none:?}");
}

#[tokio::test]
async fn where_an_index_is_asked_nobody_needs_the_look_up_table() {
    let tables = TestTables::empty().await;
    let legacy = tables.indexed(Indexing { by_table: false, ..Indexing::default() });
    legacy.apply_schema(true).await.unwrap();
    finds_nothing(&*legacy).await;
    delete(&tables, Table::PropertyLookup).await;
    finds_nothing(&*legacy).await;
}

#[tokio::test]
async fn a_table_that_cannot_be_used_is_told_by_its_status_and_by_nothing_else() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    // It is there, so it is not missing, and what is missing in it does not matter now.
    Plan::of(Table::Trusts).with_units(1).replace(&tables, Table::Trusts).await;
    for (status, remedy) in [
        ("CREATING", "wait"),
        ("DELETING", "find out who deletes it"),
        ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "its key in AWS KMS back within seven days"),
        ("ARCHIVING", "restore the backup that AWS has made"),
        ("ARCHIVED", "restore the backup that AWS has made"),
        ("REPLICATION_NOT_AUTHORIZED", "replicate"),
        ("SOMETHING_NEW", "aws dynamodb describe-table"),
    ] {
        proxy.play(describes(tables.name(Table::Trusts), vec![("/Table/TableStatus", json!(status))]));
        let finding = finds(&*store, Check::TableStatus, &tables.name(Table::Trusts)).await;
        assert!(finding.what.ends_with(&format!("is {status}")) && finding.remedy.contains(remedy), "{finding:?}");
        assert_eq!(finding.cure, None);
    }
    // The daemon's own is looked at as well, and is never one too many.
    let own = tables.own_name();
    Plan::of(Table::Trusts).indexed("secret-index", "secret").replace(&tables, Table::Trusts).await;
    proxy.play(describes(own.clone(), vec![("/Table/TableStatus", json!("ARCHIVED"))]));
    finds(&*store, Check::TableStatus, &own).await;
    // While it is changed, it is used as before.
    proxy.play(describes(tables.name(Table::Trusts), vec![("/Table/TableStatus", json!("UPDATING"))]));
    finds_nothing(&*store).await;
    assert!(proxy.faults() > 0);
}

#[tokio::test]
async fn a_table_of_somebody_else_is_told_and_not_looked_into() {
    let tables = TestTables::new().await;
    let store = tables.store();
    let name = tables.name(Table::Trusts);
    for (plan, found) in [
        (Plan::of(Table::Trusts).by(&["id"]), "(id) and must be (id, peerid)"),
        (Plan::of(Table::Trusts).by(&["peerid", "id"]), "(peerid, id) and must be (id, peerid)"),
        (Plan::of(Table::Trusts).of_numbers(), "(id of the type N, peerid of the type N) and must be (id, peerid)"),
    ] {
        plan.with_units(1).replace(&tables, Table::Trusts).await;
        let finding = finds(&*store, Check::KeyDifferent, &name).await;
        assert!(finding.what.ends_with(found) && finding.cure.is_none(), "{finding:?}");
    }
    Plan::of(Table::Trusts).indexed("secret-index", "secret").replace(&tables, Table::Trusts).await;
    finds_nothing(&*store).await;
}
