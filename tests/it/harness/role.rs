//! The roles of a test's server: who owns the application's tables, and the daemon's, which the script in `deploy/`
//! makes.

use std::path::Path;
use std::process::{Command, Stdio};

use super::tools::tool;

/// Who owns the application's tables, and plays the application.
pub(crate) const APPLICATION: &str = "actingweb";

/// The daemon's role: what its jobs need, and nothing else.
pub(crate) const MAINTENANCE: &str = "maintd";

/// A daemon's role that may vacuum tables and repair indexes as well. It has the rights of the tables' owner, with
/// which little would be left to test.
pub(crate) const REPAIRING: &str = "maintd_repairing";

/// What [`MAINTENANCE`] is for.
pub(crate) const JOBS: &[&str] = &[
    "diff_prune",
    "orphan_scan",
    "orphan_delete",
    "lookup_check",
    "lookup_repair",
    "backup",
    "physical_backup",
    "drill_database",
];

/// What [`REPAIRING`] is for.
pub(crate) const REPAIRS: &[&str] = &["vacuum", "index_repair", "amcheck"];

/// Makes the role with what these parts of the work need, as an operator does. The superuser runs the script.
pub(crate) fn make(host: &str, port: u16, database: &str, role: &str, parts: &[&str]) {
    let ran = run(host, port, database, "postgres", role, parts);
    assert_eq!(ran, Ok(()), "{role} for {parts:?}");
}

/// Has somebody run the script. What `psql` says when that fails is the error.
pub(crate) fn run(host: &str, port: u16, db: &str, user: &str, role: &str, parts: &[&str]) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/postgresql/role.sql");
    let mut command = Command::new(tool("psql"));
    command.args(["--no-psqlrc", "--quiet", "--host", host, "--port", &port.to_string()]);
    command.args(["--username", user, "--dbname", db, "--set", &format!("role={role}")]);
    command.args(parts.iter().map(|part| format!("--set={part}=on"))).arg("--file").arg(script);
    let output = command.stdin(Stdio::null()).output().expect("running psql");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}
