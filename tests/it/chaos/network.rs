//! A network between the daemon and its database that breaks, hangs, or carries one way only.

use std::time::Duration;

use fastrand::Rng;

use super::{at_pace, budget, connections};
use crate::harness::cluster::{TestDb, server};
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::fleet::{Fleet, LEASE};
use crate::harness::proxy::{Proxy, Way};
use crate::harness::seeds;
use crate::harness::witness::Witness;

fn before(db: &TestDb) -> Proxy {
    Proxy::start((server().host.parse::<std::net::IpAddr>().expect("an address"), db.port()).into())
}

/// A daemon whose runs take seconds, by way of `proxy`.
fn through(proxy: &Proxy, db: &TestDb) -> Maintd {
    let address = proxy.address();
    at_pace(Maintd::at(&address.ip().to_string(), address.port(), db.name()), "300", "20")
}

#[test]
fn connections_that_break_again_and_again_cost_nothing_but_time() {
    seeds::with_each(0..4, async |seed| {
        let db = TestDb::new().await;
        let witness = Witness::new(db.pool()).await;
        witness.add(100, 3600).await;
        let proxies = [before(&db), before(&db)];
        let mut fleet = Fleet::start(db.pool(), seed, 2, |place, _| through(&proxies[place], &db)).await;
        let mut random = Rng::with_seed(seed);
        for _ in 0..15 {
            witness.fill_up(300).await;
            fleet.somebody_at_work().await;
            fleet.some_time().await;
            proxies[random.usize(..2)].break_all();
        }
        fleet.rest().await.assert_holds();
        for proxy in &proxies {
            assert!(proxy.most() <= budget(1), "{} connections at once", proxy.most());
        }
    });
}

/// The holder's network stops carrying in these directions in the middle of a run, while another
/// daemon has a way of its own: that takes over and finishes, and what the first one still had on
/// its way is refused when it arrives.
async fn the_other_takes_over(seed: u64, to_server: Way, to_client: Way) {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(100, 3600).await;
    witness.add(3_000, -60).await;
    let now = witness.now().await;
    let proxy = before(&db);
    let launch = |place, _: &mut Rng| match place {
        0 => through(&proxy, &db),
        _ => at_pace(Maintd::on(&db), "0", "100"),
    };
    let mut fleet = Fleet::start(db.pool(), seed, 1, launch).await;
    fleet.somebody_at_work().await;
    fleet.some_time().await;
    proxy.make(to_server, to_client);
    fleet.join();
    fleet.taken_over_from(0).await;
    eventually("the other to finish", async || witness.fate(now).await.expired_and_left == 0).await;

    let cut_off = fleet.daemon(0);
    assert_eq!(cut_off.get("/healthz").0, 200, "a network that is away is no reason to be killed");
    assert_eq!(cut_off.get("/metrics").0, 200);
    cut_off.until("its readiness to tell", |daemon| daemon.get("/readyz").0 == 503);
    cut_off.until("its run to be given up", |daemon| daemon.metric("maintd_job_running", &[]) == Some(0.0));
    assert!(proxy.most() <= budget(1), "{} connections at once", proxy.most());

    proxy.heal();
    fleet.daemon(0).until("it to be ready again", |daemon| daemon.get("/readyz").0 == 200);
    fleet.terminate(1);
    witness.add(20, -60).await;
    let ledger = fleet.rest().await;
    ledger.assert_holds();
    assert!(ledger.ended("lost") >= 1, "{ledger:#?}");
}

#[test]
fn a_holder_in_a_black_hole_is_taken_over_from() {
    seeds::with_each(10..14, |seed| the_other_takes_over(seed, Way::Stalled, Way::Stalled));
}

#[test]
fn a_holder_that_is_not_heard_is_taken_over_from() {
    seeds::with_each(20..24, |seed| the_other_takes_over(seed, Way::Stalled, Way::Open));
}

#[test]
fn a_holder_that_does_not_hear_is_taken_over_from() {
    seeds::with_each(30..34, |seed| the_other_takes_over(seed, Way::Open, Way::Stalled));
}

/// Alone, a daemon goes on by itself once the network carries again, however often that happens.
#[test]
fn work_resumes_when_the_network_carries_again() {
    seeds::with_each(40..44, async |seed| {
        let db = TestDb::new().await;
        let witness = Witness::new(db.pool()).await;
        witness.add(100, 3600).await;
        let proxy = before(&db);
        let mut fleet = Fleet::start(db.pool(), seed, 1, |_, _| through(&proxy, &db)).await;
        let mut random = Rng::with_seed(seed);
        for _ in 0..4 {
            witness.fill_up(300).await;
            fleet.somebody_at_work().await;
            fleet.some_time().await;
            let ways = [(Way::Stalled, Way::Stalled), (Way::Stalled, Way::Open), (Way::Open, Way::Stalled)];
            let (to_server, to_client) = random.choice(ways).expect("a choice");
            proxy.make(to_server, to_client);
            tokio::time::sleep(LEASE.mul_f64(random.f64() * 3.0)).await;
            assert!(proxy.open() <= budget(1), "{} connections at once", proxy.open());
            proxy.heal();
        }
        eventually("what was given up to be closed at the server", async || connections(db.pool()).await <= budget(1))
            .await;
        fleet.rest().await.assert_holds();
    });
}

#[tokio::test]
async fn a_network_that_refuses_everything_is_told_and_waited_for() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(600, -60).await;
    let proxy = before(&db);
    let fleet = Fleet::start(db.pool(), 0, 1, |_, _| through(&proxy, &db)).await;
    fleet.somebody_at_work().await;
    proxy.refuse();
    proxy.break_all();
    let daemon = fleet.daemon(0);
    daemon.until("its readiness to tell", |daemon| {
        let (code, body) = daemon.get("/readyz");
        code == 503 && body.contains("refused")
    });
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(proxy.open(), 0);
    proxy.heal();
    daemon.until("it to be ready again", |daemon| daemon.get("/readyz").0 == 200);
    fleet.rest().await.assert_holds();
    assert!(proxy.most() <= budget(1), "{} connections at once", proxy.most());
}

#[tokio::test]
async fn a_slow_network_makes_runs_slow_and_nothing_else() {
    let db = TestDb::new().await;
    let witness = Witness::new(db.pool()).await;
    witness.add(100, 3600).await;
    witness.add(200, -60).await;
    let proxy = before(&db);
    proxy.make(Way::Slow(Duration::from_millis(10)), Way::Slow(Duration::from_millis(10)));
    let fleet = Fleet::start(db.pool(), 0, 2, |_, _| through(&proxy, &db)).await;
    let ledger = fleet.rest().await;
    ledger.assert_holds();
    assert_eq!(ledger.ended("failed"), 0, "{ledger:#?}");
}
