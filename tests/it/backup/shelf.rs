//! Sets as they are made, found, fetched, held and removed, in a directory and in a bucket.

use std::path::{Path, PathBuf};

use actingweb_maintd::archive::{Access, Depot, Place};
use actingweb_maintd::backup::{Entry, Error, Form, Level, SetId, Shelf, examine, verify};
use actingweb_maintd::model::clock;
use actingweb_maintd::work::{Stop, StopReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::eventually;
use crate::harness::s3::Bucket;
use crate::harness::sets::{self, PLAIN, at_desk, fill, identity, make, manifest, shelf};

/// All files below a directory.
fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

/// A set in `depot` comes back as it went in, through whatever lies between.
async fn comes_back(depot: &Depot, root: &Path, is_encrypted: bool, large: usize) {
    let shop = if is_encrypted { sets::encrypting(root) } else { sets::workshop(root) };
    let shelf = shelf(depot, &identity(), &shop);
    let files = sets::files(large);
    let made = make(&shelf, &files).await.expect("a set");
    assert_eq!(made.files.len(), files.len(), "{:?}", made.files);
    assert!(made.files.iter().all(|file| file.name.ends_with(".age") == is_encrypted), "{:?}", made.files);

    let entries = shelf.entries().await.expect("entries");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].manifest.as_ref(), Ok(&made));
    assert_eq!(entries[0].state.level(), Level::Taken);

    for (name, bytes) in &files {
        let mut read = Vec::new();
        shelf.read(&made, name).await.expect("a file").read_to_end(&mut read).await.expect("its bytes");
        assert!(read == *bytes, "{name}");
    }
    let fetched = shelf.fetch(&made).await.expect("all files");
    for (name, bytes) in &files {
        assert!(std::fs::read(fetched.directory().join(name)).expect("a file") == *bytes, "{name}");
    }
    let (there, is_elsewhere) = (fetched.directory().to_owned(), depot.directory().is_none() || is_encrypted);
    drop(fetched);
    assert_eq!(!there.exists(), is_elsewhere);
    assert!(below(&shop.settings.work_dir).is_empty(), "something is left in the work directory");

    if is_encrypted {
        for stored in shelf.files(&made.set).list().await.expect("files") {
            let bytes = shelf.files(&made.set).read(&stored.name).await.expect("a file");
            let shows = bytes.windows(PLAIN.len()).any(|window| window == PLAIN.as_bytes());
            assert!(!shows, "{} is not encrypted", stored.name);
        }
    }

    let state = at_desk(&shop, async |desk| verify(desk, &shelf, &made.set).await).await.expect("a state");
    assert_eq!((state.level(), &state.damage), (Level::Verified, &None));
    assert_eq!(shelf.entries().await.expect("entries")[0].state, state);

    assert_eq!(shelf.held(&made.set).await.expect("an answer"), None);
    let hold = shelf.hold(&made.set, "a test").await.expect("a hold");
    assert_eq!(shelf.held(&made.set).await.expect("an answer").map(|held| held.why), Some("a test".to_owned()));
    assert_eq!(at_desk(&shop, async |desk| examine(desk, &shelf, &made).await).await.expect("a look"), [""; 0]);
    drop(hold);
    eventually("the mark is gone", async || shelf.held(&made.set).await.expect("an answer").is_none()).await;

    shelf.remove(&made.set).await.expect("removed");
    shelf.remove(&made.set).await.expect("removed, as it was");
    assert!(shelf.entries().await.expect("entries").is_empty());
    assert!(shelf.depot().list().await.expect("files").is_empty());
    let gone = at_desk(&shop, async |desk| verify(desk, &shelf, &made.set).await).await;
    assert!(matches!(gone, Err(Error::Refused(_))), "{gone:?}");
    assert!(shelf.depot().list().await.expect("files").is_empty());
}

#[tokio::test]
async fn a_set_comes_back_from_a_directory_as_it_went_in() {
    for is_encrypted in [false, true] {
        let root = tempfile::tempdir().expect("a directory");
        comes_back(&sets::directory(root.path()), root.path(), is_encrypted, 300_000).await;
    }
}

