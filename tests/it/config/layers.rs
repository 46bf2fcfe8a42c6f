//! Which layer wins, and what each contributes.

use actingweb_maintd::config::{Config, LogFormat, Origin};
use actingweb_maintd::schedule::CatchUp;
use actingweb_maintd::storage::postgres::SslMode;

use super::setup::{Setup, origins};

#[test]
fn without_anything_but_a_backend_all_is_default() {
    let loaded = Setup::working().loaded();
    let mut expected = Config::default();
    expected.storage.backends = vec!["postgresql".to_owned()];
    assert_eq!(loaded.config, expected);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.origins.len(), 1);
    assert_eq!(loaded.origin("storage.backends").to_string(), "DATABASE_BACKEND");
    assert_eq!(loaded.origin("log.filter"), &Origin::Default);
    assert_eq!(loaded.file, None);
}

#[test]
fn the_stronger_layer_wins() {
    let port = |setup: Setup| {
        let loaded = setup.loaded();
        (
            loaded.config.storage.postgresql.port.get(),
            setup.plain(&loaded.origin("storage.postgresql.port").to_string()),
        )
    };
    let file = || Setup::working().file("[storage.postgresql]\nport = 1\n");
    let app = || file().env("PG_DB_PORT", "2");
    let ours = || app().env("MAINTD_STORAGE__POSTGRESQL__PORT", "3");
    let flag = || ours().flag("storage.postgresql.port", "4");
    assert_eq!(port(Setup::working()), (5432, "default".to_owned()));
    assert_eq!(port(file()), (1, "/dir/config.toml:2".to_owned()));
    assert_eq!(port(app()), (2, "PG_DB_PORT".to_owned()));
    assert_eq!(port(ours()), (3, "MAINTD_STORAGE__POSTGRESQL__PORT".to_owned()));
    assert_eq!(port(flag()), (4, "command line".to_owned()));
}

#[test]
fn layers_are_merged_key_by_key_and_lists_as_a_whole() {
    let loaded = Setup::new()
        .file("storage.backends = [\"postgresql\"]\n[storage.postgresql]\nhost = \"db\"\n[jobs.ttl_cleanup]\nbuckets = [\"a\", \"b\"]\n")
        .env("PG_DB_NAME", "app")
        .env("MAINTD_JOBS__TTL_CLEANUP__BUCKETS", "c, d")
        .loaded();
    assert_eq!(loaded.config.storage.postgresql.host, "db");
    assert_eq!(loaded.config.storage.postgresql.dbname, "app");
    assert_eq!(loaded.config.jobs.ttl_cleanup.buckets, ["c", "d"]);
}

#[test]
fn every_variable_of_the_application_is_understood() {
    let loaded = Setup::new()
        .with_file("ca.pem", b"-----BEGIN CERTIFICATE-----", 0o600)
        .env("DATABASE_BACKEND", "postgresql")
        .env("PG_DB_HOST", "/run/postgresql")
        .env("PG_DB_PORT", "5433")
        .env("PG_DB_NAME", "app")
        .env("PG_DB_USER", "008")
        .env("PG_DB_PASSWORD", "007")
        .env("PG_DB_PREFIX", "blue_")
        .env("PG_DB_SCHEMA", "aw")
        .env("PG_POOL_MIN_SIZE", "1")
        .env("PG_POOL_MAX_SIZE", " 20 ")
        .env("PG_POOL_TIMEOUT", "2.5")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", "DIR/ca.pem")
        .env("LOG_LEVEL", "WARNING")
        .loaded();
    let postgres = &loaded.config.storage.postgresql;
    assert_eq!(loaded.config.storage.backends, ["postgresql"]);
    assert_eq!(postgres.host, "/run/postgresql");
    assert_eq!(postgres.port.get(), 5433);
    assert_eq!(postgres.dbname, "app");
    assert_eq!(postgres.user, "008");
    assert_eq!(postgres.password.as_ref().map(|password| password.expose()), Some("007"));
    assert_eq!(postgres.schema, "blue_aw");
    assert_eq!(postgres.pool.min_size.get(), 1);
    assert_eq!(postgres.pool.max_size.get(), 20);
    assert_eq!(postgres.pool.timeout.to_string(), "2s 500ms");
    assert_eq!(postgres.sslmode, SslMode::VerifyFull);
    assert!(postgres.sslrootcert.as_ref().is_some_and(|path| path.ends_with("ca.pem")));
    assert_eq!(loaded.config.log.filter, "warn");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.origins.len(), 13, "{:?}", origins(&loaded));
    assert_eq!(loaded.origin("storage.postgresql.schema").to_string(), "PG_DB_PREFIX + PG_DB_SCHEMA");
}

