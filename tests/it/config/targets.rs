//! `[targets.<name>]`: tables with names of people's own choice.

use actingweb_maintd::model::BackendKind;
use actingweb_maintd::storage::Target;

use super::setup::{Setup, origins};

const TWO: &str = r#"
[storage.postgresql]
host = "db"
[targets.drill]
backend = "postgresql"
host = "drill"
password_file = "DIR/pw"
[targets.drill.pool]
max_size = 3
[targets.new-home]
backend = "dynamodb"
table_prefix = "moved"
"#;

#[test]
fn each_has_the_keys_of_its_backend_and_their_defaults() {
    let setup = Setup::working().file(TWO).with_file("pw", b"hidden\n", 0o600);
    // The application's variables are about its own database.
    let setup = setup.env("PG_DB_HOST", "elsewhere").env("PG_DB_PASSWORD", "other").env("AWS_DB_PREFIX", "prod");
    let loaded = setup.loaded();
    let Target::Postgresql(drill) = &loaded.config.targets["drill"] else { panic!("{:?}", loaded.config.targets) };
    assert_eq!((drill.host.as_str(), drill.port.get(), drill.pool.max_size.get()), ("drill", 5432, 3));
    assert_eq!(drill.password.as_ref().map(|password| password.expose()), Some("hidden"));
    let new_home = &loaded.config.targets["new-home"];
    assert_eq!(new_home.backend(), BackendKind::Dynamodb);
    let own = &loaded.config.storage.postgresql;
    assert_eq!((own.host.as_str(), own.password.as_ref().unwrap().expose()), ("elsewhere", "other"));
    let origins = origins(&loaded);
    assert!(origins["targets.drill.host"].ends_with("config.toml:6"), "{origins:?}");
    assert!(origins["targets.drill.password"].ends_with("/pw"), "{origins:?}");
    let shown = loaded.to_toml();
    assert!(shown.contains("[targets.drill]\nbackend = \"postgresql\"") && !shown.contains("hidden"), "{shown}");
    let text: Vec<_> = shown.lines().filter(|line| !line.contains("\"***\"")).map(str::to_owned).collect();
    assert_eq!(Setup::new().file(&text.join("\n")).loaded().config.targets, loaded.config.targets);
}

#[test]
fn mistakes_in_them_are_told_like_any_others() {
    let told: Vec<String> = [
        "[targets.drill]\nhost = \"a\"",
        "[targets.drill]\nbackend = \"postgres\"",
        "[targets.drill]\nbackend = 5",
        "[targets]\ndrill = \"postgresql\"",
        "[targets.\"my drill\"]\nbackend = \"dynamodb\"",
        "[targets.drill]\nbackend = \"postgresql\"\nhosst = \"a\"",
        "[targets.drill]\nbackend = \"dynamodb\"\nhost = \"a\"",
        "[targets.drill]\nbackend = \"postgresql\"\nhost = \"a\"\nport = 99999\nsslmode = \"full\"\n[targets.drill.pool]\nmax_size = 1",
        "[targets.drill]\nbackend = \"postgresql\"\nhost = \"postgresql://user:hidden@a/b\"",
        "[targets.drill]\nbackend = \"postgresql\"\nhost = \"a\"\npassword = \"hidden\"\npassword_file = \"/dev/null\"",
        "[targets.drill]\nbackend = \"postgresql\"\nhost = \"a\"\npassword_file = \"DIR/none\"",
        "[targets.drill]\nbackend = \"postgresql\"\nhost = \"a\"\nschema = \"a.b\"\nsslrootcert = \"DIR/none\"",
        "[targets.drill]\nbackend = \"postgresql\"",
        "[targets.drill]\nbackend = \"postgresql\"\nhost = \"localhost\"\nuser = \"another\"",
    ]
    .into_iter()
    .map(|text| {
        let told = Setup::working().file(text).told();
        assert!(!told.contains("hidden"), "{told}");
        format!("=== {text}\n{told}\n")
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn no_variable_sets_them() {
    let setup = Setup::working().file(TWO).with_file("pw", b"x", 0o600).env("MAINTD_TARGETS__DRILL__HOST", "other");
    let loaded = setup.loaded();
    let Target::Postgresql(drill) = &loaded.config.targets["drill"] else { panic!("{:?}", loaded.config.targets) };
    assert_eq!(drill.host, "drill");
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}
