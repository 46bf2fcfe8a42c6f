//! PostgreSQL deletes nothing by itself.

use async_trait::async_trait;

use super::Postgres;
use crate::storage::{NativeExpiry, NativeTtl, Result};

#[async_trait]
impl NativeExpiry for Postgres {
    async fn native_ttl(&self) -> Result<NativeTtl> {
        Ok(NativeTtl::Never)
    }

    async fn enable_native_ttl(&self) -> Result<bool> {
        Ok(false)
    }
}
