//! Checksums of what passes by.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::seal::hex;
use super::{Error, Source};

/// How much of a file is read at once: enough for disks, little beside everything else.
const PIECE: usize = 1 << 20;

/// How long something is, and its SHA-256 in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: String,
}

impl Sum {
    /// What is different about `found`, for people; none if nothing is.
    pub fn differs(&self, found: &Self) -> Option<String> {
        if found.size != self.size {
            Some(format!("it has {} bytes and had {}", found.size, self.size))
        } else if found.sha256 != self.sha256 {
            Some("its checksum is another one".to_owned())
        } else {
            None
        }
    }
}

/// The sum of what has passed so far. Whoever keeps a clone can ask while somebody else reads or writes.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<(Sha256, u64)>>);

impl Tally {
    /// The sum of everything up to now.
    pub fn sum(&self) -> Sum {
        let (hash, size) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Sum { size, sha256: hex(&hash.finalize()) }
    }

    fn size(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn add(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.update(bytes);
        state.1 += bytes.len() as u64;
    }
}

/// A stream whose bytes are counted and summed on their way.
#[derive(Debug)]
pub struct Tallied<S> {
    stream: S,
    tally: Tally,
}

impl<S> Tallied<S> {
    /// The stream, and what is going to pass.
    pub fn new(stream: S) -> (Self, Tally) {
        let tally = Tally::default();
        (Self { stream, tally: tally.clone() }, tally)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Tallied<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.tally.add(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Tallied<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.tally.add(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bytes of something, which end in an error unless what was read below them has the sum that it should.
pub struct Checked {
    bytes: Source,
    tally: Tally,
    expected: Sum,
    what: String,
}

impl Checked {
    /// `bytes`, which are made of what `tally` has seen of `what`.
    pub fn new(bytes: Source, tally: Tally, expected: Sum, what: String) -> Self {
        Self { bytes, tally, expected, what }
    }

    fn damaged(&self, why: String) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, Error::damaged("read", self.what.clone(), why))
    }

    /// What is wrong, as far as that can be told when `has_ended` or before.
    fn difference(&self, has_ended: bool) -> Option<String> {
        if self.tally.size() > self.expected.size {
            Some(format!("it has more than its {} bytes", self.expected.size))
        } else if has_ended {
            self.expected.differs(&self.tally.sum())
        } else {
            None
        }
    }
}

impl AsyncRead for Checked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Err(error) = ready!(self.bytes.as_mut().poll_read(cx, buf)) {
            // What cannot be decrypted was authentic once.
            let is_damage = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
            return Poll::Ready(Err(if is_damage { self.damaged(error.to_string()) } else { error }));
        }
        let has_ended = buf.filled().len() == before && buf.remaining() > 0;
        match self.difference(has_ended) {
            Some(difference) => {
                // Whoever is given an error is given no bytes.
                buf.set_filled(before);
                Poll::Ready(Err(self.damaged(difference)))
            }
            None => Poll::Ready(Ok(())),
        }
    }
}

/// The sum of a file, read in pieces; `proceed` is told the length of each, and none is returned when it says no.
/// Blocks.
///
/// # Errors
///
/// When the file cannot be read.
pub fn sum_of_file(path: &Path, mut proceed: impl FnMut(u64) -> bool) -> io::Result<Option<Sum>> {
    let mut file = File::open(path)?;
    let tally = Tally::default();
    let mut piece = vec![0; PIECE];
    loop {
        let read = match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(Some(tally.sum()));
        }
        tally.add(&piece[..read]);
        if !proceed(read as u64) {
            return Ok(None);
        }
    }
}
