//! A healthy deployment, whoever made it, gives no findings.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::metrics::{Check, Metrics};
use actingweb_maintd::model::row::{Actor, Attribute, Property, Trust};
use actingweb_maintd::model::{Indexing, Record, Row, Table};
use actingweb_maintd::storage::Bulk;
use actingweb_maintd::storage::dynamodb::{DynamoDb, Login, Settings};
use actingweb_maintd::work::RepairOutcome;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ProjectionType;

use super::plan::{Plan, expire, switch_expiry};
use super::{Visitor, finds, finds_nothing, index_health, look, look_deep, only};
use crate::harness::dynamodb::{TestTables, client_of};
use crate::harness::moto::Moto;
use crate::harness::python::{on_dynamodb, python_file};

fn indexing(by_table: bool) -> Indexing {
    Indexing { by_table, ..Indexing::default() }
}

/// Makes the tables as the library does by itself.
async fn made_by_the_library(settings: &Settings, by_table: bool) {
    let mut environment = on_dynamodb(settings, true);
    environment.push(("USE_PROPERTY_LOOKUP_TABLE", Some(by_table.to_string())));
    python_file(&environment, "tests/it/library/interop/tables.py").await;
}

/// Some rows of the tables that have indexes.
fn rows(count: usize) -> Vec<Record> {
    let rows = (0..count).flat_map(|n| {
        let id = format!("actor-{n}");
        let attribute = Attribute::new(&id, "bucket", "name", None);
        let actor = Actor { id: id.clone(), creator: format!("c{}", n % 7), ..Actor::default() };
        let property = Property { id: id.clone(), name: "email".to_owned(), value: format!("{n}@example.com") };
        let trust = Trust {
            id,
            peerid: "peer".to_owned(),
            baseuri: "https://peer.example.com".to_owned(),
            r#type: "urn:x".to_owned(),
            relationship: "friend".to_owned(),
            secret: format!("secret {n}"),
            desc: Some(String::new()),
            verification_token: Some(String::new()),
            ..Trust::default()
        };
        [Row::Actor(actor), Row::Property(property), Row::Attribute(attribute), Row::Trust(Box::new(trust))]
    });
    rows.map(Record::from).collect()
}

async fn is_healthy_with_rows(store: &DynamoDb, indexes: &[(&str, &str)]) {
    finds_nothing(store).await;
    let mut records = rows(150);
    records.sort_by_key(|record| record.table);
    for table in records.chunk_by(|one, other| one.table == other.table) {
        store.write(table).await.expect("writing rows");
    }
    let examined = look_deep(store).await;
    assert_eq!((examined.findings, examined.notes), (vec![], vec![]));
    let figures: Vec<_> =
        examined.indexes.iter().map(|index| (index.table.as_str(), index.index.as_str(), index.bytes > 0)).collect();
    let expected: Vec<_> = indexes.iter().map(|(table, index)| (*table, *index, true)).collect();
    assert_eq!(figures, expected);
}

const LOOKED_UP: [(&str, &str); 2] = [("actors", "creator-index"), ("trusts", "secret-index")];
const LEGACY: [(&str, &str); 3] = [LOOKED_UP[0], ("properties", "property-index"), LOOKED_UP[1]];

#[tokio::test]
async fn what_apply_makes_gives_no_findings() {
    for (by_table, indexes) in [(true, &LOOKED_UP[..]), (false, &LEGACY[..])] {
        let tables = TestTables::empty().await;
        let store = tables.indexed(indexing(by_table));
        store.apply_schema(true).await.unwrap();
        is_healthy_with_rows(&store, indexes).await;
    }
}

#[tokio::test]
async fn what_the_library_makes_only_does_not_expire() {
    for (by_table, indexes) in [(true, &LOOKED_UP[..]), (false, &LEGACY[..])] {
        let tables = TestTables::empty().await;
        made_by_the_library(&tables.settings(), by_table).await;
        let attributes = tables.name(Table::Attributes);
        let store = tables.indexed(indexing(by_table));
        finds(&*store, Check::TimeToLive, &attributes).await;
        expire(tables.client(), &attributes).await;
        is_healthy_with_rows(&store, indexes).await;
    }
}

/// A second opinion, of a stand-in that shares no code with the first. It does not count what is in indexes.
#[tokio::test]
async fn on_moto_everything_is_as_in_process() {
    let moto = Moto::start();
    let settings =
        Settings { endpoint_url: Some(moto.endpoint()), table_prefix: "t".to_owned(), ..Settings::default() };
    let login = Login::Key { id: "test".to_owned(), secret: "test".to_owned() };
    let metrics = Arc::new(Metrics::new("test", "test"));
    let store = DynamoDb::new(settings.clone(), login, Duration::from_secs(20), metrics);
    let client = client_of(&moto.endpoint());
    made_by_the_library(&settings, true).await;
    finds(&store, Check::TimeToLive, "t_attributes").await;
    expire(&client, "t_attributes").await;
    finds_nothing(&store).await;

    let small = Plan::of(Table::Actors).indexed("creator-index", "creator").with_units(1);
    for (made, check, object, units) in [
        (Plan::of(Table::Actors), Check::IndexMissing, "t_actors/creator-index", None),
        (Plan::of(Table::Actors).with_units(40), Check::IndexMissing, "t_actors/creator-index", Some(40)),
        (small, Check::BillingMode, "t_actors", None),
    ] {
        replace(&client, "t_actors", made).await;
        let finding = finds(&store, check, object).await;
        let visitor = Visitor::new(&index_health::Settings::default());
        let repaired = visitor.repair(&store, &finding).await;
        assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
        finds_nothing(&store).await;
        // An index can do as much as its table, or it would hold it up; and that is said.
        let given = "with 40 units for reading and 40 for writing as the table has; nothing regulates them";
        assert_eq!(repaired.what.contains(given), units == Some(40), "{repaired:?}");
        let actors = store.inspect_table(Table::Actors).await.unwrap().expect("the table");
        assert_eq!(actors.capacity.map(|capacity| capacity.write), units);
        assert_eq!(actors.indexes[0].capacity, actors.capacity);
    }
    let keys_only = Plan::of(Table::Actors).projected("creator-index", "creator", ProjectionType::KeysOnly);
    replace(&client, "t_actors", keys_only).await;
    finds(&store, Check::IndexDifferent, "t_actors/creator-index").await;
    replace(&client, "t_actors", Plan::of(Table::Actors).indexed("creator-index", "creator").by(&["actor"])).await;
    finds(&store, Check::KeyDifferent, "t_actors").await;
    client.delete_table().table_name("t_actors").send().await.unwrap();
    finds(&store, Check::TableMissing, "t_actors").await;
    store.apply_schema(true).await.unwrap();
    switch_expiry(&client, "t_attributes", "ttl_timestamp", false).await;
    let examined = look(&store).await;
    let repaired = Visitor::new(&index_health::Settings::default()).repair(&store, only(&examined)).await;
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    finds_nothing(&store).await;
}

async fn replace(client: &Client, name: &str, plan: Plan) {
    client.delete_table().table_name(name).send().await.unwrap();
    plan.make(client, name).await;
}
