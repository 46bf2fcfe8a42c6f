//! `config show` and `config example`.

use std::collections::BTreeSet;

use actingweb_maintd::config::{self, Config};

use super::setup::Setup;

fn setup() -> Setup {
    Setup::working()
        .file(
            "[deployment]\nname = \"caf\u{e9} \\\"blue\\\"\\\\\"\n\n[storage.postgresql]\npassword_file = \"DIR/pw\"\n",
        )
        .with_file("pw", b"hidden", 0o600)
        .env("PG_DB_HOST", "db")
        .env("PG_DB_PREFIX", "blue_")
        .env("PG_DB_SCHEMA", "aw")
        .env("MAINTD_JOBS__TTL_CLEANUP__BUCKETS", "one,two")
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "@daily")
        .flag("log.filter", "info,actingweb_maintd=debug,sqlx=warn,hyper=warn")
}

#[test]
fn the_merged_configuration_is_shown_with_its_origins() {
    // Not the password's path: the column of the comments would depend on where the test runs.
    let setup = setup().env("PG_DB_PASSWORD", "hidden");
    let shown = setup.plain(&setup.loaded().to_toml());
    insta::assert_snapshot!(shown);
}

#[test]
fn what_is_shown_is_the_same_configuration() {
    let setup = setup();
    let loaded = setup.loaded();
    // Without the stars in the password's place.
    let text: Vec<_> = loaded.to_toml().lines().filter(|line| !line.contains("\"***\"")).map(str::to_owned).collect();
    let again = Setup::new().file(&text.join("\n")).loaded();
    assert_eq!(again.config, loaded.config);
}

#[test]
fn what_is_shown_as_json_has_value_and_origin() {
    let setup = setup();
    let document = setup.loaded().to_json();
    let entry = |key: &str| setup.plain(&document[key].to_string());
    assert_eq!(entry("storage.postgresql.host"), r#"{"origin":{"kind":"variable","name":"PG_DB_HOST"},"value":"db"}"#);
    assert_eq!(
        entry("storage.postgresql.password"),
        r#"{"origin":{"kind":"secret_file","path":"/dir/pw"},"value":"***"}"#
    );
    assert_eq!(
        entry("storage.postgresql.password_file"),
        r#"{"origin":{"kind":"file","line":5,"path":"/dir/config.toml"},"value":"/dir/pw"}"#
    );
    assert_eq!(entry("storage.postgresql.port"), r#"{"origin":{"kind":"default"},"value":5432}"#);
    assert_eq!(entry("storage.postgresql.sslrootcert"), r#"{"origin":{"kind":"default"},"value":null}"#);
    assert!(entry("log.filter").starts_with(r#"{"origin":{"kind":"command_line"}"#));
}

/// The example's keys with their tables: those with a default, and those without.
fn example_keys() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut with, mut without, mut table) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for line in config::EXAMPLE.lines() {
        let key = |line: &str| format!("{table}.{}", line.split(" = ").next().unwrap());
        if let Some(line) = line.strip_prefix("# e.g. ") {
            assert!(without.insert(key(line)), "{line}");
        } else if let Some(line) = line.strip_prefix('#').filter(|line| !line.starts_with(' ') && !line.is_empty()) {
            assert!(with.insert(key(line)), "{line}");
        } else if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        } else {
            assert!(line.is_empty() || line == "#" || line.starts_with("# "), "what is `{line}`?");
        }
    }
    (with, without)
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let document = Setup::working().loaded().to_json();
    let known: BTreeSet<String> = document.as_object().unwrap().keys().cloned().collect();
    let (with, without) = example_keys();
    assert!(with.is_disjoint(&without));
    assert_eq!(with.union(&without).cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(
        without.into_iter().collect::<Vec<_>>(),
        [
            "backup.bin_dir",
            "backup.bucket.endpoint_url",
            "backup.bucket.region",
            "backup.drill.target",
            "backup.dynamodb.export_bucket",
            "backup.encryption.identity_file",
            "backup.node",
            "backup.postgresql.tool.name",
            "backup.where",
            "deployment.name",
            "jobs.backup.window",
            "jobs.backup_drill.window",
            "jobs.diff_prune.archive",
            "jobs.diff_prune.max_age",
            "jobs.diff_prune.window",
            "jobs.index_health.window",
            "jobs.lookup_check.window",
            "jobs.orphan_scan.window",
            "jobs.token_cleanup.window",
            "jobs.ttl_cleanup.window",
            "storage.backends",
            "storage.dynamodb.endpoint_url",
            "storage.postgresql.direct.host",
            "storage.postgresql.direct.port",
            "storage.postgresql.password",
            "storage.postgresql.password_file",
            "storage.postgresql.sslrootcert",
        ]
    );
}

#[test]
fn the_example_uncommented_is_the_default() {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<_> = config::EXAMPLE.lines().map(uncomment).collect();
    let setup = Setup::working().file(&text.join("\n"));
    let loaded = setup.loaded();
    let (with, _) = example_keys();
    let set: BTreeSet<String> = loaded.origins.keys().filter(|key| *key != "storage.backends").cloned().collect();
    assert_eq!(set, with);
    let mut expected = Config::default();
    expected.storage.backends = vec!["postgresql".to_owned()];
    assert_eq!(loaded.config, expected);
}

#[test]
fn the_example_as_it_is_changes_nothing() {
    let loaded = Setup::working().file(config::EXAMPLE).loaded();
    assert_eq!(loaded.origins.len(), 1, "{:?}", loaded.origins);
}

#[test]
fn the_examples_without_a_default_can_be_used() {
    // With the target that the example of the drill names.
    let text = config::EXAMPLE.replace("# e.g. ", "").replace("#     ", "");
    let text = text.replace("/run/secrets/actingweb-maintd", "DIR/pw").replace("/run/secrets/drill", "DIR/pw");
    let text = text.replace("/run/secrets/age-identity", "DIR/key");
    let text = text.replace("password = ", "#password = ").replace("/etc/ssl/certs/postgresql.pem", "DIR/ca.pem");
    let setup = Setup::new().with_file("ca.pem", b"-----BEGIN CERTIFICATE-----", 0o600).with_file("pw", b"x", 0o600);
    let setup = setup.with_file("key", b"AGE-SECRET-KEY-1...", 0o600);
    let origins = setup.file(&text).loaded().origins;
    let of_targets = origins.keys().filter(|key| key.starts_with("targets.drill.")).count();
    assert_eq!((origins.len() - of_targets, of_targets), (example_keys().1.len(), 6));
}

#[test]
fn the_example_is_narrow_enough_to_read() {
    for line in config::EXAMPLE.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
