//! Archives of DynamoDB: what is read is what comes back, whatever is in it and whatever happens meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::archive::Place as Kept;
use actingweb_maintd::backup::{self, Consistency, Desk, Error, Form, Manifest, Settings, Shelf, Workshop, dynamodb};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::digest::{Digest, Kind};
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::model::{Source, Table};
use actingweb_maintd::storage::dynamodb::{DynamoDb, Settings as Tables};
use actingweb_maintd::storage::{self, Bulk, ErrorKind, Place, Segment, Upkeep};
use actingweb_maintd::throttle::Budget;
use actingweb_maintd::work::{Progress, Stop, StopReason};
use aws_sdk_dynamodb::types::AttributeValue;
use tempfile::TempDir;
use uuid::Uuid;

use crate::conformance::verbatim::strange_items;
use crate::harness::dynamodb::{Item, TestTables};
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};

/// A place for backups, and whoever works there.
pub(super) struct Office {
    dir: TempDir,
    shop: Workshop,
    pub(super) stop: Stop,
    pub(super) progress: Progress,
    budget: Budget,
}

impl Office {
    pub(super) fn new(dynamodb: backup::Dynamodb) -> Self {
        let dir = TempDir::new().expect("a directory");
        let place = Kept::Directory(dir.path().join("backups"));
        let work_dir = dir.path().to_owned();
        let settings = Settings { r#where: Some(place), work_dir, dynamodb, ..Settings::default() };
        std::fs::create_dir(dir.path().join("backups")).expect("a directory");
        let shop = Workshop {
            settings,
            storage: storage::Settings::default(),
            targets: BTreeMap::new(),
            name: None,
            host: "here".to_owned(),
        };
        Self { dir, shop, stop: Stop::new(), progress: Progress::new(), budget: Budget::default() }
    }

    pub(super) fn desk(&self) -> Desk<'_> {
        Desk { shop: &self.shop, stop: &self.stop, progress: &self.progress, budget: &self.budget }
    }

    pub(super) async fn shelf(&self, store: &DynamoDb) -> Shelf {
        self.shop.shelf(store.identity().await.expect("an identity")).expect("a place")
    }

    pub(super) async fn create(&self, store: &DynamoDb) -> backup::Result<Manifest> {
        backup::create(self.desk(), store, Uuid::new_v4()).await
    }

