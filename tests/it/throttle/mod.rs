//! Whom a job slows down for, how soon, and that it comes back.

mod archive;
mod blind;
mod crowd;
mod endings;
mod locks;
mod log;
mod replica;
mod sources;
mod vacuum;

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::ttl_cleanup;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::runner::{LeaseSettings, Runner};
use actingweb_maintd::storage::postgres::Postgres;
use actingweb_maintd::throttle::Settings;
use actingweb_maintd::work::{Progress, Run, Stop, StopReason};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::harness::daemon::sum;
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::runner::{clean_up_until, runner};
use crate::harness::store::{open, settings_of};

/// Rows in a batch of [`Work`] at most. One takes a quarter of a second, so that the store is asked after
/// each.
const LARGEST: u64 = 1_000;

/// A clean-up that goes on while a test makes trouble.
struct Work {
    runner: Arc<Runner>,
    stop: Stop,
    progress: Progress,
    task: JoinHandle<Run>,
}

impl Work {
    /// Begins one that no test sees the end of.
    fn begin(store: &Arc<Postgres>, throttle: Settings) -> Self {
        let lease = LeaseSettings { ttl: actingweb_maintd::model::setting::Span::secs(10) };
        let runner = Arc::new(Runner { lease, ..runner(store) });
        let (stop, progress) = (Stop::new(), Progress::new());
        let job = ttl_cleanup::Settings {
            batch_size: Bounded::new(LARGEST),
            max_rows_per_second: Bounded::new(4 * LARGEST),
            ..ttl_cleanup::Settings::default()
        };
        let task = tokio::spawn({
            let (runner, stop, progress) = (Arc::clone(&runner), stop.clone(), progress.clone());
            async move { clean_up_until(&runner, job, throttle, &stop, &progress).await }
        });
        Self { runner, stop, progress, task }
    }

    /// The same, once its batches are as large as they may be.
    async fn at_full_speed(store: &Arc<Postgres>, throttle: Settings) -> Self {
        let work = Self::begin(store, throttle);
        work.until_full_speed().await;
        work
    }

    /// Seconds rested for `reason`, as a scrape shows them.
    fn rested(&self, reason: &str) -> f64 {
        let labels = [("job", "ttl_cleanup"), ("reason", reason)];
        sum(&self.runner.metrics.encode(), "maintd_throttle_wait_seconds_total", &labels).unwrap_or_default()
    }

    /// Rows in a batch, as a scrape shows them.
    fn size(&self) -> u64 {
        let size = sum(&self.runner.metrics.encode(), "maintd_throttle_batch_size", &[("job", "ttl_cleanup")]);
        size.unwrap_or_default() as u64
    }

    fn findings(&self, check: &str) -> Option<f64> {
        sum(&self.runner.metrics.encode(), "maintd_findings", &[("check", check)])
    }

    async fn until_resting(&self, reason: &str) {
        eventually(&format!("it rests for {reason}"), async || self.progress.resting() == Some(reason)).await;
    }

    async fn until_full_speed(&self) {
        eventually("batches are as large as they may be", async || self.size() == LARGEST).await;
    }

    /// Waits until so many more rows are gone.
    async fn until_gone(&self, rows: u64) {
        let before = self.progress.done();
        eventually("rows to go", async || self.progress.done() >= before + rows).await;
    }

    /// Ends it, and returns what it came to.
    async fn end(self) -> Run {
        self.stop.request(StopReason::Shutdown);
        self.task.await.expect("the run does not panic")
    }
}

/// Adds rows that have expired.
async fn add_expired(pool: &PgPool, rows: i64) {
    sqlx::query(
        "INSERT INTO attributes (id, bucket_name, bucket, name, data, ttl_timestamp) \
         SELECT 'actor', 'expired:' || n, 'expired', n::text, '{}', 1000 FROM generate_series(1, $1) AS n",
    )
    .bind(rows)
    .execute(pool)
    .await
    .expect("adding attributes");
}

/// The daemon's store on a server of the test's own.
fn store_on(server: &Private) -> Arc<Postgres> {
    open(settings_of(server.cluster().host(), server.cluster().port(), "postgres"))
}

/// Nothing but what a test is about makes a job slow.
fn calm() -> Settings {
    use actingweb_maintd::model::setting::{Size, Span};

    Settings {
        batch_latency: Span(Duration::from_secs(5)),
        replication_lag: Span::secs(0),
        replication_lag_bytes: Size(0),
        wal_archive_backlog: Bounded::new(0),
        connection_headroom: Bounded::new(0),
        yield_to_autovacuum: false,
        ..Settings::default()
    }
}
