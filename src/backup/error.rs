//! What can go wrong with a backup.

use std::error::Error as StdError;
use std::io;

use super::SetId;
use crate::archive::{self, ErrorKind};
use crate::storage;

/// Why something about backups did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store that is backed up, or restored into.
    #[error(transparent)]
    Store(#[from] storage::Error),
    /// The place where backups are.
    #[error(transparent)]
    Place(#[from] archive::Error),
    /// It was asked to stop.
    #[error("it was asked to stop")]
    Stopped,
    /// It must not be done: why, and what to do instead.
    #[error("{0}")]
    Refused(String),
    /// A program failed, or what it did is not what it should have done.
    #[error("{what}")]
    Failed {
        /// What failed, with what the program said; no secrets.
        what: String,
        /// Why, where something else knows.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A set is not what was written.
    #[error("the set {set} is damaged: {what}")]
    Damaged {
        /// The set.
        set: String,
        /// What is wrong.
        what: String,
    },
}

impl Error {
    /// Something failed, and there is nobody else who knows why.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), source: None }
    }

    /// What it means that the bytes of the file `name` of a set, or what became of them, ended in an error.
    pub fn reading(set: &SetId, name: &str, error: io::Error) -> Self {
        match archive::Error::io("read", name.to_owned(), error) {
            error if error.kind == ErrorKind::Damaged => Self::Damaged { set: set.to_string(), what: error.chain() },
            error => error.into(),
        }
    }

    /// The error and everything below it, in one line.
    pub fn chain(&self) -> String {
        match self {
            Self::Store(error) => error.chain(),
            Self::Place(error) => error.chain(),
            _ => {
                let mut text = self.to_string();
                let mut source = self.source();
                while let Some(error) = source {
                    text.push_str(": ");
                    text.push_str(&error.to_string());
                    source = error.source();
                }
                text
            }
        }
    }
}

/// The result of something about backups.
pub type Result<T, E = Error> = std::result::Result<T, E>;