#[tokio::test]
async fn a_set_comes_back_from_a_bucket_as_it_went_in() {
    let bucket = Bucket::start();
    // Large enough for several parts; what decrypts is slow as tests are built.
    for (prefix, is_encrypted, large) in [("", false, 17 << 20), ("some/where", true, 300_000)] {
        let root = tempfile::tempdir().expect("a directory");
        comes_back(&bucket.depot(prefix), root.path(), is_encrypted, large).await;
    }
    assert_eq!(bucket.unfinished_uploads(), 0);
}

/// What is left over from somebody who was killed is removed by the next one that is begun, and nothing else is.
async fn leftovers_go(depot: &Depot, root: &Path) {
    let shop = sets::workshop(root);
    let (ours, theirs) = (shelf(depot, &identity(), &shop), shelf(depot, &identity(), &shop));
    let files = sets::files(1000);
    let kept = make(&ours, &files).await.expect("a set");
    for shelf in [&ours, &theirs] {
        let draft = shelf.begin(SetId::new(clock::now(), Form::Tool)).await.expect("a draft");
        fill(&draft, &files).await.expect("files");
        // One that is only dropped stays as that of somebody who was killed.
        std::mem::forget(draft);
    }
    let seen = |shelf: &Shelf| {
        let place = shelf.depot().directory().map(below);
        let (shelf, names) = (shelf.clone(), place.map(|paths| paths.len()));
        async move { names.unwrap_or(shelf.depot().list().await.expect("files").len()) }
    };
    let (with, of_theirs) = (seen(&ours).await, seen(&theirs).await);
    assert_eq!(ours.entries().await.expect("entries").len(), 1, "what is being made is no set yet");
    let draft = ours.begin(SetId::new(clock::now(), Form::Tool)).await.expect("a draft");
    draft.abandon().await.expect("abandoned");
    assert!(seen(&ours).await < with);
    assert_eq!(seen(&theirs).await, of_theirs, "what is another deployment's stays");
    let entries = ours.entries().await.expect("entries");
    assert_eq!(entries.iter().map(|entry| &entry.manifest).collect::<Vec<_>>(), [&Ok(kept.clone())]);
    assert_eq!(at_desk(&shop, async |desk| examine(desk, &ours, &kept).await).await.expect("a look"), [""; 0]);
}

