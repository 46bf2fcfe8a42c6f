//! Actors that are found without the look-up table, as before ActingWeb 3.13.

use actingweb_maintd::model::{Indexing, Table};
use actingweb_maintd::storage::{Actors, Indexed, Properties, Store, Upkeep};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use super::fixtures::{actor, property, refused};
use crate::harness::cluster::TestDb;
use crate::harness::dynamodb::TestTables;
use crate::harness::store::{open_indexed, settings_of};

fn without_table() -> Indexing {
    Indexing { by_table: false, ..Indexing::default() }
}

/// Every property can be looked up, and the table of entries stays empty.
async fn every_property_is_looked_up(store: &dyn Store) {
    for id in ["b", "a", "c"] {
        store.create_actor(&actor(id)).await.unwrap();
        assert_eq!(store.set_property(&property(id, "email", "shared")).await.unwrap(), Indexed::No);
        assert_eq!(store.set_property(&property(id, "nickname", &format!("nick {id}"))).await.unwrap(), Indexed::No);
    }
    let found = async |name: &str, value: &str| store.actor_by_property(name, value).await.unwrap();
    assert_eq!(found("email", "shared").await.as_deref(), Some("a"), "the first by id");
    assert_eq!(found("nickname", "nick c").await.as_deref(), Some("c"));
    assert_eq!(found("nickname", "shared").await, None, "that is the value of another property");
    assert_eq!(found("email", "Shared").await, None);
    assert_eq!(found("email", "").await, None);
    store.set_property(&property("a", "email", "another")).await.unwrap();
    assert!(store.delete_property("b", "email").await.unwrap());
    assert_eq!(found("email", "shared").await.as_deref(), Some("c"));
    assert_eq!(found("email", "another").await.as_deref(), Some("a"));
    assert_eq!(store.count(Table::PropertyLookup).await.unwrap(), 0);
}

#[tokio::test]
async fn postgresql_reads_all_properties() {
    let db = TestDb::new().await;
    every_property_is_looked_up(&*open_indexed(settings_of(db.host(), db.port(), db.name()), without_table())).await;
}

#[tokio::test]
async fn dynamodb_has_an_index_on_values() {
    let tables = TestTables::empty().await;
    let store = tables.indexed(without_table());
    store.apply(true).await.unwrap();
    every_property_is_looked_up(&*store).await;
    // What is in an index is as short as a key.
    let long = property("a", "name", &"h1dden".repeat(400));
    refused(&*store, (Table::Properties, "value", "h1dden"), store.set_property(&long)).await;
}

/// The library reads it and has never made it.
#[tokio::test]
async fn dynamodb_may_have_a_first_look_up_table() {
    let tables = TestTables::new().await;
    let (name, store) = (format!("{}_property_lookup", tables.prefix()), tables.store());
    let mut request = tables.client().create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (part, r#type) in [("property_name", KeyType::Hash), ("value", KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(part).key_type(r#type).build().unwrap();
        let text = AttributeDefinition::builder().attribute_name(part).attribute_type(ScalarAttributeType::S);
        request = request.key_schema(key).attribute_definitions(text.build().unwrap());
    }
    request.send().await.unwrap();
    for (value, id) in [("x", "a"), ("stale", "a"), ("newer", "a")] {
        let entry = [("property_name", "email"), ("value", value), ("actor_id", id)];
        let entry = entry.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        tables.client().put_item().table_name(&name).set_item(Some(entry.into())).send().await.unwrap();
    }
    store.create_property(&property("a", "email", "x")).await.unwrap();
    store.create_actor(&actor("b")).await.unwrap();
    store.set_property(&property("b", "email", "newer")).await.unwrap();
    let found = async |value: &str| store.actor_by_property("email", value).await.unwrap();
    assert_eq!(found("x").await.as_deref(), Some("a"));
    assert_eq!(found("stale").await, None, "the property is another by now");
    assert_eq!(found("newer").await.as_deref(), Some("b"), "the newer table comes first");
    assert_eq!(found("unknown").await, None);
}
