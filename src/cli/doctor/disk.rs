//! Whether directories can be written, and how much space there is.

use std::path::Path;

use indicatif::HumanBytes;

use super::line::Found;
use super::wanted::Wanted;
use crate::archive::free_space;
use crate::backup::{existing, may_write};
use crate::model::setting::Size;
use crate::storage::postgres::Server;

/// A directory that `key` names, and that may still have to be made.
pub(super) fn directory(path: &Path, keep_free: Size, key: &str) -> Found {
    let there = existing(path);
    let shown = path.display();
    if !there.is_dir() || !may_write(there) {
        return Found::failure(
            format!("nothing can be written below {}, where {shown} is", there.display()),
            format!("make the directory {shown} and give it to the daemon's user, or set {key} to another"),
        );
    }
    space(
        there,
        &format!("{shown} can be written"),
        keep_free,
        &format!("remove what is not needed, or set {key} to another"),
    )
}

/// Where `diff_prune` keeps what changes said before they go, if it does. It makes no directory.
pub(super) fn of_changes(wanted: &Wanted<'_>) -> Option<Found> {
    let path = wanted.config.jobs.diff_prune.archive.as_deref().filter(|_| wanted.job("diff_prune"))?;
    let shown = path.display();
    if path.is_dir() && may_write(path) {
        return Some(Found::ok(format!("{shown} can be written")));
    }
    Some(Found::failure(
        format!("diff_prune cannot keep in {shown} what changes said, and deletes none without"),
        format!(
            "make the directory {shown} and give it to the daemon's user, or set jobs.diff_prune.archive to another"
        ),
    ))
}

/// The disk of the server, where it is this machine's.
pub(super) fn of_server(server: &Server, is_local: bool, keep_free: Size) -> Found {
    match server.data_directory.as_deref().filter(|directory| is_local && directory.is_dir()) {
        Some(directory) => {
            let shown = format!("the server's data is in {}", directory.display());
            space(directory, &shown, keep_free, "give the server a larger disk, or remove what does not belong on it")
        }
        None => Found::ok("how much space the server has left cannot be seen from here"),
    }
}

fn space(directory: &Path, what: &str, keep_free: Size, remedy: &str) -> Found {
    match free_space(directory) {
        Ok(free) if free < keep_free.0 => Found::warning(
            format!("{what}, and only {} are free (backup.keep_free is {keep_free})", HumanBytes(free)),
            remedy,
        ),
        Ok(free) => Found::ok(format!("{what}, and {} are free", HumanBytes(free))),
        Err(error) => Found::warning(format!("{what}, and how much is free cannot be seen: {error}"), remedy),
    }
}
