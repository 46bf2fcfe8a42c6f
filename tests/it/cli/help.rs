//! What the command line says about itself.

use crate::harness::daemon::{Maintd, Output};

#[test]
fn every_help_text_is_as_it_was_looked_at() {
    for command in [
        "",
        "run",
        "config",
        "config check",
        "config show",
        "config example",
        "schema",
        "schema status",
        "schema apply",
        "job",
        "job list",
        "job next",
        "job run",
        "job history",
        "orphan",
        "orphan scan",
        "orphan delete",
        "lookup",
        "lookup check",
        "index",
        "index check",
        "doctor",
        "backup",
        "backup create",
        "backup list",
        "backup verify",
        "backup drill",
        "backup restore",
        "backup prune",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let Output { code, stdout, stderr } = Maintd::bare().run(&arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{command}");
        insta::assert_snapshot!(format!("help {command}").trim().replace(' ', "_"), stdout);
    }
}

#[test]
fn the_version_is_told() {
    let Output { code, stdout, .. } = Maintd::bare().run(&["--version"]);
    assert_eq!((code, stdout), (0, format!("actingweb-maintd {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn what_cannot_be_understood_is_told_on_stderr() {
    let Output { code, stdout, stderr } = Maintd::bare().run(&["jobs", "list"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    insta::assert_snapshot!("usage_error", stderr);
}
