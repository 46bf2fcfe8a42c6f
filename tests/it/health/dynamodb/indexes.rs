//! Global secondary indexes: missing, being built, others than they must be, too many, and not holding every row.

use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::{Indexing, Table};
use actingweb_maintd::storage::Actors;
use actingweb_maintd::work::RepairOutcome;
use aws_sdk_dynamodb::types::{AttributeValue, ProjectionType};
use serde_json::json;

use super::plan::Plan;
use super::{describes, finds, finds_nothing, kinds, look, only, proxied, run_repairing};
use crate::harness::dynamodb::TestTables;

const INDEXES: [(Table, &str, &str); 3] = [
    (Table::Actors, "creator-index", "creator"),
    (Table::Trusts, "secret-index", "secret"),
    (Table::Properties, "property-index", "value"),
];

/// Where actors are looked up by an index, so that there are all three.
async fn legacy() -> TestTables {
    let tables = TestTables::empty().await;
    tables.indexed(legacy_mode()).apply_schema(true).await.unwrap();
    tables
}

fn legacy_mode() -> Indexing {
    Indexing { by_table: false, ..Indexing::default() }
}

#[tokio::test]
async fn a_missing_index_is_found_and_made_with_every_row_in_it() {
    let tables = legacy().await;
    let store = tables.indexed(legacy_mode());
    for (table, index, _) in INDEXES.into_iter().filter(|(table, ..)| *table != Table::Properties) {
        Plan::of(table).replace(&tables, table).await;
        if table == Table::Actors {
            put_actors(&tables, 30, Some("ada")).await;
        }
        let object = format!("{}/{index}", tables.name(table));
        let finding = finds(&*store, Check::IndexMissing, &object).await;
        assert!(finding.what.contains(&format!("no index `{index}`")), "{finding:?}");
        assert!(finding.remedy.contains("index check --repair"), "{finding:?}");
        let run = run_repairing(&store).await;
        let health = run.report.health.as_ref().expect("what was seen");
        let [repaired] = &health.repairs[..] else { panic!("{health:?}") };
        assert_eq!(
            (repaired.outcome, &repaired.kind[..], &repaired.object),
            (RepairOutcome::Done, "index_missing", &object)
        );
        assert_eq!(kinds(&run), [""; 0]);
        assert!(health.indexes.iter().any(|figures| figures.index == index));
        finds_nothing(&*store).await;
        // Once is enough.
        assert_eq!(run_repairing(&store).await.report.health.expect("what was seen").repairs, []);
    }
    assert_eq!(store.actors_by_creator("ada").await.unwrap().len(), 30);
}

#[tokio::test]
async fn the_index_on_all_values_is_told_and_never_made() {
    let tables = legacy().await;
    let store = tables.indexed(legacy_mode());
    Plan::of(Table::Properties).replace(&tables, Table::Properties).await;
    let long = AttributeValue::S("v".repeat(2049));
    let item = |value| {
        [("id", "a"), ("name", "n")]
            .map(|(name, text)| (name, AttributeValue::S(text.to_owned())))
            .into_iter()
            .chain([("value", value)])
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    };
    tables.put_raw(Table::Properties, item(long.clone())).await;
    let object = format!("{}/property-index", tables.name(Table::Properties));
    let finding = finds(&*store, Check::IndexMissing, &object).await;
    assert!(finding.remedy.starts_with("change over to the look-up table"), "{finding:?}");
    assert!(finding.remedy.contains("of more than 2048 bytes") && finding.cure.is_none(), "{finding:?}");
    assert_eq!(kinds(&run_repairing(&store).await), ["index_missing"]);
    // What could be stored still can.
    tables.put_raw(Table::Properties, item(long)).await;
    // Whoever cannot do without it is shown how: the command is what AWS takes.
    let (_, command) = finding.remedy.split_once("--global-secondary-index-updates '").expect("a command");
    let (updates, _) = command.split_once('\'').expect("its end");
    let updates: serde_json::Value = serde_json::from_str(updates).expect("JSON");
    assert_eq!(updates[0]["Create"]["KeySchema"][0], json!({"AttributeName": "value", "KeyType": "HASH"}));
    assert_eq!(updates[0]["Create"]["IndexName"], "property-index");

    // Nor is the repair named where it is another, or goes away.
    Plan::of(Table::Properties).indexed("property-index", "other").replace(&tables, Table::Properties).await;
    let finding = finds(&*store, Check::IndexDifferent, &object).await;
    assert!(!finding.remedy.contains("--repair") && finding.remedy.contains("\"Create\""), "{finding:?}");
}

/// Puts actors, without a creator where none is given.
async fn put_actors(tables: &TestTables, count: usize, creator: Option<&str>) {
    for n in 0..count {
        let of = creator.unwrap_or("nobody");
        let text = |text: String| AttributeValue::S(text);
        let mut item = vec![("id", text(format!("{of}-{n}"))), ("passphrase", text("p".to_owned()))];
        item.extend(creator.map(|creator| ("creator", text(creator.to_owned()))));
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        tables.put_raw(Table::Actors, item).await;
    }
}

