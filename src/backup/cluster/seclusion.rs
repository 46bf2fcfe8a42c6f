//! Clusters that hold somebody's data for a while, and that nobody but us reaches.
//!
//! Such a cluster lies on a disk, in a directory that only PostgreSQL's user may enter, and listens nowhere but on
//! a socket in there. It reads no configuration but ours, so that one that was unpacked from a backup touches
//! nothing of where it comes from: it archives nothing, follows nobody, and loads nobody's libraries.
//!
//! Beside the directory lies a file that says whose it is, locked for as long as its owner lives. By that, what is
//! left when even the guard was killed is told from what is in use, and from what is somebody else's.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use uuid::Uuid;

use super::guard::unprivileged;
use super::{Error, SECLUDED_PORT};
use crate::work::Stop;

/// What the names of directories begin with.
const PREFIX: &str = "maintd-drill-";

/// How the names of the files beside them end.
const OWNER: &str = ".owner";

/// The longest path of a socket that every system takes, the lock file beside it included.
const LONGEST_SOCKET: usize = 107;

/// Where a cluster is kept from everybody else.
#[derive(Debug, Clone)]
pub struct Seclusion {
    /// A directory on a disk, to make the cluster in.
    pub within: PathBuf,
    /// The deployment that the data is of.
    pub owner: Uuid,
    /// Asked while the server starts, which after a backup takes as long as its recovery.
    pub stop: Stop,
}

/// The place of a secluded cluster.
#[derive(Debug)]
pub(super) struct Secluded {
    root: PathBuf,
    owner: PathBuf,
    /// Locked until it is closed.
    _lock: File,
    stop: Stop,
}

impl Secluded {
    /// Makes the directory, and what says whose it is.
    pub(super) fn new(seclusion: &Seclusion, name: &str) -> Result<Self, Error> {
        let root = seclusion.within.join(format!("{PREFIX}{name}"));
        let owner = seclusion.within.join(format!("{PREFIX}{name}{OWNER}"));
        let refused = |why: String| Error::Place { root: root.clone(), why };
        if root.join(format!(".s.PGSQL.{SECLUDED_PORT}.lock")).as_os_str().len() > LONGEST_SOCKET {
            return Err(refused("its name is too long for a socket: set backup.work_dir to a shorter one".to_owned()));
        }
        // First, so that there is never a directory without it.
        let lock = write_owner(&owner, seclusion.owner).map_err(|error| {
            let _nothing_was_made = fs::remove_file(&owner);
            refused(format!("{error}: is backup.work_dir a directory that we may write to?"))
        })?;
        let place = Self { root, owner, _lock: lock, stop: seclusion.stop.clone() };
        match place.make() {
            Ok(()) => Ok(place),
            Err(error) => {
                place.remove();
                Err(Error::Place { root: place.root.clone(), why: error.to_string() })
            }
        }
    }

