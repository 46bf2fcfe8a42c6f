//! The statements that name the application's tables, built once for its schema. Here and
//! nowhere else SQL is put together from parts.

mod audit;
mod bucket_walk;
mod build;
mod bulk;
pub(super) mod catalog;
pub(super) mod inspection;
pub(super) mod privileges;
mod pruning;
pub(super) mod rebuild;
mod removals;
pub(super) mod scratch;
pub(super) mod server;
pub(super) mod snapshot;
pub(super) mod survey;
mod tables;

use std::time::Duration;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

pub(super) use self::audit::Audit;
pub(super) use self::bucket_walk::BucketWalk;
use self::build::Builder;
pub(super) use self::bulk::Bulk;
pub(super) use self::pruning::Pruning;
pub(super) use self::removals::Removals;
pub(super) use self::tables::Tables;
use crate::model::Table;

/// Statements for the tables of one schema.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    /// Reads expired rows in order, without locking: cutoff, buckets, cursor, limit.
    pub(super) expired: SqlStr,
    /// Deletes those of the given rows that still may go, and counts them in the run's row.
    pub(super) delete_expired: SqlStr,
    /// Whether any expired row is left.
    pub(super) any_expired: SqlStr,
    /// Expired rows per bucket.
    pub(super) count_expired: SqlStr,
    /// Number and oldest TTL of the expired rows, up to a limit.
    pub(super) backlog: SqlStr,
    /// Whether the attributes can be read.
    pub(super) touch: SqlStr,
    /// The application's schema revisions.
    pub(super) revisions: SqlStr,
    /// What an application does with its tables.
    pub(super) tables: Tables,
    /// Looking through buckets.
    pub(super) bucket_walk: BucketWalk,
    /// What a daemon does with whole tables.
    pub(super) bulk: Bulk,
    /// What thins out the changes of subscriptions.
    pub(super) pruning: Pruning,
    /// What deletes single rows as they were read.
    pub(super) removals: Removals,
    /// What checks ask.
    pub(super) audit: Audit,
}

impl Statements {
    /// The statements for the tables in `schema`.
    pub(super) fn new(schema: &str) -> Self {
        let schema = quote_identifier(schema);
        let build = Builder::new(&schema);
        let attributes = format!("{schema}.attributes");
        let sql = |text: String| AssertSqlSafe(text).into_sql_str();
        Self {
            // The row's place breaks ties between equal TTLs, so that a page can end between them;
            // unqualified, `ctid` in ORDER BY would be the column of text.
            // `wanted` instead of a condition: rows of other buckets must count against the limit,
            // or a page could walk the whole index.
            expired: sql(format!(
                "/* expired */ SELECT ctid::text, ttl_timestamp, \
                     ($2::text[] = '{{}}' OR bucket = ANY($2::text[])) AS wanted \
                 FROM {attributes} \
                 WHERE ttl_timestamp < $1 AND ttl_timestamp >= $3 \
                     AND (ttl_timestamp > $3 OR ctid > $4::text::tid) \
                 ORDER BY ttl_timestamp, attributes.ctid LIMIT $5"
            )),
            // The rows are addressed by place, so the cost does not depend on what lies dead
            // beside them. A row that was updated has left its place and is passed over; should
            // another row have taken the place meanwhile, the repeated condition decides.
            delete_expired: sql(format!(
                "/* delete_expired */ WITH gone AS ( \
                     DELETE FROM {attributes} WHERE ctid = ANY(ARRAY( \
                         SELECT ctid FROM {attributes} \
                         WHERE ctid = ANY($1::text::tid[]) AND ttl_timestamp < $2 \
                             AND ($3::text[] = '{{}}' OR bucket = ANY($3::text[])) \
                         FOR UPDATE SKIP LOCKED)) \
                     AND ttl_timestamp < $2 AND ($3::text[] = '{{}}' OR bucket = ANY($3::text[])) \
                     RETURNING 1), \
                 total AS (SELECT count(*) AS deleted FROM gone) \
                 UPDATE maintd.run_workers SET batches = batches + 1, \
                     deleted = run_workers.deleted + total.deleted, \
                     skipped = skipped + $4 - total.deleted \
                 FROM total WHERE run_id = $5 AND worker = $6 \
                 RETURNING total.deleted, (SELECT count(*) FROM pg_locks \
                     WHERE locktype = 'transactionid' AND NOT granted \
                         AND transactionid = pg_current_xact_id()::xid) AS waiters"
            )),
            any_expired: sql(format!(
                "/* any_expired */ SELECT EXISTS (SELECT FROM {attributes} WHERE ttl_timestamp < $1 \
                     AND ($2::text[] = '{{}}' OR bucket = ANY($2::text[])))"
            )),
            count_expired: sql(format!(
                "/* count_expired */ SELECT bucket, count(*) FROM {attributes} WHERE ttl_timestamp < $1 \
                     AND ($2::text[] = '{{}}' OR bucket = ANY($2::text[])) GROUP BY bucket"
            )),
            backlog: sql(format!(
                "/* backlog */ SELECT count(*), floor(extract(epoch FROM now()))::bigint - min(ttl_timestamp) \
                 FROM (SELECT ttl_timestamp FROM {attributes} \
                     WHERE ttl_timestamp < floor(extract(epoch FROM now()))::bigint \
                     ORDER BY ttl_timestamp LIMIT $1) AS oldest"
            )),
            // Takes the table's lock and reads nothing, however much lies dead at its beginning.
            touch: sql(format!("/* touch */ SELECT count(*) FROM (SELECT FROM {attributes} LIMIT 0) AS none")),
            revisions: sql(format!("/* revisions */ SELECT version_num FROM {schema}.alembic_version ORDER BY 1")),
            tables: Tables::new(&build),
            bucket_walk: BucketWalk::new(&build),
            bulk: Bulk::new(&build),
            pruning: Pruning::new(&build),
            removals: Removals::new(&build),
            audit: Audit::new(&build),
        }
    }
}

