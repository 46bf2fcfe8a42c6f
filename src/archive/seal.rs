//! Documents that tell when they are not what was written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

/// A document with the SHA-256 of its text: `{"sha256":"…","document":{…}}`.
#[derive(Clone, Debug)]
pub struct Sealed;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    sha256: String,
    #[serde(borrow)]
    document: &'a RawValue,
}

impl Sealed {
    /// The text of `document` under its seal.
    pub fn write(document: &impl Serialize) -> String {
        let document = to_raw_value(document).expect("documents are plain data");
        let envelope = Envelope { sha256: sum(document.get().as_bytes()), document: &document };
        serde_json::to_string(&envelope).expect("documents are plain data")
    }

    /// The document in `text`.
    ///
    /// # Errors
    ///
    /// When a byte is other than it was written.
    pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Broken> {
        let text = std::str::from_utf8(text).map_err(|_| Broken::Text)?;
        let envelope: Envelope<'_> = serde_json::from_str(text)?;
        // The seal is over the document; what surrounds it can only be this.
        let is_whole = serde_json::to_string(&envelope)? == text;
        if !is_whole || sum(envelope.document.get().as_bytes()) != envelope.sha256 {
            return Err(Broken::Seal);
        }
        Ok(serde_json::from_str(envelope.document.get())?)
    }
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It is no text.
    #[error("it is not UTF-8")]
    Text,
    /// It is no JSON, or not the document that it should be.
    #[error("it cannot be read")]
    Form(#[from] serde_json::Error),
    /// It has been changed since it was written.
    #[error("it is not what was written: its checksum is another one")]
    Seal,
}

/// A SHA-256 in hexadecimal.
pub fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let text = Sealed::write(&("a", 1));
        assert_eq!(Sealed::read::<(String, u32)>(text.as_bytes()).unwrap(), ("a".to_owned(), 1));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let text = Sealed::write(&serde_json::json!({ "name": "a name", "numbers": [1, 2, 3] })).into_bytes();
        for at in 0..text.len() {
            assert!(Sealed::read::<serde_json::Value>(&text[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut other = text.clone();
                other[at] ^= 1 << bit;
                assert!(Sealed::read::<serde_json::Value>(&other).is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}
