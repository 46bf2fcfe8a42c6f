//! `config`.

use crate::harness::daemon::{Maintd, Output};

fn application() -> Maintd {
    Maintd::at("db.example", 5433, "actingweb_db").env("PG_DB_PASSWORD", "Kanarienvogel")
}

#[test]
fn a_sound_configuration_is_said_to_be_so() {
    let Output { code, stdout, stderr } = application().run(&["config", "check"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "The configuration is sound.\n", ""));
    let document = application().run(&["config", "check", "--json"]).json();
    assert_eq!(document, serde_json::json!({ "ok": true, "warnings": [] }));
}

#[test]
fn every_mistake_is_told_at_once() {
    let wrong = || {
        application()
            .config("[jobs.ttl_cleanup]\nschedle = \"@daily\"\nworkers = 99\n[lease]\nttl = 10\n")
            .env("MAINTD_HTTP__LISTEN", "localhost")
    };
    let Output { code, stdout, stderr } = wrong().run(&["config", "check"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    for key in ["jobs.ttl_cleanup.schedle", "jobs.ttl_cleanup.workers", "lease.ttl", "http.listen"] {
        assert!(stderr.contains(&format!("error: {key}: ")), "{key} is not in {stderr}");
    }
    assert!(stderr.contains("4 errors"), "{stderr}");
    let document = wrong().run(&["config", "check", "--json"]).json();
    assert_eq!(document["errors"].as_array().unwrap().len(), 4, "{document:#}");
}

#[test]
fn values_are_shown_with_their_origins_and_without_secrets() {
    let shown = || application().config("[lease]\nttl = \"20s\"\n");
    let Output { code, stdout, .. } = shown().run(&["config", "show"]);
    assert_eq!(code, 0);
    let line = |key: &str| stdout.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
    assert!(line("host").contains("\"db.example\"") && line("host").contains("PG_DB_HOST"), "{stdout}");
    assert!(line("ttl").contains("\"20s\"") && line("ttl").contains(".toml"), "{stdout}");
    assert!(line("keep").ends_with("# default"), "{stdout}");
    assert!(stdout.contains("password") && !stdout.contains("Kanarienvogel"), "{stdout}");

    let document = shown().run(&["config", "show", "--json"]).json();
    assert_eq!(document["storage.postgresql.port"]["value"], 5433);
    assert_eq!(document["storage.postgresql.port"]["origin"]["name"], "PG_DB_PORT");
    assert!(!document.to_string().contains("Kanarienvogel"));
}

/// What is shown can be used as a file, and then means the same.
#[test]
fn what_is_shown_is_a_file() {
    let shown = application().run(&["config", "show"]).stdout;
    let file: String =
        shown.lines().filter(|line| !line.starts_with("password = ")).flat_map(|line| [line, "\n"]).collect();
    let again = Maintd::bare().config(&file).run(&["config", "show"]);
    assert_eq!(again.code, 0, "{again:?}");
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split("  #").next().unwrap_or_default().trim_end().to_owned());
        lines.filter(|line| !line.starts_with('#') && !line.starts_with("password = ")).collect()
    };
    assert_eq!(values(&again.stdout), values(&shown));
}

#[test]
fn the_example_is_a_configuration_and_needs_none() {
    let Output { code, stdout, stderr } = Maintd::bare().run(&["config", "example"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let check = application().config(&stdout).run(&["config", "check"]);
    assert_eq!((check.code, check.stderr.as_str()), (0, ""));
}

#[test]
fn the_flag_is_stronger_than_the_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[lease]\nttl = \"33s\"\n").unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [["--config", path, "config", "show"], ["config", "show", "--config", path]] {
        let Output { stdout, .. } = application().config("[lease]\nttl = \"44s\"\n").run(&arguments);
        assert!(stdout.contains("ttl = \"33s\""), "{stdout}");
    }
}
