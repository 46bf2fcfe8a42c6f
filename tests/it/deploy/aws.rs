//! The policy for AWS allows what the store does, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The tables of the deployment: the application's, the first look-up table and the daemon's own.
const TABLES: &str = "arn:aws:dynamodb:REGION:ACCOUNT:table/PREFIX_*";

/// Tables that only drills make, and delete again.
const SCRATCH: &str = "arn:aws:dynamodb:REGION:ACCOUNT:table/PREFIX_drill_*";

const BACKUPS: &str = "arn:aws:dynamodb:REGION:ACCOUNT:table/PREFIX_*/backup/*";

const EXPORTS: &str = "arn:aws:dynamodb:REGION:ACCOUNT:table/PREFIX_*/export/*";

/// Lists are of everything.
const EVERYTHING: &str = "*";

/// The requests of the SDK, by the method that makes them, with what each is about and the actions that it needs.
const REQUESTS: [(&str, &str, &[&str]); 26] = [
    (".batch_get_item()", TABLES, &["BatchGetItem"]),
    (".batch_write_item()", TABLES, &["BatchWriteItem"]),
    (".create_backup()", TABLES, &["CreateBackup"]),
    (".create_table()", TABLES, &["CreateTable"]),
    (".delete_backup()", BACKUPS, &["DeleteBackup"]),
    (".delete_item()", TABLES, &["DeleteItem"]),
    (".delete_table()", SCRATCH, &["DeleteTable"]),
    (".describe_backup()", BACKUPS, &["DescribeBackup"]),
    (".describe_continuous_backups()", TABLES, &["DescribeContinuousBackups"]),
    (".describe_export()", EXPORTS, &["DescribeExport"]),
    (".describe_table()", TABLES, &["DescribeTable"]),
    (".describe_time_to_live()", TABLES, &["DescribeTimeToLive"]),
    (".export_table_to_point_in_time()", TABLES, &["ExportTableToPointInTime"]),
    (".get_item()", TABLES, &["GetItem"]),
    (".list_backups()", EVERYTHING, &["ListBackups"]),
    (".list_tables()", EVERYTHING, &["ListTables"]),
    (".put_item()", TABLES, &["PutItem"]),
    // Restoring writes, and needs what writing needs.
    (".restore_table_from_backup()", BACKUPS, &["RestoreTableFromBackup"]),
    (".query()", TABLES, &["Query"]),
    (".scan()", TABLES, &["Scan"]),
    (".transact_get_items()", TABLES, &["GetItem"]),
    // Each part of a transaction needs its own.
    (".transact_write_items()", TABLES, &["ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"]),
    (".update_continuous_backups()", TABLES, &["UpdateContinuousBackups"]),
    (".update_item()", TABLES, &["UpdateItem"]),
    (".update_table()", TABLES, &["UpdateTable"]),
    (".update_time_to_live()", TABLES, &["UpdateTimeToLive"]),
];

#[test]
fn the_policy_allows_what_the_store_asks_for_and_no_more() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = fs::read_dir(root.join("src/storage/dynamodb")).expect("sources");
    let text: String = sources.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text")).collect();
    let asked = REQUESTS.into_iter().filter(|(method, ..)| text.contains(method));
    let asked: BTreeSet<(String, &str)> = asked
        .flat_map(|(_, of, actions)| actions.iter().map(move |action| (format!("dynamodb:{action}"), of)))
        .collect();

    let policy = fs::read_to_string(root.join("deploy/aws/policy.json")).expect("the policy");
    let policy: Value = serde_json::from_str(&policy).expect("JSON");
    let mut allowed = BTreeSet::new();
    for statement in policy["Statement"].as_array().expect("statements") {
        let resources = match &statement["Resource"] {
            Value::Array(resources) => resources.as_slice(),
            resource => std::slice::from_ref(resource),
        };
        for action in statement["Action"].as_array().expect("actions") {
            let resources = resources.iter().map(|resource| resource.as_str().expect("a name"));
            allowed.extend(resources.map(|resource| (action.as_str().expect("a name").to_owned(), resource)));
        }
    }
    // Whoever may do something to tables for drills only, may not do it to those of the deployment.
    let denied: Vec<_> = asked.difference(&allowed).collect();
    assert!(denied.is_empty(), "the policy does not allow {denied:?}");
    // What buckets are asked for is `object_store`'s to know.
    let actions = |of: &BTreeSet<(String, &str)>| {
        let actions = of.iter().map(|(action, _)| action.clone());
        actions.filter(|action| !action.starts_with("s3:")).collect::<BTreeSet<_>>()
    };
    assert_eq!(actions(&allowed), actions(&asked));
}
