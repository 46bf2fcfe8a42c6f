//! The files of an archive: which there are, and whether they are all.

use std::collections::BTreeMap;
use std::pin::Pin;

use tokio::io::AsyncRead;

use crate::archive::rows::{Header, Name, Reader};
use crate::archive::{self, ErrorKind};
use crate::backup::{Error, Manifest, Result, Shelf};
use crate::model::{BackendKind, Table};

/// What encrypted files are called beyond their own names.
const ENCRYPTED: &str = ".age";

/// Reads a file of a set.
pub(super) type Rows = Reader<Pin<Box<dyn AsyncRead + Send>>>;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// What it says of itself.
    pub(super) header: Header,
    /// Whether it is the last one of its segment.
    pub(super) is_last: bool,
    /// How many rows it has.
    pub(super) rows: u64,
}

/// The files with rows of a set, in order.
pub(super) fn of(manifest: &Manifest) -> Vec<Name> {
    let names = manifest.files.iter().map(|file| file.name.strip_suffix(ENCRYPTED).unwrap_or(&file.name));
    let mut names: Vec<Name> = names.filter_map(Name::parse).collect();
    names.sort_unstable();
    names
}

/// Begins to read a file, which must be what its name says.
pub(super) async fn open(shelf: &Shelf, manifest: &Manifest, name: Name) -> Result<Rows> {
    let bytes = match shelf.read(manifest, &name.to_string()).await {
        Err(Error::Place(error)) if error.kind == ErrorKind::NotFound => {
            return Err(damaged(manifest, format!("{name} is not there")));
        }
        bytes => bytes?,
    };
    let reader = Reader::open(bytes, name.to_string()).await.map_err(|error| reading(manifest, error))?;
    let Header { backend, name: found, .. } = *reader.header();
    if backend != BackendKind::Dynamodb || found != name {
        return Err(damaged(manifest, format!("{name} has the rows of {found} of {backend}")));
    }
    Ok(reader)
}

/// What it means that a file could not be read.
pub(super) fn reading(manifest: &Manifest, error: archive::Error) -> Error {
    match error.kind {
        ErrorKind::Damaged => damaged(manifest, error.chain()),
        _ => error.into(),
    }
}

pub(super) fn damaged(manifest: &Manifest, what: String) -> Error {
    Error::Damaged { set: manifest.set.to_string(), what }
}

/// Whether these are all files of all segments of all tables of a set, with as many rows as it says; else what is
/// wrong with them.
pub(super) fn are_complete(manifest: &Manifest, found: &[Found]) -> Result<(), String> {
    for name in manifest.tables.keys() {
        if Table::named(name).is_none() {
            return Err(format!("it has a table {name} that this build does not know"));
        }
    }
    for table in Table::ALL {
        let mut segments: BTreeMap<u32, Vec<&Found>> = BTreeMap::new();
        for file in found.iter().filter(|file| file.header.name.table == table) {
            segments.entry(file.header.name.segment).or_default().push(file);
        }
        let rows: u64 = segments.values().flatten().map(|file| file.rows).sum();
        let Some(sum) = manifest.tables.get(table.name()) else {
            if segments.is_empty() {
                continue;
            }
            return Err(format!("it has rows of {table} and does not say so"));
        };
        let count = segments.values().flatten().map(|file| file.header.segments).max().unwrap_or_default();
        if count == 0 {
            return Err(format!("the rows of {table} are missing"));
        }
        for segment in 0..count {
            let mut files = segments.remove(&segment).unwrap_or_default();
            files.sort_unstable_by_key(|file| file.header.name.file);
            let is_whole = (0..).zip(&files).all(|(number, file)| {
                let is_last = number as usize + 1 == files.len();
                file.header.name.file == number && file.header.segments == count && file.is_last == is_last
            });
            if files.is_empty() || !is_whole {
                return Err(format!("files of segment {segment} of {table} are missing, or are too many"));
            }
        }
        if sum.rows.is_some_and(|expected| expected != rows) {
            let expected = sum.rows.unwrap_or_default();
            return Err(format!("{table} has {rows} rows and should have {expected}"));
        }
    }
    Ok(())
}
