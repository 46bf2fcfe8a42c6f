//! Statements that look through buckets.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::Builder;
use crate::model::Table;

/// Statements on the attributes.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct BucketWalk {
    /// A page: `$1` rows at most that are looked at, all of the buckets `$2` and those without a TTL of
    /// the buckets `$3`. After the columns, whether the row is wanted, whether it is the last that was
    /// looked at, and how many were.
    first: SqlStr,
    /// The same behind the key `$4`, `$5`.
    further: SqlStr,
    /// The rows under the keys `$1`, `$2`; after the columns, the place of the key among them.
    pub(in crate::storage::postgres) locate: SqlStr,
}

impl BucketWalk {
    pub(super) fn new(build: &Builder) -> Self {
        let table = Table::Attributes;
        let sql = |op: &str, text: String| AssertSqlSafe(format!("/* {op} */ {text}")).into_sql_str();
        // The last row comes whether it is wanted or not, as the next page begins behind it. In no order:
        // to sort what is sorted by the index already would cost more than all the rest.
        let page = |condition: &str| {
            let text = format!(
                "SELECT {columns}, t.wanted::text, (t.place = t.looked_at)::text, t.looked_at::text FROM ( \
                     SELECT p.*, bucket = ANY($2::text[]) OR (bucket = ANY($3::text[]) AND ttl_timestamp IS NULL) \
                             AS wanted, \
                         row_number() OVER (ORDER BY p.id, p.bucket_name) AS place, count(*) OVER () AS looked_at \
                     FROM (SELECT * FROM {name} AS a {condition} ORDER BY a.id, a.bucket_name LIMIT $1) AS p \
                 ) AS t WHERE t.wanted OR t.place = t.looked_at",
                columns = build.columns(table),
                name = build.name(table),
            );
            sql("walk_buckets", text)
        };
        let locate = build.select_with(
            table,
            "k.place::text",
            "JOIN unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (id, bucket_name, place) \
             ON t.id = k.id AND t.bucket_name = k.bucket_name",
        );
        Self { first: page(""), further: page("WHERE (a.id, a.bucket_name) > ($4, $5)"), locate: sql("locate", locate) }
    }

    /// A page that goes on from a key or begins with the table.
    pub(in crate::storage::postgres) fn page(&self, goes_on: bool) -> SqlStr {
        if goes_on { self.further.clone() } else { self.first.clone() }
    }
}