    /// What is there of anything, by name.
    pub(super) fn everything(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.dir.path().join("backups")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { directories.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

fn archives() -> Office {
    Office::new(backup::Dynamodb { segments: Bounded::new(3), ..backup::Dynamodb::default() })
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn property(id: &str, name: &str, value: &str) -> Item {
    [("id", s(id)), ("name", s(name)), ("value", s(value))].map(|(name, value)| (name.to_owned(), value)).into()
}

/// Everything that an application might have stored, and some that it would not have.
async fn fill(tables: &TestTables) {
    for (table, item) in strange_items() {
        tables.put_raw(table, item).await;
    }
    for n in 0..40 {
        let name = format!("name {n} \u{1}\u{1f600}\n\"\\");
        tables.put_raw(Table::Properties, property(&format!("actor {}", n % 5), &name, "")).await;
    }
    tables.put_raw(Table::Properties, property("large", "value", &"\u{1}é".repeat(100_000))).await;
    let digits = AttributeValue::N("0.00000000000000000000000000000000000000000000001234567890123456789".to_owned());
    let mut diff = property("end", "x", "y");
    diff.insert("subid_seqnr".to_owned(), s("sub:1"));
    diff.insert("end".to_owned(), AttributeValue::M([("rows".to_owned(), digits)].into()));
    tables.put_raw(Table::SubscriptionDiffs, diff).await;
}

async fn digests(store: &DynamoDb) -> BTreeMap<Table, Digest> {
    let mut digests = BTreeMap::new();
    for table in Table::ALL {
        let digest = digests.entry(table).or_insert_with(|| Digest::new(Kind::Exact));
        let mut next = Some(Place::default());
        while let Some(place) = next {
            let stretch = match store.scan(table, Segment::WHOLE, &place, 1000).await {
                Err(error) if error.kind == ErrorKind::Schema => break,
                stretch => stretch.expect("a stretch"),
            };
            stretch.records.iter().for_each(|record| digest.add(record));
            next = stretch.next;
        }
    }
    digests
}

/// The same items, in whatever order.
fn assert_same(table: Table, found: &[Item], mut expected: Vec<Item>) {
    assert_eq!(found.len(), expected.len(), "{table}");
    for item in found {
        let place = expected.iter().position(|other| other == item);
        expected.swap_remove(place.unwrap_or_else(|| panic!("{table}: {item:?}")));
    }
}

#[tokio::test]
async fn every_row_of_an_archive_comes_back_as_it_was() {
    let (from, to) = (TestTables::new().await, TestTables::new().await);
    fill(&from).await;
    // An older application has no suspensions.
    let missing = from.name(Table::SubscriptionSuspensions);
    from.client().delete_table().table_name(missing).send().await.unwrap();
    let (office, store, target) = (archives(), from.store(), to.store());
    let manifest = office.create(&store).await.unwrap();
    assert_eq!((manifest.form, manifest.consistency), (Form::Archive, Consistency::Row));
    assert!(manifest.has_digests());
    assert_eq!(manifest.tables.len(), 8);
    // Each table has a file for each segment, which says so even when it is empty.
    let rows = manifest.files.iter().filter(|file| file.name.starts_with("rows/")).count();
    assert_eq!(rows, 8 * 3);
    let before = digests(&store).await;
    for (table, digest) in &before {
        if let Some(sum) = manifest.tables.get(table.name()) {
            assert_eq!(sum.rows, Some(digest.count()), "{table}");
            assert_eq!(sum.digest, Some(backup::fingerprint(digest)), "{table}");
        }
    }
    assert_eq!(office.progress.done(), before.values().map(Digest::count).sum::<u64>());
    let shelf = office.shelf(&store).await;
    assert_eq!(dynamodb::inspect(office.desk(), &shelf, &manifest).await.unwrap(), None);
    dynamodb::restore(office.desk(), &shelf, &manifest, &target).await.unwrap();
    assert_eq!(digests(&target).await, before);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::SubscriptionSuspensions) {
        let (restored, original) = (to.dump(&to.name(table)).await, from.dump(&from.name(table)).await);
        assert_same(table, &restored, original);
    }
    // Once more changes nothing.
    dynamodb::restore(office.desk(), &shelf, &manifest, &target).await.unwrap();
    assert_eq!(digests(&target).await, before);
}

#[tokio::test]
async fn what_was_done_to_files_of_an_archive_is_found() {
    let (from, to) = (TestTables::new().await, TestTables::new().await);
    fill(&from).await;
    let (office, store, target) = (archives(), from.store(), to.store());
    let manifest = office.create(&store).await.unwrap();
    let shelf = office.shelf(&store).await;
    let directory = shelf.files(&manifest.set).directory().unwrap().to_owned();
    let [one, other] = ["rows/properties/00-0000.jsonl.zst", "rows/properties/01-0000.jsonl.zst"];
    let [one, other] = [directory.join(one), directory.join(other)];
    let (bytes, others) = (std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    let write = |path: &Path, bytes: &[u8]| std::fs::write(path, bytes).unwrap();
    let wrongs: [(&str, &dyn Fn()); 5] = [
        ("a flipped bit", &|| write(&one, &flipped)),
        ("a cut", &|| write(&one, &bytes[..bytes.len() - 1])),
        ("nothing", &|| write(&one, &[])),
        ("another segment", &|| write(&one, &others)),
        ("no file", &|| std::fs::remove_file(&one).unwrap()),
    ];
    for (what, wrong) in wrongs {
        wrong();
        let found = dynamodb::inspect(office.desk(), &shelf, &manifest).await.unwrap();
        assert!(found.is_some(), "{what}");
        let error = dynamodb::restore(office.desk(), &shelf, &manifest, &target).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {}", error.chain());
        write(&one, &bytes);
    }
    // A file that the manifest does not have at all, and one that it should not have.
    let mut less = manifest.clone();
    less.files.retain(|file| !file.name.contains("properties/02"));
    let found = dynamodb::inspect(office.desk(), &shelf, &less).await.unwrap().unwrap();
    assert!(found.contains("segment 2 of properties"), "{found}");
    let mut more = manifest.clone();
    more.tables.remove("trusts");
    let found = dynamodb::inspect(office.desk(), &shelf, &more).await.unwrap().unwrap();
    assert!(found.contains("trusts"), "{found}");
    // Rows that are others than those of the digest, in files that are whole.
    let mut another = manifest.clone();
    another.tables.get_mut("actors").unwrap().digest = Some("0".repeat(64));
    let found = dynamodb::inspect(office.desk(), &shelf, &another).await.unwrap().unwrap();
    assert!(found.contains("another digest"), "{found}");
    assert_eq!(dynamodb::inspect(office.desk(), &shelf, &manifest).await.unwrap(), None);
}

/// The store that is reached through a proxy.
pub(super) fn through(proxy: &DynamoDbProxy, settings: Tables, login: storage::dynamodb::Login) -> DynamoDb {
    let settings = Tables { endpoint_url: Some(proxy.endpoint()), ..settings };
    DynamoDb::new(settings, login, Duration::from_secs(10), Arc::new(Metrics::new("test", "test")))
}

#[tokio::test]
async fn a_backup_and_a_restore_go_on_after_what_passes() {
    let (from, to) = (TestTables::new().await, TestTables::new().await);
    fill(&from).await;
    let office = archives();
    let proxy = DynamoDbProxy::start(from.emulator().endpoint()).await;
    let store = through(&proxy, from.settings(), from.emulator().login());
    // More often than the SDK tries by itself, in every way.
    proxy.play(|seen| match (seen.operation, seen.nth) {
        ("Scan", 2..=8) => Some(Fault::THROTTLED),
        ("Scan", nth @ 12..=40) => Fault::LOSSES.get((nth % 5) as usize).cloned().filter(|_| nth % 3 != 0),
        _ => None,
    });
    let manifest = office.create(&store).await.unwrap();
    assert!(proxy.faults() > 8);
    let before = digests(&from.store()).await;
    assert_eq!(manifest.rows(), Some(before.values().map(Digest::count).sum()));
    let proxy = DynamoDbProxy::start(to.emulator().endpoint()).await;
    let target = through(&proxy, to.settings(), to.emulator().login());
    proxy.play(|seen| match (seen.operation, seen.nth) {
        ("BatchWriteItem", 1..=6) => Some(Fault::THROTTLED),
        ("BatchWriteItem", 8) => Some(Fault::Unanswered),
        ("BatchWriteItem", 10) => Some(Fault::Partly(1)),
        _ => None,
    });
    let shelf = office.shelf(&from.store()).await;
    dynamodb::restore(office.desk(), &shelf, &manifest, &target).await.unwrap();
    assert!(proxy.faults() > 6);
    assert_eq!(digests(&to.store()).await, before);
}

#[tokio::test]
async fn rows_that_stay_are_in_the_backup_whatever_else_is_written() {
    let (from, to) = (TestTables::new().await, TestTables::new().await);
    for n in 0..120 {
        tables_put(&from, "stays", n, "as it was").await;
        tables_put(&from, "changes", n, "old").await;
    }
    let office = archives();
    let proxy = DynamoDbProxy::start(from.emulator().endpoint()).await;
    let store = through(&proxy, from.settings(), from.emulator().login());
    // Slow enough for somebody to write between any two requests.
    proxy.play(|seen| (seen.operation == "Scan").then_some(Fault::Late(Duration::from_millis(5))));
    let done = Stop::new();
    let writing = async {
        let mut n = 0;
        while done.requested().is_none() {
            tables_put(&from, "changes", n % 120, "new").await;
            tables_put(&from, "comes", n, "new").await;
            n += 1;
        }
    };
    let taking = async {
        let manifest = office.create(&store).await;
        done.request(StopReason::Shutdown);
        manifest.unwrap()
    };
    let (manifest, ()) = tokio::join!(taking, writing);
    let (shelf, target) = (office.shelf(&store).await, to.store());
    assert_eq!(dynamodb::inspect(office.desk(), &shelf, &manifest).await.unwrap(), None);
    dynamodb::restore(office.desk(), &shelf, &manifest, &target).await.unwrap();
    let digest = &digests(&target).await[&Table::Properties];
    assert_eq!(manifest.tables["properties"].digest, Some(backup::fingerprint(digest)));
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let stretch = target.scan(Table::Properties, Segment::WHOLE, &Place::default(), 10_000).await.unwrap();
    for record in stretch.records {
        let Source::Dynamodb(_) = &record.source else { panic!("{record:?}") };
        let text = |name| record.text(name).unwrap().to_owned();
        assert!(seen.entry(text("id")).or_default().insert(text("name")), "a row twice");
        let known: &[&str] = match record.id() {
            "stays" => &["as it was"],
            "changes" => &["old", "new"],
            _ => &["new"],
        };
        assert!(known.contains(&text("value").as_str()), "{}", text("value"));
    }
    assert_eq!((seen["stays"].len(), seen["changes"].len()), (120, 120));
}

async fn tables_put(tables: &TestTables, id: &str, n: usize, value: &str) {
    tables.put_raw(Table::Properties, property(id, &n.to_string(), value)).await;
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_leaves_nothing() {
    let tables = TestTables::new().await;
    fill(&tables).await;
    let office = archives();
    let proxy = DynamoDbProxy::start(tables.emulator().endpoint()).await;
    let store = through(&proxy, tables.settings(), tables.emulator().login());
    // Somebody wants it to stop while there is no capacity.
    let stop = office.stop.clone();
    proxy.play(move |seen| {
        let is_late = seen.operation == "Scan" && seen.nth > 5;
        if is_late {
            stop.request(StopReason::Shutdown);
        }
        is_late.then_some(Fault::THROTTLED)
    });
    let error = office.create(&store).await.unwrap_err();
    assert!(matches!(error, Error::Stopped), "{}", error.chain());
    assert_eq!(office.everything(), [] as [PathBuf; 0]);
    // It may not read.
    let office = archives();
    proxy.play(|seen| {
        (seen.operation == "Scan" && seen.nth > 5).then_some(Fault::Refused(400, "AccessDeniedException", "no"))
    });
    let error = office.create(&store).await.unwrap_err();
    assert!(matches!(&error, Error::Store(error) if error.kind == ErrorKind::Denied), "{}", error.chain());
    assert_eq!(office.everything(), [] as [PathBuf; 0]);
    // There is nothing to back up.
    proxy.heal();
    for table in Table::ALL {
        tables.client().delete_table().table_name(tables.name(table)).send().await.unwrap();
    }
    let error = office.create(&store).await.unwrap_err();
    assert!(error.chain().contains(tables.prefix()), "{}", error.chain());
    assert_eq!(office.everything(), [] as [PathBuf; 0]);
}
