//! A cluster from what `pg_basebackup` wrote, which must not know where it comes from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use super::{Cluster, unprivileged};
use crate::backup::program::{Program, feed};
use crate::backup::shelf::plain_name;
use crate::backup::{Desk, Error, Manifest, Result, Shelf};

/// What must not be in the data: what the original was told, and what makes a server follow another one.
const UNWANTED: [&str; 6] =
    ["postgresql.auto.conf", "recovery.signal", "standby.signal", "recovery.conf", "postmaster.pid", "postmaster.opts"];

/// Where a file of a base backup is unpacked.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// The data directory.
    Data,
    /// The write-ahead log.
    Wal,
    /// A tablespace, by its number.
    Tablespace(String),
}

impl Part {
    /// The part that a file of a set holds, by its name, and how `tar` is told of its compression; none for other
    /// files.
    fn of(name: &str) -> Option<(Self, Option<&'static str>)> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let (stem, compression) = match name.split_once(".tar")? {
            (stem, "") => (stem, None),
            (stem, ".gz") => (stem, Some("--gzip")),
            (stem, ".zst") => (stem, Some("--zstd")),
            (stem, ".lz4") => (stem, Some("--use-compress-program=lz4")),
            _ => return None,
        };
        let part = match stem {
            "base" => Self::Data,
            "pg_wal" => Self::Wal,
            oid if !oid.is_empty() && oid.bytes().all(|byte| byte.is_ascii_digit()) => Self::Tablespace(oid.to_owned()),
            _ => return None,
        };
        Some((part, compression))
    }

    fn directory(&self, into: &Unpacked) -> PathBuf {
        match self {
            Self::Data => into.data.clone(),
            Self::Wal => into.data.join("pg_wal"),
            Self::Tablespace(oid) => into.tablespaces.join(oid),
        }
    }
}

/// Where a base backup is unpacked.
#[derive(Clone, Debug)]
pub(in crate::backup) struct Unpacked {
    data: PathBuf,
    /// Beside the data: the links in there lead to where the original has its files.
    tablespaces: PathBuf,
    /// Whose the files are, if they are not ours.
    user: Option<User>,
}

impl Unpacked {
    /// In a directory of our own, with files that are ours.
    pub(in crate::backup) fn below(directory: &Path) -> Self {
        Self { data: directory.join("data"), tablespaces: directory.join("tablespaces"), user: None }
    }

    /// As the data of a cluster.
    fn of(cluster: &Cluster) -> Result<Self> {
        let user = unprivileged().map_err(|error| Error::failed(error.to_string()))?;
        Ok(Self { data: cluster.data_dir(), tablespaces: cluster.socket_dir().join("tablespaces"), user })
    }

    /// The data directory.
    pub(in crate::backup) fn data(&self) -> &Path {
        &self.data
    }

    /// Puts the tablespaces where the data has links to those of the original, as `pg_verifybackup` wants to find
    /// them. Blocks.
    ///
    /// # Errors
    ///
    /// When they cannot be moved.
    pub(in crate::backup) fn bring_tablespaces(&self) -> Result<()> {
        let links = self.data.join("pg_tblspc");
        remove_links(&links)?;
        if !self.tablespaces.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&self.tablespaces).map_err(|error| at(&self.tablespaces, error))? {
            let entry = entry.map_err(|error| at(&self.tablespaces, error))?;
            let path = links.join(entry.file_name());
            fs::rename(entry.path(), &path).map_err(|error| at(&path, error))?;
        }
        Ok(())
    }
}

/// Unpacks the base backup in a set as the data of `cluster`, which has not been launched yet, and takes away
/// whatever could lead it to where the backup comes from.
///
/// # Errors
///
/// When the set holds no whole base backup, or something in it leads elsewhere.
pub(in crate::backup) async fn unpack_as(
    desk: Desk<'_>,
    shelf: &Shelf,
    manifest: &Manifest,
    cluster: &Cluster,
) -> Result<()> {
    let into = Unpacked::of(cluster)?;
    unpack(desk, shelf, manifest, &into).await?;
    let cleaned = tokio::task::spawn_blocking(move || clean(&into.data, &into.tablespaces)).await;
    cleaned.map_err(|error| Error::failed(error.to_string()))?
}

/// Unpacks the base backup in a set, as it was written.
///
/// # Errors
///
/// When the set holds no whole base backup.
pub(in crate::backup) async fn unpack(
    desk: Desk<'_>,
    shelf: &Shelf,
    manifest: &Manifest,
    into: &Unpacked,
) -> Result<()> {
    let names = manifest.files.iter().map(|file| plain_name(manifest, file));
    let mut files: Vec<_> = names.filter_map(|name| Some((name, Part::of(name)?))).collect();
    // The log goes into a directory of the data.
    files.sort_by_key(|(_, (part, _))| *part != Part::Data);
    if files.first().is_none_or(|(_, (part, _))| *part != Part::Data) {
        return Err(Error::Damaged { set: manifest.set.to_string(), what: "it holds no base.tar".to_owned() });
    }
    for (name, (part, compression)) in files {
        let directory = part.directory(into);
        make_directory(&directory, into.user.as_ref()).map_err(|error| at(&directory, error))?;
        let mut program =
            Program::new("tar").arguments(["--extract", "--no-same-owner", "--file=-"]).arguments(compression);
        if let Some(user) = &into.user {
            program = program.run_by(user.uid.as_raw(), user.gid.as_raw());
        }
        let mut running = program.inside(&directory).reading().start()?;
        let stdin = running.stdin();
        let file = shelf.read(manifest, name).await?;
        let feeding = async {
            let Some(stdin) = stdin else { return Ok(()) };
            feed(file, stdin).await.map_err(|error| Error::reading(&manifest.set, name, error))
        };
        running.beside(desk.stop, feeding).await?;
    }
    Ok(())
}

