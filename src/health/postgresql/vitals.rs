//! How the tables are: what the server counts, and how it was set up.

use std::ops::Range;

use crate::health::Finding;
use crate::metrics::Check;
use crate::storage::postgres::{Catalog, Database, TableFacts, identifier, qualified};

/// The server refuses to write two thousand million transactions after the oldest that a row is marked with; from
/// three million before on. Half way is early enough to do something, and late enough to be no false alarm.
const OLD: i64 = 1_000_000_000;

/// A table that is older than autovacuum lets it become by so much is one that autovacuum does not get done with.
const TOO_OLD: f64 = 1.5;

/// Dead rows are too many when they are so many times as many as make autovacuum begin.
const PILED_UP: f64 = 2.0;

/// Tables with fewer rows are best read from end to end.
const LARGE: u64 = 10_000;

/// So many readings from end to end, and so large a part of all, are no accident: backups and checks read tables
/// like that as well, but seldom.
const OFTEN: u64 = 1000;
const PART: f64 = 0.05;

/// Versions that do not see in an index that is built beside the application what is changed in place meanwhile.
const LOSES_ROWS: Range<i32> = 140_000..140_004;

/// Why no index is to be built beside the application on a version: it would look well, and not find every row.
pub(super) fn loses_rows(version: i32) -> Option<&'static str> {
    LOSES_ROWS.contains(&version).then_some(
        "PostgreSQL 14.0 to 14.3 lose rows of indexes that are built beside their application, by CONCURRENTLY: update to 14.4 \
         or later first",
    )
}

/// Everything that is wrong.
pub(super) fn findings(catalog: &Catalog) -> Vec<Finding> {
    let mut findings = ages(&catalog.database, &catalog.tables);
    findings.extend(no_autovacuum(&catalog.database));
    for table in &catalog.tables {
        findings.extend(unlogged(&catalog.schema, table));
        findings.extend(left_out(&catalog.schema, table));
        findings.extend(sequential_scans(&catalog.schema, table));
    }
    findings.extend(collations(catalog));
    findings
}

fn ages(database: &Database, tables: &[TableFacts]) -> Vec<Finding> {
    let Database { freeze_max_age, multixact_freeze_max_age, .. } = *database;
    let is_old = |age: i64, from: i64| age > OLD || age as f64 > from as f64 * TOO_OLD;
    let told = |object: &str, which: &str, transactions: i64, multixacts: i64| {
        let (age, of, from) = if is_old(transactions, freeze_max_age) {
            (transactions, "transactions", freeze_max_age)
        } else if is_old(multixacts, multixact_freeze_max_age) {
            (multixacts, "groups of transactions", multixact_freeze_max_age)
        } else {
            return None;
        };
        let what = format!(
            "{which} is marked with numbers of {of} that are {age} old; from {from} on autovacuum should have dealt with that, \
             and at about 2147000000 the server stops writing"
        );
        let remedy = "end what holds it up: transactions that have been open for long, prepared transactions, replication \
                      slots that nobody reads (pg_stat_activity, pg_prepared_xacts, pg_replication_slots); then VACUUM \
                      (FREEZE)";
        Some(Finding::new(Check::TransactionAge, object, what, remedy))
    };
    let whole = told(
        &database.name,
        &format!("a row of the database {}", database.name),
        database.transaction_age,
        database.multixact_age,
    );
    let each = tables.iter().filter_map(|table| {
        let (transactions, multixacts) = (table.transaction_age?, table.multixact_age.unwrap_or_default());
        told(&table.name, &format!("a row of {}", table.name), transactions, multixacts)
    });
    whole.into_iter().chain(each).collect()
}

fn unlogged(schema: &str, table: &TableFacts) -> Option<Finding> {
    let name = &table.name;
    let what =
        format!("{name} is UNLOGGED: a crash empties it, replicas do not have it, physical backups do not hold it");
    let remedy = format!(
        "ALTER TABLE {} SET LOGGED, when nobody writes: it is written once more as a whole",
        qualified(schema, name)
    );
    table.is_unlogged.then(|| Finding::new(Check::TableUnlogged, name.clone(), what, remedy))
}

/// Where autovacuum is off, dead rows pile up everywhere, sooner or later.
fn no_autovacuum(database: &Database) -> Option<Finding> {
    let what = "autovacuum comes to no table of the server: what was deleted or changed stays, and transaction numbers run out";
    let remedy = "set autovacuum and track_counts to on";
    (!database.autovacuum).then(|| Finding::new(Check::DeadRows, database.name.clone(), what, remedy))
}

/// A table that autovacuum is told not to come to.
fn left_out(schema: &str, table: &TableFacts) -> Option<Finding> {
    let TableFacts { name, dead, live, .. } = table;
    let what = format!("autovacuum does not come to {name}, where {dead} rows lie dead beside {live}");
    let remedy = format!("ALTER TABLE {} RESET (autovacuum_enabled)", qualified(schema, name));
    (table.autovacuum == Some(false)).then(|| Finding::new(Check::DeadRows, name.clone(), what, remedy))
}

