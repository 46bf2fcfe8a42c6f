//! The store itself.

/// A test on each backend of functions that work on any store.
macro_rules! on_both_backends {
    ($($name:ident),* $(,)?) => {
        mod postgresql {
            $(#[tokio::test]
            async fn $name() {
                let db = crate::harness::cluster::TestDb::new().await;
                super::$name(&*crate::harness::store::store(&db)).await;
            })*
        }

        mod dynamodb {
            $(#[tokio::test]
            async fn $name() {
                let tables = crate::harness::dynamodb::TestTables::new().await;
                super::$name(&*tables.store()).await;
            })*
        }
    };
}

mod dynamodb;
mod dynamodb_faults;
mod dynamodb_leases;
mod dynamodb_schema;
mod dynamodb_sweep;
mod leases;
mod own_state;
mod pooler;
mod sweep;
mod tables;
mod turned_back;
