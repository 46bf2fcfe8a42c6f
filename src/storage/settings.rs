//! The table `[storage]`.

use serde::{Deserialize, Serialize};

use super::{dynamodb, postgres};
use crate::model::setting::{self, Problem};
use crate::model::{BackendKind, Indexing};

/// Another place to restore, to drill or to move to: `[targets.<name>]`. It has the keys of the table of its
/// backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "backend", rename_all = "lowercase")]
pub enum Target {
    /// On PostgreSQL.
    Postgresql(postgres::Settings),
    /// On DynamoDB.
    Dynamodb(dynamodb::Settings),
}

impl Target {
    /// On which backend it is.
    pub fn backend(&self) -> BackendKind {
        match self {
            Self::Postgresql(_) => BackendKind::Postgresql,
            Self::Dynamodb(_) => BackendKind::Dynamodb,
        }
    }

    /// What is wrong with its values together.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Postgresql(settings) => settings.problems(),
            Self::Dynamodb(settings) => settings.problems(),
        }
    }
}

/// Which backends hold the deployment, and where they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The backends in use: `"postgresql"`, `"dynamodb"` or both. There is no default.
    #[serde(deserialize_with = "setting::list")]
    pub backends: Vec<String>,
    /// Actors are found by their properties in the look-up table; without it as before ActingWeb 3.13:
    /// on DynamoDB in an index on all values, on PostgreSQL by reading all of them.
    #[serde(deserialize_with = "setting::flag")]
    pub property_lookup: bool,
    /// The properties that actors are found by.
    #[serde(deserialize_with = "setting::list")]
    pub indexed_properties: Vec<String>,
    /// The PostgreSQL that holds the deployment.
    pub postgresql: postgres::Settings,
    /// The DynamoDB that holds the deployment.
    pub dynamodb: dynamodb::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        let Indexing { by_table, names } = Indexing::default();
        Self {
            backends: Vec::new(),
            property_lookup: by_table,
            indexed_properties: names,
            postgresql: postgres::Settings::default(),
            dynamodb: dynamodb::Settings::default(),
        }
    }
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let postgresql = self.postgresql.problems().into_iter().map(|problem| problem.within("postgresql"));
        let dynamodb = self.dynamodb.problems().into_iter().map(|problem| problem.within("dynamodb"));
        postgresql.chain(dynamodb).collect()
    }

    /// The backends that are named, in their order. What is none of them is a mistake that the
    /// configuration's check tells.
    pub fn kinds(&self) -> Vec<BackendKind> {
        let kind = |name: &String| BackendKind::ALL.into_iter().find(|kind| kind.name() == name);
        self.backends.iter().filter_map(kind).collect()
    }

    /// How actors are found by what they store.
    pub fn indexing(&self) -> Indexing {
        Indexing { by_table: self.property_lookup, names: self.indexed_properties.clone() }
    }
}
