//! A secret is never shown, whatever is wrong with it or beside it.

use actingweb_maintd::config::Origin;

use super::setup::Setup;

const CANARY: &str = "canary-7f3a";

/// Everything that anybody could print.
fn everything(setup: &Setup) -> String {
    match setup.load() {
        Ok(loaded) => format!("{loaded:?}\n{}\n{}", loaded.to_toml(), loaded.to_json()),
        Err(problems) => format!("{problems:?}\n{problems}\n{}", serde_json::to_string(&problems).unwrap()),
    }
}

#[track_caller]
fn assert_silent(setup: &Setup, is_right: bool) {
    let everything = everything(setup);
    assert!(!everything.contains("canary") && !everything.contains("7f3a"), "{everything}");
    let has_mistake = setup.load().is_err_and(|problems| problems.errors.iter().any(|it| it.origin != Origin::Default));
    assert_eq!(!has_mistake, is_right, "{everything}");
}

#[test]
fn a_secret_that_is_right_is_not_shown() {
    let file = |text: &str| Setup::working().file(text).with_file("pw", CANARY.as_bytes(), 0o644);
    assert_silent(&file(&format!("[storage.postgresql]\npassword = \"{CANARY}\"")), true);
    assert_silent(&file("[storage.postgresql]\npassword_file = \"DIR/pw\""), true);
    for name in ["PG_DB_PASSWORD", "PGPASSWORD", "MAINTD_STORAGE__POSTGRESQL__PASSWORD"] {
        assert_silent(&Setup::working().env(name, CANARY), true);
        // It may even look like something else.
        assert_silent(&Setup::working().env(name, &format!("tcp://{CANARY}://@")), true);
    }
    assert_silent(&Setup::working().flag("storage.postgresql.password", CANARY), true);
}

#[test]
fn a_number_as_a_secret_is_not_shown() {
    for written in ["73731234", "7373.1234", "0x73731234", "7373_1234"] {
        let setup = Setup::working().file(&format!("[storage.postgresql]\npassword = {written}\nport = 0"));
        let everything = everything(&setup);
        assert!(!everything.contains("7373"), "{everything}");
    }
}

