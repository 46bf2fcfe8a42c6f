//! Programs that do what PostgreSQL's clients and other people's tools do better: found, run and ended.
//!
//! A program runs in a process group of its own, which a guard leads (`guard.sh`): a small shell that waits for the
//! end of a pipe from us. So the group is gone with us, whatever ends us, and its number stays ours until we have
//! ended it ourselves. (`PR_SET_PDEATHSIG` is no substitute: it follows the thread that started the program, and
//! does not reach the program's own children.)
//!
//! No secret is ever an argument, because everybody on the host can read those.

mod ending;
mod find;
mod login;
mod running;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

pub use find::{Found, Toolbox, Version};
pub use running::{Running, feed};

use super::{Error, Result};
use crate::model::{OURS_ALONE, Secret};
use crate::work::Stop;

/// The guard's script.
const GUARD: &str = include_str!("guard.sh");

/// What PostgreSQL's programs may inherit. Their settings (`PGHOST` and the like) are ours to make, but for the files
/// that our own connections read as well.
const INHERITED: [&str; 8] =
    ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "USER", "PGPASSFILE", "PGSSLCERT", "PGSSLKEY"];

/// The beginnings of names of variables that hold the deployment's own secrets.
const SECRETIVE: [&str; 2] = ["MAINTD_", "PG_DB_"];

/// A program with its arguments and its environment.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    /// Whether it sees our own environment, as far as that is no secret.
    inherits: bool,
    /// What must not appear in what it says.
    secrets: Vec<Secret>,
    directory: PathBuf,
    /// The user and the group it runs as, if not ours.
    user: Option<(u32, u32)>,
    reads: bool,
    writes: bool,
}

impl Program {
    /// A program of PostgreSQL: it sees hardly anything of our environment.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: vec![("LC_ALL", "C".into()), ("TZ", "UTC".into())],
            inherits: false,
            secrets: Vec::new(),
            directory: PathBuf::from("/"),
            user: None,
            reads: false,
            writes: false,
        }
    }

    /// Somebody else's program, by a list of it and its arguments: its settings may be in the environment.
    ///
    /// # Errors
    ///
    /// When the list is empty; `key` is where it is configured.
    pub fn configured(command: &[String], key: &str) -> Result<Self> {
        let Some((path, arguments)) = command.split_first() else {
            return Err(Error::Refused(format!("{key} is not set: write the program and its arguments as a list")));
        };
        Ok(Self { inherits: true, environment: Vec::new(), ..Self::new(path) }.arguments(arguments))
    }

    /// Adds an argument, which everybody may see.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.into()));
        self
    }

    /// Keeps `secret` out of whatever is told of what it says.
    #[must_use]
    pub fn hiding(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Runs it in this directory; without one in `/`.
    #[must_use]
    pub fn inside(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Runs it as this user and group. Only root can.
    #[must_use]
    pub fn run_by(mut self, user: u32, group: u32) -> Self {
        self.user = Some((user, group));
        self
    }

    /// Gives it a standard input, which is [`Running::stdin`].
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Gives it a standard output, which is [`Running::stdout`].
    #[must_use]
    pub fn writing(mut self) -> Self {
        self.writes = true;
        self
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(self) -> Result<Running> {
        Running::start(self)
    }

    /// Runs it to its end. Returns what it wrote to its standard output.
    ///
    /// # Errors
    ///
    /// When it cannot be started, fails, writes more than [`Running::MOST_OUTPUT`], or somebody asked to stop.
    pub async fn output(self, stop: &Stop) -> Result<Vec<u8>> {
        self.writing().start()?.output(stop).await
    }

    /// Runs it to its end. Returns what it has said on its standard error: the last of it.
    ///
    /// # Errors
    ///
    /// When it cannot be started, fails, or somebody asked to stop.
    pub async fn run(self, stop: &Stop) -> Result<String> {
        self.start()?.wait(stop).await
    }

    fn command(&self, group: i32) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).process_group(group);
        self.surround(&mut command);
        command.stdin(if self.reads { Stdio::piped() } else { Stdio::null() });
        command.stdout(if self.writes { Stdio::piped() } else { Stdio::null() });
        command.stderr(Stdio::piped());
        command
    }

    /// The guard, as the first of a new group.
    fn guard(&self) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).process_group(0);
        self.surround(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// What is around a process: environment, directory and user.
    fn surround(&self, command: &mut Command) {
        let inherited = std::env::vars_os().filter(|(name, _)| {
            if self.inherits { !is_secretive(name) } else { INHERITED.iter().any(|known| name == known) }
        });
        command.env_clear().envs(inherited).envs(self.environment.iter().map(|(name, value)| (name, value)));
        for name in OURS_ALONE {
            command.env_remove(name);
        }
        command.current_dir(&self.directory);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
    }

    /// `text` without secrets.
    fn redacted(&self, mut text: String) -> String {
        for secret in self.secrets.iter().filter(|secret| !secret.expose().is_empty()) {
            text = text.replace(secret.expose(), "***");
        }
        text
    }
}

fn is_secretive(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| SECRETIVE.iter().any(|beginning| name.starts_with(beginning)))
}

/// A program called `name` in one of `directories`.
fn program_in<'a>(directories: impl IntoIterator<Item = &'a PathBuf>, name: &str) -> Vec<PathBuf> {
    let is_program = |path: &PathBuf| Path::is_file(path);
    directories.into_iter().map(|directory| directory.join(name)).filter(is_program).collect()
}
