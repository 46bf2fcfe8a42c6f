//! The global secondary indexes. Programs name the index that they query, so on DynamoDB an index is known by its
//! name.

use super::index_object;
use super::tables::{in_words, is_key};
use crate::health::{Cure, Finding};
use crate::metrics::Check;
use crate::model::Table;
use crate::model::layout::{SecondaryIndex, dynamodb_index};
use crate::model::limits::MAX_HASH_KEY;
use crate::storage::dynamodb::{IndexState, TableState};
use crate::work::IndexFigures;

/// So many rows may be in a table and not in its index, or the other way round ...
const APART: u64 = 100;

/// ... or one in so many, if that is more: the two are counted every six hours, and not at the same moment.
const APART_PART: u64 = 20;

/// What is wrong with the indexes of a table.
pub(super) fn findings(
    table: Table,
    state: &TableState,
    expected: Option<SecondaryIndex>,
    by_table: bool,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        expected.and_then(|expected| of_expected(table, state, expected)).into_iter().collect();
    let is_expected = |name: &str| expected.is_some_and(|expected| expected.name == name);
    let others = state.indexes.iter().filter(|index| !is_expected(&index.name) && index.status != "DELETING");
    findings.extend(others.map(|index| extra(table, state, index, by_table)));
    findings.extend(state.local_indexes.iter().map(|index| local(state, index)));
    findings
}

/// The indexes in numbers, as far as DynamoDB tells them.
pub(super) fn figures(table: Table, state: &TableState) -> Vec<IndexFigures> {
    let figures = |index: &IndexState| {
        let known = dynamodb_index(table, true).filter(|known| known.name == index.name);
        Some(IndexFigures {
            table: table.name().to_owned(),
            index: index.name.clone(),
            known_as: known.map(|known| known.name.to_owned()),
            bytes: index.bytes?,
            ..IndexFigures::default()
        })
    };
    state.indexes.iter().filter_map(figures).collect()
}

/// What is wrong with the index that a table must have.
fn of_expected(table: Table, state: &TableState, expected: SecondaryIndex) -> Option<Finding> {
    let (name, object) = (&state.name, index_object(state, expected.name));
    let purpose = purpose(table);
    let Some(index) = state.index(expected.name) else {
        let what =
            format!("the table {name} has no index `{}`, by which {purpose}: no such query works", expected.name);
        if table == Table::Properties {
            return Some(Finding::new(Check::IndexMissing, object, what, limiting(name, expected)));
        }
        let remedy = "run `actingweb-maintd index check --repair`, or write repair = [\"index_missing\"] below \
                      [jobs.index_health]: DynamoDB builds it while the table is used";
        let finding = Finding::new(Check::IndexMissing, object, what, remedy);
        return Some(finding.with_cure(Cure::CreateSecondaryIndex { table }));
    };
    let making = match table {
        Table::Properties => format!("`{}`", creation(name, expected)),
        _ => "`actingweb-maintd index check --repair`".to_owned(),
    };
    let of = format!("the index `{}` of the table {name}", index.name);
    if index.status == "DELETING" {
        let what = format!("{of}, by which {purpose}, is being deleted");
        let remedy = format!("find out who deletes it; when it is gone, run {making}");
        return Some(Finding::new(Check::IndexMissing, object, what, remedy));
    }
    let mut differences = Vec::new();
    if !is_key(&index.key, expected.attribute, None) {
        differences.push(format!("is by ({}) and must be by ({})", in_words(&index.key), expected.attribute));
    }
    if index.projection != "ALL" {
        differences.push(format!("holds {} and must hold ALL", index.projection));
    }
    if !differences.is_empty() {
        let what = format!("{of}, by which {purpose}, {}", differences.join(", and "));
        let remedy = format!(
            "an index cannot be changed: delete it at a quiet hour with `{}`, and as soon as it is gone run {making}; \
             until the new one is built, nothing is found by it",
            deletion(name, &index.name)
        );
        return Some(Finding::new(Check::IndexDifferent, object, what, remedy));
    }
    if index.status == "CREATING" || index.is_backfilling {
        let phase = if index.is_backfilling { "being filled with the rows of the table" } else { "being made" };
        let what = format!("{of}, by which {purpose}, is {phase}: until that is done, no such query works");
        let remedy = "wait: DynamoDB does it by itself, in minutes, or in hours where the table is large";
        return Some(Finding::new(Check::IndexBuilding, object, what, remedy));
    }
    let (rows, indexed) = (state.rows?, index.rows?);
    let apart = drift(rows, indexed)?;
    let what = format!("{of} has {indexed} rows, and the table {rows}, as DynamoDB has counted within the last hours");
    let remedy = format!(
        "look again in a day, as the two are not counted at the same moment; if it stays, find the rows that are not in \
         it with `aws dynamodb scan --table-name {name} --filter-expression 'attribute_not_exists(#a)' \
         --expression-attribute-names '{{\"#a\": \"{}\"}}'`",
        expected.attribute
    );
    Some(Finding { rows: Some(apart), ..Finding::new(Check::IndexDrift, object, what, remedy) })
}

