//! A snapshot of the deployment that several connections share, ours and those of `pg_dump`, and the digests of
//! what is in it.
//!
//! It has a connection of its own past the pooler, on which its transaction stays open until it is dropped: this,
//! and those that read within it, are the only transactions that outlast the lease.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connect::{alone, within};
use super::copied::Copied;
use super::error::{Context, no_connection, refused};
use super::session::{ANSWER, Session, answered};
use super::statements::{parts, snapshot as sql};
use super::{Op, Postgres};
use crate::model::Table;
use crate::model::digest::{Digest, Kind};
use crate::model::layout::postgresql_columns;
use crate::storage::{Error, ErrorKind, Result};
use crate::work::{Progress, Stop};

const SNAPSHOT: Op = Op { name: "snapshot", phrase: "take a snapshot" };
const DIGEST: Op = Op { name: "digest", phrase: "make the digest of a table" };

/// How long rows are waited for that are being copied out; so long nothing came, and nobody knows why.
const SILENCE: Duration = Duration::from_secs(120);

/// Between two questions whether the snapshot is still there, which also keep the connection from being forgotten
/// by whoever passes its packets on.
const ASKING: Duration = Duration::from_secs(20);

/// A table is read in pieces of so many bytes, so that no statement takes long, several connections can read one
/// table, and a request to stop is heard.
const PIECE: u64 = 64 << 20;

/// The most that reading one piece may take: what is kept beside its rows can be many times as large.
const PIECE_TIME: Duration = Duration::from_secs(3600);

/// The first version that reads a range of places without reading the rest of the table.
pub(super) const READS_RANGES: i32 = 140_000;

/// So many rows are counted at once.
const COUNTED: u64 = 1000;

/// A snapshot, as long as this is kept.
#[derive(Debug)]
pub struct Snapshot<'a> {
    store: &'a Postgres,
    options: PgConnectOptions,
    origin: Origin,
    tables: Vec<Seen>,
    /// Bytes of a block.
    block: u64,
    /// Why it is gone, once it is.
    lost: watch::Receiver<Option<String>>,
    /// Ends the transaction when it is dropped.
    _kept: DropGuard,
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name by which others can share it.
    pub name: String,
    /// When it was taken, by the server's clock.
    pub at: DateTime<Utc>,
    /// The server's version, as in `15.14`.
    pub version: String,
    /// The number of that version, as in 150014.
    pub number: i32,
    /// The cluster, by `pg_control_system()`.
    pub system_identifier: i64,
    /// The bytes of the whole database.
    pub bytes: u64,
    /// The bytes of the application's tables, without their indexes.
    pub table_bytes: u64,
    /// The schema of the application's tables.
    pub schema: String,
}

impl Origin {
    /// The first number of the server's version.
    pub fn major(&self) -> u32 {
        u32::try_from(self.number / 10_000).unwrap_or_default()
    }
}

/// A table of a snapshot.
#[derive(Clone, Debug)]
struct Seen {
    table: Table,
    columns: Vec<String>,
    /// As the server last estimated them.
    rows: u64,
    blocks: u64,
}

impl Postgres {
    /// Takes a snapshot of the deployment.
    ///
    /// # Errors
    ///
    /// When there is no connection past the pooler, because what is there is a pooler that keeps no sessions, or a
    /// table is locked for long.
    pub async fn snapshot(&self) -> Result<Snapshot<'_>> {
        self.measured(SNAPSHOT, self.take_snapshot()).await
    }

    async fn take_snapshot(&self) -> Result<Snapshot<'_>> {
        let place = self.place().await?;
        let Session { connection: mut holder, options } = self.session(SNAPSHOT, "a backup").await?;
        let there = existing(&mut holder, &place.schema).await?;
        let tables: Vec<Table> = there.iter().map(|(table, _)| *table).collect();
        let begun = sqlx::raw_sql(sql::begin(&place.schema, &tables)).execute(&mut holder);
        answered(begun, SNAPSHOT).await?;
        let row = answered(sqlx::query(sql::EXPORT).fetch_one(&mut holder), SNAPSHOT).await?;
        let sizes = sizes(&mut holder, &place.schema, &tables).await?;
        let mut origin = origin(&row, &place.schema).op(SNAPSHOT)?;
        origin.table_bytes = sizes.values().map(|size| size.whole).sum();
        let block: i64 = row.try_get("block").op(SNAPSHOT)?;
        let block = block.unsigned_abs().max(1);
        let tables = there.into_iter().map(|(table, columns)| {
            let Size { rows, main, .. } = sizes.get(table.name()).copied().unwrap_or_default();
            Seen { table, columns, rows, blocks: main.div_ceil(block) }
        });
        let tables = tables.collect();
        let (tell, lost) = watch::channel(None);
        let over = CancellationToken::new();
        tokio::spawn(keep(holder, over.clone(), tell));
        Ok(Snapshot { store: self, options, origin, tables, block, lost, _kept: over.drop_guard() })
    }
}