#[test]
fn the_schema_is_prefix_and_name() {
    let schema = |prefix, name| {
        let setup = Setup::working().file("[storage.postgresql]\nschema = \"file\"");
        setup.env("PG_DB_PREFIX", prefix).env("PG_DB_SCHEMA", name).loaded().config.storage.postgresql.schema
    };
    assert_eq!(schema("test_", ""), "test_public");
    assert_eq!(schema("", "app"), "app");
    assert_eq!(schema("test_", "app"), "test_app");
    assert_eq!(schema("", ""), "file");
}

#[test]
fn an_empty_variable_of_the_application_counts_as_unset() {
    let names = [
        "PG_DB_HOST",
        "PG_DB_PORT",
        "PG_DB_NAME",
        "PG_DB_USER",
        "PG_DB_PASSWORD",
        "PG_DB_PREFIX",
        "PG_DB_SCHEMA",
        "PG_POOL_MIN_SIZE",
        "PG_POOL_MAX_SIZE",
        "PG_POOL_TIMEOUT",
        "PGPASSWORD",
        "PGSSLMODE",
        "PGSSLROOTCERT",
        "LOG_LEVEL",
        "MAINTD_CONFIG",
    ];
    let loaded = names.iter().fold(Setup::working(), |setup, name| setup.env(name, "")).loaded();
    assert_eq!(loaded.origins.len(), 1, "{:?}", origins(&loaded));
    assert!(Setup::new().env("DATABASE_BACKEND", "").load().is_err());
}

#[test]
fn libpq_s_password_counts_when_the_library_s_is_empty() {
    let password = |library| {
        let loaded = Setup::working().env("PG_DB_PASSWORD", library).env("PGPASSWORD", "libpq").loaded();
        loaded.config.storage.postgresql.password.map(|password| password.expose().to_owned())
    };
    assert_eq!(password("library").as_deref(), Some("library"));
    assert_eq!(password("").as_deref(), Some("libpq"));
}

#[test]
fn libpq_s_system_certificates_are_the_default_ones_and_insist_on_the_name() {
    let postgres = |setup: Setup| setup.env("PGSSLROOTCERT", "system").loaded().config.storage.postgresql;
    assert_eq!(postgres(Setup::working()).sslmode, SslMode::VerifyFull);
    assert_eq!(postgres(Setup::working()).sslrootcert, None);
    assert_eq!(postgres(Setup::working().env("PGSSLMODE", "require")).sslmode, SslMode::Require);
}

#[test]
fn python_s_levels_become_filters() {
    for (level, filter) in [
        ("DEBUG", "debug"),
        ("info", "info"),
        ("WARN", "warn"),
        ("CRITICAL", "error"),
        ("10", "debug"),
        ("NOTSET", "trace"),
    ] {
        assert_eq!(Setup::working().env("LOG_LEVEL", level).loaded().config.log.filter, filter, "{level}");
    }
}