/// Tables with many more dead rows than autovacuum should let lie. Whatever was deleted a moment ago is no fault of
/// anybody, so whoever finds some has to look again when autovacuum had the time to come.
pub(super) fn behind(catalog: &Catalog) -> Vec<Finding> {
    catalog.tables.iter().filter_map(|table| dead_rows(&catalog.database, table)).collect()
}

fn dead_rows(database: &Database, table: &TableFacts) -> Option<Finding> {
    let TableFacts { name, rows, dead, live, .. } = table;
    if !database.autovacuum || table.autovacuum == Some(false) || table.is_vacuumed {
        return None;
    }
    let begins = table.vacuum_threshold.unwrap_or(database.vacuum_threshold)
        + table.vacuum_scale_factor.unwrap_or(database.vacuum_scale_factor) * *rows as f64;
    let is_behind = *dead as f64 > begins * PILED_UP && *dead >= LARGE;
    let what = format!("{dead} rows of {name} lie dead beside {live}; autovacuum should have begun at {begins:.0}");
    let remedy = "see what keeps it: transactions that have been open for long hold dead rows back (pg_stat_activity, \
                  pg_prepared_xacts, pg_replication_slots), locks turn autovacuum away, and a low \
                  autovacuum_vacuum_cost_limit makes it slow";
    is_behind.then(|| Finding { rows: Some(*dead), ..Finding::new(Check::DeadRows, name.clone(), what, remedy) })
}

/// What the server counts it never forgets by itself, so that whoever has found the cause must have it count anew.
fn sequential_scans(schema: &str, table: &TableFacts) -> Option<Finding> {
    let TableFacts { name, live, sequential_scans: scans, sequential_rows, index_scans, .. } = table;
    let part = *scans as f64 / (scans + index_scans).max(1) as f64;
    // It may have been small when it was read.
    let is_large = *live >= LARGE && sequential_rows / scans.max(&1) >= LARGE;
    let is_read = is_large && *scans >= OFTEN && part >= PART;
    let what = format!(
        "{name} with its {live} rows was read from end to end {scans} times, {sequential_rows} rows in all, beside \
         {index_scans} times by an index"
    );
    let full_name = qualified(schema, name);
    let remedy = format!(
        "find out by what (pg_stat_statements): an index that is missing is told by itself; an application without the \
         look-up table (USE_PROPERTY_LOOKUP_TABLE) reads all properties for each actor it looks for. When that is over, \
         have it counted anew, as a superuser or with EXECUTE on the function: SELECT \
         pg_stat_reset_single_table_counters('{}'::regclass), then ANALYZE {full_name}; index_unused begins anew with it",
        full_name.replace('\'', "''")
    );
    is_read.then(|| Finding::new(Check::SequentialScans, name.clone(), what, remedy))
}

/// Texts are ordered and compared byte by byte, or as the database does it: the application asks for bytes where it
/// needs them. Rules of another kind may take different names for equal ones, and rules that have changed leave
/// indexes in an order that is none any more.
fn collations(catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Database { name, collation_version, collation_version_now, .. } = &catalog.database;
    let reindex = "REINDEX INDEX CONCURRENTLY for every index on texts, after looking for rows that are there twice";
    if let (Some(then), Some(now)) = (collation_version, collation_version_now)
        && then != now
    {
        let what = format!(
            "the texts of the database {name} were sorted by version {then} of the system's rules, which is {now} now: \
             indexes may not find what they hold"
        );
        let remedy = format!("{reindex}; then ALTER DATABASE {} REFRESH COLLATION VERSION", identifier(name));
        findings.push(Finding::new(Check::Collation, name.clone(), what, remedy));
    }
    for column in &catalog.columns {
        let Some(rules) = column.collation.as_deref().filter(|rules| !["C", "POSIX", "ucs_basic"].contains(rules))
        else {
            continue;
        };
        let object = format!("{}.{}", column.table, column.name);
        let what = if column.is_deterministic == Some(false) {
            format!(
                "{object} is compared by the rules {rules}, for which different texts can be equal: names and keys of \
                     different rows are taken for one"
            )
        } else if column.collation_version != column.collation_version_now {
            format!(
                "{object} was sorted by another version of the rules {rules} than there is now: its indexes may not find \
                     what they hold"
            )
        } else {
            format!("{object} is compared by rules of its own, {rules}; names in lists are ordered by their bytes")
        };
        let remedy = format!(
            "ALTER TABLE {} ALTER COLUMN {} TYPE … COLLATE \"default\", when nobody writes",
            qualified(&catalog.schema, &column.table),
            identifier(&column.name)
        );
        findings.push(Finding::new(Check::Collation, object, what, remedy));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_to_be_built_where_the_server_would_lose_rows() {
        for fit in [130_000, 130_023, 140_004, 140_020, 150_000, 180_001] {
            assert_eq!(loses_rows(fit), None, "{fit}");
        }
        for unfit in [140_000, 140_001, 140_003] {
            assert!(loses_rows(unfit).is_some_and(|why| why.contains("update to 14.4")), "{unfit}");
        }
    }
}