#[test]
fn no_mistake_in_a_file_shows_a_secret() {
    for text in [
        // The wrong type, and the wrong table.
        "[storage.postgresql]\npassword = [\"CANARY\"]",
        "[storage.postgresql]\npassword = { CANARY = \"CANARY\" }",
        "[storage.postgresql.password]\nvalue = \"CANARY\"",
        "[[storage.postgresql.password]]\nvalue = \"CANARY\"",
        "[storage.postgresql]\nuser = [\"CANARY\"]",
        "[storage]\npassword = \"CANARY\"",
        "[storage.postgresql.pool]\npassword = \"CANARY\"",
        "[postgresql]\npassword = \"CANARY\"",
        "password = \"CANARY\"",
        // The wrong name.
        "[storage.postgresql]\npasswort = \"CANARY\"",
        "[storage.postgresql]\nPassword = \"CANARY\"",
        "[storage.postgresql]\npassword-file = \"CANARY\"",
        "[storage.postgresql]\nurl = \"postgresql://app:CANARY@db/app\"",
        // The wrong place.
        "storage = \"postgresql://app:CANARY@db/app\"",
        "[storage]\npostgresql = \"postgresql://app:CANARY@db/app\"",
        "[storage.postgresql]\nhost = \"postgresql://app:CANARY@db/app\"",
        "[storage.postgresql]\nport = \"postgresql://app:CANARY@db/app\"",
        "[storage.postgresql]\nschema = \"postgresql://app:CANARY@db/app\"",
        "[storage.postgresql]\nsslmode = \"postgresql://app:CANARY@db/app\"",
        "[storage.postgresql.pool]\ntimeout = \"postgresql://app:CANARY@db/app\"",
        "[storage]\nbackends = \"postgresql://app:CANARY@db/app\"",
        "[storage]\nbackends = [\"postgresql://app:CANARY@db/app\"]",
        "[http]\nlisten = \"http://admin:CANARY@127.0.0.1:80\"",
        "[storage.postgresql]\npassword_file = \"CANARY\"",
        // Beside other mistakes.
        "[storage.postgresql]\npassword = \"CANARY\"\npassword_file = \"DIR/pw\"",
        "[storage.postgresql]\npassword = \"CANARY\"\nport = 0\nhots = 1",
        // Syntax.
        "[storage.postgresql]\npassword = \"CANARY",
        "[storage.postgresql]\npassword = 'CANARY",
        "[storage.postgresql]\npassword = CANARY",
        "[storage.postgresql]\npassword = 1CANARY",
        "[storage.postgresql]\npassword = \"x\" CANARY",
        "[storage.postgresql]\npassword = \"CANARY\" port = 5",
        "[storage.postgresql]\npassword = \"CAN\\qARY\"\n# CANARY",
        "[storage.postgresql]\npassword = \"\"\"CANARY",
        "[storage.postgresql]\npassword = \"CANARY\"\npassword = \"CANARY\"",
        "[storage.postgresql]\npassword \"CANARY\"",
        "[storage.postgresql]\npassword: CANARY",
        "[storage.postgresql]\npassword = [\"CANARY\"",
        "[storage.postgresql]\npassword = \"\"\"x\nCANARY = y\n",
        "export PG_DB_PASSWORD=CANARY",
        "{\"password\": \"CANARY\"}",
        "CANARY",
    ] {
        let setup = Setup::new().with_file("pw", CANARY.as_bytes(), 0o600).file(&text.replace("CANARY", CANARY));
        assert_silent(&setup, false);
    }
}

#[test]
fn no_secret_file_that_is_wrong_is_quoted() {
    for bytes in [format!("{CANARY}\n{CANARY}").into_bytes(), [CANARY.as_bytes(), b"\xff"].concat()] {
        let setup = Setup::working().file("[storage.postgresql]\npassword_file = \"DIR/pw\"");
        assert_silent(&setup.with_file("pw", &bytes, 0o644), false);
    }
}

#[test]
fn no_mistake_in_the_environment_shows_a_secret() {
    let url = format!("postgresql://app:{CANARY}@db/app");
    let wrong = [
        "PG_DB_HOST",
        "PG_DB_PORT",
        "PG_DB_NAME",
        "PG_DB_USER",
        "PG_DB_SCHEMA",
        "PG_DB_PREFIX",
        "PG_POOL_MAX_SIZE",
        "PG_POOL_TIMEOUT",
        "PGSSLMODE",
        "PGSSLROOTCERT",
        "DATABASE_BACKEND",
        "MAINTD_STORAGE__POSTGRESQL__HOST",
        "MAINTD_STORAGE__BACKENDS",
        "MAINTD_HTTP__LISTEN",
        "MAINTD_LOG__FILTER",
        "MAINTD_STORAGE__POSTGRESQL__PASSWORD_FILE",
    ];
    for name in wrong {
        assert_silent(&Setup::new().env(name, &url), false);
    }
    for name in
        ["MAINTD_STORAGE__POSTGRESQL", "MAINTD_STORAGE__POSTGRESQL__PASSWROD", "MAINTD_DATABASE_URL", "LOG_LEVEL"]
    {
        assert_silent(&Setup::working().env(name, &url), true);
    }
    assert_silent(&Setup::working().env("MAINTD_STORAGE__POSTGRESQL__PASSWORD", &format!("{CANARY}\u{fffd}")), false);
    assert_silent(
        &Setup::working()
            .env("MAINTD_STORAGE__POSTGRESQL__PASSWORD", CANARY)
            .env("MAINTD_STORAGE__POSTGRESQL__PASSWORD_FILE", CANARY),
        false,
    );
}
