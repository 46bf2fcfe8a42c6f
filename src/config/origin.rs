//! Where a value comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line of the key, counted from one; none when it is about the file as a whole.
        line: Option<usize>,
    },
    /// An environment variable, or several that make one value.
    Variable {
        /// The name, or the names.
        name: String,
    },
    /// A flag.
    CommandLine,
    /// The file that holds the secret.
    SecretFile {
        /// Its path.
        path: PathBuf,
    },
}

impl Origin {
    pub(super) fn file(path: &Path, line: Option<usize>) -> Self {
        Self::File { path: path.to_owned(), line }
    }

    pub(super) fn variable(name: impl Into<String>) -> Self {
        Self::Variable { name: name.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } | Self::SecretFile { path } => path.display().fmt(f),
            Self::Variable { name } => f.write_str(name),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
