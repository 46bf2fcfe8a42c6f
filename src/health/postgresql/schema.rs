//! Whether the tables, columns, keys and foreign keys are those of the revision.

use crate::health::Finding;
use crate::metrics::Check;
use crate::model::Table;
use crate::model::expected::{self, ForeignKey};
use crate::model::layout::{Column, ColumnType, postgresql_key};
use crate::storage::postgres::{Catalog, ColumnFacts, ForeignKeyFacts, identifier, qualified};

/// How what is missing is made.
const MAKE: &str = "find out who removed it; `alembic upgrade head` makes only what its ledger says is missing, so take \
                    it from a backup, or make it by hand as the migration does";

/// What differs from the schema at a position of the chain of revisions.
pub(super) fn compare(catalog: &Catalog, position: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in Table::ALL.into_iter().filter(|table| expected::has_table(*table, position)) {
        if catalog.table(table.name()).is_none() {
            let what = format!("the table {}.{table} is missing at this revision", catalog.schema);
            findings.push(Finding::new(Check::TableMissing, table.name(), what, MAKE));
            continue;
        }
        compare_columns(catalog, table, position, &mut findings);
        compare_key(catalog, table, &mut findings);
        compare_foreign_keys(catalog, table, &mut findings);
    }
    findings
}

fn compare_columns(catalog: &Catalog, table: Table, position: usize, findings: &mut Vec<Finding>) {
    let expected = expected::columns(table, position);
    let found: Vec<_> = catalog.columns.iter().filter(|column| column.table == table.name()).collect();
    for column in &expected {
        let object = format!("{table}.{}", column.name);
        match found.iter().find(|found| found.name == column.name) {
            None => {
                let what = format!("the column {object} is missing");
                findings.push(Finding::new(Check::ColumnMissing, object, what, MAKE));
            }
            Some(found) => findings.extend(difference(column, found, object)),
        }
    }
    for column in found.iter().filter(|found| !expected.iter().any(|column| column.name == found.name)) {
        let object = format!("{table}.{}", column.name);
        let harm = if column.not_null && !column.has_default {
            "must have a value that the application does not give, so that no row can be added"
        } else {
            "stays behind when the deployment is moved to another backend"
        };
        let what = format!("the column {object} is none of ActingWeb's and {harm}");
        findings.push(Finding::new(Check::ColumnExtra, object, what, "keep what is yours in a table of your own"));
    }
}

fn difference(expected: &Column, found: &ColumnFacts, object: String) -> Option<Finding> {
    let (wanted, null) = (type_name(expected.r#type), if expected.not_null { " NOT NULL" } else { "" });
    // A default beside NOT NULL is no harm, and there is one in the schema.
    if found.r#type == wanted && found.not_null == expected.not_null {
        return None;
    }
    let is = if found.not_null { " NOT NULL" } else { "" };
    let what = format!("the column {object} is {}{is} and not {wanted}{null}", found.r#type);
    let remedy = "what does not fit is refused or stored differently; change it back with ALTER TABLE when nobody \
                  writes, as the migrations have it";
    Some(Finding::new(Check::ColumnDifferent, object, what, remedy))
}

/// A type as `format_type` shows it.
fn type_name(r#type: ColumnType) -> String {
    match r#type {
        ColumnType::Varchar(length) => return format!("character varying({length})"),
        ColumnType::Text => "text",
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::Bigint => "bigint",
        ColumnType::Jsonb => "jsonb",
        ColumnType::Timestamp => "timestamp without time zone",
        ColumnType::Timestamptz => "timestamp with time zone",
    }
    .to_owned()
}

fn is_partitioned(catalog: &Catalog, table: Table) -> bool {
    catalog.table(table.name()).is_some_and(|table| table.is_partitioned)
}

fn compare_key(catalog: &Catalog, table: Table, findings: &mut Vec<Finding>) {
    let expected = postgresql_key(table);
    let found = catalog.indexes.iter().find(|index| index.table == table.name() && index.is_primary);
    if found.is_some_and(|index| index.keys == expected) {
        return;
    }
    let (wanted, full_name) = (expected.join(", "), qualified(&catalog.schema, table.name()));
    let what = match found {
        Some(index) => format!("the primary key of {table} is ({}) and not ({wanted})", index.keys.join(", ")),
        None => format!("{table} has no primary key; it must be ({wanted})"),
    };
    // A table has one primary key at most. What its index is called here, it is called until it is one.
    let name = expected::primary_key(table);
    let (own_name, made) = (identifier(name), identifier(&format!("{name}_new")));
    let drop = found.map(|index| format!("DROP CONSTRAINT {}, ", identifier(&index.name))).unwrap_or_default();
    let replace = format!("ALTER TABLE {full_name} {drop}ADD CONSTRAINT {own_name} PRIMARY KEY");
    let steps = match is_partitioned(catalog, table) {
        // No index is made beside the application on a table in parts.
        true => format!("{replace} ({wanted}), when nobody writes"),
        false => format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {made} ON {full_name} ({wanted}), then {replace} USING INDEX {made}"
        ),
    };
    let remedy = format!(
        "look for rows with equal keys first (SELECT {wanted} FROM {full_name} GROUP BY {wanted} HAVING count(*) > 1); then \
         {steps}"
    );
    findings.push(Finding::new(Check::KeyDifferent, table.name(), what, remedy));
}

