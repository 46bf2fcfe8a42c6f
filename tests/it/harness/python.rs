//! The Python library `actingweb` as published, in the virtual environment that `./x test` makes:
//! the peer that has to read what we write, and the other way round.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::cluster::TestDb;

/// Runs a Python script with the library's configuration for this database, and returns what it
/// prints. A script that fails, fails the test.
pub(crate) async fn python(db: &TestDb, script: &str) -> String {
    run(db, "", &["-c", script]).await
}

/// Runs Alembic as an ActingWeb operator does, for example with `["upgrade", "head"]`.
pub(crate) async fn alembic(db: &TestDb, arguments: &[&str]) -> String {
    alembic_in(db, "", arguments).await
}

/// The same, for tables in the schema that this prefix and `public` make.
pub(crate) async fn alembic_in(db: &TestDb, prefix: &str, arguments: &[&str]) -> String {
    let script = "import os.path, sys, actingweb.db.postgresql as package; from alembic.config import main; \
                  main(['-c', os.path.join(package.__path__[0], 'alembic.ini'), *sys.argv[1:]])";
    run(db, prefix, &[&["-c", script], arguments].concat()).await
}

async fn run(db: &TestDb, prefix: &str, arguments: &[&str]) -> String {
    let output = Command::new(interpreter())
        .args(arguments)
        .env("DATABASE_BACKEND", "postgresql")
        .env("PG_DB_HOST", db.host())
        .env("PG_DB_PORT", db.port().to_string())
        .env("PG_DB_NAME", db.name())
        .env("PG_DB_USER", db.user())
        .env_remove("PG_DB_PASSWORD")
        .env_remove("PG_DB_URL")
        .env("PG_DB_PREFIX", prefix)
        .env_remove("PG_DB_SCHEMA")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("running Python");
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
