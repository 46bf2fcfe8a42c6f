//! Requests and answers as HTTP has them, as far as DynamoDB and its clients use it.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// A request or an answer.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// What the request asks for, or the status of the answer.
    first: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// An answer that is made here.
    pub(super) fn answer(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { first: format!("HTTP/1.1 {status} Made here"), headers, body: body.into() }
    }

    /// The next one; nothing when the other side has hung up.
    pub(super) async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let Some(first) = line(from).await? else { return Ok(None) };
        let mut message = Self { first, headers: Vec::new(), body: Vec::new() };
        while let Some(header) = line(from).await?.filter(|header| !header.is_empty()) {
            let (name, value) = header.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            message.headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        assert_eq!(message.header("transfer-encoding"), None, "every message says how long it is");
        let length = message.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        message.body.resize(length, 0);
        from.read_exact(&mut message.body).await?;
        Ok(Some(message))
    }

    /// The value of a header, which is named in small letters.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Gives a header another value, or takes it away.
    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
    }

    /// All of it as it is sent.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "content-length") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

/// The next line without its end; nothing at the end of the connection.
async fn line(from: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let length = from.read_line(&mut line).await?;
    line.truncate(line.trim_end().len());
    Ok((length > 0).then_some(line))
}
