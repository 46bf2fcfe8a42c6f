//! A deployment on PostgreSQL with a directory for its backups, and the commands about them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::TestDb;
use super::daemon::{Maintd, Output};
use super::store::add_attributes;

/// Keeps one set.
const LEAN: &str = "[backup.retention]\nkeep_last = 1\ndaily = 0\nweekly = 0\nmonthly = 0\nmin_age = \"0s\"\n\
                    min_sets = 1\n";

/// A deployment with a directory for its backups.
pub(crate) struct Deployment {
    pub(crate) db: TestDb,
    directory: TempDir,
    extra: String,
}

impl Deployment {
    /// One with a few rows, and with `extra` keys at the top of `[backup]`.
    pub(crate) async fn new(extra: &str) -> Self {
        let db = TestDb::new().await;
        add_attributes(&db, "kept", 20, 3_600).await;
        Self::of(db, extra)
    }

    /// That of `db`.
    pub(crate) fn of(db: TestDb, extra: &str) -> Self {
        Self { db, directory: tempfile::tempdir().expect("a directory"), extra: extra.to_owned() }
    }

    /// Where the sets are.
    pub(crate) fn place(&self) -> PathBuf {
        self.directory.path().join("sets")
    }

    /// The configuration.
    pub(crate) fn config(&self) -> String {
        let place = self.place();
        format!("[backup]\nwhere = \"{}\"\nkeep_free = \"1MiB\"\n{}\n{LEAN}", place.display(), self.extra)
    }

    /// The binary beside it.
    pub(crate) fn maintd(&self) -> Maintd {
        self.beside(Maintd::on(&self.db))
    }

    /// The binary with its backups, wherever else it is.
    pub(crate) fn beside(&self, maintd: Maintd) -> Maintd {
        maintd.with_programs().config(&self.config())
    }

    /// What a command comes to.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.maintd().run(arguments)
    }

    /// Makes a set that must be well. Returns its id.
    #[track_caller]
    pub(crate) fn create(&self) -> String {
        let created = self.run(&["backup", "create", "--json"]);
        assert_eq!(created.code, 0, "{created:?}");
        created.json()["report"]["backups"]["set"].as_str().expect("a set").to_owned()
    }

    /// The sets with their states, the oldest first.
    pub(crate) fn sets(&self) -> Vec<(String, String)> {
        let text = |set: &Value, key: &str| set[key].as_str().expect("text").to_owned();
        let state = |set: &Value| {
            let is_damaged = !set["damage"].is_null() || !set["unreadable"].is_null();
            if is_damaged { "damaged".to_owned() } else { text(set, "level") }
        };
        let listed = self.run(&["backup", "list", "--json"]).json();
        let sets = listed["deployments"][0]["sets"].as_array().cloned().unwrap_or_default();
        sets.iter().map(|set| (text(set, "set"), state(set))).collect()
    }

    /// Flips a bit in the largest file of a set.
    pub(crate) fn damage(&self, set: &str) {
        let files = files_below(&self.place());
        let of_set = files.into_iter().filter(|path| path.to_str().is_some_and(|path| path.contains(set)));
        let size = |path: &PathBuf| std::fs::metadata(path).expect("a file").len();
        let file = of_set.max_by_key(size).expect("files");
        let mut bytes = std::fs::read(&file).expect("bytes");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).expect("a file");
    }
}

/// All files below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.expect("an entry").path())).collect()
}
