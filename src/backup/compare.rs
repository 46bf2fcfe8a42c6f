//! What came out of a set beside what went in.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::point::fault_at;
use super::{DIGESTS, Desk, Error, Manifest, Result, Shelf, fingerprint, read_digests};
use crate::model::Table;
use crate::model::digest::{BUCKETS, Digest, Kind};
use crate::storage::dynamodb::DynamoDb;
use crate::storage::{Backend, Bulk, ErrorKind, Place, Segment};

/// How many rows are read at once.
const PAGE: u32 = 1_000;

/// What a comparison has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// How many rows there are.
    pub(super) rows: u64,
    /// Tables that are not what they were, and how.
    pub(super) differences: Vec<String>,
}

/// The digests of the tables in a set; none where it has none.
///
/// # Errors
///
/// [`Error::Damaged`] when they are not what the manifest says.
pub(super) async fn digests_in(shelf: &Shelf, manifest: &Manifest) -> Result<Option<BTreeMap<Table, Digest>>> {
    if manifest.tables.values().all(|table| table.digest.is_none()) {
        return Ok(None);
    }
    let damaged = |what: String| Error::Damaged { set: manifest.set.to_string(), what };
    let mut written = read_digests(shelf, manifest).await?;
    let mut digests = BTreeMap::new();
    for (name, sum) in &manifest.tables {
        let Some(expected) = &sum.digest else { continue };
        let table = Table::named(name);
        let digest = written.remove(name).filter(|digest| fingerprint(digest) == *expected);
        match (table, digest) {
            (Some(table), Some(digest)) => digests.insert(table, digest),
            _ => return Err(damaged(format!("{DIGESTS} has another digest of {name} than the manifest"))),
        };
    }
    Ok(Some(digests))
}

/// Reads all tables of a place and compares each with its digest. A table without one must have no rows.
///
/// # Errors
///
/// When a table cannot be read, or somebody asked to stop.
pub(super) async fn compare(desk: Desk<'_>, place: &Backend, expected: &BTreeMap<Table, Digest>) -> Result<Compared> {
    let found = digests_of(desk, place).await?;
    let none = Digest::new(Kind::Exact);
    let tables: BTreeSet<Table> = expected.keys().chain(found.keys()).copied().collect();
    let mut compared = Compared::default();
    for table in tables {
        let [was, is] = [expected, &found].map(|digests| digests.get(&table).unwrap_or(&none));
        let differing = was.differing(is).map_err(|error| Error::failed(format!("{table}: {error}")))?;
        compared.rows += is.count();
        if !differing.is_empty() {
            compared.differences.push(format!(
                "{table} is another: {} of {BUCKETS} buckets differ, and {} rows came back of {}",
                differing.len(),
                is.count(),
                was.count()
            ));
        }
    }
    Ok(compared)
}

/// Reads all tables of a place, for a set without digests, and compares how many rows they have with what the
/// manifest says of them, if anything.
///
/// # Errors
///
/// When a table cannot be read, or somebody asked to stop.
pub(super) async fn count(desk: Desk<'_>, place: &Backend, manifest: &Manifest) -> Result<Compared> {
    let found = digests_of(desk, place).await?;
    let mut compared = Compared { rows: found.values().map(Digest::count).sum(), differences: Vec::new() };
    for (name, sum) in &manifest.tables {
        let rows = found.iter().find(|(table, _)| table.name() == name).map_or(0, |(_, digest)| digest.count());
        if let Some(was) = sum.rows.filter(|was| *was != rows) {
            compared.differences.push(format!("{name} is another: {rows} rows came back of {was}"));
        }
    }
    Ok(compared)
}

/// The exact digests of all tables that are there.
pub(super) async fn digests_of(desk: Desk<'_>, place: &Backend) -> Result<BTreeMap<Table, Digest>> {
    fault_at("backup::compare").await?;
    match place {
        Backend::Postgresql(store) => {
            let snapshot = store.snapshot().await?;
            let connections = desk.shop.settings.postgresql.jobs.get();
            let digests = snapshot.digests(connections, desk.stop, desk.progress).await?;
            digests.ok_or(Error::Stopped)
        }
        Backend::Dynamodb(store) => {
            let mut digests = BTreeMap::new();
            for table in Table::ALL {
                match scan(desk, store, table).await {
                    Ok(digest) => digests.insert(table, digest),
                    // A deployment from before there was this table.
                    Err(Error::Store(error)) if error.kind == ErrorKind::Schema => None,
                    Err(error) => return Err(error),
                };
            }
            Ok(digests)
        }
    }
}

/// The exact digest of a table, whose segments are read at the same time.
async fn scan(desk: Desk<'_>, store: &DynamoDb, table: Table) -> Result<Digest> {
    let of = u32::try_from(desk.shop.settings.dynamodb.segments.get()).unwrap_or(1);
    let parts: Vec<_> = (0..of).map(|index| digest(desk, store, table, Segment { index, of }).boxed()).collect();
    let parts: Vec<Digest> = stream::iter(parts).buffer_unordered(of as usize).try_collect().await?;
    let mut whole = Digest::new(Kind::Exact);
    for part in &parts {
        whole.merge(part).map_err(|error| Error::failed(error.to_string()))?;
    }
    Ok(whole)
}

/// The exact digest of a part of a table.
async fn digest(desk: Desk<'_>, store: &DynamoDb, table: Table, segment: Segment) -> Result<Digest> {
    let mut digest = Digest::new(Kind::Exact);
    let mut place = Place::default();
    loop {
        if desk.stop.requested().is_some() {
            return Err(Error::Stopped);
        }
        let stretch = store.scan(table, segment, &place, PAGE).await?;
        for record in &stretch.records {
            digest.add(record);
        }
        desk.progress.add(stretch.records.len() as u64);
        match stretch.next {
            Some(next) => place = next,
            None => return Ok(digest),
        }
    }
}
