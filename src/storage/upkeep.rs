//! A store as a whole: whether it is there, what state it is in, who it is.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Result, dynamodb, postgres};
use crate::model::BackendKind;

/// Who a deployment is, so that a clone is not taken for the original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Random, made when the daemon first saw the deployment.
    pub id: Uuid,
    /// Where it was first seen.
    #[serde(flatten)]
    pub home: Home,
}

impl Identity {
    /// Why nobody may act in its name where it really is at `home`, if so.
    pub fn refusal(&self, home: &Home) -> Option<String> {
        (self.home != *home).then(|| {
            format!(
                "this is deployment {}, which was first seen in {} and is in {home} now: if it was moved there, run \
                 `actingweb-maintd doctor --adopt moved`; if it is a copy, `doctor --adopt copied` makes it a deployment \
                 of its own",
                self.id, self.home
            )
        })
    }
}

/// Where a deployment is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Home {
    /// A database of a cluster.
    Postgresql {
        /// The cluster: `pg_control_system()`.
        system_identifier: i64,
        /// The database.
        database: String,
    },
    /// Tables of an account.
    Dynamodb {
        /// The account, by the ARN of a table.
        account: String,
        /// The region, by the same.
        region: String,
        /// What the tables' names begin with.
        table_prefix: String,
    },
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgresql { system_identifier, database } => {
                write!(f, "the database {database} of cluster {system_identifier}")
            }
            Self::Dynamodb { account, region, table_prefix } => {
                write!(f, "the tables {table_prefix}_* of account {account} in {region}")
            }
        }
    }
}

/// What became of a deployment that is not where it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// It was moved, and nothing is left where it was: it stays who it is.
    Moved,
    /// It is a copy, and the original lives on: it becomes somebody else.
    Copied,
}

/// A store that is being restored or imported into, and that nothing may be deleted from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incomplete {
    /// Why, for people.
    pub why: String,
    /// Who has marked it, for people.
    pub by: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What the schema of a store is like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SchemaStatus {
    /// Of PostgreSQL.
    Postgresql(postgres::SchemaStatus),
    /// Of DynamoDB.
    Dynamodb(dynamodb::SchemaStatus),
}

impl SchemaStatus {
    /// Why nothing may be deleted, if so.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Postgresql(status) => status.refusal(),
            Self::Dynamodb(status) => status.refusal(),
        }
    }

    /// Why the daemon's own state cannot be used, if so.
    pub fn own_refusal(&self) -> Option<String> {
        match self {
            Self::Postgresql(status) => status.own_refusal(),
            Self::Dynamodb(status) => status.own_refusal(),
        }
    }

    /// The application's revision, where the backend keeps one.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Self::Postgresql(status) => status.revisions.first().map(String::as_str),
            Self::Dynamodb(_) => None,
        }
    }

    /// Whether the application's tables are others than this build knows.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Postgresql(status) => !status.unknown.is_empty(),
            Self::Dynamodb(status) => !status.strange.is_empty(),
        }
    }

    /// Whether the daemon's own state has the form that this build gives it.
    pub fn is_current(&self) -> bool {
        match self {
            Self::Postgresql(status) => status.is_current(),
            Self::Dynamodb(status) => status.is_current(),
        }
    }
}

/// What was made of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Applied {
    /// In PostgreSQL.
    Postgresql(postgres::Applied),
    /// In DynamoDB.
    Dynamodb(dynamodb::Applied),
}

/// A store as a whole.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Which kind it is.
    fn backend(&self) -> BackendKind;

    /// Where it is, for people: no secrets.
    fn describe(&self) -> String;

    /// Asks once whether somebody is there, and says what is wrong when not.
    async fn probe(&self) -> Result<()>;

    /// Asks whether the attributes, which jobs work on, can be read.
    async fn touch(&self) -> Result<()>;

    /// What its schema is like now.
    async fn schema(&self) -> Result<SchemaStatus>;

    /// Makes what is missing of the daemon's own state, and with `application` of the application's
    /// tables too; nothing else ever makes a table.
    async fn apply(&self, application: bool) -> Result<Applied>;

    /// Who the deployment is; remembered now if nobody has asked before.
    async fn identity(&self) -> Result<Identity>;

    /// Where it really is, as the store itself says: other than its identity has it in a copy, and after a move.
    async fn home(&self) -> Result<Home>;

    /// Writes down that the deployment belongs where it is.
    async fn adopt(&self, how: Adoption) -> Result<Identity>;

    /// Whether it is being restored or imported into.
    async fn incomplete(&self) -> Result<Option<Incomplete>>;

    /// Marks it as being restored or imported into, until that is taken back. A mark that is there
    /// stays, and is returned.
    async fn mark_incomplete(&self, why: &str, by: &str) -> Result<Incomplete>;

    /// Takes the mark back. Returns what it was.
    async fn mark_complete(&self) -> Result<Option<Incomplete>>;

    /// Gets ready what is needed to keep a lease, while there is time to wait for it.
    async fn reserve(&self);

    /// Ends what is on its way, when there is no time to wait for it. Returns how much it was.
    async fn cancel(&self) -> Result<i64>;

    /// Ends it, and waits for `grace` at most for whoever still uses it.
    async fn close(&self, grace: Duration);
}
