//! What the server tells of those who suffer, in one statement, and the vacuum that helps it.
//!
//! Without the privileges of `pg_monitor` a role sees that there are replicas and vacuums, and
//! nothing of them: their columns are NULL. So each source is looked at by itself.

mod vacuum;

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Context;
use super::statements::{self, Bounds};
use super::{Op, Postgres};
use crate::model::Table;
use crate::storage::{Archive, ErrorKind, Lag, Pressure, Reading, Result, Strain, Vacuumed};
use crate::work::Stop;

/// Who is asked how they are must not have to work for it.
const ASKING: Bounds = Bounds { statement: 1_000, lock: 250, idle: 1_000 };

/// The question, with what it asks the archive for. A function that must not be called is an error
/// even where it would not be: whether it may be is part of the answer, for the next time.
///
/// A replica's own words for how late it is (`replay_lag`) stay as they were when nothing is left
/// to do, so they count only while it is behind. Those that a role may not see are told by
/// `state`: everybody who streams has one. Whoever copies the server (`backup`) replays nothing.
macro_rules! question {
    ($waiting:literal) => {
        concat!(
            "/* strain */ SELECT replicas.hidden > 0 AS replicas_hidden, replicas.bytes, replicas.seconds, \
                 archive.archives, archive.failing, archive.succeeded, archive.last, archive.current, archive.segment, ",
            $waiting,
            " AS waiting, vacuums.hidden > 0 AS vacuums_hidden, vacuums.running > 0 AS vacuums, clients.headroom, \
                 has_function_privilege('pg_ls_archive_statusdir()', 'execute') AS may_list \
             FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END AS written) AS server, \
             LATERAL (SELECT count(*) FILTER (WHERE state IS NULL) AS hidden, \
                     max(greatest(pg_wal_lsn_diff(written, replay_lsn), 0))::bigint AS bytes, \
                     max(extract(epoch FROM replay_lag)) FILTER (WHERE replay_lsn < written)::float8 AS seconds \
                 FROM pg_stat_replication \
                 WHERE coalesce(application_name, '') <> ALL($2::text[]) AND state IS DISTINCT FROM 'backup') AS replicas, \
             LATERAL (SELECT written IS NOT NULL AND current_setting('archive_mode') <> 'off' AS archives, \
                     coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing, \
                     last_archived_time AS succeeded, last_archived_wal AS last, \
                     CASE WHEN written IS NOT NULL THEN pg_walfile_name(written) END AS current, \
                     pg_size_bytes(current_setting('wal_segment_size')) AS segment \
                 FROM pg_stat_archiver) AS archive, \
             LATERAL (SELECT count(*) FILTER (WHERE relid IS NULL) AS hidden, \
                     count(*) FILTER (WHERE relid IN (oid, reltoastrelid)) AS running \
                 FROM pg_stat_progress_vacuum LEFT JOIN pg_class ON oid = to_regclass($1::text) \
                 WHERE datname = current_database()) AS vacuums, \
             LATERAL (SELECT current_setting('max_connections')::bigint \
                     - current_setting('superuser_reserved_connections')::bigint \
                     - coalesce(current_setting('reserved_connections', true), '0')::bigint \
                     - count(*) FILTER (WHERE coalesce(backend_type = 'client backend', \
                         usesysid IS NOT NULL AND datid IS NOT NULL)) AS headroom \
                 FROM pg_stat_activity) AS clients"
        )
    };
}

/// With the files that wait, counted where they wait.
const LISTING: &str = question!(
    "CASE WHEN archive.archives THEN (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') END"
);

/// For a role that may not look there.
const PLAIN: &str = question!("NULL::bigint");

#[async_trait]
impl Pressure for Postgres {
    async fn strain(&self, table: Option<Table>, ignored_replicas: &[String]) -> Result<Strain> {
        const OP: Op = Op { name: "strain", phrase: "ask how others are" };
        self.measured(OP, async {
            let place = self.place().await?;
            let name = table.map(|table| statements::full_name(&place.schema, table));
            let mut tx = self.begin_within(ASKING, OP).await?;
            let lists = self.may_list_archive.load(Ordering::Relaxed);
            let question =
                |lists: bool| self.query(if lists { LISTING } else { PLAIN }).bind(name.clone()).bind(ignored_replicas);
            let mut row = tx.fetch_one(question(lists)).await.inspect_err(|error| {
                // The privilege has been taken back since.
                if error.kind == ErrorKind::Denied {
                    self.may_list_archive.store(false, Ordering::Relaxed);
                }
            })?;
            let may_list = row.try_get("may_list").op(OP)?;
            self.may_list_archive.store(may_list, Ordering::Relaxed);
            if may_list && !lists {
                row = tx.fetch_one(question(true)).await?;
            }
            tx.let_go();
            read(&row).op(OP)
        })
        .await
    }

