//! Whether the tables are there, can be used, and are ActingWeb's.

use crate::health::Finding;
use crate::metrics::Check;
use crate::model::{Table, layout};
use crate::storage::dynamodb::{KeyPart, TableState};

/// The finding that a table is missing. Where actors are looked up by an index, nobody needs the look-up table.
pub(super) fn missing(table: Table, name: &str, by_table: bool) -> Option<Finding> {
    if table == Table::PropertyLookup && !by_table {
        return None;
    }
    // Whether the application makes tables by itself, only its own processes know.
    let unless = match table {
        Table::Actors | Table::Properties | Table::Attributes => "",
        _ => {
            ": somebody has deleted it, or the application has never needed it and makes it by itself when it does \
             (unless AWS_DB_AUTO_CREATE_TABLES is off there)"
        }
    };
    let what = format!("the table {name} is missing{unless}");
    let remedy = "run `actingweb-maintd schema apply`, which makes it as the library does; where tables of another name or \
                  region were meant, correct storage.dynamodb.table_prefix (AWS_DB_PREFIX) or .region";
    Some(Finding::new(Check::TableMissing, name, what, remedy))
}

/// The finding that a table cannot be used as it is.
pub(super) fn unusable(state: &TableState) -> Option<Finding> {
    let TableState { name, status, .. } = state;
    let remedy = match status.as_str() {
        // While it is changed, it is used as before.
        "ACTIVE" | "UPDATING" => return None,
        "CREATING" => "wait: DynamoDB makes it in seconds, or in hours when it is restored from a backup".to_owned(),
        "DELETING" => "find out who deletes it; when it is gone, restore it from a backup, or make an empty one with \
                       `actingweb-maintd schema apply`"
            .to_owned(),
        "INACCESSIBLE_ENCRYPTION_CREDENTIALS" => "give DynamoDB its key in AWS KMS back within seven days: enable it, \
                                                  or cancel its deletion; after that the table is archived"
            .to_owned(),
        "ARCHIVING" | "ARCHIVED" => format!(
            "its key in AWS KMS was out of reach for seven days: give the key back, restore the backup that AWS has \
             made of the table (`aws dynamodb list-backups --table-name {name}`) under another name, and let it take \
             the table's place"
        ),
        "REPLICATION_NOT_AUTHORIZED" => "let DynamoDB replicate it again: the policies of the table and of its \
                                         replicas must allow it"
            .to_owned(),
        _ => format!("ask AWS what it means: `aws dynamodb describe-table --table-name {name}`"),
    };
    let status = if status.is_empty() { "in no status that is told" } else { status };
    Some(Finding::new(Check::TableStatus, name, format!("the table {name} is {status}"), remedy))
}

/// The finding that a table has another key than ActingWeb's.
pub(super) fn other_key(table: Table, state: &TableState) -> Option<Finding> {
    let (hash, range) = layout::dynamodb_key(table);
    if is_key(&state.key, hash, range) {
        return None;
    }
    let name = &state.name;
    let expected: Vec<&str> = std::iter::once(hash).chain(range).collect();
    let what =
        format!("the key of the table {name} is ({}) and must be ({})", in_words(&state.key), expected.join(", "));
    let remedy = "check storage.dynamodb.table_prefix (AWS_DB_PREFIX), as this looks like somebody else's table; the \
                  key of a table cannot be changed, so if it is ActingWeb's, copy its rows into one that \
                  `actingweb-maintd schema apply` makes";
    Some(Finding::new(Check::KeyDifferent, name, what, remedy))
}

/// Whether a key is by these attributes, as texts.
pub(super) fn is_key(key: &[KeyPart], hash: &str, range: Option<&str>) -> bool {
    let expected = std::iter::once((hash, false)).chain(range.map(|range| (range, true)));
    key.iter().map(|part| (part.attribute.as_str(), part.is_range)).eq(expected)
        && key.iter().all(|part| part.r#type == "S")
}

/// A key as findings show it: its attributes, and the types that are not text.
pub(super) fn in_words(key: &[KeyPart]) -> String {
    let part = |part: &KeyPart| match part.r#type.as_str() {
        "S" => part.attribute.clone(),
        other => format!("{} of the type {other}", part.attribute),
    };
    key.iter().map(part).collect::<Vec<_>>().join(", ")
}
