//! Directories below `work_dir` for what is there for a while only.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::archive::{Error, Result, directory};

/// How their names begin.
const PREFIX: &str = "maintd-";
/// The file that tells whose one is. Whoever uses it holds a lock on this file, which ends with the process.
const OWNER: &str = "owner.json";
/// Where its files are.
const FILES: &str = "files";

#[derive(Serialize, Deserialize)]
struct Owner {
    deployment: Uuid,
}

/// A directory that only we can look into, removed with this value.
#[derive(Debug)]
pub(in crate::backup) struct Staging {
    path: PathBuf,
    files: PathBuf,
    _lock: File,
}

impl Staging {
    /// Makes one for the deployment `of`. Blocks.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(super) fn make(work_dir: &Path, of: Uuid) -> Result<Self> {
        let path = work_dir.join(format!("{PREFIX}{}", Uuid::new_v4().simple()));
        let files = path.join(FILES);
        directory::make_private(&files)?;
        let lock = own(&path, of).map_err(|error| Error::io("make", path.display().to_string(), error));
        match lock {
            Ok(lock) => Ok(Self { path, files, _lock: lock }),
            Err(error) => {
                directory::remove(&path)?;
                Err(error)
            }
        }
    }

    /// Where files go.
    pub(in crate::backup) fn files(&self) -> &Path {
        &self.files
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(error = error.chain(), "a directory stays until the next backup begins");
        }
    }
}

/// Removes those of the deployment `of` that nobody uses any more. Blocks.
///
/// # Errors
///
/// When one may still be there.
pub(super) fn sweep(work_dir: &Path, of: Uuid) -> Result<()> {
    let entries = match fs::read_dir(work_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| Error::io("look into", work_dir.display().to_string(), error))?,
    };
    for entry in entries.filter_map(Result::ok) {
        let is_named_so = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_named_so && is_left_over(&entry.path(), of) {
            remove(&entry.path())?;
            tracing::info!(path = %entry.path().display(), "removed what an earlier backup, drill or restore left over");
        }
    }
    Ok(())
}

/// Writes down whose a directory is, and shows that it is in use.
fn own(path: &Path, of: Uuid) -> io::Result<File> {
    // Under another name at first: nobody must find it without the lock.
    let early = path.join("owner.new");
    let mut file = File::create_new(&early)?;
    serde_json::to_writer(&file, &Owner { deployment: of })?;
    file.flush()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    fs::rename(early, path.join(OWNER))?;
    Ok(file)
}

/// Whether a directory is provably ours and provably nobody's any more.
fn is_left_over(path: &Path, of: Uuid) -> bool {
    let is_ours = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw());
    let Some(file) = is_ours.then(|| File::open(path.join(OWNER)).ok()).flatten() else { return false };
    let owner: Option<Owner> = serde_json::from_reader(&file).ok();
    owner.is_some_and(|owner| owner.deployment == of) && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Its files first, so that it tells to the end whose it is.
fn remove(path: &Path) -> Result<()> {
    directory::remove(&path.join(FILES))?;
    directory::remove(path)
}
