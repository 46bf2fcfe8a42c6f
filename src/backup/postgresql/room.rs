//! Whether there is room for what is to be written.

use std::path::Path;

use crate::archive::free_space;
use crate::backup::{Desk, Error, Result};

/// Refuses to begin what would fill the disk below `directory`: `expected` bytes, beside those that are to stay free.
/// Where the system cannot tell, nothing is refused.
pub(super) fn ensure(desk: Desk<'_>, directory: &Path, expected: u64) -> Result<()> {
    let Ok(free) = free_space(directory) else { return Ok(()) };
    let keep = desk.shop.settings.keep_free.0;
    if free >= expected.saturating_add(keep) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "there are {} MiB free below {}, and the backup is expected to take {} MiB while backup.keep_free wants {} MiB \
         left: make room, or lower backup.keep_free",
        free >> 20,
        directory.display(),
        expected >> 20,
        keep >> 20
    )))
}
