//! What must never be seen.

use crate::harness::daemon::{Maintd, Output};
use crate::harness::private::Private;

/// Neither a word nor anything that a URL, a regular expression or JSON leaves as it is.
const PASSWORD: &str = "Kanarienvogel-7%2F@:/ \\\"'";

/// What is left of it however it is quoted.
const CANARY: &str = "Kanarienvogel";

/// An attribute whose name is a bearer token.
const TOKEN: &str = "rt_NachtigallNachtigall";

/// A server that wants a password for everything that comes over TCP, and a token in it.
async fn server() -> Private {
    let private = Private::start(&[], &["host all all 127.0.0.1/32 scram-sha-256"]).await;
    // Utility statements take no parameters.
    let quoted = PASSWORD.replace('\'', "''");
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "SET standard_conforming_strings = on; ALTER ROLE postgres PASSWORD '{quoted}'"
    )))
    .execute(private.pool())
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO attributes (id, bucket_name, bucket, name, ttl_timestamp) \
         VALUES ('a', 'mcp_refresh_tokens:' || $1, 'mcp_refresh_tokens', $1, 1000)",
    )
    .bind(TOKEN)
    .execute(private.pool())
    .await
    .unwrap();
    private
}

fn assert_clean(what: &str, text: &str) {
    for secret in [CANARY, TOKEN] {
        assert!(!text.contains(secret), "{what} shows {secret}:\n{text}");
    }
}

#[tokio::test]
async fn neither_the_password_nor_a_token_is_ever_shown() {
    let private = server().await;
    let with_password =
        || private.maintd().env("PG_DB_PASSWORD", PASSWORD).env("MAINTD_LOG__FILTER", "trace,sqlx=trace");
    let daemon = with_password().env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 1s").start().ready();
    daemon.until("the token to be deleted", |daemon| daemon.rows_deleted() == 1);
    for path in ["/", "/metrics", "/readyz", "/healthz", "/api/v1/status", "/nowhere"] {
        assert_clean(path, &daemon.get(path).1);
    }
    assert_clean("the log at its most talkative", &daemon.stop());
    for arguments in [
        &["config", "show"] as &[&str],
        &["config", "show", "--json"],
        &["config", "check"],
        &["job", "list", "--json"],
        &["job", "history", "--json"],
        &["job", "run", "ttl_cleanup", "--json"],
        &["schema", "status"],
    ] {
        let Output { code, stdout, stderr } = with_password().run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        assert_clean(&format!("stdout of {arguments:?}"), &stdout);
        assert_clean(&format!("stderr of {arguments:?}"), &stderr);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_without_being_shown() {
    let private = server().await;
    let wrong = |maintd: Maintd| maintd.env("PG_DB_PASSWORD", format!("{CANARY}-wrong"));
    for arguments in [&["job", "list"] as &[&str], &["schema", "apply"], &["job", "run", "ttl_cleanup", "--json"]] {
        let Output { code, stdout, stderr } = wrong(private.maintd()).run(arguments);
        assert_eq!(code, 1, "{arguments:?}");
        assert!(stderr.contains("password authentication failed for user \"postgres\""), "{stderr}");
        assert_clean("stdout", &stdout);
        assert_clean("stderr", &stderr);
    }
    let daemon = wrong(private.maintd()).env("MAINTD_LOG__FILTER", "trace").start();
    daemon.until("the reason to be told", |daemon| {
        let (code, body) = daemon.get("/readyz");
        code == 503 && body.contains("password authentication failed")
    });
    for path in ["/", "/readyz", "/api/v1/status", "/metrics"] {
        assert_clean(path, &daemon.get(path).1);
    }
    assert_clean("the log", &daemon.stop());
}

#[tokio::test]
async fn a_missing_password_is_told() {
    let private = server().await;
    let Output { code, stderr, .. } = private.maintd().run(&["job", "list"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(without_port(&stderr, &private));
}

fn without_port(text: &str, private: &Private) -> String {
    text.replace(&private.cluster().port().to_string(), "PORT")
}
