//! Everything that can happen to processes, in an order that a seed chooses.

use super::at_some_pace;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::fleet::Fleet;
use crate::harness::seeds;
use crate::harness::witness::Witness;

#[test]
fn daemons_that_are_killed_stopped_terminated_and_started_again_keep_the_ledger() {
    seeds::with_each(0..4, async |seed| {
        let db = TestDb::new().await;
        let witness = Witness::new(db.pool()).await;
        witness.add(200, 3600).await;
        let mut fleet = Fleet::start(db.pool(), seed, 3, |_, random| at_some_pace(Maintd::on(&db), random)).await;
        for _ in 0..40 {
            witness.add(100, -60).await;
            witness.add(20, 1).await;
            witness.extend(5).await;
            fleet.befall().await;
        }
        fleet.rest().await.assert_holds();
    });
}