#[tokio::test]
async fn what_is_left_over_goes_when_the_next_set_is_begun() {
    let root = tempfile::tempdir().expect("a directory");
    leftovers_go(&sets::directory(root.path()), root.path()).await;
    let bucket = Bucket::start();
    leftovers_go(&bucket.depot("here"), root.path()).await;

    // A directory below the work directory whose owner has died, one in use, and one of somebody else.
    let shop = sets::workshop(root.path());
    let ours = shelf(&bucket.depot("there"), &identity(), &shop);
    let left_over = |name: &str, owner: &str| {
        let path = shop.settings.work_dir.join(name);
        std::fs::create_dir_all(path.join("files")).expect("a directory");
        std::fs::write(path.join("owner.json"), owner).expect("a file");
        path
    };
    let dead = left_over("maintd-dead", &format!(r#"{{"deployment":"{}"}}"#, ours.of().id));
    let theirs = left_over("maintd-theirs", &format!(r#"{{"deployment":"{}"}}"#, uuid::Uuid::new_v4()));
    let unknown = left_over("maintd-unknown", "{}");
    let alive = ours.begin(SetId::new(clock::now(), Form::Tool)).await.expect("a draft");
    assert!(!dead.exists() && theirs.exists() && unknown.exists());
    drop(ours.begin(SetId::new(clock::now(), Form::Tool)).await.expect("another draft"));
    assert!(alive.directory().exists(), "one that is in use stays");
}

/// A set that goes while somebody looks is there as a whole or not at all.
async fn none_is_damaged_by_going(depot: &Depot, root: &Path) {
    let shelf = shelf(depot, &identity(), &sets::workshop(root));
    for _ in 0..30 {
        make(&shelf, &sets::files(10)).await.expect("a set");
    }
    let sets: Vec<SetId> = shelf.entries().await.expect("entries").into_iter().map(|entry| entry.set).collect();
    assert_eq!(sets.len(), 30);
    let removing = async {
        for set in &sets {
            shelf.remove(set).await.expect("removed");
        }
    };
    let looking = async {
        loop {
            let entries = shelf.entries().await.expect("entries");
            for Entry { set, manifest, .. } in &entries {
                assert!(manifest.is_ok(), "{set}: {manifest:?}");
            }
            if entries.is_empty() {
                return;
            }
        }
    };
    tokio::join!(looking, removing);
}

#[tokio::test]
async fn a_set_that_goes_while_somebody_looks_is_not_damaged() {
    let root = tempfile::tempdir().expect("a directory");
    none_is_damaged_by_going(&sets::directory(root.path()), root.path()).await;
    let bucket = Bucket::start();
    none_is_damaged_by_going(&bucket.depot("here"), root.path()).await;
}

#[tokio::test]
async fn what_cannot_be_a_set_is_not_published() {
    let root = tempfile::tempdir().expect("a directory");
    let depot = sets::directory(root.path());
    let shop = sets::workshop(root.path());
    let plain = shelf(&depot, &identity(), &shop);
    let encrypted = shelf(&depot, &identity(), &sets::encrypting(root.path()));
    let begin = async |shelf: &Shelf| shelf.begin(SetId::new(clock::now(), Form::Tool)).await.expect("a draft");

    let draft = begin(&plain).await;
    let mut half = draft.create("half").await.expect("a file");
    half.sink().write_all(b"half").await.expect("bytes");
    drop(half);
    let of = manifest(&draft);
    let error = draft.publish(of).await.expect_err("a file without an end");
    assert!(error.to_string().contains("half"), "{error}");

    let draft = begin(&encrypted).await;
    std::fs::write(draft.directory().join("dump"), PLAIN).expect("a file");
    let of = manifest(&draft);
    let error = draft.publish(of).await.expect_err("a file that is not encrypted");
    assert!(error.to_string().contains("dump"), "{error}");

    for name in ["manifest.json", "state.json", "drill.json", "in-use-x.json", "../x", "/x", "a//b", ""] {
        let draft = begin(&plain).await;
        assert!(draft.create(name).await.is_err(), "{name}");
    }
    let draft = begin(&plain).await;
    std::os::unix::fs::symlink("/etc/passwd", draft.directory().join("link")).expect("a link");
    let of = manifest(&draft);
    assert!(draft.publish(of).await.is_err());

    let stop = Stop::new();
    let draft = begin(&plain).await.heeding(&stop);
    fill(&draft, &sets::files(1000)).await.expect("files");
    stop.request(StopReason::LeaseLost);
    let of = manifest(&draft);
    let error = draft.publish(of).await.expect_err("somebody asked to stop");
    assert!(matches!(error, Error::Stopped), "{error}");

    for shelf in [plain, encrypted] {
        assert!(shelf.entries().await.expect("entries").is_empty());
        let left = below(shelf.depot().directory().expect("a directory"));
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn a_set_that_is_not_ours_is_told_and_not_counted() {
    let root = tempfile::tempdir().expect("a directory");
    let depot = sets::directory(root.path());
    let shop = sets::workshop(root.path());
    let (ours, theirs) = (shelf(&depot, &identity(), &shop), shelf(&depot, &identity(), &shop));
    let made = make(&theirs, &sets::files(100)).await.expect("a set");
    let place = |shelf: &Shelf, name: &str| shelf.depot().directory().expect("a directory").join(name);
    // Somebody has copied it, once under its own name and once under another.
    let other = SetId::new(clock::now(), Form::Tool);
    std::fs::create_dir_all(place(&ours, "")).expect("a directory");
    std::fs::rename(place(&theirs, made.set.as_str()), place(&ours, made.set.as_str())).expect("moved");
    let make_again = make(&ours, &sets::files(100)).await.expect("a set");
    std::fs::rename(place(&ours, make_again.set.as_str()), place(&ours, other.as_str())).expect("moved");
    std::fs::create_dir(place(&ours, "20261128T053000Z-logical-3f2a91")).expect("an empty one");
    let whys: Vec<String> =
        ours.entries().await.expect("entries").into_iter().map(|entry| entry.manifest.unwrap_err()).collect();
    assert_eq!(whys.len(), 3, "{whys:?}");
    for words in ["another deployment", "that of the set", "is not there"] {
        assert!(whys.iter().any(|why| why.contains(words)), "{words}: {whys:?}");
    }
}

/// A place for [`makes_a_set`], and how it is reached.
const PLACE: &str = "TEST_SET_PLACE";
const ENDPOINT: &str = "TEST_SET_ENDPOINT";
const WORK: &str = "TEST_SET_WORK";
const OF: &str = "TEST_SET_OF";

/// Not a test of its own, but a process that others start and kill. It removes the set again.
#[tokio::test]
#[ignore = "other tests start it"]
async fn makes_a_set() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let _faults = actingweb_maintd::fault::Faults::from_environment();
    let place: Place = place.parse().expect("a place");
    let endpoint = std::env::var(ENDPOINT).expect("an endpoint");
    let access = if endpoint.is_empty() { Access::default() } else { crate::harness::s3::access(&endpoint) };
    let of = serde_json::from_str(&std::env::var(OF).expect("an identity")).expect("an identity");
    let shop = sets::workshop(Path::new(&std::env::var(WORK).expect("a directory")));
    let depot = Depot::open(&place, &access).expect("a depot");
    let shelf = shelf(&depot, &of, &shop);
    let made = make(&shelf, &sets::files(1000)).await.expect("a set");
    shelf.remove(&made.set).await.expect("removed");
}

/// Whoever is killed at any step, or fails there, leaves earlier sets as they were and nothing half done that counts.
#[tokio::test]
async fn who_is_killed_at_any_step_publishes_wholly_or_not_at_all() {
    let bucket = Bucket::start();
    let root = tempfile::tempdir().expect("a directory");
    let shop = sets::workshop(root.path());
    let directory = Place::Directory(root.path().join("backups"));
    let places = [(directory, String::new()), (bucket.place("sets"), bucket.endpoint())];
    let steps = ["begin", "adopt", "before_manifest", "before_publish", "after_publish", "remove"];
    for (place, endpoint) in places {
        let access = if endpoint.is_empty() { Access::default() } else { bucket.access() };
        let ours = shelf(&Depot::open(&place, &access).expect("a depot"), &identity(), &shop);
        let kept = make(&ours, &sets::files(1000)).await.expect("a set");
        for (step, action) in steps.iter().flat_map(|step| [(step, "abort"), (step, "error")]) {
            let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
            child
                .args(["--exact", "backup::shelf::makes_a_set", "--ignored"])
                .env(PLACE, place.to_string())
                .env(ENDPOINT, &endpoint)
                .env(WORK, root.path())
                .env(OF, serde_json::to_string(ours.of()).expect("an identity"))
                .env("FAILPOINTS", format!("backup::{step}=return({action})"));
            let ended = child.output().expect("a process");
            assert!(!ended.status.success(), "{step} {action}");
            let killed = std::os::unix::process::ExitStatusExt::signal(&ended.status).is_some();
            assert_eq!(killed, action == "abort", "{step}: {}", String::from_utf8_lossy(&ended.stdout));

            let entries = ours.entries().await.expect("entries");
            let whole = if *step == "after_publish" { 2 } else { 1 };
            assert_eq!(entries.len(), whole, "{step} {action}");
            for entry in entries {
                let manifest = entry.manifest.expect("a manifest");
                let wrong = at_desk(&shop, async |desk| examine(desk, &ours, &manifest).await).await;
                assert_eq!(wrong.expect("a look"), [""; 0], "{step} {action}");
                if manifest.set != kept.set {
                    ours.remove(&manifest.set).await.expect("removed");
                }
            }
            let draft = ours.begin(SetId::new(clock::now(), Form::Tool)).await.expect("the next one");
            draft.abandon().await.expect("abandoned");
            let left = ours.depot().list().await.expect("files");
            let is_kept = |name: &str| name.starts_with(kept.set.as_str());
            assert!(left.iter().all(|stored| is_kept(&stored.name)), "{step} {action}: {left:?}");
            assert!(below(&shop.settings.work_dir).is_empty(), "{step} {action}");
        }
    }
}
