//! Statements that thin out the changes of subscriptions.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::build::Builder;
use crate::model::Table;

/// The statements.
#[derive(Clone, Debug)]
pub(in crate::storage::postgres) struct Pruning {
    /// Actors that have changes, after one and up to a limit.
    pub(in crate::storage::postgres) owners: SqlStr,
    /// Changes of an actor without what they say, after a key and up to a limit.
    pub(in crate::storage::postgres) numbers: SqlStr,
    /// What changes of a subscription say, by their keys.
    pub(in crate::storage::postgres) texts: SqlStr,
    /// Deletes changes of a subscription by their keys, up to a number.
    pub(in crate::storage::postgres) prune: SqlStr,
    /// The same, unless there is a subscription.
    pub(in crate::storage::postgres) prune_orphans: SqlStr,
}

impl Pruning {
    pub(super) fn new(build: &Builder) -> Self {
        let sql = |op: &str, text: String| AssertSqlSafe(format!("/* {op} */ {text}")).into_sql_str();
        let (diffs, subscriptions) = (build.name(Table::SubscriptionDiffs), build.name(Table::Subscriptions));
        let delete = format!(
            "DELETE FROM {diffs} AS t WHERE t.id = $1 AND t.subid_seqnr = ANY($2) AND t.subid = $3 AND t.seqnr <= $4"
        );
        Self {
            // One step down the index for each actor. Comparisons and order are the index's own, whatever
            // its collation.
            owners: sql(
                "diff_owners",
                format!(
                    "WITH RECURSIVE owners AS ( \
                         (SELECT t.id::text AS id FROM {diffs} AS t WHERE t.id > $1 ORDER BY t.id LIMIT 1) \
                         UNION ALL \
                         SELECT (SELECT t.id::text FROM {diffs} AS t WHERE t.id > owners.id ORDER BY t.id LIMIT 1) \
                         FROM owners WHERE owners.id IS NOT NULL) \
                     SELECT owners.id FROM owners WHERE owners.id IS NOT NULL LIMIT $2"
                ),
            ),
            numbers: sql(
                "diff_numbers",
                format!(
                    "SELECT t.subid::text, t.seqnr::bigint, t.\"timestamp\"::text, t.subid_seqnr::text \
                     FROM {diffs} AS t WHERE t.id = $1 AND t.subid_seqnr > $2 ORDER BY t.subid_seqnr LIMIT $3"
                ),
            ),
            texts: sql(
                "diff_texts",
                format!(
                    "SELECT t.seqnr::bigint, t.\"timestamp\"::text, t.diff FROM {diffs} AS t \
                     WHERE t.id = $1 AND t.subid_seqnr = ANY($2) AND t.subid = $3 ORDER BY t.seqnr"
                ),
            ),
            prune_orphans: sql(
                "prune_diffs",
                format!("{delete} AND NOT EXISTS (SELECT FROM {subscriptions} AS s WHERE s.id = $1 AND s.subid = $3)"),
            ),
            prune: sql("prune_diffs", delete),
        }
    }
}
