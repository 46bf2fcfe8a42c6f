//! Whether the server gets rid of its write-ahead log is seen from outside.

use crate::harness::archiving::{archive_with, complete_files, failing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_fails_is_a_finding_until_it_works() {
    // A daemon's run rests while it fails, so it fails before there is one.
    let server = failing().await;
    // A run that ends is a reason to look again soon.
    let daemon = server.maintd().env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start().ready();
    let shown = |name: &str| daemon.metric(&format!("maintd_wal_archive_{name}"), &[("backend", "postgresql")]);
    let finding = || daemon.metric("maintd_findings", &[("check", "wal_archiving"), ("severity", "critical")]);
    daemon.until("it to be told", |_| shown("failing") == Some(1.0) && finding() == Some(1.0));
    assert_eq!(shown("last_success_timestamp_seconds"), None);
    assert!(shown("waiting_files").is_some_and(|files| files >= 1.0));

    archive_with(&server, "true").await;
    complete_files(&server, 1).await;
    daemon.until("the archive to work", |_| shown("failing") == Some(0.0) && finding() == Some(0.0));
    assert!(shown("last_success_timestamp_seconds").is_some_and(|at| at > 1_700_000_000.0));
    daemon.stop();
}
