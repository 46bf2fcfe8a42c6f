//! How much space is left.

use std::io;
use std::path::Path;

/// The bytes that we may still write below `path`.
///
/// # Errors
///
/// When the system does not say.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes as people read them.
pub fn in_mebibytes(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{bytes} bytes"),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
