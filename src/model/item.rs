//! Items of DynamoDB as they are stored, in the words of its protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An item: every attribute that it has, those that nobody knows included.
pub type Item = BTreeMap<String, AttributeValue>;

/// The value of an attribute, spelled as the protocol spells it: `{"S": "text"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Text.
    S(String),
    /// A number, in the digits it came in.
    N(String),
    /// Bytes.
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
    #[serde(rename = "BS")]
    Bs(Vec<Vec<u8>>),
    /// A list.
    L(Vec<AttributeValue>),
    /// A map.
    M(BTreeMap<String, AttributeValue>),
}
