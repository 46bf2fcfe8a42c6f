//! Where PostgreSQL's programs are.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Program, program_in};
use crate::backup::{Error, Result, Settings};
use crate::work::Stop;

/// Where packages put the programs of each version: Debian's and Ubuntu's, and the project's own for others.
const PACKAGED: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// The directories in which programs are looked for.
#[derive(Clone, Debug)]
pub struct Toolbox {
    directories: Vec<PathBuf>,
    /// Only the configured one is looked into.
    is_configured: bool,
}

/// A program that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
}

/// A version of PostgreSQL, as its programs write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// All of it, as in `15.14`.
    pub text: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Version {
    /// The version in what a program says to `--version`, as in `pg_dump (PostgreSQL) 15.14 (Debian 15.14-1)`.
    fn parse(said: &str) -> Option<Self> {
        let (_, after) = said.split_once("(PostgreSQL) ")?;
        let text = after.split_whitespace().next()?;
        // A version that is not out yet is `18beta1`.
        let major = text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        Some(Self { major, text: text.to_owned() })
    }
}

impl Found {
    /// The program, to be run.
    pub fn program(&self) -> Program {
        Program::new(&self.path)
    }

    /// The program `name` beside it, of the same version.
    pub fn beside(&self, name: &str) -> Program {
        Program::new(self.path.with_file_name(name))
    }
}

impl Toolbox {
    /// The directory that the settings name, or else `PATH` and where packages put them, the newest first.
    pub fn of(settings: &Settings) -> Self {
        match &settings.bin_dir {
            Some(directory) => Self { directories: vec![directory.clone()], is_configured: true },
            None => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let directories = std::env::split_paths(&path).chain(packaged()).collect();
                Self { directories, is_configured: false }
            }
        }
    }

    /// The program `name` for a server of this major version: of the same version if there is one, or else of the
    /// next newer. An older one cannot read a newer server.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when there is none, with what was found and what to install.
    pub async fn find(&self, name: &str, server: u32, stop: &Stop) -> Result<Found> {
        let mut found: Vec<Found> = Vec::new();
        let mut seen = BTreeSet::new();
        for path in program_in(&self.directories, name) {
            // What is linked to the same file is the same program; which wrappers are not, they look at their name.
            if !seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                continue;
            }
            match Program::new(&path).argument("--version").output(stop).await {
                Ok(said) => {
                    let version = Version::parse(&String::from_utf8_lossy(&said));
                    found.extend(version.map(|version| Found { path, version }));
                }
                Err(Error::Stopped) => return Err(Error::Stopped),
                Err(error) => tracing::debug!(path = %path.display(), error = error.chain(), "passed over"),
            }
        }
        let fitting = found.iter().filter(|found| found.version.major >= server);
        // The first of those that are equally good.
        let best = fitting.min_by_key(|found| found.version.major);
        best.cloned().ok_or_else(|| self.nothing(name, server, &found))
    }

    fn nothing(&self, name: &str, server: u32, found: &[Found]) -> Error {
        let shown = |found: &Found| format!("{} is {}", found.path.display(), found.version);
        let found = match found {
            [] if self.is_configured => format!("there is none in {}", self.directories[0].display()),
            [] => "there is none on PATH or where packages put it".to_owned(),
            some => some.iter().map(shown).collect::<Vec<_>>().join(", "),
        };
        // What starts servers comes with them.
        let (debian, fedora) = if name == "initdb" { ("", "-server") } else { ("-client", "") };
        Error::Refused(format!(
            "the server is PostgreSQL {server}, and {name} has to be as new: {found}; install postgresql{debian}-{server} \
             (Debian, Ubuntu) or postgresql{server}{fedora} (RHEL, Fedora), or name the directory of another in \
             backup.bin_dir"
        ))
    }
}

/// The directories where packages put programs, the newest version first.
fn packaged() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in PACKAGED {
        for entry in fs::read_dir(Path::new(parent)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
            versions.extend(version.map(|version| (version, entry.path().join("bin"))));
        }
    }
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, directory)| directory).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_write_them() {
        for (said, major, text) in [
            ("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", 15, "15.14"),
            ("pg_basebackup (PostgreSQL) 18beta1\n", 18, "18beta1"),
        ] {
            assert_eq!(Version::parse(said), Some(Version { major, text: text.to_owned() }), "{said}");
        }
        assert_eq!(Version::parse("pgloader version 3"), None);
    }
}