#[test]
fn values_of_the_environment_are_strings_that_their_types_read() {
    let loaded = Setup::working()
        .env("MAINTD_STORAGE__POSTGRESQL__PASSWORD", "007")
        .env("MAINTD_STORAGE__POSTGRESQL__DBNAME", "1e3")
        .env("MAINTD_STORAGE__POSTGRESQL__STATEMENT_CACHE", "true")
        .env("MAINTD_STORAGE__POSTGRESQL__ACCEPT_REVISIONS", "0123,456")
        .env("MAINTD_JOBS__TTL_CLEANUP__BATCH_SIZE", "500")
        .env("MAINTD_LOG__FORMAT", "json")
        .env("MAINTD_HISTORY__KEEP", "30d")
        .env("MAINTD_SCHEDULE__TIMEZONE", "Europe/Oslo")
        .env("MAINTD_SCHEDULE__CATCH_UP", "none")
        .env("MAINTD_JOBS__TTL_CLEANUP__WINDOW", "22:00-06:00,12:00-13:00")
        .env("MAINTD_JOBS__TTL_CLEANUP__RETRIES", "0")
        .env("MAINTD_CLOCK__MAX_SKEW", "1m")
        .env("MAINTD_DEPLOYMENT__NAME", "[x]")
        .loaded();
    let postgres = &loaded.config.storage.postgresql;
    assert_eq!(postgres.password.as_ref().map(|password| password.expose()), Some("007"));
    assert_eq!(postgres.dbname, "1e3");
    assert!(postgres.statement_cache);
    assert_eq!(postgres.accept_revisions, ["0123", "456"]);
    assert_eq!(loaded.config.jobs.ttl_cleanup.batch_size.get(), 500);
    assert_eq!(loaded.config.log.format, LogFormat::Json);
    assert_eq!(loaded.config.history.keep.to_string(), "30d");
    assert_eq!(loaded.config.schedule.timezone.name(), "Europe/Oslo");
    assert_eq!(loaded.config.schedule.catch_up, CatchUp::None);
    assert_eq!(loaded.config.jobs.ttl_cleanup.window.as_deref(), Some("22:00-06:00,12:00-13:00"));
    assert_eq!(loaded.config.jobs.ttl_cleanup.retries.get(), 0);
    assert_eq!(loaded.config.clock.max_skew.to_string(), "1m");
    assert_eq!(loaded.config.deployment.name.as_deref(), Some("[x]"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[cfg(feature = "faults")]
#[test]
fn the_clock_of_the_tests_is_no_unknown_variable() {
    let name = actingweb_maintd::model::clock::TEST_VARIABLE;
    assert!(Setup::working().env(name, "DIR/clock").loaded().warnings.is_empty());
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    let document = Setup::working().loaded().to_json();
    for key in document.as_object().unwrap().keys() {
        // What is no value at all is refused under its key, or taken, but never unknown.
        let variable = format!("MAINTD_{}", key.to_uppercase().replace('.', "__"));
        let setup = Setup::working().env(&variable, "\u{fffd}");
        let problems = setup.problems();
        assert_eq!(problems.errors[0].key.as_deref(), Some(key.as_str()), "{problems}");
    }
}

#[test]
fn a_password_without_quotes_means_its_very_characters() {
    for written in ["123456", "1_000", "0x1F", "1.50", "true", "+5", "1e3", "2024-01-01", "1.50 # for now"] {
        let loaded = Setup::working().file(&format!("[storage.postgresql]\npassword = {written}\n")).loaded();
        let password = loaded.config.storage.postgresql.password.unwrap();
        assert_eq!(password.expose(), written.split(' ').next().unwrap());
    }
    let inline = Setup::working().file("storage = { postgresql = { \"password\" = 1_0, port = 1_0 } }").loaded();
    assert_eq!(inline.config.storage.postgresql.password.unwrap().expose(), "1_0");
    assert_eq!(inline.config.storage.postgresql.port.get(), 10);
}

#[test]
fn a_password_or_its_file_replaces_both_of_a_weaker_layer() {
    let password = |setup: Setup| {
        let setup = setup.with_file("pw", b"from a file \n\n", 0o600);
        let loaded = setup.loaded();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let postgres = loaded.config.storage.postgresql.clone();
        let origin = setup.plain(&loaded.origin("storage.postgresql.password").to_string());
        (postgres.password.unwrap().expose().to_owned(), postgres.password_file.is_some(), origin)
    };
    let in_file = || Setup::working().file("[storage.postgresql]\npassword_file = \"DIR/pw\"");
    assert_eq!(password(in_file()), ("from a file".to_owned(), true, "/dir/pw".to_owned()));
    let app = || in_file().env("PG_DB_PASSWORD", "app");
    assert_eq!(password(app()), ("app".to_owned(), false, "PG_DB_PASSWORD".to_owned()));
    let ours = || app().env("MAINTD_STORAGE__POSTGRESQL__PASSWORD_FILE", "DIR/pw");
    assert_eq!(password(ours()), ("from a file".to_owned(), true, "/dir/pw".to_owned()));
    // There is no such variable; it is not ours to warn of either.
    let foreign = || app().env("PG_DB_PASSWORD_FILE", "/nowhere");
    assert_eq!(password(foreign()), ("app".to_owned(), false, "PG_DB_PASSWORD".to_owned()));
}

#[test]
fn a_mistake_that_a_stronger_layer_makes_up_for_is_a_warning() {
    let setup = Setup::working().file("[storage.postgresql]\nport = 0").env("PG_DB_PORT", "5433");
    let loaded = setup.loaded();
    assert_eq!(loaded.config.storage.postgresql.port.get(), 5433);
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].message.ends_with("(ignored for now, because PG_DB_PORT overrides it)"));
    // A table that is none may hide keys that nobody else sets.
    let setup = Setup::working().file("storage = 1").env("PG_DB_PORT", "5433");
    assert_eq!(setup.problems().errors.len(), 1);
}

#[test]
fn the_file_is_where_the_flag_or_the_variable_or_nobody_says() {
    let setup = || {
        ["flag", "variable", "default"].iter().fold(Setup::working(), |setup, name| {
            setup.with_file(name, format!("[deployment]\nname = \"{name}\"").as_bytes(), 0o600)
        })
    };
    let name = |setup: Setup| {
        let loaded = setup.loaded();
        assert_eq!(loaded.file.is_some(), loaded.config.deployment.name.is_some());
        loaded.config.deployment.name
    };
    let by_default = || setup().change(|sources, dir| sources.default_file = dir.join("default"));
    let by_variable = || by_default().env("MAINTD_CONFIG", "DIR/variable");
    let by_flag = || by_variable().change(|sources, dir| sources.file = Some(dir.join("flag")));
    assert_eq!(name(setup()), None);
    assert_eq!(name(by_default()).as_deref(), Some("default"));
    assert_eq!(name(by_variable()).as_deref(), Some("variable"));
    assert_eq!(name(by_flag()).as_deref(), Some("flag"));
}

#[test]
fn each_way_of_writing_toml_keeps_its_lines() {
    let text = "# \u{e9}\r\nlog.filter = \"warn\"\r\n[storage]\r\nbackends = [\r\n  \"postgresql\",\r\n]\r\n\
                postgresql = { host = \"a\", pool = { max_size = 5 } }\r\n[jobs.ttl_cleanup]\r\n\"workers\" = 2\r\n";
    let setup = Setup::new().file(&format!("\u{feff}{text}"));
    let lines: Vec<_> =
        origins(&setup.loaded()).into_iter().map(|(key, origin)| setup.plain(&format!("{key} {origin}"))).collect();
    assert_eq!(
        lines,
        [
            "jobs.ttl_cleanup.workers /dir/config.toml:9",
            "log.filter /dir/config.toml:2",
            "storage.backends /dir/config.toml:4",
            "storage.postgresql.host /dir/config.toml:7",
            "storage.postgresql.pool.max_size /dir/config.toml:7",
        ]
    );
}
