//! Reading an archive without writing it anywhere.

use std::collections::BTreeMap;

use super::files::{self, Found};
use super::pace::Pace;
use crate::archive::rows::Name;
use crate::backup::shelf::plain_name;
use crate::backup::{Desk, Error, Manifest, Result, Shelf, fingerprint};
use crate::model::digest::{Digest, Kind};
use crate::model::{Source, Table};
use crate::storage::dynamodb;

/// How many rows are read before it is asked again whether to stop.
const STRETCH: u64 = 1000;

/// Reads every row of every file and makes the digests of all tables again. Returns what is not as the manifest says.
/// Progress is in bytes of files.
pub(super) async fn inspect(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    match look(desk, shelf, manifest).await {
        Ok(found) => Ok(found),
        Err(Error::Damaged { what, .. }) => Ok(Some(what)),
        Err(error) => Err(error),
    }
}

async fn look(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest) -> Result<Option<String>> {
    let (mut found, mut digests) = (Vec::new(), BTreeMap::<Table, Digest>::new());
    for name in files::of(manifest) {
        let digest = digests.entry(name.table).or_insert_with(|| Digest::new(Kind::Exact));
        found.push(read(desk, shelf, manifest, name, digest).await?);
    }
    if let Err(what) = files::are_complete(manifest, &found) {
        return Ok(Some(what));
    }
    let differs = digests.iter().find(|(table, digest)| {
        let expected = manifest.tables.get(table.name()).and_then(|sum| sum.digest.as_ref());
        expected.is_some_and(|expected| *expected != fingerprint(digest))
    });
    Ok(differs.map(|(table, _)| format!("the rows of {table} have another digest than when they were read")))
}

async fn read(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, name: Name, digest: &mut Digest) -> Result<Found> {
    let pace = Pace::of(desk);
    let mut rows = files::open(shelf, manifest, name).await?;
    while let Some(row) = rows.next().await.map_err(|error| files::reading(manifest, error))? {
        if let Source::Dynamodb(item) = row {
            digest.add(&dynamodb::record(name.table, item));
        }
        if rows.rows().is_multiple_of(STRETCH) {
            pace.check()?;
        }
    }
    let file = manifest.files.iter().find(|file| plain_name(manifest, file) == name.to_string());
    desk.progress.add(file.map_or(0, |file| file.size));
    Ok(Found { header: *rows.header(), is_last: rows.is_last() == Some(true), rows: rows.rows() })
}
