//! What can go wrong with a store, by meaning.

use std::fmt;

use crate::model::BackendKind;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed operation on a store. Branch on [`Error::kind`], never on the text.
#[derive(Debug, thiserror::Error)]
#[error("{backend}: cannot {op}")]
pub struct Error {
    /// The backend that was asked.
    pub backend: BackendKind,
    /// What was tried, as a verb phrase.
    pub op: &'static str,
    /// What it means for the caller.
    pub kind: ErrorKind,
    /// What the driver said, or what was found.
    pub source: Source,
}

impl Error {
    /// The error and everything below it, in one line, for logs and for the history.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&*self.source);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No connection, or it broke.
    Unavailable,
    /// The server ended the statement because it took too long, or waited too long for a lock.
    Timeout,
    /// The server refuses us: wrong password, missing privilege.
    Denied,
    /// The schema is not one that this operation can work on.
    Schema,
    /// The backend has no capacity left for now: it was asked for more than was paid for.
    Throttled,
    /// Somebody else changed the same thing at the same time, again and again; nothing was written.
    Conflict,
    /// A value that this backend cannot hold; nothing was written.
    Limit,
    /// The lease that allowed the operation is no longer ours; nothing was written.
    Fenced,
    /// Anything else; most likely a bug on one of the sides.
    Other,
}

impl ErrorKind {
    /// Whether the same operation may succeed a little later.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout | Self::Throttled | Self::Conflict)
    }

    /// The word for the label `kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Schema => "schema",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Fenced => "fenced",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The result of an operation on a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
