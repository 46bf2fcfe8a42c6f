//! Whether there is space for what a set becomes when it is restored.

use std::path::Path;

use crate::backup::shelf::space;
use crate::backup::{Form, Manifest, Result, Shelf, postgresql};
use crate::model::setting::Size;

/// How many times as large as the files of a cluster it becomes at most while it recovers.
const RECOVERY: u64 = 2;

/// How many times as large as its files a dump becomes at most. Text that is compressed grows most, and has its
/// indexes built beside it.
fn growth(manifest: &Manifest) -> u64 {
    if manifest.compression.is_some() { 12 } else { 3 }
}

/// The bytes that a set of PostgreSQL becomes at most.
///
/// # Errors
///
/// When a physical set does not say what is in it.
pub(super) async fn needed(shelf: &Shelf, manifest: &Manifest) -> Result<u64> {
    Ok(match manifest.form {
        Form::Physical => postgresql::unpacked(shelf, manifest).await?.saturating_mul(RECOVERY),
        _ => manifest.bytes().saturating_mul(growth(manifest)),
    })
}

/// Refuses when there is not enough space in a directory for what is needed and for what must be left.
///
/// # Errors
///
/// [`ErrorKind::Full`](crate::archive::ErrorKind::Full) when there is too little.
pub(super) fn check(directory: &Path, needed: u64, keep_free: Size) -> Result<()> {
    Ok(space::check(directory, needed, keep_free)?)
}