    /// Makes the directory, with the only configuration that the server reads.
    fn make(&self) -> io::Result<()> {
        fs::create_dir(&self.root)?;
        fs::set_permissions(&self.root, Permissions::from_mode(0o700))?;
        for (name, text) in [("postgresql.conf", ""), ("pg_hba.conf", "local all all trust\n"), ("pg_ident.conf", "")] {
            let path = self.root.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        }
        if let Some(user) = unprivileged().map_err(io::Error::other)? {
            chown(&self.root, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Removes what the guard may not, and at last what says whose it was.
    pub(super) fn remove(&self) {
        if remove_all(&self.root).is_ok() {
            // It names nothing any more, and whoever finds it removes it.
            let _stays = fs::remove_file(&self.owner);
        }
    }
}

/// Makes the file that says whose a directory is, and locks it.
fn write_owner(path: &Path, owner: Uuid) -> io::Result<File> {
    loop {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        // Whoever looks for leftovers has it for a moment only.
        retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        // But then it was empty and nobody's, and so it may be gone.
        if is_there(&file)? {
            file.write_all(owner.to_string().as_bytes())?;
            return Ok(file);
        }
    }
}

/// Whether an open file still has its name.
fn is_there(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}

/// Removes a directory. A server that is ending may still write into it, and its guard remove it as well.
fn remove_all(root: &Path) -> io::Result<()> {
    for _ in 0..50 {
        match fs::remove_dir_all(root) {
            Err(_) if root.exists() => thread::sleep(Duration::from_millis(100)),
            _ => return Ok(()),
        }
    }
    fs::remove_dir_all(root)
}

/// What a secluded server is told. Nothing of it can come from files that were unpacked.
pub(super) fn settings(root: &Path) -> Vec<String> {
    let file = |setting: &str, name: &str| format!("{setting}={}", root.join(name).display());
    let mut settings = vec![
        file("config_file", "postgresql.conf"),
        file("hba_file", "pg_hba.conf"),
        file("ident_file", "pg_ident.conf"),
    ];
    let fixed = [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "ssl=off",
        "max_connections=50",
        // Nothing goes to where the data comes from, and nothing comes from there.
        "archive_mode=off",
        "archive_command=",
        "restore_command=",
        "primary_conninfo=",
        "primary_slot_name=",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_logical_replication_workers=0",
        // Nobody's code runs.
        "shared_preload_libraries=",
        "session_preload_libraries=",
        "local_preload_libraries=",
        "jit=off",
        // Nothing but the restore and the comparison works, and what prepared transactions hold stays held.
        "autovacuum=off",
        "max_prepared_transactions=1000",
        "max_wal_size=4GB",
        "checkpoint_timeout=1h",
        "maintenance_work_mem=128MB",
    ];
    settings.extend(fixed.map(str::to_owned));
    settings
}

/// Removes what is left of clusters of `owner` in `within`, whose process and guard were both killed. Returns what
/// was removed.
///
/// # Errors
///
/// When the directory cannot be read, or something in it not be removed.
pub fn remove_leftovers(within: &Path, owner: Uuid) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(within)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(root) = name.strip_suffix(OWNER).filter(|name| name.starts_with(PREFIX)) else { continue };
        let root = within.join(root);
        // Locked until it is gone, so that nobody makes it theirs meanwhile.
        if let Some(_locked) = left_over(&path, &root, owner)? {
            end_server(&root);
            remove_all(&root)?;
            fs::remove_file(&path)?;
            removed.push(root);
        }
    }
    Ok(removed)
}

/// The file that says whose `root` is, locked, if it is of `owner` and whoever made it does not live any more. A file
/// of somebody else may not be ours to read.
fn left_over(path: &Path, root: &Path, owner: Uuid) -> io::Result<Option<File>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() || !is_there(&file)? {
        return Ok(None);
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // An empty one was made by somebody who was killed before they could write into it, and so before there was a
    // directory: whoever they were, it names nothing.
    let names_nothing = text.is_empty() && !root.exists();
    Ok((names_nothing || text == owner.to_string()).then_some(file))
}

/// Ends a server that has outlived its guard, if it is the one of this directory.
fn end_server(root: &Path) {
    let pid_file = fs::read_to_string(root.join("data/postmaster.pid")).unwrap_or_default();
    let Some(pid) = pid_file.lines().next().and_then(|line| line.parse::<i32>().ok()) else { return };
    let works_in = fs::read_link(format!("/proc/{pid}/cwd"));
    if works_in.is_ok_and(|directory| directory == root.join("data")) {
        // Its files are removed under it, so it need not take care of them; it may have ended meanwhile.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGQUIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_somebody_left_who_was_killed_at_once_is_removed_by_anybody() {
        let within = tempfile::tempdir().unwrap();
        let at = |name: &str| within.path().join(format!("{PREFIX}{name}{OWNER}"));
        let root = |name: &str| within.path().join(format!("{PREFIX}{name}"));
        let _lives = write_owner(&at("lives"), Uuid::new_v4()).unwrap();
        fs::write(at("begun"), "").unwrap();
        let begun = File::open(at("begun")).unwrap();
        flock(&begun, FlockOperation::NonBlockingLockExclusive).unwrap();
        fs::write(at("killed"), "").unwrap();
        // Somebody may have something there all the same.
        fs::write(at("odd"), "").unwrap();
        fs::create_dir(root("odd")).unwrap();
        assert_eq!(remove_leftovers(within.path(), Uuid::new_v4()).unwrap(), [root("killed")]);
        assert!(!at("killed").exists() && root("odd").exists());
        assert!(["lives", "begun", "odd"].into_iter().all(|name| at(name).exists()));
    }

    /// Whoever looks for leftovers just when one is begun may take it for one, and then there is another.
    #[test]
    fn who_begins_meanwhile_has_a_file_that_stays() {
        let within = tempfile::tempdir().unwrap();
        let (path, done) = (within.path().join(format!("{PREFIX}x{OWNER}")), AtomicBool::new(false));
        let (owner, other) = (Uuid::new_v4(), Uuid::new_v4());
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // It may be gone between being listed and being removed.
                    let _removed = remove_leftovers(within.path(), other);
                }
            });
            for _ in 0..2_000 {
                let file = write_owner(&path, owner).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), owner.to_string());
                fs::remove_file(&path).unwrap();
                drop(file);
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
