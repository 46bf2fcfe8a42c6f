//! The parts of statements that follow from what the tables look like.

use super::quote_identifier;
use crate::model::Table;
use crate::model::layout::{Column, ColumnType, postgresql_columns, postgresql_key};

/// Puts statements on the tables of one schema together. In all of them the table is called `t`.
/// Rows go in and out as texts, one for each column in the order of the layout, so that one
/// converter reads and writes all of them.
pub(super) struct Builder {
    /// Quoted.
    schema: String,
}

impl Builder {
    pub(super) fn new(schema: &str) -> Self {
        Self { schema: schema.to_owned() }
    }

    /// The full name of a table.
    pub(super) fn name(&self, table: Table) -> String {
        format!("{}.{}", self.schema, table.name())
    }

    /// Reads rows.
    pub(super) fn select(&self, table: Table, rest: &str) -> String {
        format!("SELECT {} FROM {} AS t {rest}", self.columns(table), self.name(table))
    }

    /// Reads rows, and one thing more about each.
    pub(super) fn select_with(&self, table: Table, more: &str, rest: &str) -> String {
        format!("SELECT {}, {more} FROM {} AS t {rest}", self.columns(table), self.name(table))
    }

    /// The columns of a row, as they go out.
    pub(super) fn columns(&self, table: Table) -> String {
        joined(postgresql_columns(table), |column| format!("t.{}::text", quoted(column)))
    }

    /// Makes a row of the texts of all its columns, unless there is one with its key. For a text
    /// that is missing, `defaults` may have a value.
    pub(super) fn create(&self, table: Table, defaults: &[(&str, &str)]) -> String {
        let columns = postgresql_columns(table);
        let mut number = 0;
        let values = joined(columns, |column| {
            number += 1;
            let given = cast(&format!("${number}::text"), column.r#type);
            match defaults.iter().find(|(name, _)| *name == column.name) {
                Some((_, default)) => format!("coalesce({given}, {default})"),
                None => given,
            }
        });
        format!(
            "INSERT INTO {} AS t ({}) VALUES ({values}) ON CONFLICT DO NOTHING",
            self.name(table),
            joined(columns, quoted)
        )
    }

    /// Changes these columns, whose texts come after the `before` parameters of the condition;
    /// where a text is missing, the column stays.
    pub(super) fn modify(&self, table: Table, condition: &str, before: usize, changed: &[&str]) -> String {
        let mut number = before;
        let changes = joined(changed, |name| {
            number += 1;
            let column = postgresql_columns(table).iter().find(|column| column.name == *name);
            let r#type = column.map_or(ColumnType::Text, |column| column.r#type);
            format!("\"{name}\" = coalesce({}, t.\"{name}\")", cast(&format!("${number}::text"), r#type))
        });
        format!("UPDATE {} AS t SET {changes} WHERE {condition}", self.name(table))
    }

    /// Deletes rows.
    pub(super) fn delete(&self, table: Table, condition: &str) -> String {
        format!("DELETE FROM {} AS t WHERE {condition}", self.name(table))
    }

    /// Reads a page along the primary key, `$1` rows at most: from the key on that follows, or from
    /// a lower bound of its first column, and up to an upper bound of that if there is one. The
    /// comparisons and the order are those of the index, whatever its collation.
    pub(super) fn page(&self, table: Table, goes_on: bool, ends: bool) -> String {
        let key = postgresql_key(table);
        let first = key[0];
        let (mut condition, mut number) = if goes_on {
            let mut number = 1;
            let values = joined(key, |_| {
                number += 1;
                format!("${number}")
            });
            (format!("({}) > ({values})", joined(key, |name| format!("t.{name}"))), number)
        } else {
            (format!("t.{first} >= $2"), 2)
        };
        if ends {
            number += 1;
            condition.push_str(&format!(" AND t.{first} < ${number}"));
        }
        let order = joined(key, |name| format!("t.{name}"));
        self.select(table, &format!("WHERE {condition} ORDER BY {order} LIMIT $1"))
    }

    /// Writes many rows, for each column the texts of all of them, whatever stands under their keys.
    pub(super) fn upsert(&self, table: Table) -> String {
        let (columns, key) = (postgresql_columns(table), postgresql_key(table));
        let mut number = 0;
        let arrays = joined(columns, |_| {
            number += 1;
            format!("${number}::text[]")
        });
        let others: Vec<&Column> = columns.iter().filter(|column| !key.contains(&column.name)).collect();
        format!(
            "INSERT INTO {} AS t ({names}) SELECT {values} FROM unnest({arrays}) AS u ({names}) \
             ON CONFLICT ({key}) DO UPDATE SET {changes}",
            self.name(table),
            names = joined(columns, quoted),
            values = joined(columns, |column| cast(&format!("u.{}", quoted(column)), column.r#type)),
            key = key.join(", "),
            changes = joined(&others, |column| format!("{0} = EXCLUDED.{0}", quoted(column))),
        )
    }
}

/// Some names are words of SQL.
pub(super) fn quoted(column: &Column) -> String {
    quote_identifier(column.name)
}

/// A text as a value of a column. Never as `varchar(n)`: a cast to that cuts off what is too long,
/// without a word.
fn cast(text: &str, r#type: ColumnType) -> String {
    let name = match r#type {
        ColumnType::Varchar(_) | ColumnType::Text => return text.to_owned(),
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "integer",
        ColumnType::Bigint => "bigint",
        ColumnType::Jsonb => "jsonb",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Timestamptz => "timestamptz",
    };
    format!("{text}::{name}")
}

fn joined<T>(items: &[T], part: impl FnMut(&T) -> String) -> String {
    items.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_follow_the_layout() {
        let build = Builder::new("\"s\"");
        assert_eq!(
            build.create(Table::Actors, &[("created_at", "now()")]),
            "INSERT INTO \"s\".actors AS t (\"id\", \"creator\", \"passphrase\", \"created_at\") \
             VALUES ($1::text, $2::text, $3::text, coalesce($4::text::timestamp, now())) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            build.modify(Table::Subscriptions, "t.id = $1", 1, &["target", "seqnr"]),
            "UPDATE \"s\".subscriptions AS t SET \"target\" = coalesce($2::text, t.\"target\"), \
             \"seqnr\" = coalesce($3::text::integer, t.\"seqnr\") WHERE t.id = $1"
        );
        assert_eq!(
            build.page(Table::Properties, true, true),
            "SELECT t.\"id\"::text, t.\"name\"::text, t.\"value\"::text FROM \"s\".properties AS t \
             WHERE (t.id, t.name) > ($2, $3) AND t.id < $4 ORDER BY t.id, t.name LIMIT $1"
        );
        assert_eq!(
            build.upsert(Table::Properties),
            "INSERT INTO \"s\".properties AS t (\"id\", \"name\", \"value\") \
             SELECT u.\"id\", u.\"name\", u.\"value\" \
             FROM unnest($1::text[], $2::text[], $3::text[]) AS u (\"id\", \"name\", \"value\") \
             ON CONFLICT (id, name) DO UPDATE SET \"value\" = EXCLUDED.\"value\""
        );
    }
}
