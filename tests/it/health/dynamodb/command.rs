//! `index check` and `job run index_health`, as people use them.

use actingweb_maintd::model::Table;
use serde_json::Value;

use super::plan::{Plan, switch_expiry};
use crate::harness::daemon::{Maintd, Output};
use crate::harness::dynamodb::TestTables;
use crate::harness::private::blocking;

async fn maintd(tables: &TestTables, arguments: &'static [&'static str]) -> Output {
    let maintd = Maintd::beside(tables);
    blocking(move || maintd.run(arguments)).await
}

fn kinds(run: &Value) -> Vec<&str> {
    let defects = run["report"]["defects"].as_array().map(Vec::as_slice).unwrap_or_default();
    defects.iter().map(|defect| defect["kind"].as_str().expect("a word")).collect()
}

#[tokio::test]
async fn index_check_says_by_its_code_whether_all_is_well_and_repairs_on_request() {
    let tables = TestTables::new().await;
    let well = maintd(&tables, &["index", "check", "--json"]).await;
    assert_eq!((well.code, kinds(&well.json())), (0, vec![]), "{well:?}");
    let indexes = well.json()["report"]["health"]["indexes"].as_array().map(Vec::len);
    assert_eq!(indexes, Some(2));
    // Looking at rows makes no difference here.
    assert_eq!(maintd(&tables, &["index", "check", "--deep"]).await.code, 0);

    Plan::of(Table::Actors).with_units(1).replace(&tables, Table::Actors).await;
    switch_expiry(tables.client(), &tables.name(Table::Attributes), "ttl_timestamp", false).await;
    let expected = vec!["index_missing", "time_to_live", "billing_mode"];
    let found = maintd(&tables, &["index", "check", "--json"]).await;
    assert_eq!((found.code, kinds(&found.json())), (2, expected.clone()), "{found:?}");
    let by_job = maintd(&tables, &["job", "run", "index_health", "--json"]).await;
    assert_eq!((by_job.code, kinds(&by_job.json())), (2, expected), "{by_job:?}");
    let for_people = maintd(&tables, &["index", "check"]).await;
    assert!(for_people.code == 2 && for_people.stdout.contains("index check --repair"), "{for_people:?}");

    let repaired = maintd(&tables, &["index", "check", "--repair", "--json"]).await;
    assert_eq!((repaired.code, kinds(&repaired.json())), (0, vec![]), "{repaired:?}");
    let document = repaired.json();
    let repairs = document["report"]["health"]["repairs"].as_array().expect("repairs");
    assert_eq!(repairs.len(), 3, "{document}");
    assert!(repairs.iter().all(|repair| repair["outcome"] == "done"), "{document}");
    let again = maintd(&tables, &["index", "check", "--repair", "--json"]).await;
    assert_eq!((again.code, &again.json()["report"]["health"]["repairs"]), (0, &Value::Null), "{again:?}");
    assert_eq!(maintd(&tables, &["job", "run", "index_health"]).await.code, 0);
}
