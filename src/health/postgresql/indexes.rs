//! Whether the indexes are those of the revision, known by what they index.

use crate::health::{Cure, Finding};
use crate::metrics::Check;
use crate::model::Table;
use crate::model::expected::{self, Index};
use crate::storage::postgres::{Catalog, IndexFacts, TableFacts, identifier, qualified};

/// What differs from the indexes at a position of the chain of revisions. One that may be being built at this moment is
/// nobody's business.
pub(super) fn compare(catalog: &Catalog, position: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in Table::ALL {
        let Some(facts) = catalog.table(table.name()) else { continue };
        let expected = expected::indexes(table, position);
        let found: Vec<_> = catalog.indexes.iter().filter(|index| index.table == table.name()).collect();
        for index in &expected {
            findings.extend(missing(&catalog.schema, (table, facts), index, &found));
        }
        let others = found.iter().filter(|index| !is_being_built(index) && !index.is_primary);
        findings.extend(others.filter_map(|index| superfluous(&catalog.schema, index, &expected, &found)));
    }
    findings
}

/// Whether somebody is building it at this moment, as far as that can be told.
pub(super) fn is_being_built(index: &IndexFacts) -> bool {
    !index.is_valid && index.may_be_built
}

/// The name that ActingWeb gives an index, if it is one of its at a position of the chain of revisions.
pub(super) fn known_as(index: &IndexFacts, position: usize) -> Option<&'static str> {
    let table = Table::named(&index.table)?;
    if index.is_primary {
        return Some(expected::primary_key(table));
    }
    expected::indexes(table, position).into_iter().find(|wanted| is_it(index, wanted)).map(|wanted| wanted.name)
}

/// Whether an index is the expected one.
fn is_it(index: &IndexFacts, expected: &Index) -> bool {
    index.method == "btree"
        && index.keys == expected.keys
        && index.predicate.as_deref() == expected.predicate
        && index.is_plain
        && !index.has_more
        && !index.is_unique
}

/// Whether an index finds what the expected one finds: it begins with the same keys and holds the same rows.
fn does_its_work(index: &IndexFacts, expected: &Index) -> bool {
    index.method == "btree"
        && index.keys.len() >= expected.keys.len()
        && index.keys.iter().zip(expected.keys).all(|(found, wanted)| found == wanted)
        && index.predicate.as_deref() == expected.predicate
        && index.is_plain
}

/// Whether ActingWeb cannot do without an index at a position of the chain of revisions: it is an expected one, or finds
/// what one that is not there would find.
pub(super) fn is_needed(index: &IndexFacts, catalog: &Catalog, position: usize) -> bool {
    let Some(table) = Table::named(&index.table) else { return false };
    let found: Vec<_> = catalog.indexes.iter().filter(|other| other.table == index.table).collect();
    known_as(index, position).is_some() || stands_in(index, &expected::indexes(table, position), &found)
}

/// Whether an index finds what an expected one would find that is not there.
fn stands_in(index: &IndexFacts, expected: &[Index], found: &[&IndexFacts]) -> bool {
    expected.iter().any(|wanted| does_its_work(index, wanted) && !found.iter().any(|other| is_it(other, wanted)))
}

/// Whether any index finds what the expected one finds, or will when it is built.
fn is_done(expected: &Index, found: &[&IndexFacts]) -> bool {
    found.iter().any(|found| (found.is_valid || is_being_built(found)) && does_its_work(found, expected))
}

