//! The guard of a cluster, ready to be started.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use super::{Error, Options, seclusion};
use crate::model::OURS_ALONE;

/// The guard: as an unprivileged user if we are root, away from the terminal's signals, from our directory and
/// from the settings of PostgreSQL's own clients.
pub(super) fn command(bin_dir: &Path, root: &Path, options: &Options) -> Result<Command, Error> {
    let mut command = Command::new("sh");
    command.args(["-c", include_str!("guard.sh"), "guard"]).arg(bin_dir).arg(root);
    let usual: &[&str] = if options.durable {
        &[]
    } else {
        // Shared memory as files in the data directory is removed with it, even after a crash.
        &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "dynamic_shared_memory_type=mmap"]
    };
    for setting in usual {
        command.args(["-c", setting]);
    }
    if options.seclusion.is_some() {
        for setting in seclusion::settings(root) {
            command.arg("-c").arg(setting);
        }
    } else {
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
    }
    for (name, value) in &options.settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    if let Some(user) = unprivileged()? {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_libpq_variable(name)) {
        command.env_remove(name);
    }
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    command
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Ok(command)
}

/// Whom PostgreSQL runs as in our place; nobody else unless we are root, as which it refuses to run.
pub(in crate::backup) fn unprivileged() -> Result<Option<User>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
    user.map(Some).ok_or(Error::NoUser)
}

/// `PGDATA`, `PGPORT` and the like, which PostgreSQL's programs read.
fn is_libpq_variable(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("PG") && !name.contains('_'))
}
