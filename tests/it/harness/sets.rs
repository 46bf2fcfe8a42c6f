//! Sets that are made by hand, of files that no database has written.

use std::collections::BTreeMap;
use std::path::Path;

use actingweb_maintd::archive::{Access, Depot, Place};
use actingweb_maintd::backup::{
    Consistency, DIGESTS, Desk, Draft, Encryption, FORMAT, Form, Manifest, Result, SetId, Settings, Shelf, TableSum,
    ToolName, Versions, Workshop, fingerprint,
};
use actingweb_maintd::model::digest::{Digest, Kind};
use actingweb_maintd::model::setting::Size;
use actingweb_maintd::model::{BackendKind, clock};
use actingweb_maintd::storage::{self, Home, Identity};
use actingweb_maintd::throttle::Budget;
use actingweb_maintd::work::{Progress, Stop};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// A key pair of age, and another one.
pub(crate) const PUBLIC_KEY: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
pub(crate) const SECRET_KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// What is on the line for people who look into a set without its key.
pub(crate) const PLAIN: &str = "plain text that an encrypted set never shows";

/// A deployment.
pub(crate) fn identity() -> Identity {
    let home = Home::Postgresql { system_identifier: 7, database: "app".to_owned() };
    Identity { id: Uuid::new_v4(), home }
}

/// Somebody who makes backups without any limit of space, with a place of their own below `root`.
pub(crate) fn workshop(root: &Path) -> Workshop {
    let mut settings = Settings { work_dir: root.join("work"), keep_free: Size(0), ..Settings::default() };
    // Who checks sets of this form asks programs, and these are content with everything.
    settings.postgresql.tool.name = Some(ToolName::Pgbackrest);
    settings.postgresql.tool.list = vec!["echo".to_owned(), "[]".to_owned()];
    settings.postgresql.tool.verify = vec!["true".to_owned()];
    std::fs::create_dir_all(&settings.work_dir).expect("a directory");
    Workshop {
        settings,
        storage: storage::Settings::default(),
        targets: BTreeMap::new(),
        name: None,
        host: "here".to_owned(),
    }
}

/// The same, encrypting for [`PUBLIC_KEY`] and able to decrypt.
pub(crate) fn encrypting(root: &Path) -> Workshop {
    let mut shop = workshop(root);
    let keys = root.join("keys");
    std::fs::write(&keys, format!("# a key\n\n{SECRET_KEY}\n")).expect("a file");
    shop.settings.encryption = Encryption { recipients: vec![PUBLIC_KEY.to_owned()], identity_file: Some(keys) };
    shop
}

/// The directory `backups` below `root`.
pub(crate) fn directory(root: &Path) -> Depot {
    Depot::open(&Place::Directory(root.join("backups")), &Access::default()).expect("a directory")
}

/// The sets of a deployment in a depot.
pub(crate) fn shelf(depot: &Depot, of: &Identity, shop: &Workshop) -> Shelf {
    Shelf::new(depot.within(&of.id.to_string()), of.clone(), shop.clone())
}

/// Does something at a desk where nobody asks to stop.
pub(crate) async fn at_desk<T>(shop: &Workshop, work: impl AsyncFnOnce(Desk<'_>) -> T) -> T {
    let (stop, progress, budget) = (Stop::new(), Progress::new(), Budget::default());
    work(Desk { shop, stop: &stop, progress: &progress, budget: &budget }).await
}

/// The files of a set as [`make`] makes it, by the names that they are read by. One has many parts in a bucket.
pub(crate) fn files(large: usize) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = PLAIN.bytes().cycle().take(large).collect();
    let small = PLAIN.as_bytes().to_vec();
    let digests = serde_json::to_vec(&digests()).expect("digests");
    vec![("empty", Vec::new()), ("dump/toc.dat", small), ("dump/1.dat", bytes), (DIGESTS, digests)]
}

/// Makes a set of `files` and publishes it.
pub(crate) async fn make(shelf: &Shelf, files: &[(&str, Vec<u8>)]) -> Result<Manifest> {
    let draft = shelf.begin(SetId::new(clock::now(), Form::Tool)).await?;
    fill(&draft, files).await?;
    let manifest = manifest(&draft);
    draft.publish(manifest).await
}

/// Puts files into a draft as programs do, where that is allowed, and as we do.
pub(crate) async fn fill(draft: &Draft, files: &[(&str, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in files {
        if name.starts_with("dump/") && !draft.is_encrypted() {
            let path = draft.directory().join(name);
            let parent = path.parent().expect("a directory");
            let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes));
            written.map_err(|error| actingweb_maintd::archive::Error::io("write", (*name).to_owned(), error))?;
            continue;
        }
        let mut sheet = draft.create(name).await?;
        let written = sheet.sink().write_all(bytes).await;
        written.map_err(|error| actingweb_maintd::archive::Error::io("write", (*name).to_owned(), error))?;
        sheet.finish().await?;
    }
    Ok(())
}

/// The manifest of a draft.
pub(crate) fn manifest(draft: &Draft) -> Manifest {
    let now = clock::now();
    let owner = draft.shelf().of();
    let table = |digest| TableSum { rows: Some(0), digest: Some(fingerprint(digest)) };
    Manifest {
        format: FORMAT,
        set: draft.set().clone(),
        run: Uuid::new_v4(),
        deployment: Identity { id: owner.id, home: owner.home.clone().expect("a home") },
        name: None,
        place: "nowhere".to_owned(),
        backend: BackendKind::Postgresql,
        schema: None,
        form: Form::Tool,
        started_at: now,
        taken_at: now,
        finished_at: now,
        consistency: Consistency::Snapshot,
        versions: Versions::default(),
        compression: None,
        recipients: draft.shelf().shop().settings.encryption.recipients.clone(),
        tables: digests().iter().map(|(name, digest)| (name.clone(), table(digest))).collect(),
        files: Vec::new(),
        parts: Vec::new(),
    }
}

fn digests() -> BTreeMap<String, Digest> {
    BTreeMap::from([("actors".to_owned(), Digest::new(Kind::Exact))])
}
