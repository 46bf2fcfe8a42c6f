//! What a test needs to take a backup of PostgreSQL: a configuration, a place, and somebody who may ask to stop.

use std::collections::BTreeMap;
use std::path::Path;

use actingweb_maintd::backup::{DIGESTS, Desk, Manifest, Result, Settings, Shelf, Workshop, create, postgresql};
use actingweb_maintd::model::digest::Digest;
use actingweb_maintd::storage::postgres::{self, Postgres};
use actingweb_maintd::storage::{self, Upkeep};
use actingweb_maintd::throttle::Budget;
use actingweb_maintd::work::{Progress, Stop};
use tempfile::TempDir;
use uuid::Uuid;

/// A place where backups are made.
pub(super) struct Workbench {
    pub(super) shop: Workshop,
    pub(super) stop: Stop,
    pub(super) progress: Progress,
    budget: Budget,
    dir: TempDir,
}

impl Workbench {
    /// One for the deployment that `storage` describes.
    pub(super) fn of(storage: postgres::Settings) -> Self {
        let dir = tempfile::Builder::new().prefix("backups").tempdir().expect("a directory");
        let work_dir = dir.path().join("work");
        std::fs::create_dir(&work_dir).expect("a directory for work");
        let place = dir.path().join("sets").display().to_string();
        let settings = Settings {
            r#where: Some(place.parse().expect("a place")),
            work_dir,
            keep_free: "1MiB".parse().expect("a size"),
            ..Settings::default()
        };
        let storage = storage::Settings {
            backends: vec!["postgresql".to_owned()],
            postgresql: storage,
            ..storage::Settings::default()
        };
        let shop = Workshop { settings, storage, targets: BTreeMap::new(), name: None, host: "a host".to_owned() };
        Self { shop, stop: Stop::new(), progress: Progress::new(), budget: Budget::default(), dir }
    }

    pub(super) fn desk(&self) -> Desk<'_> {
        Desk { shop: &self.shop, stop: &self.stop, progress: &self.progress, budget: &self.budget }
    }

    /// Where everything is that is written.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) async fn create(&self, store: &Postgres) -> Result<Manifest> {
        create(self.desk(), store, Uuid::new_v4()).await
    }

    pub(super) async fn shelf(&self, store: &Postgres) -> Shelf {
        self.shop.shelf(store.identity().await.expect("an identity")).expect("a shelf")
    }

    pub(super) async fn inspect(&self, store: &Postgres, manifest: &Manifest) -> Result<Option<String>> {
        postgresql::inspect(self.desk(), &self.shelf(store).await, manifest).await
    }

    /// The digests of the tables in a set.
    pub(super) async fn digests(&self, store: &Postgres, manifest: &Manifest) -> BTreeMap<String, Digest> {
        use tokio::io::AsyncReadExt;
        let mut text = Vec::new();
        let shelf = self.shelf(store).await;
        let mut reader = shelf.read(manifest, DIGESTS).await.expect("digests");
        reader.read_to_end(&mut text).await.expect("all of the digests");
        serde_json::from_slice(&text).expect("digests")
    }

    /// What is left of sets that were begun.
    pub(super) fn drafts(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut dirs = vec![self.path().join("sets")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name().display().to_string();
                // What keeps others out of a place stays there.
                if name.starts_with(".new-") {
                    found.push(name);
                } else if entry.path().is_dir() {
                    dirs.push(entry.path());
                }
            }
        }
        found
    }
}

/// The digests of what is in a store, read in a snapshot.
pub(super) async fn digests_in(store: &Postgres) -> BTreeMap<String, Digest> {
    let snapshot = store.snapshot().await.unwrap_or_else(|error| panic!("{}", error.chain()));
    let digests = snapshot.digests(2, &Stop::new(), &Progress::new()).await;
    let digests = digests.unwrap_or_else(|error| panic!("{}", error.chain())).expect("nobody asked to stop");
    digests.into_iter().map(|(table, digest)| (table.name().to_owned(), digest)).collect()
}

/// The processes of this machine in whose argument list `text` is.
pub(super) fn processes_with(text: &str) -> Vec<i32> {
    let found = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let cmdline = std::fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&cmdline).contains(text).then_some(pid)
    });
    found.filter(|pid| u32::try_from(*pid) != Ok(std::process::id())).collect()
}

/// Waits until `found` finds something.
pub(super) async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
