//! What a run that has to do with backups says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run made, proved or removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backups {
    /// The set that was made, verified or drilled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// What it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// Its bytes, those of the parts that lie elsewhere as far as their keeper tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Its rows, if they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How far it is proven now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What was found wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// How it was restored and compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drilled>,
    /// How many findings there are about point-in-time recovery, among the defects of the report; only of runs that
    /// looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_findings: Option<u64>,
    /// What was decided about the sets; only of runs that remove them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruning: Option<Pruning>,
    /// Seconds that each step took.
    pub seconds: BTreeMap<String, f64>,
    /// Why there was nothing to do, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a set was restored and compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drilled {
    /// From an empty place to a database that answers.
    pub restore_seconds: f64,
    /// How old the data was.
    pub data_age_seconds: f64,
    /// How many rows were compared.
    pub rows: u64,
    /// Whether the digest of every table was compared.
    pub compared: bool,
    /// What could not be compared, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was decided about the sets of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pruning {
    /// How many stay.
    pub kept: u64,
    /// Those that are removed, each with the reason; [`Pruning::MOST`] at most.
    pub removed: BTreeMap<String, String>,
    /// Why nothing was decided, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Pruning {
    /// How many are named: history holds what fits into one item of DynamoDB.
    pub const MOST: usize = 100;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comes_back(seconds: f64) -> bool {
        let told = Backups { seconds: BTreeMap::from([("create".to_owned(), seconds)]), ..Backups::default() };
        let text = serde_json::to_string(&told).expect("a document");
        serde_json::from_str::<Backups>(&text).expect("the same document") == told
    }

    #[test]
    fn seconds_come_back_from_history_to_the_last_digit() {
        // A reader that is only nearly exact makes others of these.
        for seconds in [31.245_270_191_439_438, 121.487_919_511_619_45, 0.1 + 0.2] {
            assert!(comes_back(seconds), "{seconds}");
        }
        proptest!(|(seconds in 0.0..1e6_f64)| prop_assert!(comes_back(seconds)));
    }
}
