//! DynamoDB's tables: made by `apply`, by nothing else, and once.

use std::sync::Arc;

use actingweb_maintd::model::{Indexing, Table};
use actingweb_maintd::storage::dynamodb::{Applied, SchemaStatus};
use actingweb_maintd::storage::{Actors, ErrorKind};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription,
    TimeToLiveStatus,
};
use futures_util::future::join_all;

use crate::harness::dynamodb::TestTables;

async fn described(tables: &TestTables, name: &str) -> TableDescription {
    tables.client().describe_table().table_name(name).send().await.unwrap().table.unwrap()
}

#[tokio::test]
async fn tables_are_made_once_and_as_the_library_makes_them() {
    let tables = TestTables::empty().await;
    let store = tables.store();
    let applied = store.apply_schema(true).await.unwrap();
    let names = Table::ALL.map(|table| tables.name(table));
    assert_eq!(applied, Applied { tables: names.to_vec(), ttl: true, maintd: true });
    assert_eq!(store.apply_schema(true).await.unwrap(), Applied::default());
    let status = store.schema_status().await.unwrap();
    let expected = SchemaStatus {
        table_prefix: tables.prefix().to_owned(),
        region: "us-west-1".to_owned(),
        tables: names.to_vec(),
        missing: vec![],
        strange: vec![],
        findings: vec![],
        ttl_attribute: Some("ttl_timestamp".to_owned()),
        ttl_unknown: None,
        maintd_version: Some(1),
        maintd_head: 1,
    };
    assert_eq!(status, expected);
    assert_eq!(status.refusal(), None);
    for (table, index) in [(Table::Actors, "creator-index"), (Table::Trusts, "secret-index")] {
        let description = described(&tables, &tables.name(table)).await;
        let indexes = description.global_secondary_indexes();
        assert_eq!(indexes.iter().map(|index| index.index_name().unwrap()).collect::<Vec<_>>(), [index]);
        assert_eq!(indexes[0].projection().unwrap().projection_type().unwrap().as_str(), "ALL");
        let billing = description.billing_mode_summary().unwrap();
        assert_eq!(billing.billing_mode(), Some(&BillingMode::PayPerRequest));
    }
    assert_eq!(described(&tables, &tables.name(Table::Properties)).await.global_secondary_indexes(), []);
    // The deprecated table is never made.
    let listed = tables.client().list_tables().send().await.unwrap();
    assert_eq!(listed.table_names().len(), 10);
}

#[tokio::test]
async fn several_may_apply_at_once() {
    let tables = TestTables::empty().await;
    let appliers = (0..4).map(|_| {
        let store = tables.store();
        async move { store.apply_schema(true).await.unwrap() }
    });
    let applied = join_all(appliers).await;
    let made: usize = applied.iter().map(|applied| applied.tables.len()).sum();
    assert_eq!((made, applied.iter().filter(|applied| applied.maintd).count()), (9, 1));
    assert_eq!(tables.store().schema_status().await.unwrap().refusal(), None);
}

#[tokio::test]
async fn no_table_under_the_prefix_is_no_empty_deployment() {
    let tables = TestTables::empty().await;
    let store = tables.store();
    let refusal = store.schema_status().await.unwrap().refusal().unwrap();
    for part in [tables.prefix(), "us-west-1", "storage.dynamodb.table_prefix", "AWS_DB_PREFIX"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    assert_eq!(store.actor("1").await.unwrap_err().kind, ErrorKind::Schema);
    assert_eq!(tables.client().list_tables().send().await.unwrap().table_names(), [] as [String; 0]);

    // Its own table alone does not make a deployment.
    let applied = store.apply_schema(false).await.unwrap();
    assert_eq!(applied, Applied { maintd: true, ..Applied::default() });
    let status = store.schema_status().await.unwrap();
    assert!(status.is_current() && status.own_refusal().is_none());
    assert!(status.refusal().unwrap().contains("no table with the prefix"));
}

#[tokio::test]
async fn the_daemons_own_table_is_refused_when_it_is_not_ours() {
    let tables = TestTables::empty().await;
    let store = tables.store();
    store.apply_schema(true).await.unwrap();
    let own = tables.own_name();
    let put = tables.client().put_item().table_name(&own);
    let put = put.item("pk", AttributeValue::S("schema".into())).item("sk", AttributeValue::S("version".into()));
    put.item("version", AttributeValue::N("2".into())).send().await.unwrap();
    let refusal = store.schema_status().await.unwrap().refusal().unwrap();
    assert!(refusal.contains("run the newer actingweb-maintd"), "{refusal}");
    assert_eq!(store.apply_schema(false).await.unwrap_err().kind, ErrorKind::Schema);
    tables.client().delete_table().table_name(&own).send().await.unwrap();
    let refusal = store.schema_status().await.unwrap().refusal().unwrap();
    assert!(refusal.contains("schema apply") && refusal.contains("--apply-schema"), "{refusal}");
    let attributes = tables.name(Table::Attributes);
    tables.client().delete_table().table_name(&attributes).send().await.unwrap();
    let refusal = store.schema_status().await.unwrap().refusal().unwrap();
    assert!(refusal.contains(&attributes), "{refusal}");
}

#[tokio::test]
async fn a_strange_table_is_found_and_left_alone() {
    let tables = TestTables::empty().await;
    let name = tables.name(Table::Trusts);
    let hash = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let create = tables.client().create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    create.key_schema(hash).attribute_definitions(id.build().unwrap()).send().await.unwrap();
    let store = tables.store();
    assert_eq!(store.apply_schema(true).await.unwrap().tables.len(), 8);
    let status = store.schema_status().await.unwrap();
    let expected = [
        format!("the key of {name} is (id) and not (id, peerid)"),
        format!("the table {name} has no index `secret-index`"),
    ];
    assert_eq!(status.findings, expected);
    assert!(status.refusal().unwrap().contains(&name));
}

#[tokio::test]
async fn the_index_on_values_is_only_made_where_it_is_used() {
    let tables = TestTables::empty().await;
    let legacy = tables.indexed(Indexing { by_table: false, ..Indexing::default() });
    legacy.apply_schema(true).await.unwrap();
    let properties = described(&tables, &tables.name(Table::Properties)).await;
    assert_eq!(properties.global_secondary_indexes()[0].index_name(), Some("property-index"));
    assert_eq!(legacy.schema_status().await.unwrap().findings, [] as [String; 0]);
    assert_eq!(tables.store().schema_status().await.unwrap().findings, [] as [String; 0]);
    let ttl = tables.client().describe_time_to_live().table_name(tables.name(Table::Attributes)).send().await.unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    assert_eq!(ttl.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
    let _kept: Arc<_> = legacy;
}
