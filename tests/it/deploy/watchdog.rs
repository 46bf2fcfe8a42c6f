//! Signs of life come from the scheduler loop, and from nothing else.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::daemon::Notifier;
use actingweb_maintd::http::{Limits, Server, Site};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::runner::{Board, Heartbeat};
use nix::sys::signal::Signal;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, get};
use crate::harness::service_manager::{PING, ServiceManager};

/// Short, so that a loop which only came round at its own pace would be too late.
const WATCHDOG: Duration = Duration::from_millis(500);

/// A daemon with nothing to do and a watchdog.
fn watched(db: &TestDb, manager: &ServiceManager) -> Maintd {
    Maintd::on(db)
        .env("NOTIFY_SOCKET", manager.address())
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "@yearly")
}

fn until_pinged(manager: &ServiceManager) {
    manager.until("a sign of life", |message| message == PING);
}

#[tokio::test]
async fn the_watchdog_is_fed_while_the_loop_turns() {
    let db = TestDb::new().await;
    let manager = ServiceManager::on_a_path();
    let daemon = watched(&db, &manager).start().ready();
    // With the loop's own pace of five seconds this would take longer than anybody waits.
    let mut pings = 0;
    manager.until("twenty signs of life", |message| {
        pings += u32::from(message == PING);
        pings == 20
    });

    daemon.signal(Signal::SIGSTOP);
    manager.until_quiet(WATCHDOG * 2);
    daemon.signal(Signal::SIGCONT);
    until_pinged(&manager);

    daemon.stop();
    manager.until("the end", |message| message.starts_with("STOPPING=1\n"));
    assert_eq!(manager.all(), [""; 0], "a sign of life would start the watchdog anew");
}

#[tokio::test]
async fn a_watchdog_of_another_process_is_not_fed() {
    let db = TestDb::new().await;
    let manager = ServiceManager::on_a_path();
    let daemon =
        watched(&db, &manager).env("WATCHDOG_PID", "1").env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start();
    daemon.until("the loop to have come round", |daemon| {
        daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]).is_some_and(|runs| runs >= 2.0)
    });
    daemon.stop();
    let messages = manager.all();
    assert!(messages.contains(&"READY=1\n".to_owned()), "{messages:?}");
    assert!(!messages.contains(&PING.to_owned()), "{messages:?}");
}

/// Beats until one has arrived. (The first may come before anybody waits for it.)
fn beat_until_pinged(heartbeat: &Heartbeat, manager: &ServiceManager) {
    for _ in 0..1_000 {
        heartbeat.beat();
        if manager.within(WATCHDOG / 10).is_some() {
            return;
        }
    }
    panic!("no beat arrives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_stands_still_starves_the_watchdog_of_a_process_that_lives() {
    let manager = ServiceManager::on_a_path();
    let notifier = Arc::new(Notifier::new(Some(manager.address()), Some(WATCHDOG)));
    let heartbeat = Heartbeat::new(notifier.watchdog());
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = server.local_addr();
    let site = Site::new(Board::default(), heartbeat.clone(), Arc::new(Metrics::new("test", "test")));
    let serving = server.serve(Limits::default(), move |request| site.respond(request)).unwrap();
    let feeding = tokio::spawn({
        let (notifier, beats) = (Arc::clone(&notifier), heartbeat.beats());
        async move { notifier.feed(beats).await }
    });

    beat_until_pinged(&heartbeat, &manager);
    manager.until_quiet(WATCHDOG * 2);
    assert_eq!(get(address, "/healthz").0, 200, "the process lives");
    assert!(!feeding.is_finished());
    beat_until_pinged(&heartbeat, &manager);
    manager.until_quiet(WATCHDOG);

    // A loop that goes on while the daemon stops is none to watch.
    notifier.stopping();
    assert!(manager.next().starts_with("STOPPING=1\n"));
    while !feeding.is_finished() {
        heartbeat.beat();
        tokio::task::yield_now().await;
    }
    assert_eq!(manager.all(), [""; 0]);
    serving.stop(WATCHDOG).await;
}

/// However often the loop comes round, the watchdog hears of it as often as it has to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_loop_does_not_flood_the_service_manager() {
    let manager = ServiceManager::on_a_path();
    let patient = Duration::from_secs(3_600);
    let notifier = Notifier::new(Some(manager.address()), Some(patient));
    let heartbeat = Heartbeat::new(notifier.watchdog());
    let beats = heartbeat.beats();
    tokio::spawn(async move { notifier.feed(beats).await });
    beat_until_pinged(&heartbeat, &manager);
    for _ in 0..10_000 {
        heartbeat.beat();
    }
    assert_eq!(manager.within(WATCHDOG), None);
}