/// What to do where the index on all values is missing. Nobody makes it unasked: from then on DynamoDB refuses values
/// that the application can store now.
fn limiting(name: &str, expected: SecondaryIndex) -> String {
    format!(
        "change over to the look-up table: call with_legacy_property_index(enable=False) or set \
         USE_PROPERTY_LOOKUP_TABLE=true in the application, set storage.property_lookup = true here, and run \
         `actingweb-maintd schema apply` and `actingweb-maintd lookup check --repair`; or make the index with `{}`, \
         from which moment on DynamoDB refuses every value of a property of more than {MAX_HASH_KEY} bytes",
        creation(name, expected)
    )
}

/// An index that nobody of ActingWeb asks.
fn extra(table: Table, state: &TableState, index: &IndexState, by_table: bool) -> Finding {
    let (name, of) = (&state.name, format!("the index `{}` of the table {}", index.name, state.name));
    let delete = deletion(name, &index.name);
    let is_legacy = by_table && dynamodb_index(table, true).is_some_and(|legacy| legacy.name == index.name);
    let (what, remedy) = if is_legacy {
        (
            format!(
                "{of} is left from before there was a look-up table: with it DynamoDB refuses every value of more \
                 than {MAX_HASH_KEY} bytes, and every write of a property costs double"
            ),
            format!(
                "when `actingweb-maintd lookup check` finds nothing, and no process of the application has \
                 USE_PROPERTY_LOOKUP_TABLE off, delete it with `{delete}`"
            ),
        )
    } else {
        (
            format!("{of} is none of ActingWeb's: every write of a row in it is paid twice"),
            format!("if no program of yours queries it, delete it with `{delete}`; if one does, acknowledge this"),
        )
    };
    Finding::new(Check::IndexExtra, index_object(state, &index.name), what, remedy)
}

fn local(state: &TableState, index: &str) -> Finding {
    let what = format!(
        "the local index `{index}` of the table {} is none of ActingWeb's: it makes writes dearer, and lets no actor \
         have more than 10 GB",
        state.name
    );
    let remedy = "a local index can only be made, and be got rid of, with its table: if you can live with it, \
                  acknowledge this; else copy the rows into a table that `actingweb-maintd schema apply` makes";
    Finding::new(Check::IndexExtra, index_object(state, index), what, remedy)
}

/// What the index that a table must have is for.
const fn purpose(table: Table) -> &'static str {
    match table {
        Table::Actors => "actors are found by their creator",
        Table::Trusts => "trusts are found by their secret, so that peers get in",
        _ => "actors are found by what they store",
    }
}

fn creation(table: &str, SecondaryIndex { name, attribute }: SecondaryIndex) -> String {
    format!(
        "aws dynamodb update-table --table-name {table} --attribute-definitions \
         AttributeName={attribute},AttributeType=S --global-secondary-index-updates '[{{\"Create\": {{\"IndexName\": \
         \"{name}\", \"KeySchema\": [{{\"AttributeName\": \"{attribute}\", \"KeyType\": \"HASH\"}}], \"Projection\": \
         {{\"ProjectionType\": \"ALL\"}}}}}}]'"
    )
}

fn deletion(table: &str, index: &str) -> String {
    format!(
        "aws dynamodb update-table --table-name {table} --global-secondary-index-updates \
         '[{{\"Delete\": {{\"IndexName\": \"{index}\"}}}}]'"
    )
}

/// How many rows a table and its index are apart, if that is more than what comes from counting late. Where either has
/// none it has not been counted yet: DynamoDB says 0 for some hours of what is new.
fn drift(rows: u64, indexed: u64) -> Option<u64> {
    let apart = rows.abs_diff(indexed);
    (rows > 0 && indexed > 0 && apart > APART.max(rows / APART_PART)).then_some(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing but the two numbers counts, so that the same counts are always told the same.
    #[test]
    fn a_table_and_its_index_may_be_a_little_apart() {
        assert_eq!([drift(1000, 900), drift(900, 1000), drift(1000, 1000)], [None; 3]);
        assert_eq!((drift(1000, 899), drift(899, 1000)), (Some(101), Some(101)));
        // One in twenty of many.
        assert_eq!((drift(1_000_000, 950_000), drift(1_000_000, 949_999)), (None, Some(50_001)));
        // Not counted yet.
        assert_eq!((drift(1_000_000, 0), drift(0, 1_000_000)), (None, None));
    }
}
