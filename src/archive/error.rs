//! What can go wrong with a place, by meaning.

use std::error::Error as StdError;
use std::io;

use object_store::client::{HttpError, HttpErrorKind};

use super::objection::Objection;
use super::place::{Action, Place};

/// A failed operation on a place. Branch on [`Error::kind`], never on the text.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {what}")]
pub struct Error {
    /// What was tried, as a verb.
    pub op: &'static str,
    /// With what: place and name, no secrets.
    pub what: String,
    /// What it means for the caller.
    pub kind: ErrorKind,
    /// What the library said, or what was found.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It is not there.
    NotFound,
    /// We may not.
    Denied,
    /// There is no space left.
    Full,
    /// Nobody answers, or not in time.
    Unreachable,
    /// What is there is not what was written.
    Damaged,
    /// Anything else.
    Other,
}

/// The result of an operation on a place.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl ErrorKind {
    /// What an error of the operating system means.
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::TimedOut | io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable => {
                Self::Unreachable
            }
            _ => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(inner) => Self::of_store(inner),
                None => Self::Other,
            },
        }
    }

    fn of_store(error: &object_store::Error) -> Self {
        use object_store::Error as Store;
        match Objection::within(error) {
            Some(Objection::Refused { .. }) => return Self::Denied,
            Some(Objection::Untrusted { .. }) => return Self::Unreachable,
            None => {}
        }
        match error {
            Store::NotFound { .. } => Self::NotFound,
            Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => Self::Denied,
            _ => {
                let mut source: Option<&(dyn StdError + 'static)> = Some(error);
                while let Some(error) = source {
                    if let Some(error) = error.downcast_ref::<HttpError>() {
                        return Self::of_http(error.kind());
                    }
                    if let Some(error) = error.downcast_ref::<io::Error>() {
                        return Self::of_io(error);
                    }
                    source = error.source();
                }
                Self::Other
            }
        }
    }

    fn of_http(kind: HttpErrorKind) -> Self {
        use HttpErrorKind as Http;
        match kind {
            Http::Connect | Http::Request | Http::Timeout | Http::Interrupted => Self::Unreachable,
            _ => Self::Other,
        }
    }
}

impl Error {
    pub(super) fn store(op: &'static str, what: String, error: object_store::Error) -> Self {
        Self { op, what, kind: ErrorKind::of_store(&error), source: error.into() }
    }

    /// An action on something in a place that the library could not do.
    pub(super) fn action(action: Action, place: &Place, what: String, error: object_store::Error) -> Self {
        let kind = ErrorKind::of_store(&error);
        let source = match Objection::within(&error) {
            Some(objection) => objection.with_remedy(action, place).into(),
            None => error.into(),
        };
        Self { op: action.verb(), what, kind, source }
    }

    /// An error of the operating system, or one of a place that came through it.
    pub fn io(op: &'static str, what: String, error: io::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(known) => return known,
            Err(error) => error,
        };
        Self { op, what, kind: ErrorKind::of_io(&error), source: error.into() }
    }

    /// What is there is not what was written.
    pub fn damaged(op: &'static str, what: String, why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { op, what, kind: ErrorKind::Damaged, source: why.into() }
    }

    /// The error and everything below it, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source: Option<&(dyn StdError + 'static)> = Some(&*self.source);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
