//! Points at which tests make things go wrong.

use super::{Error, Result};
use crate::fault;

/// Such a point, by its name.
pub(super) async fn fault_at(name: &'static str) -> Result<()> {
    let stopped =
        |injected: fault::Injected| Error::Failed { what: format!("stopped at {name}"), source: Some(injected.into()) };
    fault::at(|| name.to_owned()).await.map_err(stopped)
}
