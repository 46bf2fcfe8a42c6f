//! What changes said, kept in a file before they go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;

use super::NAME;
use super::decide::Reason;
use crate::model::BackendKind;
use crate::storage::{DiffText, Error, ErrorKind, Result};

/// The file of one run. A change that is deleted once more, because an answer was lost, is in it twice.
#[derive(Debug)]
pub(super) struct Archive {
    backend: BackendKind,
    directory: PathBuf,
    path: PathBuf,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    is_empty: bool,
}

/// A line of it.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    subid: &'a str,
    seqnr: i64,
    timestamp: Option<&'a str>,
    diff: Option<&'a str>,
    reason: &'static str,
}

impl Archive {
    /// Makes the file, which shows that the directory is there and can be written to.
    pub(super) async fn open(directory: &Path, backend: BackendKind, run: Uuid) -> Result<Self> {
        let path = directory.join(format!("{NAME}-{backend}-{run}.jsonl"));
        let (at, place) = (directory.to_owned(), path.clone());
        let made = blocking(move || {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&place)?;
            // The name is in the directory, and has to outlive a crash as well.
            File::open(&at)?.sync_all()?;
            Ok(file)
        });
        let file = made.await.map_err(|error| cannot(backend, directory, &error))?;
        let open = Arc::new(Mutex::new(Open { file, is_empty: true }));
        Ok(Self { backend, directory: directory.to_owned(), path, open })
    }

    /// Writes changes down for good: they are on the disk when this returns.
    pub(super) async fn keep(&self, id: &str, subid: &str, reason: Reason, diffs: &[DiffText]) -> Result<()> {
        let mut text = Vec::new();
        for diff in diffs {
            let (timestamp, said) = (diff.timestamp.as_deref(), diff.diff.as_deref());
            let line = Line { id, subid, seqnr: diff.seqnr, timestamp, diff: said, reason: reason.name() };
            serde_json::to_writer(&mut text, &line).map_err(|error| self.cannot(&error.into()))?;
            text.push(b'\n');
        }
        let open = Arc::clone(&self.open);
        let written = blocking(move || {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            open.is_empty = false;
            open.file.write_all(&text)?;
            open.file.sync_data()
        });
        written.await.map_err(|error| self.cannot(&error))
    }

    /// Takes the file away if nothing was written.
    pub(super) async fn close(self) {
        if self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty {
            let path = self.path;
            // An empty file that stays is in nobody's way.
            let _removed = blocking(move || std::fs::remove_file(path)).await;
        }
    }

    fn cannot(&self, error: &io::Error) -> Error {
        cannot(self.backend, &self.directory, error)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn cannot(backend: BackendKind, directory: &Path, error: &io::Error) -> Error {
    let why = format!(
        "{}: {error}: make a directory there that this process may write to, or change jobs.diff_prune.archive; \
         nothing is deleted without it",
        directory.display()
    );
    Error { backend, op: "archive changes", kind: ErrorKind::Other, source: why.into() }
}
