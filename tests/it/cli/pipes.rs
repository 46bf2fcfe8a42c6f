//! Readers that go away, and logs that do not get into what is printed.

use std::io::Read;
use std::process::Stdio;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, maintd};
use crate::harness::store::add_attributes;

/// As in `actingweb-maintd … | head -0`.
#[tokio::test]
async fn a_reader_that_goes_away_does_no_harm() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 10, -60).await;
    for arguments in [
        &["config", "example"] as &[&str],
        &["config", "show", "--json"],
        &["job", "next", "--count", "1000"],
        &["job", "list"],
        &["job", "history", "--json"],
        &["job", "run", "ttl_cleanup"],
        &["--help"],
    ] {
        let mut command = Maintd::on(&db).into_command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    let history = maintd(&db, &["job", "history", "--json"]).json();
    assert_eq!(history["runs"][0]["outcome"], "succeeded");
}

#[tokio::test]
async fn logs_go_to_stderr_whatever_is_printed() {
    let db = TestDb::new().await;
    let output = Maintd::on(&db).env("MAINTD_LOG__FILTER", "debug").run(&["job", "run", "ttl_cleanup", "--json"]);
    assert_eq!(output.json()["outcome"], "succeeded");
    assert!(output.stderr.contains("ttl_cleanup succeeded"), "{output:?}");
}
