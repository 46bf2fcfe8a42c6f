//! The programs of PostgreSQL's server that are installed here.

use std::fs;
use std::path::PathBuf;

/// The directory with `initdb` and `postgres`: on `PATH`, else the newest of Debian's.
pub(super) fn find() -> Option<PathBuf> {
    let is_complete = |dir: &PathBuf| ["initdb", "postgres"].iter().all(|name| dir.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(dir) = std::env::split_paths(&path).find(is_complete) {
        return Some(dir);
    }
    let version = |dir: &PathBuf| -> Option<u32> { dir.parent()?.file_name()?.to_str()?.parse().ok() };
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(is_complete)
        .max_by_key(version)
}
