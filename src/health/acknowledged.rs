//! Findings that somebody knows of and has decided to leave.

use std::str::FromStr;

use super::finding::CHECKS;
use crate::metrics::Check;

/// A finding that somebody has decided to leave, as it is written: `index_unused ix_actors_creator: the reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The check.
    pub check: Check,
    /// The table or index.
    pub object: String,
    /// Why it may stay.
    pub reason: String,
}

impl Acknowledgement {
    /// Whether it is about a finding.
    pub fn is_about(&self, check: Check, object: &str) -> bool {
        self.check == check && self.object == object
    }
}

impl FromStr for Acknowledgement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write the check, the table or index, a colon and the reason, as in \"index_unused \
                    ix_actors_creator: only the yearly report needs it\"";
        let Some((subject, reason)) = text.split_once(':') else {
            return Err(format!("`{text}` gives no reason: {form}"));
        };
        let mut words = subject.split_whitespace();
        let (Some(check), Some(object), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`{text}` does not name one check and one table or index: {form}"));
        };
        let Some(known) = CHECKS.into_iter().find(|known| known.name() == check) else {
            let names = CHECKS.map(Check::name);
            let near = names.iter().copied().min_by_key(|name| strsim::osa_distance(name, check)).unwrap_or_default();
            return Err(format!("`{check}` is no check, did you mean {near}? There are {}", names.join(", ")));
        };
        if reason.trim().is_empty() {
            return Err(format!("`{text}` gives no reason: {form}"));
        }
        Ok(Self { check: known, object: object.to_owned(), reason: reason.trim().to_owned() })
    }
}
