//! Properties, and the look-up of actors by what they store.

use sha2::{Digest, Sha256};

/// What the names of list items begin with. They are never looked up by value.
pub const LIST_PREFIX: &str = "list:";

/// A value that an actor stores under a name. Opaque: conditional writes compare it byte by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Property {
    /// The actor.
    pub id: String,
    /// The name; names are ordered by their bytes.
    pub name: String,
    /// The value; never empty where the library wrote it, since setting an empty one deletes.
    pub value: String,
}

/// An entry of the reverse look-up: the actor that has a property with this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupEntry {
    /// What is looked for.
    pub owner: LookupOwner,
    /// The property's name.
    pub property_name: String,
    /// The actor that was first to store it.
    pub actor_id: String,
}

/// What a look-up entry says of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupOwner {
    /// The value itself: PostgreSQL.
    Value(String),
    /// Only [`lookup_key`] of it: DynamoDB.
    Key(String),
}

impl LookupEntry {
    /// The entry's [`lookup_key`].
    pub fn key(&self) -> String {
        match &self.owner {
            LookupOwner::Value(value) => lookup_key(&self.property_name, value),
            LookupOwner::Key(key) => key.clone(),
        }
    }
}

/// The key of a look-up entry in DynamoDB: SHA-256 of name, a zero byte and value, in small
/// hexadecimal letters (`property_lookup.py` of the library).
pub fn lookup_key(name: &str, value: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(value.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
