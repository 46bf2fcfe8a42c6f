//! Mistakes, told to the person who can mend them.

use std::fmt;

use serde::Serialize;

use super::origin::Origin;

/// One mistake, or one thing to be warned of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The dotted key, unless it is about a file or the environment as a whole.
    pub key: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong and what to write instead.
    pub message: String,
    /// Another way out, where there is one.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with one key. Whoever wrote a variable for the application may not want to change
    /// it for the daemon, so the help names the variable that overrides it.
    pub(super) fn with_key(key: impl Into<String>, origin: Origin, message: impl Into<String>) -> Self {
        let key = key.into();
        let help = match &origin {
            Origin::Variable { name } if !name.starts_with(super::environment::PREFIX) => {
                Some(format!("for the daemon alone, set {} instead", super::environment::variable(&key)))
            }
            _ => None,
        };
        Self { key: Some(key), origin, message: message.into(), help }
    }

    /// A problem with a whole file or variable.
    pub(super) fn without_key(origin: Origin, message: impl Into<String>) -> Self {
        Self { key: None, origin, message: message.into(), help: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.origin {
            Origin::Default => f.write_str("\n  --> not set, so the default applies")?,
            Origin::Variable { name } => write!(f, "\n  --> environment: {name}")?,
            other => write!(f, "\n  --> {other}")?,
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that was found wrong at once. As text: a block for each, then how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// What has to be mended.
    pub errors: Vec<Problem>,
    /// What should be looked at.
    pub warnings: Vec<Problem>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.warnings {
            write!(f, "warning: {problem}\n\n")?;
        }
        for problem in &self.errors {
            write!(f, "error: {problem}\n\n")?;
        }
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        f.write_str("the configuration has ")?;
        match (self.errors.len(), self.warnings.len()) {
            (0, 0) => f.write_str("no errors"),
            (errors, 0) => f.write_str(&count(errors, "error")),
            (0, warnings) => f.write_str(&count(warnings, "warning")),
            (errors, warnings) => write!(f, "{} and {}", count(errors, "error"), count(warnings, "warning")),
        }
    }
}
