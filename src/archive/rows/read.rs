//! Reading a file of rows.

use std::io;
use std::ops::Range;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::form::{self, End};
use super::{Header, longest_line};
use crate::archive::{Error, ErrorKind, Result, seal};
use crate::model::{BackendKind, Source};

const OP: &str = "read";

/// How many bytes are read, and decompressed, at a time.
const CHUNK: usize = 64 << 10;

/// The largest window that a file may ask us to keep, as a power of two. Ours take 2 MiB.
const WINDOW: u32 = 23;

/// Reads rows as they come, in little memory, whoever has written the file. That all rows were read, and nothing
/// has changed, is only known at the end.
pub struct Reader<R> {
    source: R,
    /// The file, for errors.
    what: String,
    header: Header,
    lines: Lines,
    rows: u64,
    end: Option<End>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Begins to read the file called `what`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`] when it does not begin as a file of rows does.
    pub async fn open(mut source: R, what: impl Into<String>) -> Result<Self> {
        let what = what.into();
        let mut lines = Lines::new().map_err(|error| Error::io(OP, what.clone(), error))?;
        let line = lines.next(&mut source).await.map_err(|trouble| trouble.of(&what))?;
        let header = match line {
            Some(line) => Header::read(&lines.text[line]),
            None => Err("it is empty".to_owned()),
        };
        let header = header.map_err(|why| Error::damaged(OP, what.clone(), why))?;
        lines.longest = longest_line(header.backend);
        Ok(Self { source, what, header, lines, rows: 0, end: None })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether the segment ends with this file; none before the end has been read.
    pub fn is_last(&self) -> Option<bool> {
        self.end.as_ref().map(|end| end.last)
    }

    /// The next row; none at the end, when all that was read is known to be what was written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`] when it is not, [`ErrorKind`]s of the source's when that cannot be read.
    pub async fn next(&mut self) -> Result<Option<Source>> {
        if self.end.is_some() {
            return Ok(None);
        }
        let Some(line) = self.line().await? else { return Err(self.damaged("it is cut off behind a row")) };
        let line = &self.lines.text[line];
        let end = match End::read(line) {
            Some(Ok(end)) => end,
            Some(Err(_)) => return Err(self.damaged("its last line cannot be read")),
            None => {
                let Some(row) = form::read(line, &self.header) else {
                    let (row, table) = (self.rows + 1, self.header.name.table);
                    return Err(self.damaged(format!("row {row} is none of {table}")));
                };
                self.rows += 1;
                return Ok(Some(row));
            }
        };
        if end.rows != self.rows {
            return Err(self.damaged(format!("it has {} rows and should have {}", self.rows, end.rows)));
        }
        if end.sha256 != seal::hex(&self.lines.before.clone().finalize()) {
            return Err(self.damaged("its rows are not what was written: their checksum is another one"));
        }
        if self.line().await?.is_some() {
            return Err(self.damaged("it goes on behind its last line"));
        }
        self.end = Some(end);
        Ok(None)
    }

    async fn line(&mut self) -> Result<Option<Range<usize>>> {
        self.lines.next(&mut self.source).await.map_err(|trouble| trouble.of(&self.what))
    }

    fn damaged(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::damaged(OP, self.what.clone(), why)
    }
}

/// Lines of what is decompressed.
struct Lines {
    decoder: Decoder<'static>,
    squeezed: Box<[u8]>,
    /// What of it was read and is not yet decompressed.
    waiting: Range<usize>,
    /// Whether the frame has come to its end.
    is_over: bool,
    text: Vec<u8>,
    /// Where the next line begins.
    at: usize,
    /// Up to where there is no end of a line.
    seen: usize,
    /// The most bytes that a line has.
    longest: usize,
    /// The hash of all lines before the last one that was returned.
    before: Sha256,
    /// The last one.
    last: Range<usize>,
}

/// Why there is no line.
enum Trouble {
    Io(io::Error),
    Damage(&'static str),
}

impl Trouble {
    fn of(self, what: &str) -> Error {
        let error = match self {
            Self::Damage(why) => return Error::damaged(OP, what.to_owned(), why),
            Self::Io(error) => error,
        };
        // Whoever hands out the bytes may know that they are not what was written.
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(|inner| inner.kind);
        let kind = match (inner, error.kind()) {
            (Some(kind), _) => kind,
            (None, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => ErrorKind::Damaged,
            (None, _) => ErrorKind::of_io(&error),
        };
        Error { kind, ..Error::io(OP, what.to_owned(), error) }
    }
}

impl Lines {
    fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
        Ok(Self {
            decoder,
            squeezed: vec![0; CHUNK].into(),
            waiting: 0..0,
            is_over: false,
            text: Vec::new(),
            at: 0,
            seen: 0,
            longest: longest_line(BackendKind::Dynamodb),
            before: Sha256::new(),
            last: 0..0,
        })
    }

    /// The next line, by its place in `text`, without its end; none behind the last one, where the source ends too.
    async fn next(&mut self, source: &mut (impl AsyncRead + Unpin)) -> Result<Option<Range<usize>>, Trouble> {
        self.before.update(&self.text[self.last.clone()]);
        self.last = self.at..self.at;
        loop {
            if let Some(end) = self.text[self.seen..].iter().position(|byte| *byte == b'\n') {
                let line = self.at..self.seen + end;
                self.at = line.end + 1;
                self.seen = self.at;
                self.last = line.start..self.at;
                return Ok(Some(line));
            }
            self.seen = self.text.len();
            if self.seen - self.at > self.longest {
                return Err(Trouble::Damage("a line is longer than any row"));
            }
            if self.is_over {
                let is_at_end = source.read(&mut self.squeezed).await.map_err(Trouble::Io)? == 0;
                return match (is_at_end && self.waiting.is_empty(), self.at == self.text.len()) {
                    (false, _) => Err(Trouble::Damage("it goes on behind its end")),
                    (true, false) => Err(Trouble::Damage("it is cut off within a line")),
                    (true, true) => Ok(None),
                };
            }
            self.decompress(source).await?;
        }
    }

    /// Decompresses a little more.
    async fn decompress(&mut self, source: &mut (impl AsyncRead + Unpin)) -> Result<(), Trouble> {
        self.text.drain(..self.at);
        self.seen -= self.at;
        self.at = 0;
        self.last = 0..0;
        let length = self.text.len();
        self.text.resize(length + CHUNK, 0);
        let outcome = self.fill(length, source).await;
        let filled = *outcome.as_ref().unwrap_or(&0);
        self.text.truncate(length + filled);
        outcome.map(drop)
    }

    /// Decompresses into what `text` has behind `from`. Returns how much it was.
    async fn fill(&mut self, from: usize, source: &mut (impl AsyncRead + Unpin)) -> Result<usize, Trouble> {
        loop {
            let waiting = &self.squeezed[self.waiting.clone()];
            let status = self.decoder.run_on_buffers(waiting, &mut self.text[from..]);
            let status = status.map_err(|_| Trouble::Damage("what is compressed in it cannot be read"))?;
            self.waiting.start += status.bytes_read;
            self.is_over = status.remaining == 0;
            if status.bytes_written > 0 || self.is_over {
                return Ok(status.bytes_written);
            }
            if self.waiting.is_empty() {
                let read = source.read(&mut self.squeezed).await.map_err(Trouble::Io)?;
                if read == 0 {
                    return Err(Trouble::Damage("it is cut off"));
                }
                self.waiting = 0..read;
            }
        }
    }
}
