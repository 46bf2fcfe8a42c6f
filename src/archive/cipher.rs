//! Encryption with age: for whom, and by whose key it is undone.

use std::fmt;
use std::io;
use std::path::Path;

use age::x25519::Recipient;
use age::{DecryptError, Decryptor, Encryptor, IdentityFile};
use tokio::io::BufReader;
use tokio_util::compat::{FuturesAsyncReadCompatExt, FuturesAsyncWriteCompatExt};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::{Error, ErrorKind, Result, Sink, Source};

/// What a file that is encrypted has at the end of its name.
pub const ENCRYPTED: &str = ".age";

/// Whether this can be one of those whom something is encrypted for: a public key of age.
///
/// # Errors
///
/// What is wrong and what to write instead; a secret key is not repeated.
pub fn check_recipient(text: &str) -> Result<(), String> {
    recipient(text).map(drop)
}

fn recipient(text: &str) -> Result<Recipient, String> {
    let right = "write age's public keys, as `age-keygen` prints them: \"age1…\"";
    if text.to_ascii_uppercase().contains("AGE-SECRET-KEY") {
        return Err(format!("this is a secret key, which whoever makes backups must not have: {right}"));
    }
    text.trim().parse().map_err(|_| format!("`{text}` is not a public key of age: {right}"))
}

/// Those whom something is encrypted for.
#[derive(Clone, Debug)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// They, by their public keys.
    ///
    /// # Errors
    ///
    /// When one of them is no key of age.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| recipient(text)).collect::<Result<_, _>>().map(Self)
    }

    /// A sink that encrypts what is written to it. It must be shut down, or what it made cannot be decrypted.
    ///
    /// # Errors
    ///
    /// When `sink` does not take the beginning.
    pub async fn encrypt(&self, sink: Sink) -> io::Result<Sink> {
        let recipients = self.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Box::pin(encryptor.wrap_async_output(sink.compat_write()).await?.compat_write()))
    }
}

/// Secret keys of age.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({} keys)", self.0.len())
    }
}

impl Identities {
    /// The keys in a file: one a line, beside empty lines and comments.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a line is no secret key of age; the line is not repeated.
    pub fn read(path: &Path) -> Result<Self> {
        let what = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Error::io("read the keys in", what.clone(), error))?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let invalid = |why: String| Error {
            op: "read the keys in",
            what: what.clone(),
            kind: ErrorKind::Other,
            source: why.into(),
        };
        let file =
            IdentityFile::from_buffer(lines.join("\n").as_bytes()).map_err(|error| invalid(error.to_string()))?;
        let keys = file.into_identities().map_err(|error| invalid(error.to_string()))?;
        if keys.is_empty() {
            return Err(invalid("there is none: it should have a line `AGE-SECRET-KEY-1…`".to_owned()));
        }
        Ok(Self(keys))
    }

    /// The plain bytes of `source`, which is `what` for people.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] when none of the keys fits, [`ErrorKind::Damaged`] when it is not what was written, as
    /// far as its beginning tells. What is wrong further on is an error of the bytes.
    pub async fn decrypt(&self, source: Source, what: &str) -> Result<Source> {
        let fail = |error| decrypting(error, what);
        let decryptor = Decryptor::new_async_buffered(BufReader::new(source).compat()).await.map_err(fail)?;
        let keys = self.0.iter().map(|key| &**key as &dyn age::Identity);
        Ok(Box::pin(decryptor.decrypt_async(keys).map_err(fail)?.compat()))
    }
}

/// The library's own words go through translations; ours are plain.
fn decrypting(error: DecryptError, what: &str) -> Error {
    let op = "decrypt";
    let what = what.to_owned();
    match error {
        DecryptError::NoMatchingKeys => {
            let why = "none of the keys in `identity_file` is one that it was encrypted for";
            Error { op, what, kind: ErrorKind::Denied, source: why.into() }
        }
        DecryptError::UnknownFormat => Error::damaged(op, what, "it is not in a form of age that this build reads"),
        DecryptError::Io(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                Error::damaged(op, what, "it ends before it has begun")
            }
            _ => Error::io(op, what, error),
        },
        _ => Error::damaged(op, what, "its header is not what was written"),
    }
}
