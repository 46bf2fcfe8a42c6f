//! Another password, while the daemon runs.

use std::fs;

use crate::harness::daemon::Daemon;
use crate::harness::eventually;
use crate::harness::private::Private;

use super::{load_again, reload, success, told};

/// What begins every password here.
const CANARY: &str = "Kanarienvogel";

/// A server that wants a password for everything that comes over TCP.
async fn server() -> Private {
    let private = Private::start(&[], &["host all all 127.0.0.1/32 scram-sha-256"]).await;
    change(&private, "one").await;
    private
}

/// Gives the role another password.
async fn change(private: &Private, which: &str) {
    let sql = format!("ALTER ROLE postgres PASSWORD '{CANARY}-{which}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(private.pool()).await.unwrap();
}

/// The server processes that serve the daemon.
async fn connections(private: &Private) -> Vec<i32> {
    sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE application_name = 'actingweb-maintd' ORDER BY pid")
        .fetch_all(private.pool())
        .await
        .unwrap()
}

/// Ends all connections of the daemon, so that it has to log in again.
async fn disconnect(private: &Private) {
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'actingweb-maintd'")
        .execute(private.pool())
        .await
        .unwrap();
}

fn is_locked_out(daemon: &Daemon) -> bool {
    let (code, body) = daemon.get("/readyz");
    code == 503 && body.contains("password authentication failed")
}

fn runs(daemon: &Daemon) -> f64 {
    daemon.metric("maintd_job_runs_total", &[("outcome", "succeeded")]).expect("counters begin at zero")
}

fn assert_clean(log: &str) {
    assert!(!log.contains(CANARY), "a password was shown:\n{log}");
}

#[tokio::test]
async fn the_file_of_the_password_is_read_anew() {
    let private = server().await;
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("password");
    fs::write(&secret, format!("{CANARY}-one\n")).unwrap();
    let daemon = private
        .maintd()
        .env("MAINTD_STORAGE__POSTGRESQL__PASSWORD_FILE", &secret)
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s")
        .env("MAINTD_LOG__FILTER", "trace,sqlx=trace")
        .start()
        .ready();
    change(&private, "two").await;
    fs::write(&secret, format!("{CANARY}-two\n")).unwrap();
    let before = connections(&private).await;
    let line = load_again(&daemon);
    assert_eq!(told(&line), ("applied", "the configuration was loaded: storage.postgresql.password changed"));
    // Nobody is thrown out for it.
    let after = connections(&private).await;
    assert!(before.iter().any(|pid| after.contains(pid)), "{before:?} {after:?}");
    disconnect(&private).await;
    let seen = runs(&daemon);
    daemon.until("runs with the new password", |daemon| runs(daemon) >= seen + 2.0);
    daemon.until("it to be ready", |daemon| daemon.get("/readyz").0 == 200);
    eventually("new connections", async || {
        let now = connections(&private).await;
        !now.is_empty() && !now.iter().any(|pid| after.contains(pid))
    })
    .await;
    assert_clean(&daemon.stop());
}

#[tokio::test]
async fn a_daemon_that_is_locked_out_gets_in_again() {
    let private = server().await;
    let config = |which: &str| {
        format!(
            "[storage.postgresql]\npassword = \"{CANARY}-{which}\"\n[jobs.ttl_cleanup]\nschedule = \"every 1s\"\n\
             [log]\nfilter = \"trace,sqlx=trace\"\n"
        )
    };
    let daemon = private.maintd().config(&config("one")).start().ready();
    change(&private, "two").await;
    // Whoever was let in a moment before the password changed may only be seen a moment later.
    eventually("it to be locked out", async || {
        disconnect(&private).await;
        is_locked_out(&daemon)
    })
    .await;

    // A password that cannot be read is no reason to forget the one there is.
    let line = reload(&daemon, &config("two").replace("-two\"", "-two"));
    assert_eq!((told(&line).0, success(&daemon)), ("refused", 0.0));
    assert!(is_locked_out(&daemon));

    let line = reload(&daemon, &config("two"));
    assert_eq!(told(&line), ("applied", "the configuration was loaded: storage.postgresql.password changed"));
    daemon.until("it to be ready", |daemon| daemon.get("/readyz").0 == 200);
    let seen = runs(&daemon);
    daemon.until("runs", |daemon| runs(daemon) >= seen + 2.0);
    assert_clean(&daemon.stop());
}

#[tokio::test]
async fn a_password_is_told_in_no_complaint() {
    let private = server().await;
    let config = |line: &str| format!("[log]\nfilter = \"trace\"\n[storage.postgresql]\n{line}\n");
    let password = format!("{CANARY}-one");
    let good = config(&format!("password = \"{password}\""));
    let daemon = private.maintd().config(&good).start().ready();
    let dir = tempfile::tempdir().unwrap();
    let two_lines = dir.path().join("password");
    fs::write(&two_lines, format!("{password}\n{password}\n")).unwrap();
    for line in [
        format!("password = {password}"),
        format!("password = \"{password}"),
        format!("password = ['{password}']"),
        format!("password = {{ value = '{password}' }}"),
        format!("passwrod = \"{password}\""),
        format!("password_file = \"{password}\""),
        format!("password_file = \"{}\"", two_lines.display()),
        format!("password = \"{password}\"\npassword_file = \"/nowhere\""),
        format!("password: {password}"),
        format!("url = \"postgres://postgres:{password}@localhost/\""),
        format!("host = \"postgres://postgres:{password}@localhost/\""),
    ] {
        let outcome = reload(&daemon, &config(&line));
        assert!(["refused", "applied"].contains(&told(&outcome).0), "{outcome:#}");
        assert_clean(&daemon.log());
    }
    reload(&daemon, &good);
    assert_eq!(success(&daemon), 1.0);
    for path in ["/", "/metrics", "/readyz", "/api/v1/status"] {
        assert_clean(&daemon.get(path).1);
    }
    daemon.stop();
}
