//! `index check` and `job run index_health`, as people use them.

use actingweb_maintd::model::Table;
use actingweb_maintd::work::Outcome;
use serde_json::{Value, json};

use super::plan::{Plan, switch_expiry};
use super::{kinds as kinds_of, proxied, refuses, run_repairing};
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

/// A role that lacks one permission of a look can do all the rest, and the runner lets it begin.
#[tokio::test]
async fn whoever_may_not_ask_about_expiry_gets_everything_else_of_a_check() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    proxy.play(refuses("DescribeTimeToLive", "AccessDeniedException", "not authorized"));
    let run = run_repairing(&store).await;
    assert_eq!((run.outcome, kinds_of(&run)), (Some(Outcome::Succeeded), vec![]), "{run:?}");
    let health = run.report.health.as_ref().expect("what was seen");
    assert_eq!(health.unseen, ["time_to_live"]);
    let (endpoint, prefix) = (proxy.endpoint(), tables.prefix().to_owned());
    let run = move |arguments: &'static [&'static str]| {
        let maintd = Maintd::beside_tables(&endpoint, &prefix);
        blocking(move || maintd.run(arguments))
    };
    Plan::of(Table::Actors).replace(&tables, Table::Actors).await;
    let found = run(&["index", "check", "--json"]).await;
    assert_eq!((found.code, kinds(&found.json())), (2, vec!["index_missing"]), "{found:?}");
    assert_eq!(found.json()["report"]["health"]["unseen"], json!(["time_to_live"]), "{found:?}");
    // It is not said that all is well, nor does anybody change what cannot be seen.
    let status = run(&["schema", "status", "--json"]).await;
    assert_eq!(status.code, 2, "{status:?}");
    let findings = status.json()["backends"]["dynamodb"]["findings"].to_string();
    assert!(findings.contains("is not known") && findings.contains("not authorized"), "{status:?}");
    let applied = run(&["schema", "apply"]).await;
    assert!(applied.code != 0 && applied.stderr.contains("not authorized"), "{applied:?}");
    let doctor = run(&["doctor"]).await;
    assert!(doctor.code != 0 && doctor.stdout.contains("not authorized"), "{doctor:?}");
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
