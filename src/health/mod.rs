//! Whether the tables and indexes of a deployment are what they must be, and well.
//!
//! What must be there is known: the application's schema is data (`model::expected`, `model::layout`), so what is
//! missing or different is a fact. How well it is, is read from what the store counts anyway, without reading rows or
//! pages of indexes; what needs that is only done when somebody asks for it.

mod acknowledged;
mod criteria;
pub mod dynamodb;
mod finding;
pub mod postgresql;

pub use acknowledged::Acknowledgement;
pub use criteria::{Criteria, RepairLimits, WANTED, Wanted};
pub use finding::{CHECKS, Cure, Examined, Finding, REPAIRABLE, is_made, severity};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::storage::{Concrete, Result, Store};
use crate::throttle::{self, Budget};
use crate::work::{IndexFigures, Progress, Repaired, Stop};

/// What there is to heed while somebody looks, or repairs.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// What counts as wrong.
    pub criteria: &'a Criteria,
    /// What a repair must not do.
    pub limits: &'a RepairLimits,
    /// How much others may suffer.
    pub throttle: &'a throttle::Settings,
    /// What may be used of the store together with others, where it bills.
    pub budget: &'a Budget,
    /// What the newest run before this one saw of the indexes.
    pub earlier: Option<&'a Earlier>,
    /// Asked between steps, and while something long goes on.
    pub stop: &'a Stop,
    /// Kept up to date for whoever watches: in pages of PostgreSQL, in items of DynamoDB.
    pub progress: &'a Progress,
    /// The run in whose name this is done; none for a look that changes nothing.
    pub run: Option<Uuid>,
}

/// What an earlier run saw of the indexes.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    /// When.
    pub at: DateTime<Utc>,
    /// Each of them.
    pub indexes: Vec<IndexFigures>,
}

/// Looks at everything.
///
/// # Errors
///
/// When the store does not answer. What only a part of the looks asks and has no answer is left out of the result.
pub async fn examine(store: &dyn Store, visit: Visit<'_>) -> Result<Examined> {
    match store.concrete() {
        Concrete::Postgresql(store) => postgresql::examine(store, visit).await,
        Concrete::Dynamodb(store) => dynamodb::examine(store, visit).await,
    }
}

/// Deals with what earlier repairs left that were cut short: waits for those that the server still works at, and
/// removes the leftovers of the others. Says what was done.
///
/// # Errors
///
/// When the store does not answer.
pub async fn recover(store: &dyn Store, visit: Visit<'_>) -> Result<Vec<Repaired>> {
    match store.concrete() {
        Concrete::Postgresql(store) => postgresql::recover(store, visit).await,
        // A request is done or it is not.
        Concrete::Dynamodb(_) => Ok(Vec::new()),
    }
}

/// Repairs what was found, unless this is not the moment. What goes wrong with one repair is told in the result.
///
/// # Errors
///
/// When the store does not answer.
pub async fn repair(store: &dyn Store, visit: Visit<'_>, finding: &Finding, cure: &Cure) -> Result<Repaired> {
    match store.concrete() {
        Concrete::Postgresql(store) => postgresql::repair(store, visit, finding, cure).await,
        Concrete::Dynamodb(store) => dynamodb::repair(store, visit, finding, cure).await,
    }
}
