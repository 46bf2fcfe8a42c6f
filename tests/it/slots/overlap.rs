//! A run that takes longer than the time between two slots.

use super::{last_slot, ledger, passed_for};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::eventually;
use crate::harness::witness::Witness;

#[tokio::test]
async fn slots_that_fall_due_during_a_run_are_skipped() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(300, -60).await;
    let slow = || {
        Maintd::on(&db)
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
            .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", "80")
            .start()
    };
    let daemons = [slow(), slow()];
    eventually("the schedule to begin", async || last_slot(db.pool()).await.is_some()).await;
    let baseline = last_slot(db.pool()).await.expect("it was waited for");
    eventually("the slots to be recorded", async || !passed_for(db.pool(), "skipped/running").await.is_empty()).await;
    let deleted = || daemons.iter().map(|daemon| daemon.rows_deleted()).sum::<u64>();
    daemons[0].until("the rows to go", |_| deleted() == 300);
    let skipped = |daemon: &Daemon| {
        daemon.metric("maintd_schedule_slots_total", &[("fate", "skipped")]).expect("it begins at zero")
    };
    daemons[0].until("them to be counted", |_| daemons.iter().map(skipped).sum::<f64>() >= 2.0);
    let seen = last_slot(db.pool()).await;
    eventually("another slot", async || last_slot(db.pool()).await > seen).await;
    for daemon in daemons {
        // That another one runs the slot is how it should be.
        let log = daemon.stop();
        assert!(!log.contains("does not run"), "{log}");
    }
    let ledger = ledger(db.pool(), "every 1s", baseline, &[]).await;
    ledger.assert_holds();
    let long = ledger.runs().find(|run| run.deleted > 100).expect("the run that had something to do");
    let skipped = passed_for(db.pool(), "skipped/running").await;
    let during = skipped.iter().find(|skipped| Some(skipped.first) > long.slot).expect("a stretch");
    assert!(during.count >= 2, "{skipped:#?}");
    assert!(during.first > long.started_at && Some(during.last) <= long.finished_at, "{skipped:#?} {long:#?}");
    // One that falls due after it is run again.
    let next = ledger.runs().find(|run| run.started_at > long.started_at).expect("another run");
    assert!(next.slot > Some(during.last), "{next:#?}");
}