/// What is wrong with an expected index. No server makes one beside the application on a table in parts: somebody has to
/// take the steps.
fn missing(
    schema: &str,
    (table, facts): (Table, &TableFacts),
    index: &Index,
    found: &[&IndexFacts],
) -> Option<Finding> {
    if is_done(index, found) {
        return None;
    }
    let made = match facts.is_partitioned {
        true => definition_in_parts(schema, table, index),
        false => format!("`index check --repair`, or {}", definition(schema, table, index)),
    };
    let invalid = found.iter().find(|found| is_it(found, index));
    if let Some(invalid) = invalid.filter(|_| facts.is_partitioned) {
        let what = format!(
            "the index {} on {table} ({}) is not whole: not every part of the table has one that belongs to it",
            invalid.name,
            index.keys.join(", ")
        );
        let remedy = each_part(schema, &invalid.name, index);
        return Some(Finding::new(Check::IndexInvalid, invalid.name.clone(), what, remedy));
    }
    if let Some(invalid) = invalid {
        let what = format!(
            "the index {} on {table} ({}) cannot be used, and costs with every write: the command that built it did not \
             come to its end",
            invalid.name,
            index.keys.join(", ")
        );
        let remedy =
            format!("`index check --repair`, or REINDEX INDEX CONCURRENTLY {}", qualified(schema, &invalid.name));
        let (index, oid) = (invalid.name.clone(), invalid.oid);
        let cure = Cure::RebuildIndex { table, index, oid, bytes: invalid.bytes, expected: None };
        return Some(Finding::new(Check::IndexInvalid, invalid.name.clone(), what, remedy).with_cure(cure));
    }
    if let Some(other) = found.iter().find(|found| found.name == index.name) {
        let what = format!(
            "the index {} on {table} is on {} and not on {}: a migration that found its name taken has left it so",
            index.name,
            subject_of(other),
            subject(index.keys, index.predicate)
        );
        let remedy = format!("{}; then {made}", removal(schema, other));
        return Some(Finding::new(Check::IndexDifferent, index.name, what, remedy));
    }
    let what = format!("{table} has no index on {}", subject(index.keys, index.predicate));
    let missing = Finding::new(Check::IndexMissing, index.name, what, made);
    Some(match facts.is_partitioned {
        true => missing,
        false => missing.with_cure(Cure::CreateIndex { table, index: *index }),
    })
}

/// What is wrong with an index that is there.
fn superfluous(schema: &str, index: &IndexFacts, expected: &[Index], found: &[&IndexFacts]) -> Option<Finding> {
    let drop = removal(schema, index);
    let cost = "it costs space and time with every write";
    let mut others = found.iter().filter(|other| other.oid != index.oid && other.is_valid);
    let wanted = expected.iter().find(|wanted| is_it(index, wanted));
    if !index.is_valid {
        // One that is expected, and that no other stands in for, is told as invalid.
        if wanted.is_some_and(|wanted| !others.any(|other| does_its_work(other, wanted))) {
            return None;
        }
        let what = format!(
            "the index {} on {} cannot be used and is nobody's: an interrupted CREATE or REINDEX INDEX CONCURRENTLY has left \
             it, and {cost}",
            index.name, index.table
        );
        return Some(Finding::new(Check::IndexLeftover, index.name.clone(), what, drop));
    }
    // What has an order, operators or rules of its own, or holds columns that it is not by, is there for that.
    let holds_the_same = |other: &IndexFacts| {
        other.method == index.method
            && other.predicate == index.predicate
            && other.is_plain
            && index.is_plain
            && !index.has_more
    };
    let is_bound = index.is_constraint || index.is_unique || index.is_replica_identity;
    let twin = others.clone().find(|other| {
        // Of two that are equal the one that is expected stays, then the first by name.
        let stays = |one: &IndexFacts| expected.iter().any(|wanted| wanted.name == one.name);
        let rank =
            |one: &IndexFacts| (!one.is_primary && !one.is_constraint && !one.is_unique, !stays(one), one.name.clone());
        // What refuses equal keys does the work as well, but may go one day, and the one that is expected may not.
        let may_go = wanted.is_none_or(|wanted| is_it(other, wanted));
        holds_the_same(other) && other.keys == index.keys && may_go && rank(other) < rank(index)
    });
    if let Some(twin) = twin.filter(|_| !is_bound) {
        let what = format!("the index {} on {} indexes what {} does: {cost}", index.name, index.table, twin.name);
        return Some(Finding::new(Check::IndexDuplicate, index.name.clone(), what, drop));
    }
    if wanted.is_some() {
        return None;
    }
    let longer = others.find(|other| {
        holds_the_same(other) && other.keys.len() > index.keys.len() && other.keys.starts_with(&index.keys)
    });
    if let Some(longer) = longer.filter(|_| !is_bound) {
        let what = format!(
            "the index {} on {} is what {} begins with, which finds the same: {cost}",
            index.name, index.table, longer.name
        );
        return Some(Finding::new(Check::IndexCovered, index.name.clone(), what, drop));
    }
    // Where a third one does the work, under a name of its own, one that only has the name is like any other.
    let is_told_as_different = expected.iter().any(|wanted| {
        wanted.name == index.name && !is_done(wanted, found) && !found.iter().any(|other| is_it(other, wanted))
    });
    if is_told_as_different || stands_in(index, expected, found) {
        return None;
    }
    let what = format!("nobody expects the index {} on {} {}: {cost}", index.name, index.table, subject_of(index));
    let remedy = format!("if it is yours and wanted, say so in jobs.index_health.acknowledge; otherwise {drop}");
    Some(Finding::new(Check::IndexExtra, index.name.clone(), what, remedy))
}

