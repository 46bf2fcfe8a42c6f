//! Whether there is space for what is going to be written.

use std::path::Path;

use crate::archive::{Error, ErrorKind, Result};
use crate::model::setting::Size;

/// Checks that `needed` bytes can be written below `path` and `keep_free` are left. Something that leads to `path`
/// must be there.
///
/// # Errors
///
/// [`ErrorKind::Full`] when there are too few.
pub(in crate::backup) fn check(path: &Path, needed: u64, keep_free: Size) -> Result<()> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    let free = free(there)?;
    let wanted = needed.saturating_add(keep_free.0);
    if free >= wanted {
        return Ok(());
    }
    let source = format!(
        "{} are free, and {} are needed, of which {} are to stay free (`keep_free` below [backup])",
        people(free),
        people(wanted),
        people(keep_free.0)
    );
    Err(Error { op: "write below", what: path.display().to_string(), kind: ErrorKind::Full, source: source.into() })
}

/// The bytes that we may still write.
fn free(path: &Path) -> Result<u64> {
    let found = rustix::fs::statvfs(path);
    let found = found.map_err(|error| Error::io("look for space in", path.display().to_string(), error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn people(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{bytes} bytes"),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
