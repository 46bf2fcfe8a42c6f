//! Exit codes: 0 done and clean, 1 failed, 2 work remains, 64 wrong usage or configuration.

use crate::harness::Nobody;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output, maintd};
use crate::harness::store::{add_attributes, claim, store, won};

#[test]
fn wrong_usage_is_64() {
    for arguments in [
        &[] as &[&str],
        &["jobs"],
        &["job"],
        &["job", "run"],
        &["job", "run", "ttl_cleanup", "again"],
        &["job", "run", "ttl_cleanup", "--dry"],
        &["job", "next", "--count", "0"],
        &["job", "history", "--limit", "many"],
        &["schema", "drop"],
        &["run", "--aply-schema"],
        &["config", "show", "--config"],
    ] {
        let output = Maintd::bare().run(arguments);
        assert_eq!(output.code, 64, "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(output.stderr.contains("Usage:") || output.stderr.contains("--help"), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_job_that_does_not_exist_is_64_and_those_that_do_are_named() {
    // Before anything is connected to: nobody listens there.
    let nowhere = || Maintd::at("127.0.0.1", 1, "actingweb");
    for arguments in [&["job", "run", "ttl_cleenup"] as &[&str], &["job", "next", "x"], &["job", "history", "x"]] {
        let Output { code, stderr, .. } = nowhere().run(arguments);
        assert_eq!(code, 64, "{arguments:?}: {stderr}");
        assert!(stderr.contains("the jobs are: backup, backup_drill, diff_prune, index_health, "), "{stderr}");
    }
}

#[test]
fn a_wrong_configuration_is_64_whatever_is_asked_for() {
    for arguments in [
        &["run"] as &[&str],
        &["config", "check"],
        &["config", "show"],
        &["schema", "status"],
        &["schema", "apply"],
        &["job", "list"],
        &["job", "next"],
        &["job", "history"],
        &["job", "run", "ttl_cleanup"],
    ] {
        let wrong = Maintd::at("127.0.0.1", 1, "actingweb").env("MAINTD_LEASE__TTL", "soon");
        let Output { code, stdout, stderr } = wrong.run(arguments);
        assert_eq!((code, stdout.as_str()), (64, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains("lease.ttl") && stderr.contains("MAINTD_LEASE__TTL"), "{stderr}");
    }
}

#[test]
fn a_file_that_is_named_and_missing_is_64() {
    let Output { code, stderr, .. } = Maintd::bare().run(&["config", "check", "--config", "/nonexistent/maintd.toml"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("/nonexistent/maintd.toml"), "{stderr}");
}

#[test]
fn without_a_backend_nothing_is_guessed() {
    let Output { code, stderr, .. } = Maintd::bare().run(&["job", "list"]);
    assert_eq!(code, 64);
    assert!(stderr.contains("storage.backends") && stderr.contains("DATABASE_BACKEND"), "{stderr}");
}

#[test]
fn a_database_that_is_down_is_1_and_says_where_it_was_looked_for() {
    let nobody = Nobody::there();
    let free = nobody.address().port();
    for arguments in [
        &["schema", "status"] as &[&str],
        &["schema", "apply"],
        &["job", "list"],
        &["job", "history"],
        &["job", "run", "ttl_cleanup"],
        &["job", "run", "ttl_cleanup", "--dry-run"],
    ] {
        let Output { code, stdout, stderr } = Maintd::at("127.0.0.1", free, "actingweb").run(arguments);
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}: {stderr}");
        let place = format!("actingweb on 127.0.0.1:{free} as postgres");
        for said in [place.as_str(), "refused", "PG_DB_HOST"] {
            assert!(stderr.contains(said), "{said} is not in {stderr}");
        }
        assert_eq!(stderr.matches("refused").count(), 1, "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // What needs no database does not ask for it.
    assert_eq!(Maintd::at("127.0.0.1", free, "actingweb").run(&["job", "next"]).code, 0);
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_1() {
    let db = TestDb::new().await;
    let Output { code, stderr, .. } = Maintd::on(&db).env("PG_DB_NAME", "no_such_database").run(&["job", "list"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("no_such_database") && stderr.contains("PG_DB_NAME"), "{stderr}");
}

#[tokio::test]
async fn expired_rows_are_2_for_who_only_looks_and_0_for_who_deletes_them() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 3, -60).await;
    let codes = [
        &["job", "run", "ttl_cleanup", "--dry-run"] as &[&str],
        &["job", "run", "ttl_cleanup"],
        &["job", "run", "ttl_cleanup", "--dry-run"],
        &["job", "run", "ttl_cleanup"],
    ]
    .map(|arguments| maintd(&db, arguments).code);
    assert_eq!(codes, [2, 0, 0, 0]);
}

#[tokio::test]
async fn a_run_that_leaves_work_is_2() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 100, -60).await;
    let mut application = db.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM attributes WHERE name = '7' FOR UPDATE").execute(&mut *application).await.unwrap();
    let output = maintd(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stdout.contains("partial"), "{output:?}");
}

#[tokio::test]
async fn a_held_lease_is_1_and_names_holder_and_start() {
    let db = TestDb::new().await;
    let lease = won(&store(&db), &claim("some-other-host/4711")).await;
    let Output { code, stdout, stderr } = maintd(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    let since = lease.run.started_at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    for said in ["some-other-host/4711", &since] {
        assert!(stderr.contains(said), "{said} is not in {stderr}");
    }
    // To look is always allowed.
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup", "--dry-run"]).code, 0);
}

#[tokio::test]
async fn a_schema_that_is_not_ours_to_work_on_is_1_for_a_run_and_2_for_who_looks() {
    let db = TestDb::empty().await;
    assert_eq!(maintd(&db, &["schema", "status"]).code, 2);
    let run = maintd(&db, &["job", "run", "ttl_cleanup"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("holds no ActingWeb tables"), "{run:?}");
    assert_eq!(maintd(&db, &["schema", "apply"]).code, 0);
    assert_eq!(maintd(&db, &["schema", "status"]).code, 0);
    assert_eq!(maintd(&db, &["job", "run", "ttl_cleanup"]).code, 0);
}
