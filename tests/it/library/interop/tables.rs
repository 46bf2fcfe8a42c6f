//! The tables that the library makes by itself, and those that `schema apply` makes.

use std::collections::BTreeMap;

use actingweb_maintd::model::{Indexing, Table};
use aws_sdk_dynamodb::Client;
use serde_json::{Value, json};

use super::place::{Kind, Place};

#[tokio::test]
async fn in_process_the_tables_are_those_that_the_library_makes() {
    either_makes_the_same(Kind::InProcess, true).await;
    either_makes_the_same(Kind::InProcess, false).await;
}

#[tokio::test]
async fn on_ministack_the_tables_are_those_that_the_library_makes() {
    either_makes_the_same(Kind::Ministack, true).await;
    either_makes_the_same(Kind::Ministack, false).await;
}

async fn either_makes_the_same(kind: Kind, by_table: bool) {
    let indexing = Indexing { by_table, ..Indexing::default() };
    let theirs = Place::on_dynamodb(kind, indexing.clone(), true).await;
    let mode = vec![("USE_PROPERTY_LOOKUP_TABLE", Some(by_table.to_string()))];
    let models = theirs.python_with("tables", mode).await;
    let ours = Place::indexed(kind, indexing).await;

    let (made_by_library, made_by_us) = (described(&theirs).await, described(&ours).await);
    assert_eq!(models.as_array().map(Vec::len), Some(made_by_library.len()), "{models}");
    for (table, description) in &made_by_library {
        assert_eq!(Some(description), made_by_us.get(table), "{table}, by table: {by_table}");
    }
    // Where actors are looked up by an index, the library never needs the look-up table.
    let more: Vec<_> = made_by_us.keys().filter(|table| !made_by_library.contains_key(*table)).collect();
    let expected: &[&Table] = if by_table { &[] } else { &[&Table::PropertyLookup] };
    assert_eq!(more, expected);
}

/// The application's tables that there are, by what matters of each.
async fn described(place: &Place) -> BTreeMap<Table, Value> {
    let (client, prefix) = place.dynamodb();
    let names = client.list_tables().send().await.expect("listing tables").table_names.unwrap_or_default();
    let mut described = BTreeMap::new();
    for table in Table::ALL {
        let name = format!("{prefix}{}", table.suffix());
        if names.contains(&name) {
            described.insert(table, description(client, &name).await);
        }
    }
    described
}

async fn description(client: &Client, name: &str) -> Value {
    let table = client.describe_table().table_name(name).send().await.expect("describing a table").table;
    let table = table.expect("a table");
    let mut attributes: Vec<String> = table.attribute_definitions().iter().map(|one| format!("{one:?}")).collect();
    attributes.sort();
    let indexes = table.global_secondary_indexes().iter();
    let indexes: BTreeMap<_, _> = indexes
        .map(|index| {
            let projection = index.projection().map(|projection| format!("{projection:?}"));
            (index.index_name(), json!([format!("{:?}", index.key_schema()), projection]))
        })
        .collect();
    json!({
        "keys": format!("{:?}", table.key_schema()),
        "attributes": attributes,
        "indexes": format!("{indexes:?}"),
        "local": format!("{:?}", table.local_secondary_indexes()),
        "billing": table.billing_mode_summary().and_then(|billing| billing.billing_mode()).map(|mode| mode.as_str()),
        "stream": table.stream_specification().is_some(),
        "protected": table.deletion_protection_enabled(),
    })
}
