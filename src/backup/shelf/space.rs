//! Whether there is space for what is going to be written.

use std::path::Path;

use crate::archive::{Error, ErrorKind, Result, free_space, in_mebibytes};
use crate::model::setting::Size;

/// Checks that `needed` bytes can be written below `path` and `keep_free` are left. Something that leads to `path`
/// must be there.
///
/// # Errors
///
/// [`ErrorKind::Full`] when there are too few.
pub(in crate::backup) fn check(path: &Path, needed: u64, keep_free: Size) -> Result<()> {
    let there = existing(path);
    let free = free_space(there);
    let free = free.map_err(|error| Error::io("look for space in", there.display().to_string(), error))?;
    let wanted = needed.saturating_add(keep_free.0);
    if free >= wanted {
        return Ok(());
    }
    let source = format!(
        "{} are free, and {} are needed, of which {} are to stay free (`keep_free` below [backup])",
        in_mebibytes(free),
        in_mebibytes(wanted),
        in_mebibytes(keep_free.0)
    );
    Err(Error { op: "write below", what: path.display().to_string(), kind: ErrorKind::Full, source: source.into() })
}

/// The part of `path` that is there.
pub fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// Whether we may make something in a directory.
pub fn may_write(directory: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}
