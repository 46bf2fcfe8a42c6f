//! What tests of drills and restores stand on: the binary with a place for backups, and what it leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use actingweb_maintd::archive::{Sealed, sum};
use actingweb_maintd::backup::{DIGESTS, Manifest};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output};
use crate::harness::dynamodb::TestTables;
use crate::harness::eventually;
use crate::harness::sets::{PUBLIC_KEY, SECRET_KEY};

/// A fault that ends the process as `kill -9` does.
const ABORT: &str = "return(abort)";

/// A place for backups, and one to work in that PostgreSQL's user may enter.
pub(super) struct Proof {
    place: TempDir,
    /// More lines of configuration.
    pub(super) more: String,
}

impl Proof {
    /// With more lines of configuration.
    pub(super) fn with(more: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("opening it to others");
        fs::create_dir(place.path().join("work")).expect("a directory");
        Self { place, more: more.to_owned() }
    }

    /// One that encrypts, with the key at hand.
    pub(super) fn encrypting() -> Self {
        let mut proof = Self::with(&format!("[backup.encryption]\nrecipients = [\"{PUBLIC_KEY}\"]\n"));
        let keys = proof.place.path().join("keys");
        fs::write(&keys, SECRET_KEY).expect("a key");
        proof.more += &format!("identity_file = \"{}\"\n", keys.display());
        proof
    }

    /// The directory of what is there for a while only.
    pub(super) fn work_dir(&self) -> PathBuf {
        self.place.path().join("work")
    }

    /// What is left in it.
    pub(super) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work_dir()).expect("the directory");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// The binary with this place.
    pub(super) fn configured(&self, maintd: Maintd) -> Maintd {
        let Self { place, more } = self;
        let place = place.path().display();
        maintd.with_programs().config(&format!(
            "[backup]\nwhere = \"{place}/sets\"\nwork_dir = \"{place}/work\"\nkeep_free = \"1MiB\"\n{more}"
        ))
    }

    /// The binary with this place, killed at `point`; its lease lasts no longer than a test waits.
    pub(super) fn killed_at(&self, point: &str, maintd: Maintd) -> Maintd {
        self.configured(maintd).env("FAILPOINTS", format!("{point}={ABORT}")).env("MAINTD_LEASE__TTL", "2s")
    }

    /// One command beside an application on PostgreSQL.
    pub(super) fn on(&self, db: &TestDb, arguments: &[&str]) -> Output {
        self.configured(Maintd::on(db)).run(arguments)
    }

    /// The same beside one on DynamoDB, whose emulator is in this process and so must go on.
    pub(super) async fn beside(&self, tables: &TestTables, arguments: &[&str]) -> Output {
        let maintd = self.configured(Maintd::beside(tables));
        run(maintd, arguments).await
    }

    /// The set whose file that is.
    fn set_directory(&self) -> PathBuf {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut directories = vec![self.place.path().join("sets")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.join("manifest.json").is_file() {
                    found.push(path);
                } else if path.is_dir() {
                    directories.push(path);
                }
            }
        }
        let [set] = &found[..] else { panic!("{found:?}") };
        set.clone()
    }

    /// Turns a bit in the middle of the largest file of the only set. Returns the file's name.
    pub(super) fn damage(&self) -> String {
        let mut files: Vec<PathBuf> = Vec::new();
        let mut directories = vec![self.set_directory()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        // What is said of the set is another matter.
        files.retain(|path| path.extension().is_none_or(|extension| extension != "json"));
        let largest = files.into_iter().max_by_key(|path| fs::metadata(path).expect("a file").len()).expect("files");
        let mut bytes = fs::read(&largest).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&largest, bytes).expect("writing the file");
        largest.file_name().expect("a name").to_string_lossy().into_owned()
    }

    /// Writes other digests into the only set, with all checksums right: so it looks like a set whose content is not
    /// what was backed up.
    pub(super) fn forge(&self, table: &str, forge: impl FnOnce(&str) -> String) {
        let set = self.set_directory();
        let digests = fs::read_to_string(set.join(DIGESTS)).expect("digests");
        let digests = forge(&digests);
        let read: std::collections::BTreeMap<String, actingweb_maintd::model::digest::Digest> =
            serde_json::from_str(&digests).expect("digests");
        fs::write(set.join(DIGESTS), &digests).expect("writing digests");
        self.rewrite(|manifest| {
            let digest = &read[table];
            let told = manifest.tables.get_mut(table).expect("the table");
            told.digest = Some(actingweb_maintd::backup::fingerprint(digest));
            told.rows = Some(digest.count());
            let file = manifest.files.iter_mut().find(|file| file.name == DIGESTS).expect("the file");
            (file.size, file.sha256) = (digests.len() as u64, sum(digests.as_bytes()));
        });
    }

    /// Changes what the manifest of the only set says. Returns what it said.
    pub(super) fn rewrite(&self, change: impl FnOnce(&mut Manifest)) -> Manifest {
        let path = self.set_directory().join("manifest.json");
        let said: Manifest = Sealed::read(&fs::read(&path).expect("a manifest")).expect("a manifest");
        let mut says = said.clone();
        change(&mut says);
        fs::write(path, Sealed::write(&says)).expect("writing the manifest");
        said
    }
}

/// Runs the binary while this process goes on.
pub(super) async fn run(maintd: Maintd, arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || maintd.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    crate::harness::private::blocking(run).await
}

/// What a command said as soon as the lease of whoever was killed was over.
pub(super) async fn after_a_kill(command: impl AsyncFn() -> Output) -> Output {
    let mut last = None;
    eventually("the lease of the killed to end", async || {
        let output = command().await;
        let is_held = output.stderr.contains("is being run by");
        last = Some(output);
        !is_held
    })
    .await;
    last.expect("it was tried")
}

/// What the command said of the only set.
pub(super) fn only(list: &Output) -> Value {
    let list = list.json();
    let sets = list["deployments"][0]["sets"].as_array().expect("sets").clone();
    let [set] = &sets[..] else { panic!("{list:#}") };
    set.clone()
}

/// That a command has done what it was told.
#[track_caller]
pub(super) fn done(output: Output) -> Output {
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    output
}
