//! The policy for AWS allows what the store does, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The requests of the SDK, by the method that makes them, with the action that each needs.
const REQUESTS: [(&str, &[&str]); 26] = [
    (".batch_get_item()", &["BatchGetItem"]),
    (".batch_write_item()", &["BatchWriteItem"]),
    (".create_backup()", &["CreateBackup"]),
    (".create_table()", &["CreateTable"]),
    (".delete_backup()", &["DeleteBackup"]),
    (".delete_item()", &["DeleteItem"]),
    (".delete_table()", &["DeleteTable"]),
    (".describe_backup()", &["DescribeBackup"]),
    (".describe_continuous_backups()", &["DescribeContinuousBackups"]),
    (".describe_export()", &["DescribeExport"]),
    (".describe_table()", &["DescribeTable"]),
    (".describe_time_to_live()", &["DescribeTimeToLive"]),
    (".export_table_to_point_in_time()", &["ExportTableToPointInTime"]),
    (".get_item()", &["GetItem"]),
    (".list_backups()", &["ListBackups"]),
    (".list_tables()", &["ListTables"]),
    (".put_item()", &["PutItem"]),
    // Restoring writes, and needs what writing needs.
    (".restore_table_from_backup()", &["RestoreTableFromBackup"]),
    (".query()", &["Query"]),
    (".scan()", &["Scan"]),
    (".transact_get_items()", &["GetItem"]),
    // Each part of a transaction needs its own.
    (".transact_write_items()", &["ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"]),
    (".update_continuous_backups()", &["UpdateContinuousBackups"]),
    (".update_item()", &["UpdateItem"]),
    (".update_table()", &["UpdateTable"]),
    (".update_time_to_live()", &["UpdateTimeToLive"]),
];

#[test]
fn the_policy_allows_what_the_store_asks_for_and_no_more() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = fs::read_dir(root.join("src/storage/dynamodb")).expect("sources");
    let text: String = sources.map(|file| fs::read_to_string(file.expect("a file").path()).expect("text")).collect();
    let asked = REQUESTS.into_iter().filter(|(method, _)| text.contains(method)).flat_map(|(_, actions)| actions);
    let asked: BTreeSet<String> = asked.map(|action| format!("dynamodb:{action}")).collect();

    let policy = fs::read_to_string(root.join("deploy/aws/policy.json")).expect("the policy");
    let policy: Value = serde_json::from_str(&policy).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements").iter();
    let allowed = statements.flat_map(|statement| statement["Action"].as_array().expect("actions"));
    let allowed: BTreeSet<String> = allowed.map(|action| action.as_str().expect("a name").to_owned()).collect();
    // What buckets are asked for is `object_store`'s to know.
    let of_tables: BTreeSet<String> = allowed.into_iter().filter(|action| !action.starts_with("s3:")).collect();
    assert_eq!(of_tables, asked);
}
