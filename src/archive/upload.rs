//! Something that is on its way into a place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use object_store::path::Path as Name;
use object_store::{ObjectStore, buffered::BufWriter};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::place::{Action, Place};
use super::{Error, Result};

/// The bytes of a part, of what has no more than [`PARTS`] of these. A few of them are in memory at the same time.
const PART: u64 = 16 << 20;
/// Providers take ten thousand parts of one thing; some bytes more than expected must find room as well.
const PARTS: u64 = 9_000;
/// Parts that are on their way at the same time.
const AT_A_TIME: usize = 2;

/// Something that is being written: there once it has been [finished](Upload::finish) or shut down, and not at all
/// if it is dropped before.
pub struct Upload {
    /// None when it has been let go of.
    writer: Option<BufWriter>,
    /// Whether its end has begun, after which it cannot be let go of any more.
    is_ending: bool,
    place: Place,
    what: String,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({})", self.what)
    }
}

impl Upload {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        name: Name,
        expected: Option<u64>,
        place: Place,
        what: String,
    ) -> Self {
        let part = PART.max(expected.unwrap_or(0).div_ceil(PARTS));
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        let writer = BufWriter::with_capacity(store, name, part).with_max_concurrency(AT_A_TIME);
        Self { writer: Some(writer), is_ending: false, place, what }
    }

    /// Makes it be there.
    ///
    /// # Errors
    ///
    /// When it could not be stored; then it is not there.
    pub async fn finish(mut self) -> Result<()> {
        let finished = self.shutdown().await;
        finished.map_err(|error| Error::io("write", self.what.clone(), error))
    }

    /// Lets go of what has been written.
    ///
    /// # Errors
    ///
    /// When the place could not be told; parts may then stay there unseen until its own rules remove them.
    pub async fn abort(mut self) -> Result<()> {
        match self.writer.take().filter(|_| !self.is_ending) {
            Some(mut writer) => {
                let aborted = writer.abort().await;
                aborted.map_err(|error| Error::action(Action::Abandon, &self.place, self.what.clone(), error))
            }
            None => Ok(()),
        }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut BufWriter>> {
        self.writer.as_mut().map(Pin::new).ok_or_else(|| io::Error::other("it has been let go of"))
    }

    /// What became of the library's writing: its errors as those of this room, which whoever writes gets at.
    fn told<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        poll.map_err(|error| match error.downcast::<object_store::Error>() {
            Ok(error) => io::Error::other(Error::action(Action::Write, &self.place, self.what.clone(), error)),
            Err(error) => error,
        })
    }
}

impl AsyncWrite for Upload {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.inner()?.poll_write(cx, bytes);
        self.told(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.inner()?.poll_flush(cx);
        self.told(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_ending = true;
        let ended = self.inner()?.poll_shutdown(cx);
        self.told(ended)
    }
}

impl Drop for Upload {
    /// Parts that nobody finishes would be paid for until somebody finds them.
    fn drop(&mut self) {
        if let (Some(mut writer), false, Ok(runtime)) =
            (self.writer.take(), self.is_ending, tokio::runtime::Handle::try_current())
        {
            let what = std::mem::take(&mut self.what);
            runtime.spawn(async move {
                if let Err(error) = writer.abort().await {
                    tracing::warn!(what, %error, "parts of an upload that was given up may stay in the bucket");
                }
            });
        }
    }
}
