//! The table `[storage]`.

use serde::{Deserialize, Serialize};

use super::postgres;
use crate::model::setting::{self, Problem};

/// Which backends hold the deployment, and where they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The backends in use: `"postgresql"`. There is no default.
    #[serde(deserialize_with = "setting::list")]
    pub backends: Vec<String>,
    /// The PostgreSQL that holds the deployment.
    pub postgresql: postgres::Settings,
}

impl Settings {
    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        self.postgresql.problems().into_iter().map(|problem| problem.within("postgresql")).collect()
    }
}
