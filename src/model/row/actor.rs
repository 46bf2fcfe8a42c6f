//! Actors.

use chrono::{DateTime, Utc};

/// An actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Its key.
    pub id: String,
    /// Whose it is, often an address of e-mail; see [`canonical_creator`].
    pub creator: String,
    /// Its secret.
    pub passphrase: String,
    /// When it was made; only PostgreSQL keeps it, and not for every row.
    pub created_at: Option<DateTime<Utc>>,
}

/// What to change of an actor; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActorChange {
    /// Another creator.
    pub creator: Option<String>,
    /// Another passphrase.
    pub passphrase: Option<String>,
}

/// A creator as the library stores it and looks for it: an address in small letters.
pub fn canonical_creator(creator: &str) -> String {
    if creator.contains('@') { creator.to_lowercase() } else { creator.to_owned() }
}
