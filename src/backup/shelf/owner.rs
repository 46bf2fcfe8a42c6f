//! Whose sets lie on a shelf.

use serde::Serialize;
use uuid::Uuid;

use crate::storage::{Home, Identity};

/// Whose sets lie on a shelf. They can be looked at while the deployment does not say where it is, or is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Which deployment.
    pub id: Uuid,
    /// Where it is, as far as that is known.
    #[serde(flatten)]
    pub home: Option<Home>,
}

impl From<Identity> for Owner {
    fn from(Identity { id, home }: Identity) -> Self {
        Self { id, home: Some(home) }
    }
}

impl From<&Identity> for Owner {
    fn from(identity: &Identity) -> Self {
        identity.clone().into()
    }
}
