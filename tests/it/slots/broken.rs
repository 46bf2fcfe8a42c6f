//! An attempt that breaks off, which should not happen.

use chrono::{DateTime, TimeDelta, Utc};

use super::{last_slot, ledger};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::witness::Witness;

#[tokio::test]
async fn an_attempt_that_breaks_off_is_made_again_after_a_rest() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(10, -60).await;
    let daemon = Maintd::on(&db)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("FAILPOINTS", "postgresql.claim.begin.before=3*panic")
        .start();
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    let times = || -> Vec<DateTime<Utc>> {
        let lines = daemon.lines();
        let broken = lines.iter().filter(|line| line["message"] == "an attempt to start a job broke off");
        broken.map(|line| line["timestamp"].as_str().expect("a time").parse().expect("a time")).collect()
    };
    daemon.until("the rows to go all the same", |daemon| daemon.rows_deleted() == 10);
    let times = times();
    assert!(times.len() >= 2, "{times:?}");
    assert!(times.is_sorted_by(|earlier, later| *later - *earlier > TimeDelta::seconds(1)), "{times:?}");
    daemon.stop();
    ledger(db.pool(), "every 1s", baseline, &[]).await.assert_holds();
}
