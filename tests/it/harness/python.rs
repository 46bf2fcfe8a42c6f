//! The Python library `actingweb` as published, in the virtual environment that `./x test` makes:
//! the peer that has to read what we write, and the other way round.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use actingweb_maintd::storage::dynamodb::Settings;

use super::cluster::TestDb;
use super::role::APPLICATION;

/// What the library is told by environment variables; those without a value are taken away.
pub(crate) type Environment = Vec<(&'static str, Option<String>)>;

/// The library's configuration for a database, with this prefix of the tables' schema.
pub(crate) fn on_postgresql(db: &TestDb, prefix: &str) -> Environment {
    let set = |value: &str| Some(value.to_owned());
    vec![
        ("DATABASE_BACKEND", set("postgresql")),
        ("PG_DB_HOST", set(db.host())),
        ("PG_DB_PORT", set(&db.port().to_string())),
        ("PG_DB_NAME", set(db.name())),
        ("PG_DB_USER", set(APPLICATION)),
        ("PG_DB_PASSWORD", None),
        ("PG_DB_URL", None),
        ("PG_DB_PREFIX", set(prefix)),
        ("PG_DB_SCHEMA", None),
        // Where the machine is must not matter: the library leaves the zone to the server.
        ("PGTZ", set("UTC")),
    ]
}

/// The library's configuration for tables of DynamoDB, at an endpoint that lets everybody in.
/// `makes_tables` is what the library does by default.
pub(crate) fn on_dynamodb(settings: &Settings, makes_tables: bool) -> Environment {
    let set = |value: &str| Some(value.to_owned());
    vec![
        ("DATABASE_BACKEND", set("dynamodb")),
        ("AWS_DB_HOST", settings.endpoint_url.clone()),
        ("AWS_DB_PREFIX", set(&settings.table_prefix)),
        ("AWS_DB_AUTO_CREATE_TABLES", set(if makes_tables { "true" } else { "false" })),
        ("AWS_DEFAULT_REGION", set(&settings.region)),
        ("AWS_ACCESS_KEY_ID", set("test")),
        ("AWS_SECRET_ACCESS_KEY", set("test")),
        ("AWS_SESSION_TOKEN", None),
        ("AWS_PROFILE", None),
        ("PYNAMODB_CONFIG", None),
        ("USE_PROPERTY_LOOKUP_TABLE", None),
    ]
}

/// Runs a Python script with the library's configuration for this database, and returns what it
/// prints. A script that fails, fails the test.
pub(crate) async fn python(db: &TestDb, script: &str) -> String {
    run(&on_postgresql(db, ""), &["-c", script]).await
}

/// Runs a Python script with this configuration of the library.
pub(crate) async fn python_script(environment: &Environment, script: &str) -> String {
    run(environment, &["-c", script]).await
}

/// Runs a file of this package as a Python script.
pub(crate) async fn python_file(environment: &Environment, path: &str) -> String {
    run(environment, &[&Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_string_lossy()]).await
}

/// Runs Alembic as an ActingWeb operator does, for example with `["upgrade", "head"]`.
pub(crate) async fn alembic(db: &TestDb, arguments: &[&str]) -> String {
    alembic_in(db, "", arguments).await
}

/// The same, for tables in the schema that this prefix and `public` make.
pub(crate) async fn alembic_in(db: &TestDb, prefix: &str, arguments: &[&str]) -> String {
    let script = "import os.path, sys, actingweb.db.postgresql as package; from alembic.config import main; \
                  main(['-c', os.path.join(package.__path__[0], 'alembic.ini'), *sys.argv[1:]])";
    run(&on_postgresql(db, prefix), &[&["-c", script], arguments].concat()).await
}

async fn run(environment: &Environment, arguments: &[&str]) -> String {
    let mut command = Command::new(interpreter());
    command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1").env_remove("INDEXED_PROPERTIES");
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("running Python");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "python {arguments:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("Python prints UTF-8")
}

/// Python with the library.
pub(crate) fn interpreter() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    assert!(path.exists(), "{} is missing: `./x setup test` makes it", path.display());
    path
}

#[tokio::test]
async fn the_library_reads_what_it_wrote() {
    let db = TestDb::empty().await;
    alembic(&db, &["upgrade", "head"]).await;
    let script = "
from actingweb.db.postgresql.property import DbProperty
DbProperty().set(actor_id='a1', name='mood', value='good')
print(DbProperty().get(actor_id='a1', name='mood'))
";
    assert_eq!(python(&db, script).await, "good\n");
    let stored: Vec<(String, String, String)> =
        sqlx::query_as("select id, name, value from properties").fetch_all(db.pool()).await.unwrap();
    assert_eq!(stored, [("a1".into(), "mood".into(), "good".into())]);
}
