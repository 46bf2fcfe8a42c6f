//! What a job finds wrong and leaves as it is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What was found wrong. Nothing in it is a secret: no value of a row, and no name of an attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// How many rows, by kind; rows without their actor by their table.
    pub counts: BTreeMap<String, u64>,
    /// The first of them, [`Findings::MOST`] at most.
    pub listed: Vec<Finding>,
    /// Tables that are not as this build knows them, or not there, and were not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Why there was nothing to look at, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// What it is.
    pub kind: String,
    /// The table that it is in.
    pub table: String,
    /// The actor, or who would be it.
    pub id: String,
    /// The other actor, where there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// The name of the property, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many rows.
    pub rows: u64,
    /// When the actor was deleted, where a tombstone says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Findings {
    /// How many are listed.
    pub const MOST: usize = 100;

    /// The most that is kept of an id or a name: history holds what fits into one item of DynamoDB.
    const LONGEST: usize = 255;

    /// Adds one under a word for the counts.
    pub fn add(&mut self, counted_as: &str, mut finding: Finding) {
        *self.counts.entry(counted_as.to_owned()).or_default() += finding.rows;
        if self.listed.len() < Self::MOST {
            for text in [Some(&mut finding.id), finding.other.as_mut(), finding.name.as_mut()].into_iter().flatten() {
                shorten(text);
            }
            self.listed.push(finding);
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(Findings::LONGEST) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_listed() {
        let mut findings = Findings::default();
        for n in 0..150 {
            let finding = Finding { id: format!("{n} {}", "é".repeat(3_000)), rows: 2, ..Finding::default() };
            findings.add(if n % 3 == 0 { "a" } else { "b" }, finding);
        }
        assert_eq!((findings.total(), findings.counts["a"], findings.counts["b"]), (300, 100, 200));
        assert_eq!(findings.listed.len(), 100);
        assert_eq!(findings.listed[0].id.chars().count(), 256);
        let text = serde_json::to_string(&findings).unwrap();
        assert!(text.len() < 100_000, "{}", text.len());
        assert_eq!(serde_json::from_str::<Findings>(&text).unwrap(), findings);
    }
}
