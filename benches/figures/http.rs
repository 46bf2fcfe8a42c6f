//! The smallest client that can keep a connection: what it costs must not hide what it measures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The body, if the status was 200.
    pub(crate) body: String,
    /// Whether the server keeps the connection.
    pub(crate) kept: bool,
}

impl Connection {
    /// Connects to `address`, host and port.
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Asks for `path`.
    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let (mut length, mut chunked, mut kept) = (None, false, true);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = Some(value.parse()?),
                Some(("transfer-encoding", "chunked")) => chunked = true,
                Some(("connection", "close")) => kept = false,
                None if line.is_empty() => break,
                _ => {}
            }
        }
        let body = if chunked { self.chunks()? } else { self.bytes(length.context("an answer without a length")?)? };
        ensure!(status.contains(" 200 "), "{path}: {status}");
        Ok(Answer { body: String::from_utf8(body)?, kept })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the server has closed the connection");
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            body.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}
