//! `kill -9` at seeded instants of runs: 200 of them in all.

use super::at_some_pace;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::fleet::Fleet;
use crate::harness::seeds;
use crate::harness::witness::Witness;

/// Databases that one test has, at the same time.
const DATABASES: u64 = 5;

/// Kills whoever works, `kills` times on one database, while rows come, expire and are extended.
async fn kill_at_seeded_instants(seed: u64, daemons: usize, kills: usize) {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(200, 3600).await;
    let mut fleet = Fleet::start(db.pool(), seed, daemons, |_, random| at_some_pace(Maintd::on(&db), random)).await;
    for _ in 0..kills {
        witness.fill_up(600).await;
        witness.add(50, 1).await;
        let killed = fleet.kill_at_work().await;
        witness.extend(20).await;
        fleet.replace(killed).await;
    }
    let ledger = fleet.rest().await;
    ledger.assert_holds();
    assert!(ledger.ended("lost") >= kills, "{kills} runs were killed: {ledger:#?}");
}

#[test]
fn a_daemon_is_killed_at_50_instants_of_its_runs() {
    seeds::with_each(0..DATABASES, |seed| kill_at_seeded_instants(seed, 1, 10));
}

#[test]
fn a_daemon_is_killed_at_50_more_instants_of_its_runs() {
    seeds::with_each(100..100 + DATABASES, |seed| kill_at_seeded_instants(seed, 1, 10));
}

#[test]
fn one_of_two_daemons_is_killed_at_50_instants_of_its_runs() {
    seeds::with_each(200..200 + DATABASES, |seed| kill_at_seeded_instants(seed, 2, 10));
}

#[test]
fn one_of_two_daemons_is_killed_at_50_more_instants_of_its_runs() {
    seeds::with_each(300..300 + DATABASES, |seed| kill_at_seeded_instants(seed, 2, 10));
}
