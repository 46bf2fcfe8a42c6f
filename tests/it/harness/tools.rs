//! Programs that tests run beside the daemon.

use std::{env, path::PathBuf};

use super::cluster::server;

/// The program of this name: one of the test server's own (`pg_dump` must not be older than the
/// server), else on `PATH`, else where Debian keeps servers, which is not on everybody's `PATH`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    [server().bin_dir.clone()]
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(["/usr/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not on PATH: `./x test` sets it up"))
}

#[test]
fn every_tool_of_the_tests_is_here() {
    for name in ["pg_dump", "pg_restore", "psql", "pgbouncer", "prometheus", "promtool"] {
        tool(name);
    }
}
