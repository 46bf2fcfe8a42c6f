//! What an ActingWeb database of each revision must have beside its columns: tables, indexes, the foreign key.
//!
//! Names of indexes differ between deployments (ActingWeb's own documentation has `idx_actors_creator` where its
//! migrations make `ix_actors_creator`), so an index is known by what it indexes, in the words in which PostgreSQL
//! itself shows it.

use super::Table;
use super::layout::{Column, ColumnType, postgresql_columns};
use super::schema::REVISIONS;

/// An index of PostgreSQL that is no primary key: a B-tree, not unique, with the default operators and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// What the migrations call it.
    pub name: &'static str,
    /// The columns or expressions that it is by, as `pg_get_indexdef` shows each.
    pub keys: &'static [&'static str],
    /// Which rows it holds, as `pg_get_expr` shows it; none for all.
    pub predicate: Option<&'static str>,
}

/// The only foreign key of the schema, as `pg_get_constraintdef` shows it but for the schema of `actors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// What the migrations call it.
    pub name: &'static str,
    /// The column that refers.
    pub column: &'static str,
    /// The table that it refers to, by its only key column, `id`.
    pub to: Table,
}

/// The newest position of the chain that this build knows.
pub const NEWEST: usize = REVISIONS.len();

/// Whether a table is there at a position of the chain of revisions.
pub const fn has_table(table: Table, position: usize) -> bool {
    match table {
        Table::PropertyLookup => position >= 2,
        Table::SubscriptionSuspensions => position >= 4,
        _ => position >= 1,
    }
}

/// The columns that a table has at a position of the chain.
pub fn columns(table: Table, position: usize) -> Vec<Column> {
    let is_there = |column: &&Column| {
        position >= 3 || !["aw_supported", "aw_version", "capabilities_fetched_at"].contains(&column.name)
    };
    let at = |column: &Column| match (table, column.name) {
        (Table::Properties, "name") if position < 7 => Column { r#type: ColumnType::Varchar(255), ..*column },
        _ => *column,
    };
    postgresql_columns(table).iter().filter(is_there).map(at).collect()
}

/// The indexes that a table has at a position of the chain, beside that of its primary key.
pub fn indexes(table: Table, position: usize) -> Vec<Index> {
    let index = |name, keys, predicate| Index { name, keys, predicate };
    let mut indexes = match table {
        Table::Actors => vec![index("ix_actors_creator", &["creator"], None)],
        Table::Properties if position < 5 => vec![index("idx_properties_value", &["value"], None)],
        Table::PropertyLookup => vec![index("idx_property_lookup_actor_id", &["actor_id"], None)],
        Table::Attributes => vec![index("idx_attributes_ttl", &["ttl_timestamp"], Some("ttl_timestamp IS NOT NULL"))],
        Table::Trusts => vec![index("idx_trusts_secret", &["secret"], None)],
        _ => Vec::new(),
    };
    if table == Table::Attributes && position >= 6 {
        indexes.push(index(
            "idx_attributes_chain_id",
            &["(data ->> 'chain_id'::text)"],
            Some("(data ->> 'chain_id'::text) IS NOT NULL"),
        ));
    }
    indexes
}

/// The names of all indexes that ActingWeb's tables have or had in PostgreSQL, with their tables.
pub fn index_names() -> impl Iterator<Item = (Table, &'static str)> {
    // No index had another name before, and the one that was dropped was there from the beginning.
    let ever = |table| indexes(table, 1).into_iter().chain(indexes(table, NEWEST));
    let mut names: Vec<_> = Table::ALL
        .into_iter()
        .flat_map(|table| {
            std::iter::once(primary_key(table))
                .chain(ever(table).map(|index| index.name))
                .map(move |name| (table, name))
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// The foreign key that a table has.
pub const fn foreign_key(table: Table) -> Option<ForeignKey> {
    match table {
        Table::PropertyLookup => {
            Some(ForeignKey { name: "fk_property_lookup_actor", column: "actor_id", to: Table::Actors })
        }
        _ => None,
    }
}

/// What the migrations call the index of a table's primary key.
pub const fn primary_key(table: Table) -> &'static str {
    match table {
        Table::Actors => "actors_pkey",
        Table::Properties => "properties_pkey",
        Table::PropertyLookup => "property_lookup_pkey",
        Table::Attributes => "attributes_pkey",
        Table::Trusts => "trusts_pkey",
        Table::PeerTrustees => "peertrustees_pkey",
        Table::Subscriptions => "subscriptions_pkey",
        Table::SubscriptionDiffs => "subscription_diffs_pkey",
        Table::SubscriptionSuspensions => "subscription_suspensions_pkey",
    }
}