/// The text of a migration for the tables in `schema`.
pub(super) fn migration(text: &str, schema: &str) -> SqlStr {
    AssertSqlSafe(text.replace("{schema}", &quote_identifier(schema))).into_sql_str()
}

/// Makes Alembic's ledger in Alembic's own form, so that the result does not differ from its own,
/// and keeps everybody else who migrates out until the end of the transaction.
pub(super) fn lock_ledger(schema: &str) -> SqlStr {
    let schema = quote_identifier(schema);
    AssertSqlSafe(format!(
        "CREATE TABLE IF NOT EXISTS {schema}.alembic_version ( \
             version_num varchar(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)); \
         LOCK TABLE {schema}.alembic_version IN ACCESS EXCLUSIVE MODE"
    ))
    .into_sql_str()
}

/// Moves the ledger to the revision `$1`.
pub(super) fn advance_ledger(schema: &str, from_base: bool) -> SqlStr {
    let schema = quote_identifier(schema);
    AssertSqlSafe(if from_base {
        format!("INSERT INTO {schema}.alembic_version VALUES ($1)")
    } else {
        format!("UPDATE {schema}.alembic_version SET version_num = $1")
    })
    .into_sql_str()
}

/// Makes the application's schema.
pub(super) fn create_schema(schema: &str) -> SqlStr {
    AssertSqlSafe(format!("CREATE SCHEMA {}", quote_identifier(schema))).into_sql_str()
}

/// The ends of a transaction.
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// A part of a transaction that can be undone by itself.
pub(super) const SAVEPOINT: &str = "SAVEPOINT attempt";
pub(super) const RELEASE: &str = "RELEASE SAVEPOINT attempt";
pub(super) const UNDO: &str = "ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt";

/// The begin of a transaction whose statements are bounded, in one round trip. `SET LOCAL`
/// survives a pooler in transaction mode; `SET` would reach other clients. The role may have another
/// isolation level by default, in which what others have changed would be an error, or another way of
/// writing times, which we read and write as text. The answer is how `pg_stat_activity` knows the
/// transaction: backend and the time it began.
pub(super) fn begin(bounds: Bounds) -> SqlStr {
    let Bounds { statement, lock, idle } = bounds;
    AssertSqlSafe(format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}; \
         SET LOCAL idle_in_transaction_session_timeout = {idle}; \
         SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'; \
         SELECT pg_backend_pid(), now()"
    ))
    .into_sql_str()
}

/// Server-side limits of a transaction, in milliseconds; 0 for none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) statement: u64,
    pub(super) lock: u64,
    pub(super) idle: u64,
}

impl Bounds {
    /// How long to wait for an answer here: longer than the server would take to give up. None
    /// where a statement may take as long as it likes.
    pub(super) fn answer(self) -> Option<Duration> {
        (self.statement > 0).then(|| Duration::from_millis(self.statement + self.idle))
    }
}

/// A part of a table: from this block on, up to that one if it ends; none for all of it.
pub(super) type Blocks = Option<(u64, Option<u64>)>;

/// A table in parts of `step` blocks. The last has no end: the table may have grown.
pub(super) fn parts(blocks: u64, step: u64) -> Vec<Blocks> {
    let step = step.max(1);
    let count = blocks.div_ceil(step);
    match count {
        0 | 1 => vec![None],
        _ => (0..count).map(|n| Some((n * step, (n + 1 < count).then_some((n + 1) * step)))).collect(),
    }
}

/// The condition that rows of the table `t` are in a part of it.
fn in_part(blocks: Blocks) -> String {
    match blocks {
        None => String::new(),
        Some((from, None)) => format!(" WHERE t.ctid >= '({from},0)'"),
        Some((from, Some(to))) => format!(" WHERE t.ctid >= '({from},0)' AND t.ctid < '({to},0)'"),
    }
}

/// The full name of a table, as `to_regclass` reads it.
pub(super) fn full_name(schema: &str, table: Table) -> String {
    format!("{}.{}", quote_identifier(schema), table.name())
}

/// Clears away what lies dead in a table, without waiting for a lock, without taking one that others
/// would have to wait for, and with one process. Whoever knows the `mark` finds it at work.
pub(super) fn vacuum(schema: &str, table: Table, mark: Uuid) -> SqlStr {
    let name = full_name(schema, table);
    AssertSqlSafe(format!("/* vacuum {mark} */ VACUUM (SKIP_LOCKED, TRUNCATE false, PARALLEL 0) {name}")).into_sql_str()
}

/// `name` as an identifier, whatever it holds.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(quote_identifier("public"), "\"public\"");
        assert_eq!(quote_identifier("a\"b; DROP"), "\"a\"\"b; DROP\"");
    }
}
