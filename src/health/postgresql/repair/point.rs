//! Points at which tests kill whoever repairs.

use super::unavailable;
use crate::fault;
use crate::storage::{Error, Result};

/// Such a point, by its name.
pub(super) async fn fault_at(name: &'static str) -> Result<()> {
    let killed = |injected: fault::Injected| Error { source: injected.into(), ..unavailable() };
    fault::at(|| format!("repair::{name}")).await.map_err(killed)
}
