//! Items of DynamoDB as they are stored, in the words of its protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An item: every attribute that it has, those that nobody knows included.
pub type Item = BTreeMap<String, AttributeValue>;

/// The value of an attribute, spelled as the protocol spells it: `{"S": "text"}`, bytes in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Text.
    S(String),
    /// A number, in the digits it came in.
    N(String),
    /// Bytes.
    #[serde(with = "bytes")]
    B(Vec<u8>),
    /// Truth.
    #[serde(rename = "BOOL")]
    Bool(bool),
    /// Nothing, stored as such.
    #[serde(rename = "NULL")]
    Null(bool),
    /// A set of texts.
    #[serde(rename = "SS")]
    Ss(Vec<String>),
    /// A set of numbers.
    #[serde(rename = "NS")]
    Ns(Vec<String>),
    /// A set of bytes.
    #[serde(rename = "BS", with = "all_bytes")]
    Bs(Vec<Vec<u8>>),
    /// A list.
    L(Vec<AttributeValue>),
    /// A map.
    M(BTreeMap<String, AttributeValue>),
}

/// Bytes in base64.
mod bytes {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        decode(&String::deserialize(deserializer)?)
    }

    /// Says nothing of the bytes, as nobody knows what they are.
    pub(super) fn decode<E: de::Error>(text: &str) -> Result<Vec<u8>, E> {
        BASE64_STANDARD.decode(text).map_err(|_| E::custom("bytes that are not base64"))
    }

    pub(super) fn encode(bytes: &[u8]) -> String {
        BASE64_STANDARD.encode(bytes)
    }
}

/// Several of them.
mod all_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::bytes;

    pub(super) fn serialize<S: Serializer>(all: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|one| bytes::encode(one)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| bytes::decode(text)).collect()
    }
}
