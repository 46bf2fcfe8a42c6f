//! Tables of DynamoDB.

use actingweb_maintd::model::Table;
use aws_sdk_dynamodb::types::TimeToLiveSpecification;

use super::examine;
use crate::harness::daemon::Maintd;
use crate::harness::dynamodb::TestTables;

async fn switch(tables: &TestTables, attribute: &str, enabled: bool) {
    let how = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(enabled).build().expect("a whole");
    let request = tables.client().update_time_to_live().table_name(tables.name(Table::Attributes));
    request.time_to_live_specification(how).send().await.expect("switching the TTL");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_it_expires_what_it_should_is_told() {
    let tables = TestTables::new().await;
    examine(Maintd::beside(&tables)).assert_well();
    switch(&tables, "ttl_timestamp", false).await;
    let off = examine(Maintd::beside(&tables));
    let (state, what, remedy) = off.only("ttl");
    assert!(state == "warning" && what.contains("does not delete what has expired"), "{off:#?}");
    assert!(remedy.contains("schema apply") && off.code == 0, "{remedy}");
    assert_eq!(Maintd::beside(&tables).run(&["schema", "apply"]).code, 0);
    examine(Maintd::beside(&tables)).assert_well();

    switch(&tables, "ttl_timestamp", false).await;
    switch(&tables, "expires", true).await;
    let other = examine(Maintd::beside(&tables));
    let (state, what, remedy) = other.only("ttl");
    assert!(state == "failure" && what.contains("by `expires`"), "{other:#?}");
    assert!(remedy.contains("switch TTL off for `expires`") && other.code == 2, "{remedy}");
    switch(&tables, "expires", false).await;
    assert_eq!(Maintd::beside(&tables).run(&["schema", "apply"]).code, 0);
    examine(Maintd::beside(&tables)).assert_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_missing_are_told() {
    let tables = TestTables::empty().await;
    let none = examine(Maintd::beside(&tables));
    let (state, what, remedy) = none.only("schema");
    assert!(state == "failure" && what.contains("no table with the prefix"), "{none:#?}");
    assert!(remedy.contains("schema apply"), "{remedy}");
    assert_eq!(Maintd::beside(&tables).run(&["schema", "apply"]).code, 0);
    examine(Maintd::beside(&tables)).assert_well();
}