#[tokio::test]
async fn an_index_that_is_built_or_deleted_this_moment_is_not_one_to_make() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    let object = format!("{}/creator-index", tables.name(Table::Actors));
    let (status, backfilling) =
        ("/Table/GlobalSecondaryIndexes/0/IndexStatus", "/Table/GlobalSecondaryIndexes/0/Backfilling");
    for (changes, what) in [
        (vec![(status, json!("CREATING"))], "is being made"),
        (vec![(status, json!("CREATING")), (backfilling, json!(true))], "is being filled"),
    ] {
        proxy.play(describes(tables.name(Table::Actors), changes));
        let finding = finds(&*store, Check::IndexBuilding, &object).await;
        assert!(finding.what.contains(what) && finding.cure.is_none(), "{finding:?}");
    }
    proxy.play(describes(tables.name(Table::Actors), vec![(status, json!("DELETING"))]));
    let finding = finds(&*store, Check::IndexMissing, &object).await;
    assert!(finding.what.contains("is being deleted") && finding.cure.is_none(), "{finding:?}");
    proxy.play(describes(tables.name(Table::Actors), vec![(status, json!("UPDATING"))]));
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn an_index_that_is_another_is_told_with_what_differs() {
    let tables = legacy().await;
    let store = tables.indexed(legacy_mode());
    for (table, index, attribute) in INDEXES {
        let object = format!("{}/{index}", tables.name(table));
        for (plan, what) in [
            (Plan::of(table).indexed(index, "other"), format!("is by (other) and must be by ({attribute})")),
            (
                Plan::of(table).projected(index, attribute, ProjectionType::KeysOnly),
                "holds KEYS_ONLY and must hold ALL".to_owned(),
            ),
        ] {
            plan.replace(&tables, table).await;
            let finding = finds(&*store, Check::IndexDifferent, &object).await;
            assert!(finding.what.contains(&what) && finding.cure.is_none(), "{finding:?}");
            assert!(finding.remedy.contains(&format!("\"IndexName\": \"{index}\"")), "{finding:?}");
        }
        Plan::of(table).indexed(index, attribute).replace(&tables, table).await;
        finds_nothing(&*store).await;
    }
}

#[tokio::test]
async fn an_index_of_nobody_is_told_with_what_it_costs() {
    let tables = TestTables::new().await;
    let store = tables.store();
    Plan::of(Table::Properties).indexed("property-index", "value").replace(&tables, Table::Properties).await;
    let object = |table, index: &str| format!("{}/{index}", tables.name(table));
    let finding = finds(&*store, Check::IndexExtra, &object(Table::Properties, "property-index")).await;
    assert!(finding.what.contains("refuses every value of more than 2048 bytes"), "{finding:?}");
    assert!(finding.remedy.contains("when `actingweb-maintd lookup check` finds nothing"), "{finding:?}");
    // Those who look up by it need it.
    let legacy = tables.indexed(legacy_mode());
    finds_nothing(&*legacy).await;

    Plan::of(Table::Properties).indexed("mine", "value").replace(&tables, Table::Properties).await;
    let finding = finds(&*store, Check::IndexExtra, &object(Table::Properties, "mine")).await;
    assert!(finding.what.contains("none of ActingWeb's") && finding.remedy.contains("acknowledge"), "{finding:?}");
    // It is by the same attribute, and nobody asks it.
    let both: Vec<_> = look(&*legacy).await.findings.into_iter().map(|finding| finding.check).collect();
    assert_eq!(both, [Check::IndexMissing, Check::IndexExtra]);

    Plan::of(Table::Properties).locally_indexed("local", "value").replace(&tables, Table::Properties).await;
    let finding = finds(&*store, Check::IndexExtra, &object(Table::Properties, "local")).await;
    assert!(finding.what.contains("10 GB"), "{finding:?}");
    Plan::of(Table::Properties).replace(&tables, Table::Properties).await;
    finds_nothing(&*store).await;
}

#[tokio::test]
async fn rows_that_are_not_in_their_index_are_found() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    put_actors(&tables, 1, Some("ada")).await;
    put_actors(&tables, 100, None).await;
    finds_nothing(&*store).await;
    put_actors(&tables, 101, None).await;
    let object = format!("{}/creator-index", tables.name(Table::Actors));
    let finding = finds(&*store, Check::IndexDrift, &object).await;
    assert_eq!(finding.rows, Some(101));
    assert!(finding.what.contains("has 1 rows, and the table 102"), "{finding:?}");
    assert!(finding.remedy.contains("attribute_not_exists(#a)") && finding.remedy.contains("creator"), "{finding:?}");

    let (in_table, in_index) = ("/Table/ItemCount", "/Table/GlobalSecondaryIndexes/0/ItemCount");
    let counted = |rows: serde_json::Value, indexed: serde_json::Value| {
        describes(tables.name(Table::Actors), vec![(in_table, rows), (in_index, indexed)])
    };
    // Not counted yet, and not counted at all.
    for (rows, indexed) in [(json!(100_000), json!(0)), (json!(0), json!(100_000)), (json!(5000), json!(null))] {
        proxy.play(counted(rows, indexed));
        finds_nothing(&*store).await;
    }
    proxy.play(counted(json!(100_000), json!(105_001)));
    assert_eq!(only(&look(&*store).await).rows, Some(5001));
    proxy.play(counted(json!(100_000), json!(95_000)));
    finds_nothing(&*store).await;
}
