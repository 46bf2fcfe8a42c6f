//! A file of a set that is being written.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::blocking;
use super::draft::Pages;
use crate::archive::{Depot, Error, Sink, Tally};
use crate::backup::{FileSum, Result};

/// A file of a set that is being written. A set with one that has not been [finished](Sheet::finish) cannot be
/// published.
pub struct Sheet {
    pub(super) sink: Sink,
    pub(super) tally: Tally,
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) pages: Arc<Pages>,
}

/// Where the bytes of a sheet go.
#[derive(Debug)]
pub(super) enum Target {
    /// A file of this host.
    File(PathBuf),
    /// A bucket, below which the file has the name of the sheet.
    Bucket(Depot),
}

impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sheet({})", self.name)
    }
}

impl Sheet {
    /// A sink for its bytes.
    pub fn sink(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.sink
    }

    /// Makes it part of the set.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    pub async fn finish(mut self) -> Result<()> {
        let fail = |error| Error::io("write", self.name.clone(), error);
        self.sink.shutdown().await.map_err(fail)?;
        let sum = self.tally.sum();
        match &self.target {
            Target::File(path) => {
                let (path, name) = (path.clone(), self.name.clone());
                let sync = move || std::fs::File::open(path)?.sync_all();
                blocking(move || sync().map_err(|error| Error::io("write", name, error).into())).await?;
            }
            Target::Bucket(files) => confirm(files, &self.name, sum.size).await?,
        }
        self.pages.done(FileSum { name: self.name, size: sum.size, sha256: sum.sha256 });
        Ok(())
    }
}

/// Asks a place whether something is there as it should be.
pub(super) async fn confirm(files: &Depot, name: &str, size: u64) -> Result<()> {
    let found = files.size(name).await?;
    if found == Some(size) {
        return Ok(());
    }
    let why = match found {
        Some(found) => format!("it has {found} bytes there, and {size} were written"),
        None => "it is not there after it was written".to_owned(),
    };
    Err(Error::damaged("write", format!("{}/{name}", files.describe()), why).into())
}
