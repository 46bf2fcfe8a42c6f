//! What systemd is told, from the start to the end.

use std::ffi::OsStr;
use std::net::TcpListener;

use actingweb_maintd::daemon::Notifier;
use nix::sys::signal::Signal;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::service_manager::ServiceManager;
use crate::harness::store::add_attributes;

/// Says to the service manager what `say` says, and returns what arrives.
fn told(say: impl FnOnce(&Notifier)) -> Vec<String> {
    let manager = ServiceManager::on_a_path();
    say(&Notifier::new(Some(manager.address()), None));
    manager.all()
}

#[tokio::test]
async fn the_daemon_is_ready_when_it_serves_and_tells_when_its_database_comes_and_goes() {
    let mut private = Private::start(&[], &[]).await;
    private.stop().await;
    let manager = ServiceManager::on_a_path();
    let daemon = private
        .maintd()
        .env("NOTIFY_SOCKET", manager.address())
        // How long a look at the history waits for a database that has just gone.
        .env("MAINTD_STORAGE__POSTGRESQL__POOL__TIMEOUT", "1s")
        .start();
    assert_eq!(manager.next_news(), "STATUS=not ready: no store has answered yet\n");
    let mut first = [manager.next_news(), manager.next_news()];
    first.sort();
    let [ready, down] = first;
    assert_eq!(ready, "READY=1\n");
    assert!(down.starts_with("STATUS=not ready: postgresql: ") && down.contains("refused"), "{down}");
    assert_eq!(daemon.get("/healthz").0, 200);
    daemon.until("the database to be asked again and again", |daemon| {
        daemon.metric("maintd_store_errors_total", &[("op", "connect")]).is_some_and(|errors| errors >= 3.0)
    });
    assert_eq!(manager.all(), [""; 0], "what lasts is told once");

    private.start_again().await;
    manager.until("the database to be found", |message| message == "STATUS=ready\n");
    private.stop().await;
    let down = manager.next_news();
    assert!(down.starts_with("STATUS=not ready: postgresql: ") && down.lines().count() == 1, "{down}");

    daemon.signal(Signal::SIGTERM);
    // How it is down may have become clearer since.
    let last = manager.until("the end", |message| !message.starts_with("STATUS=not ready"));
    assert_eq!(last, "STOPPING=1\nSTATUS=stopping\n");
    assert_eq!(daemon.wait().0, 0);
    assert_eq!(manager.all(), [""; 0], "after the end there is nothing to tell");
}

#[tokio::test]
async fn a_socket_without_a_file_is_told_as_well() {
    let db = TestDb::new().await;
    let manager = ServiceManager::on_an_abstract_name();
    let daemon = Maintd::on(&db).env("NOTIFY_SOCKET", manager.address()).start();
    manager.until("it to be ready", |message| message == "READY=1\n");
    daemon.stop();
    manager.until("the end", |message| message.starts_with("STOPPING=1\n"));
}

#[tokio::test]
async fn what_is_waited_for_at_the_end_is_told() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let mut migration = db.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE attributes IN SHARE MODE").execute(&mut *migration).await.unwrap();
    let manager = ServiceManager::on_a_path();
    let daemon = Maintd::on(&db)
        .env("NOTIFY_SOCKET", manager.address())
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        // A quarter of it is how long a batch waits for a lock.
        .env("MAINTD_LEASE__TTL", "10m")
        .env("MAINTD_DRAIN__GRACE", "10m")
        .start();
    eventually("the batch to wait", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database \
             WHERE NOT granted AND relation = 'attributes'::regclass AND datname = current_database()",
        )
        .fetch_one(db.pool())
        .await
        .unwrap();
        waiting == 1
    })
    .await;
    daemon.signal(Signal::SIGTERM);
    manager.until("the end to begin", |message| message.starts_with("STOPPING=1\n"));
    let status = manager.next();
    assert!(status.starts_with("STATUS=draining: ttl_cleanup"), "{status}");
    migration.rollback().await.unwrap();
    assert_eq!(daemon.wait().0, 0);
}

#[tokio::test]
async fn a_daemon_that_cannot_serve_is_never_ready() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let manager = ServiceManager::on_a_path();
    let ended = Maintd::at("127.0.0.1", 1, "actingweb")
        .env("NOTIFY_SOCKET", manager.address())
        .env("MAINTD_HTTP__LISTEN", taken.local_addr().unwrap().to_string())
        .run(&["run"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(manager.all(), [""; 0]);
}

#[tokio::test]
async fn a_service_manager_that_cannot_be_told_is_no_reason_not_to_work() {
    let db = TestDb::new().await;
    for socket in ["vsock:2:1234", "/nonexistent/notify"] {
        let daemon = Maintd::on(&db).env("NOTIFY_SOCKET", socket).start().ready();
        let log = daemon.stop();
        assert_eq!(log.matches("the service manager c").count(), 1, "{log}");
    }
    let log = Maintd::on(&db).start().ready().stop();
    assert!(!log.contains("service manager"), "where there is none, nothing is missing: {log}");
}

#[test]
fn a_reload_is_told_with_its_time_and_ended() {
    let messages = told(|notifier| {
        notifier.reloading();
        notifier.ready();
        notifier.reloading();
        notifier.ready();
    });
    let time = |message: &str| -> u64 {
        let time = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.strip_suffix('\n'));
        time.unwrap_or_else(|| panic!("{message:?}")).parse().expect("microseconds")
    };
    let [first, ready, second, again] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!([ready.as_str(), again], ["READY=1\n"; 2]);
    // systemd takes a reload for the one it asked for if it began after it had asked.
    assert!(0 < time(first) && time(first) < time(second), "{messages:?}");
}

#[test]
fn a_status_is_told_when_it_changes() {
    let messages = told(|notifier| {
        notifier.readiness(None);
        notifier.readiness(None);
        notifier.readiness(Some("no answer"));
        notifier.status("not ready: no answer");
        notifier.readiness(None);
        notifier.stopping();
        notifier.readiness(Some("too late to matter"));
        notifier.status("draining: ttl_cleanup");
    });
    let expected = [
        "STATUS=ready\n",
        "STATUS=not ready: no answer\n",
        "STATUS=ready\n",
        "STOPPING=1\nSTATUS=stopping\n",
        "STATUS=draining: ttl_cleanup\n",
    ];
    assert_eq!(messages, expected);
}

/// A database's message must not end the status, nor grow beyond what systemd takes.
#[test]
fn a_status_is_one_short_line() {
    let messages = told(|notifier| {
        notifier.status("no\nSTOPPING=1\r\n\tgood\0 \u{1b}[31mday");
        notifier.status(&"ö".repeat(10_000));
    });
    let [flat, long] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(flat, "STATUS=no STOPPING=1 good [31mday\n");
    assert!(long.starts_with("STATUS=öö") && long.ends_with("ö…\n") && long.len() < 1_000, "{}", long.len());
}

#[test]
fn without_a_service_manager_nothing_happens() {
    for socket in [None, Some(OsStr::new(""))] {
        let notifier = Notifier::new(socket, Some(std::time::Duration::from_secs(1)));
        notifier.ready();
        notifier.status("nobody listens");
        notifier.reloading();
        notifier.stopping();
        assert_eq!(notifier.watchdog(), None, "what cannot be fed is not there");
    }
}