impl Snapshot<'_> {
    /// What it is of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The application's tables that are there: at older revisions some are not.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        self.tables.iter().map(|seen| seen.table)
    }

    /// How many rows they have together, as the server last estimated it.
    pub fn rough_rows(&self) -> u64 {
        self.tables.iter().map(|seen| seen.rows).sum()
    }

    /// Waits until the snapshot is lost, if ever: its connection broke, or somebody ended it.
    pub async fn lost(&self) -> Error {
        let mut lost = self.lost.clone();
        let why = match lost.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "whoever kept it is gone".to_owned(),
        };
        refused(SNAPSHOT, ErrorKind::Unavailable, format!("the snapshot was lost: {why}"))
    }

    /// Makes the exact digest of every table, on so many connections at the same time. Rows are counted in
    /// `progress`.
    ///
    /// # Errors
    ///
    /// When a table cannot be read. None when somebody asked to stop: then nothing is returned.
    pub async fn digests(
        &self,
        connections: u64,
        stop: &Stop,
        progress: &Progress,
    ) -> Result<Option<BTreeMap<Table, Digest>>> {
        self.store.measured(DIGEST, self.digest_all(connections, stop, progress)).await
    }

    /// Counts the rows of every table, which takes a part of the time of a digest.
    ///
    /// # Errors
    ///
    /// When a table cannot be read. None when somebody asked to stop.
    pub async fn counts(&self, stop: &Stop, progress: &Progress) -> Result<Option<BTreeMap<Table, u64>>> {
        self.store
            .measured(DIGEST, async {
                let settings = self.store.settings.past_the_pooler();
                let connected = alone(&self.options).await;
                let mut connection = connected.map_err(|error| no_connection(&settings, DIGEST, error))?;
                let limit = u64::try_from(PIECE_TIME.as_millis()).unwrap_or(0);
                answered(sqlx::raw_sql(sql::share(&self.origin.name, limit)).execute(&mut connection), DIGEST).await?;
                let mut counts = BTreeMap::new();
                for table in self.tables() {
                    let query = sqlx::query(sql::count(&self.origin.schema, table));
                    let counted = tokio::select! {
                        counted = within(PIECE_TIME + ANSWER, query.fetch_one(&mut connection)) => counted,
                        () = stop.wait() => return Ok(None),
                    };
                    let unanswered =
                        || refused(DIGEST, ErrorKind::Unavailable, "no answer; the connection was given up");
                    let count: i64 = counted.ok_or_else(unanswered)?.op(DIGEST)?.try_get(0).op(DIGEST)?;
                    progress.add(count.unsigned_abs());
                    counts.insert(table, count.unsigned_abs());
                }
                Ok(Some(counts))
            })
            .await
    }

    async fn digest_all(
        &self,
        connections: u64,
        stop: &Stop,
        progress: &Progress,
    ) -> Result<Option<BTreeMap<Table, Digest>>> {
        let reads_ranges = self.origin.number >= READS_RANGES;
        let pieces: VecDeque<Piece> = self.tables.iter().flat_map(|seen| self.pieces(seen, reads_ranges)).collect();
        let pieces = Arc::new(Mutex::new(pieces));
        let limit = if reads_ranges { u64::try_from(PIECE_TIME.as_millis()).unwrap_or(0) } else { 0 };
        let mut readers = JoinSet::new();
        for _ in 0..connections.max(1) {
            let (options, name) = (self.options.clone(), self.origin.name.clone());
            let (pieces, stop, progress) = (Arc::clone(&pieces), stop.clone(), progress.clone());
            let settings = self.store.settings.past_the_pooler();
            readers.spawn(async move {
                let connected = alone(&options).await;
                let mut connection = connected.map_err(|error| no_connection(&settings, DIGEST, error))?;
                answered(sqlx::raw_sql(sql::share(&name, limit)).execute(&mut connection), DIGEST).await?;
                let read = read_pieces(&mut connection, &pieces, &stop, &progress).await?;
                // Nothing was changed: however it ends, it ends well.
                let _closed = within(ANSWER, connection.close()).await;
                Ok::<_, Error>(read)
            });
        }
        let mut digests: BTreeMap<Table, Digest> =
            self.tables().map(|table| (table, Digest::new(Kind::Exact))).collect();
        while let Some(read) = readers.join_next().await {
            let read = read.map_err(|_| refused(DIGEST, ErrorKind::Other, "whoever read the rows has failed"))?;
            let Some(read) = read? else { return Ok(None) };
            for (table, digest) in read {
                if let Some(whole) = digests.get_mut(&table) {
                    whole.merge(&digest).expect("both are exact");
                }
            }
        }
        Ok(Some(digests))
    }

    /// What is to be read of a table. Its last piece has no end: rows that came since are not in the snapshot.
    fn pieces(&self, seen: &Seen, reads_ranges: bool) -> Vec<Piece> {
        let piece = |blocks| Piece {
            table: seen.table,
            statement: sql::copy_out(&self.origin.schema, seen.table, &seen.columns, blocks),
        };
        if !reads_ranges {
            return vec![piece(None)];
        }
        parts(seen.blocks, PIECE / self.block).into_iter().map(piece).collect()
    }
}