/// How an index is removed. Without the one by which logical replication knows rows, no row of a table that is published
/// can be changed or deleted.
fn removal(schema: &str, index: &IndexFacts) -> String {
    let (table, name) = (qualified(schema, &index.table), qualified(schema, &index.name));
    let replicated = if index.is_replica_identity {
        format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT (logical replication knows rows by this index), then ")
    } else {
        String::new()
    };
    if index.is_constraint {
        // It has the name of its index.
        return format!("{replicated}ALTER TABLE {table} DROP CONSTRAINT {}", identifier(&index.name));
    }
    let how = if index.is_partitioned { "" } else { " CONCURRENTLY" };
    format!("{replicated}DROP INDEX{how} {name}")
}

fn subject_of(index: &IndexFacts) -> String {
    let more = if index.has_more { " with further columns" } else { "" };
    let own = if index.is_plain { "" } else { " by an order, operators or rules of its own" };
    format!("{}{more}{own}", subject(&index.keys, index.predicate.as_deref()))
}

fn subject<T: AsRef<str>>(keys: &[T], predicate: Option<&str>) -> String {
    let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    let rows = predicate.map(|predicate| format!(" where {predicate}")).unwrap_or_default();
    format!("({}){rows}", keys.join(", "))
}

/// What an index is by and which rows it has, as they are written when one is made.
fn written(index: &Index) -> String {
    let rows = index.predicate.map(|predicate| format!(" WHERE {predicate}")).unwrap_or_default();
    format!("({}){rows}", index.keys.join(", "))
}

/// How the index of a table in parts is made without keeping anybody from writing.
fn definition_in_parts(schema: &str, table: Table, index: &Index) -> String {
    let (name, table) = (identifier(index.name), qualified(schema, table.name()));
    let parts = each_part(schema, index.name, index);
    format!("CREATE INDEX {name} ON ONLY {table} {}, then {parts}", written(index))
}

/// How the parts of a table get the indexes that make its own whole.
fn each_part(schema: &str, name: &str, index: &Index) -> String {
    format!(
        "for each part of the table without one: CREATE INDEX CONCURRENTLY … ON … {}, then ALTER INDEX {} ATTACH PARTITION …; a \
         part that has parts itself is dealt with like the table",
        written(index),
        qualified(schema, name)
    )
}

fn definition(schema: &str, table: Table, index: &Index) -> String {
    let (name, table) = (identifier(index.name), qualified(schema, table.name()));
    format!("CREATE INDEX CONCURRENTLY {name} ON {table} {}", written(index))
}