    async fn vacuum(&self, table: Table, stop: &Stop) -> Result<Vacuumed> {
        self.vacuum_table(table, stop).await
    }

    async fn unvacuumed(&self) -> Result<Option<Vec<Table>>> {
        self.find_unvacuumed().await.map(Some)
    }
}

fn read(row: &PgRow) -> Result<Strain, sqlx::Error> {
    let bytes: Option<i64> = row.try_get("bytes")?;
    let seconds: Option<f64> = row.try_get("seconds")?;
    let lag = Lag {
        bytes: bytes.map_or(0, i64::unsigned_abs),
        time: Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default(),
    };
    let archive = Archive {
        is_failing: row.try_get("failing")?,
        waiting: waiting(row)?,
        last_success: row.try_get("succeeded")?,
    };
    let headroom: i64 = row.try_get("headroom")?;
    Ok(Strain {
        replay: if row.try_get("replicas_hidden")? { Reading::Hidden } else { Reading::Seen(lag) },
        archive: if row.try_get("archives")? { Reading::Seen(archive) } else { Reading::Absent },
        vacuum: match (row.try_get("vacuums")?, row.try_get("vacuums_hidden")?) {
            (true, _) => Reading::Seen(true),
            (false, true) => Reading::Hidden,
            (false, false) => Reading::Seen(false),
        },
        connections: Reading::Seen(u64::try_from(headroom).unwrap_or(0)),
        throttled: 0,
    })
}

/// The files that wait to be archived: counted, or else those between the last that was archived and
/// the one that is written to.
fn waiting(row: &PgRow) -> Result<Option<u64>, sqlx::Error> {
    let counted: Option<i64> = row.try_get("waiting")?;
    let (last, current): (Option<&str>, Option<&str>) = (row.try_get("last")?, row.try_get("current")?);
    let segment: i64 = row.try_get("segment")?;
    let between = || between(last?, current?, segment.unsigned_abs());
    Ok(counted.map(i64::unsigned_abs).or_else(between))
}

/// How many files lie between two of the write-ahead log, of `size` bytes each, if they are on one
/// timeline.
fn between(last: &str, current: &str, size: u64) -> Option<u64> {
    let (timeline, last) = number(last, size)?;
    let (same, current) = number(current, size)?;
    (timeline == same).then(|| current.saturating_sub(last).saturating_sub(1))
}

/// The timeline and the number of a file, by its name, which others may follow: that of a backup
/// begins as that of the file in which it began.
fn number(name: &str, size: u64) -> Option<(&str, u64)> {
    let part = |from: usize| u64::from_str_radix(name.get(from..from + 8)?, 16).ok();
    let per_log = (1_u64 << 32).checked_div(size)?;
    Some((name.get(..8)?, part(8)? * per_log + part(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_wait_are_told_by_their_names() {
        let sixteen = 16 << 20;
        for (last, current, waiting) in [
            ("000000010000000000000003", "000000010000000000000003", Some(0)),
            ("000000010000000000000003", "000000010000000000000004", Some(0)),
            ("000000010000000000000003", "00000001000000000000000A", Some(6)),
            // 256 of them make a log.
            ("0000000100000000000000FF", "000000010000000100000002", Some(2)),
            ("000000010000000000000003.00000028.backup", "000000010000000000000006", Some(2)),
            ("000000020000000000000003", "000000010000000000000006", None),
            ("00000002.history", "000000020000000000000006", None),
            ("", "000000020000000000000006", None),
        ] {
            assert_eq!(between(last, current, sixteen), waiting, "{last} to {current}");
        }
        assert_eq!(between("000000010000000000000003", "000000010000000100000000", 1 << 30), Some(0));
    }
}