/// A part of a table, and how it is read.
#[derive(Debug)]
struct Piece {
    table: Table,
    statement: String,
}

/// Reads pieces until none is left. None when somebody asked to stop.
async fn read_pieces(
    connection: &mut PgConnection,
    pieces: &Mutex<VecDeque<Piece>>,
    stop: &Stop,
    progress: &Progress,
) -> Result<Option<BTreeMap<Table, Digest>>> {
    let mut digests: BTreeMap<Table, Digest> = BTreeMap::new();
    loop {
        let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(Piece { table, statement }) = next else { return Ok(Some(digests)) };
        let digest = digests.entry(table).or_insert_with(|| Digest::new(Kind::Exact));
        let owner = owner_column(table);
        let mut rows = answered(connection.copy_out_raw(&statement), DIGEST).await?;
        let (mut copied, mut uncounted) = (Copied::default(), 0);
        let malformed = |error| Error { source: Box::new(error), ..refused(DIGEST, ErrorKind::Other, "") };
        loop {
            let Some(chunk) = within(SILENCE, rows.try_next()).await else {
                let why = format!("no row for {} seconds; the connection was given up", SILENCE.as_secs());
                return Err(refused(DIGEST, ErrorKind::Unavailable, why));
            };
            let Some(chunk) = chunk.op(DIGEST)? else { break };
            let added = copied.add(&chunk, |columns| {
                digest.add_columns(table, columns.get(owner).copied().flatten().unwrap_or_default(), columns);
                uncounted += 1;
            });
            added.map_err(malformed)?;
            if uncounted >= COUNTED {
                progress.add(std::mem::take(&mut uncounted));
                if stop.requested().is_some() {
                    return Ok(None);
                }
            }
        }
        copied.finish().map_err(malformed)?;
        progress.add(uncounted);
        if stop.requested().is_some() {
            return Ok(None);
        }
    }
}

/// Where the actor's id is, by which rows are put into buckets.
fn owner_column(table: Table) -> usize {
    let name = if table == Table::PropertyLookup { "actor_id" } else { "id" };
    postgresql_columns(table).iter().position(|column| column.name == name).unwrap_or_default()
}

/// Keeps the transaction open until it is over or lost.
async fn keep(mut holder: PgConnection, over: CancellationToken, lost: watch::Sender<Option<String>>) {
    loop {
        tokio::select! {
            () = over.cancelled() => break,
            () = tokio::time::sleep(ASKING) => {}
        }
        if let Err(error) = answered(sqlx::raw_sql(sql::PING).execute(&mut holder), SNAPSHOT).await {
            lost.send_replace(Some(error.source.to_string()));
            return;
        }
    }
    let _closed = within(ANSWER, holder.close()).await;
}

/// The application's tables that are there, with their columns, in their order.
async fn existing(connection: &mut PgConnection, schema: &str) -> Result<Vec<(Table, Vec<String>)>> {
    let names = Table::ALL.map(Table::name);
    let query = sqlx::query(sql::TABLES).bind(schema).bind(names.as_slice());
    let rows = answered(query.fetch_all(connection), SNAPSHOT).await?;
    let mut columns = BTreeMap::new();
    for row in rows {
        let name: String = row.try_get(0).op(SNAPSHOT)?;
        columns.insert(name, row.try_get(1).op(SNAPSHOT)?);
    }
    Ok(Table::ALL.into_iter().filter_map(|table| Some((table, columns.remove(table.name())?))).collect())
}

/// How large a table is.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    rows: u64,
    main: u64,
    whole: u64,
}

async fn sizes(connection: &mut PgConnection, schema: &str, tables: &[Table]) -> Result<BTreeMap<String, Size>> {
    let names: Vec<&str> = tables.iter().map(|table| table.name()).collect();
    let rows = answered(sqlx::query(sql::SIZES).bind(schema).bind(names).fetch_all(connection), SNAPSHOT).await?;
    let read = |row: &PgRow| {
        let (rows, main, whole): (f64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        // An estimate that was never made is -1.
        Ok((
            row.try_get(0)?,
            Size { rows: rows.max(0.0) as u64, main: main.unsigned_abs(), whole: whole.unsigned_abs() },
        ))
    };
    rows.iter().map(|row| read(row).op(SNAPSHOT)).collect()
}

fn origin(row: &PgRow, schema: &str) -> Result<Origin, sqlx::Error> {
    let bytes: i64 = row.try_get("bytes")?;
    let version: String = row.try_get("version")?;
    Ok(Origin {
        name: row.try_get("name")?,
        at: row.try_get("at")?,
        // Packagers add their own words.
        version: version.split_whitespace().next().unwrap_or_default().to_owned(),
        number: row.try_get("number")?,
        system_identifier: row.try_get("system_identifier")?,
        bytes: bytes.unsigned_abs(),
        table_bytes: 0,
        schema: schema.to_owned(),
    })
}
