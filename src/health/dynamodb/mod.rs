//! The health of tables and indexes of DynamoDB.
//!
//! What tables are like, DynamoDB tells in one request for each. Rows are only read where somebody asks for it, and
//! then only a sample of them.

mod capacity;
mod indexes;
mod repair;
mod sample;
mod settings;
mod tables;

pub(super) use self::repair::repair;
use super::{Examined, Visit};
use crate::model::Table;
use crate::storage::Result;
use crate::storage::dynamodb::{DynamoDb, TableState};

/// What a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// One of the application's.
    Application(Table),
    /// The first look-up table. While it is there, the library asks it for whatever the second does not have, and takes
    /// no answer for a no.
    FirstLookup,
    /// The daemon's own.
    Own,
}

/// Looks at every table.
pub(super) async fn examine(store: &DynamoDb, visit: Visit<'_>) -> Result<Examined> {
    let by_table = store.looks_up_by_table();
    let inspection = store.inspect().await?;
    let mut examined = Examined::default();
    // Those that can be used, and are ActingWeb's.
    let mut sound = Vec::new();
    for (table, state) in &inspection.tables {
        let Some(state) = state else {
            examined.findings.extend(tables::missing(*table, &store.table_name(*table), by_table));
            continue;
        };
        if let Some(finding) = tables::unusable(state).or_else(|| tables::other_key(*table, state)) {
            examined.findings.push(finding);
            continue;
        }
        examined.findings.extend(capacity::findings(Whose::Application(*table), state));
        let expected = store.expected_index(*table);
        examined.findings.extend(indexes::findings(*table, state, expected, by_table));
        examined.indexes.extend(indexes::figures(*table, state));
        sound.push((*table, state));
    }
    // Nobody minds when it is deleted.
    if let Some(first) = inspection.first_lookup.as_ref().filter(|first| first.status != "DELETING") {
        let finding = tables::unusable(first).or_else(|| capacity::findings(Whose::FirstLookup, first));
        examined.findings.extend(finding);
    }
    if let Some(own) = &inspection.own {
        examined.findings.extend(tables::unusable(own).or_else(|| capacity::findings(Whose::Own, own)));
    }
    settings::look(store, visit, &sound, &mut examined).await;
    if visit.criteria.deep {
        sample::look(store, visit, &sound, &mut examined).await;
    }
    Ok(examined)
}

/// An index as findings name it: as it is within the names of AWS, where two tables may have indexes of one name.
fn index_object(table: &TableState, index: &str) -> String {
    format!("{}/{index}", table.name)
}
