//! Daemons behind PgBouncer in transaction mode.

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::fleet::Fleet;
use crate::harness::pooler::Pooler;
use crate::harness::seeds;
use crate::harness::witness::Witness;

#[test]
fn behind_a_pooler_daemons_that_are_killed_keep_the_ledger() {
    seeds::with_each(500..502, async |seed| {
        let db = TestDb::new().await;
        let pooler = Pooler::start(&db, 4);
        let witness = Witness::new(db.pool()).await;
        witness.add(200, 3600).await;
        let mut fleet = Fleet::start(db.pool(), seed, 2, |_, random| {
            let rate = random.choice(["300", "0"]).expect("a choice");
            Maintd::at("127.0.0.1", pooler.port, db.name())
                .env("MAINTD_JOBS__TTL_CLEANUP__MAX_ROWS_PER_SECOND", rate)
                .env("MAINTD_JOBS__TTL_CLEANUP__BATCH_SIZE", "20")
        })
        .await;
        for _ in 0..5 {
            witness.fill_up(500).await;
            witness.add(50, 1).await;
            let killed = fleet.kill_at_work().await;
            witness.extend(20).await;
            fleet.replace(killed).await;
        }
        for _ in 0..8 {
            witness.add(50, -60).await;
            fleet.befall().await;
        }
        let ledger = fleet.rest().await;
        ledger.assert_holds();
        assert!(ledger.ended("lost") >= 5, "five runs were killed: {ledger:#?}");
    });
}