fn compare_foreign_keys(catalog: &Catalog, table: Table, findings: &mut Vec<Finding>) {
    let (expected, full_name) = (expected::foreign_key(table), qualified(&catalog.schema, table.name()));
    let found: Vec<_> = catalog.foreign_keys.iter().filter(|key| key.table == table.name()).collect();
    let is_it = |key: &ForeignKeyFacts, expected: &ForeignKey| {
        key.is_here && key.to == expected.to.name() && key.columns == [expected.column]
    };
    if let Some(expected) = expected {
        let wanted = |to: &str| {
            let column = identifier(expected.column);
            format!("FOREIGN KEY ({column}) REFERENCES {to}(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED")
        };
        let is_right = |key: &&&ForeignKeyFacts| key.cascades && key.is_deferred && key.is_validated;
        let same: Vec<_> = found.iter().filter(|key| is_it(key, &expected)).collect();
        if same.iter().find(|key| is_right(key)).is_none() {
            let what = match same.first() {
                None => format!("{table} has no foreign key to {}: entries of actors that are gone stay", expected.to),
                Some(key) if !key.is_validated => {
                    format!("the foreign key {} was never held against all rows", key.name)
                }
                Some(key) => {
                    let wanted = wanted(expected.to.name());
                    format!("the foreign key {} is {} and not {wanted}", key.name, key.definition)
                }
            };
            let name = identifier(expected.name);
            let key = wanted(&qualified(&catalog.schema, expected.to.name()));
            let add = format!("ALTER TABLE {full_name} ADD CONSTRAINT {name} {key}");
            let steps = match is_partitioned(catalog, table) {
                // Before PostgreSQL 18 a table in parts takes none that is not held against all rows at once.
                true => format!("{add}, when nobody writes"),
                false => format!("{add} NOT VALID, then ALTER TABLE {full_name} VALIDATE CONSTRAINT {name}"),
            };
            let remedy = format!("{steps}; remove one of that name before");
            findings.push(Finding::new(Check::ForeignKeyDifferent, expected.name, what, remedy));
        }
    }
    for key in found.iter().filter(|key| !expected.is_some_and(|expected| is_it(key, &expected))) {
        let what = format!("nobody expects the foreign key {} of {table}: {}", key.name, key.definition);
        let remedy = format!(
            "ActingWeb writes and deletes in an order that such a key may refuse: ALTER TABLE {full_name} DROP CONSTRAINT {}",
            identifier(&key.name)
        );
        findings.push(Finding::new(Check::ForeignKeyDifferent, key.name.clone(), what, remedy));
    }
}
