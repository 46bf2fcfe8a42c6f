//! Whether there is space for what a set becomes when it is restored.

use std::path::Path;

use crate::backup::shelf::space;
use crate::backup::{Form, Manifest, Result};
use crate::model::setting::Size;

/// How many times as large as its files a set becomes at most. Text of a dump that is compressed grows most, and has
/// its indexes built beside it.
fn growth(manifest: &Manifest) -> u64 {
    match (manifest.form, &manifest.compression) {
        (Form::Physical, None) => 2,
        (Form::Physical, Some(_)) => 8,
        (_, None) => 3,
        (_, Some(_)) => 12,
    }
}

/// Refuses when there is not enough space in a directory for what the set becomes and for what must be left.
///
/// # Errors
///
/// [`ErrorKind::Full`](crate::archive::ErrorKind::Full) when there is too little.
pub(super) fn check(directory: &Path, manifest: &Manifest, keep_free: Size) -> Result<()> {
    Ok(space::check(directory, manifest.bytes().saturating_mul(growth(manifest)), keep_free)?)
}
