//! Writing a file of rows.

use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use zstd::stream::raw::{CParameter, Encoder, Operation, OutBuffer};

use super::form::{self, End};
use super::{Header, longest_line};
use crate::archive::{Error, ErrorKind, Result, seal};
use crate::model::Source;

/// How hard rows are compressed: the level at which that is not slower than reading them.
const LEVEL: i32 = 3;

/// How many bytes are compressed before others have their turn: a fraction of a millisecond.
const CHUNK: usize = 64 << 10;

/// Writes rows as they come, in little memory. Without [`Writer::finish`] what is there is no file.
pub struct Writer<W> {
    sink: W,
    header: Header,
    encoder: Encoder<'static>,
    hash: Sha256,
    line: Vec<u8>,
    squeezed: Vec<u8>,
    rows: u64,
    bytes: u64,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// When the sink does not take it.
    pub async fn begin(sink: W, header: Header) -> Result<Self> {
        let encoder = Encoder::new(LEVEL).and_then(|mut encoder| {
            // So that `zstd --test` says something as well.
            encoder.set_parameter(CParameter::ChecksumFlag(true))?;
            Ok(encoder)
        });
        let mut writer = Self {
            sink,
            header,
            encoder: encoder.map_err(|error| Error::io(OP, header.name.to_string(), error))?,
            hash: Sha256::new(),
            line: header.line().into_bytes(),
            squeezed: vec![0; CHUNK],
            rows: 0,
            bytes: 0,
        };
        writer.put_line().await?;
        Ok(writer)
    }

    /// How many bytes the lines have so far, before they are compressed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a row as its backend has it.
    ///
    /// # Errors
    ///
    /// When the row is of another backend or of none, or larger than any row; then nothing of it is written. Or when
    /// the sink does not take it.
    pub async fn add(&mut self, source: &Source) -> Result<()> {
        self.line.clear();
        form::write(source, &self.header, &mut self.line).map_err(|why| self.refused(why))?;
        if self.line.len() >= longest_line(self.header.backend) {
            return Err(self.refused("it is larger than any row may be"));
        }
        self.rows += 1;
        self.put_line().await
    }

    /// Ends the file, which is the `last` one of its segment or not. Returns how many rows it has.
    ///
    /// # Errors
    ///
    /// When the sink does not take it.
    pub async fn finish(mut self, last: bool) -> Result<u64> {
        let sha256 = seal::hex(&self.hash.finalize_reset());
        self.line = End { rows: self.rows, last, sha256 }.line().into_bytes();
        self.put_line().await?;
        loop {
            let (left, length) = {
                let mut squeezed = OutBuffer::around(self.squeezed.as_mut_slice());
                (self.encoder.finish(&mut squeezed, true), squeezed.pos())
            };
            let left = left.map_err(|error| self.failed(error))?;
            self.put(length).await?;
            if left == 0 {
                break;
            }
        }
        self.sink.flush().await.map_err(|error| self.failed(error))?;
        Ok(self.rows)
    }

    /// Ends the line and compresses it.
    async fn put_line(&mut self) -> Result<()> {
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.bytes += self.line.len() as u64;
        let mut at = 0;
        while at < self.line.len() {
            let chunk = &self.line[at..self.line.len().min(at + CHUNK)];
            let status = self.encoder.run_on_buffers(chunk, &mut self.squeezed);
            let status = status.map_err(|error| self.failed(error))?;
            at += status.bytes_read;
            self.put(status.bytes_written).await?;
        }
        Ok(())
    }

    /// Hands on what has been compressed.
    async fn put(&mut self, length: usize) -> Result<()> {
        if length > 0 {
            let written = self.sink.write_all(&self.squeezed[..length]).await;
            written.map_err(|error| self.failed(error))?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io(OP, self.header.name.to_string(), error)
    }

    fn refused(&self, why: &'static str) -> Error {
        let what = format!("row {} of {}", self.rows + 1, self.header.name);
        Error { op: OP, what, kind: ErrorKind::Other, source: why.into() }
    }
}

const OP: &str = "write";
