//! Loads a configuration from text and made-up variables; the process's own environment has no part.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use actingweb_maintd::config::{self, Loaded, Problems, Sources};
use tempfile::TempDir;

/// One set of sources. In the file and in variables, `DIR` stands for a directory of its own.
pub(super) struct Setup {
    dir: TempDir,
    sources: Sources,
}

impl Setup {
    /// Nothing at all, not even a default file.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let default_file = dir.path().join("none.toml");
        Self { dir, sources: Sources { default_file, ..Sources::default() } }
    }

    /// Enough for a start without problems.
    pub(super) fn working() -> Self {
        Self::new().env("DATABASE_BACKEND", "postgresql")
    }

    pub(super) fn file(self, text: &str) -> Self {
        let text = text.replace("DIR", &self.dir());
        let mut setup = self.with_file("config.toml", text.as_bytes(), 0o600);
        setup.sources.file = Some(setup.path("config.toml"));
        setup
    }

    pub(super) fn with_file(self, name: &str, bytes: &[u8], mode: u32) -> Self {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        let value = value.replace("DIR", &self.dir());
        self.sources.env.push((name.to_owned(), value));
        self
    }

    pub(super) fn flag(mut self, key: &str, value: &str) -> Self {
        self.sources.overrides.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn change(mut self, change: impl FnOnce(&mut Sources, &Path)) -> Self {
        change(&mut self.sources, self.dir.path());
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn load(&self) -> Result<Loaded, Problems> {
        config::load(&self.sources)
    }

    /// A configuration that must be right.
    #[track_caller]
    pub(super) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// A configuration that must be wrong.
    #[track_caller]
    pub(super) fn problems(&self) -> Problems {
        match self.load() {
            Ok(loaded) => panic!("no mistake was found:\n{}", loaded.to_toml()),
            Err(problems) => problems,
        }
    }

    /// What a person would read: the problems, or the warnings of a configuration that is right.
    pub(super) fn told(&self) -> String {
        let problems = match self.load() {
            Ok(loaded) => Problems { errors: Vec::new(), warnings: loaded.warnings },
            Err(problems) => problems,
        };
        self.plain(&problems.to_string())
    }

    /// `text` without the name of the directory.
    pub(super) fn plain(&self, text: &str) -> String {
        text.replace(&self.dir(), "/dir")
    }

    fn dir(&self) -> String {
        self.dir.path().to_str().unwrap().to_owned()
    }
}

/// Every dotted key of an origin map, shortened for comparison.
pub(super) fn origins(loaded: &Loaded) -> BTreeMap<&str, String> {
    loaded.origins.iter().map(|(key, origin)| (key.as_str(), origin.to_string())).collect()
}
