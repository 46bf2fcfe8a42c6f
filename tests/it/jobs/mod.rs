//! The jobs on real stores.

mod diff_prune;
mod incomplete;
mod lookup_check;
mod lookup_races;
mod native_ttl;
mod orphan_delete;
mod orphan_races;
mod orphan_scan;
mod scene;
mod token_cleanup;
mod trouble;
mod ttl_cleanup;

/// Makes a test of each check on each backend.
macro_rules! on_each_backend {
    ($($check:ident)+) => {
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(&crate::jobs::scene::Scene::postgresql().await).await;
            })+
        }

        mod on_dynamodb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(&crate::jobs::scene::Scene::dynamodb().await).await;
            })+
        }
    };
}

use on_each_backend;