/// Makes a directory that only `user` may enter; else only we.
fn make_directory(path: &Path, user: Option<&User>) -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_directory(parent, user)?;
    }
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    if let Some(user) = user {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    Ok(())
}

/// Takes away what could lead the server to where its data comes from. Its tablespaces are those in `tablespaces`.
fn clean(data: &Path, tablespaces: &Path) -> Result<()> {
    for name in UNWANTED {
        let path = data.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, error)),
            _ => {}
        }
    }
    // The server makes these links again, by its map.
    remove_links(&data.join("pg_tblspc"))?;
    let map = data.join("tablespace_map");
    match fs::read_to_string(&map) {
        Ok(text) => fs::write(&map, moved(&text, tablespaces)?).map_err(|error| at(&map, error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(&map, error)),
    }
    refuse_links(data)
}

/// Takes the links out of a directory.
fn remove_links(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(|error| at(directory, error))? {
        let path = entry.map_err(|error| at(directory, error))?.path();
        if path.is_symlink() {
            fs::remove_file(&path).map_err(|error| at(&path, error))?;
        }
    }
    Ok(())
}

/// The map of tablespaces with all of them in `tablespaces`.
fn moved(map: &str, tablespaces: &Path) -> Result<String> {
    let mut text = String::new();
    for line in map.lines().filter(|line| !line.is_empty()) {
        let oid = line.split(' ').next().unwrap_or_default();
        let directory = tablespaces.join(oid);
        if oid.is_empty() || !oid.bytes().all(|byte| byte.is_ascii_digit()) || !directory.is_dir() {
            return Err(Error::failed(format!("the base backup has no files of the tablespace `{oid}` that it names")));
        }
        text.push_str(&format!("{oid} {}\n", directory.display()));
    }
    Ok(text)
}

/// A link could lead anywhere, also to where the backup comes from.
fn refuse_links(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(|error| at(directory, error))? {
        let entry = entry.map_err(|error| at(directory, error))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|error| at(directory, error))?);
        if kind.is_symlink() {
            return Err(Error::failed(format!(
                "the base backup holds a link, {}, which could lead anywhere",
                path.display()
            )));
        }
        if kind.is_dir() {
            refuse_links(&path)?;
        }
    }
    Ok(())
}

fn at(path: &Path, error: io::Error) -> Error {
    Error::Failed {
        what: format!("cannot make a cluster of the base backup: {}", path.display()),
        source: Some(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_names() {
        let data = Some((Part::Data, Some("--gzip")));
        for (name, part) in [
            ("base/base.tar.gz", data),
            ("base.tar", Some((Part::Data, None))),
            ("pg_wal.tar.zst", Some((Part::Wal, Some("--zstd")))),
            ("16400.tar", Some((Part::Tablespace("16400".to_owned()), None))),
            ("backup_manifest", None),
            ("globals.sql", None),
        ] {
            assert_eq!(Part::of(name), part, "{name}");
        }
    }

    #[test]
    fn tablespaces_never_stay_where_they_were() {
        let here = tempfile::tempdir().unwrap();
        fs::create_dir(here.path().join("16400")).unwrap();
        let map = moved("16400 /srv/production\n", here.path()).unwrap();
        assert_eq!(map, format!("16400 {}/16400\n", here.path().display()));
        assert!(moved("16401 /srv/production\n", here.path()).is_err());
        assert!(moved("../x /srv/production\n", here.path()).is_err());
    }

    #[test]
    fn what_leads_elsewhere_is_taken_away_or_refused() {
        let here = tempfile::tempdir().unwrap();
        let data = here.path().join("data");
        fs::create_dir_all(data.join("pg_tblspc")).unwrap();
        fs::write(data.join("postgresql.auto.conf"), "primary_conninfo = 'host=production'").unwrap();
        std::os::unix::fs::symlink("/srv/production", data.join("pg_tblspc/16400")).unwrap();
        clean(&data, here.path()).unwrap();
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
        assert_eq!(fs::read_dir(data.join("pg_tblspc")).unwrap().count(), 0);
        std::os::unix::fs::symlink("/srv/production", data.join("pg_wal")).unwrap();
        assert!(clean(&data, here.path()).unwrap_err().to_string().contains("holds a link"));
    }

    #[test]
    fn tablespaces_are_brought_where_the_links_were_and_nothing_goes_through_these() {
        let (here, production) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let unpacked = Unpacked::below(here.path());
        let links = unpacked.data().join("pg_tblspc");
        fs::create_dir_all(&links).unwrap();
        std::os::unix::fs::symlink(production.path(), links.join("16400")).unwrap();
        fs::create_dir_all(unpacked.tablespaces.join("16400")).unwrap();
        fs::write(unpacked.tablespaces.join("16400/1"), "rows").unwrap();
        unpacked.bring_tablespaces().unwrap();
        assert!(!links.join("16400").is_symlink() && links.join("16400/1").is_file());
        assert_eq!(fs::read_dir(production.path()).unwrap().count(), 0);
    }
}
