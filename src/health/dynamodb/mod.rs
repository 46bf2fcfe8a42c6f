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
use crate::model::{Table, clock};
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
    let now = clock::now();
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
        examined.findings.extend(capacity::findings(Whose::Application(*table), state, now));
        let expected = store.expected_index(*table);
        examined.findings.extend(indexes::findings(*table, state, expected, by_table));
        examined.indexes.extend(indexes::figures(*table, state));
        sound.push((*table, state));
    }
    // Nobody minds when the first look-up table is deleted.
    let first = inspection.first_lookup.as_ref().filter(|first| first.status != "DELETING");
    let others = [first.map(|first| (Whose::FirstLookup, first)), inspection.own.as_ref().map(|own| (Whose::Own, own))];
    for (whose, state) in others.into_iter().flatten() {
        match tables::unusable(state) {
            Some(finding) => examined.findings.push(finding),
            None => examined.findings.extend(capacity::findings(whose, state, now)),
        }
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
