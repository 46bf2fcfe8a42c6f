//! Whatever is changed in a set is found, and a set in which something was found counts for nothing.

use actingweb_maintd::archive::Sealed;
use actingweb_maintd::backup::{
    Damage, DrillResult, Entry, Error, Finder, Level, Manifest, SetId, Shelf, State, Workshop, examine, verify,
};
use tokio::io::AsyncReadExt;

use crate::harness::s3::Bucket;
use crate::harness::sets::{self, at_desk, identity, make, shelf};

/// What is changed about a file.
#[derive(Clone, Copy, Debug)]
enum Change {
    Flip,
    Cut,
    Grow,
    Remove,
}

/// The bytes of a file after a change at a place that `random` chooses.
fn changed(bytes: &[u8], change: Change, random: &mut fastrand::Rng) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    match change {
        Change::Flip if bytes.is_empty() => bytes.push(0),
        Change::Flip => {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u32(..8);
        }
        Change::Cut => bytes.truncate(random.usize(..bytes.len().max(1))),
        Change::Grow => bytes.extend(random.u64(..).to_be_bytes()),
        Change::Remove => return None,
    }
    Some(bytes)
}

async fn look(shop: &Workshop, shelf: &Shelf, set: &SetId) -> (Entry, Vec<String>) {
    let entry = shelf.entry(set.clone()).await.expect("an entry");
    let wrong = match &entry.manifest {
        Ok(manifest) => at_desk(shop, async |desk| examine(desk, shelf, manifest).await).await.expect("a look"),
        Err(why) => vec![why.clone()],
    };
    (entry, wrong)
}

/// Changes a file of a set in many ways, each of which is found, and puts it back.
async fn every_change_is_found(shop: &Workshop, shelf: &Shelf, made: &Manifest, rounds: u64) {
    let files = shelf.files(&made.set);
    let state = State { verified_at: Some(made.taken_at), ..State::taken(made.set.clone()) };
    shelf.mark(Finder::Verify, &state).await.expect("marked");
    let (entry, wrong) = look(shop, shelf, &made.set).await;
    assert_eq!((entry.state.level(), wrong), (Level::Verified, vec![]));
    let mut stored = files.list().await.expect("files");
    stored.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(stored.len(), made.files.len() + 2);
    for name in stored.into_iter().map(|stored| stored.name) {
        let bytes = files.read(&name).await.expect("a file");
        for seed in 0..rounds {
            let mut random = fastrand::Rng::with_seed(seed);
            for change in [Change::Flip, Change::Cut, Change::Grow, Change::Remove] {
                let other = changed(&bytes, change, &mut random);
                if other.as_deref() == Some(&*bytes) {
                    continue;
                }
                match other {
                    Some(other) => files.write(&name, other).await.expect("changed"),
                    None => files.remove(&name).await.expect("removed"),
                }
                let (entry, wrong) = look(shop, shelf, &made.set).await;
                match name.as_str() {
                    // Then nobody has looked at the set yet.
                    "state.json" => assert_eq!(entry.state.level(), Level::Taken, "{change:?} {seed}"),
                    "manifest.json" => assert!(entry.manifest.is_err(), "{change:?} {seed}"),
                    _ => assert!(wrong[0].contains(&name), "{name} {change:?} {seed}: {wrong:?}"),
                }
                if made.files.iter().any(|file| file.name == name) {
                    let fetched = shelf.fetch(made).await;
                    assert!(matches!(fetched, Err(Error::Damaged { .. })), "{name} {change:?} {seed}: {fetched:?}");
                    let mut sink = Vec::new();
                    let read = match shelf.read(made, name.trim_end_matches(".age")).await {
                        Ok(mut bytes) => {
                            let read = bytes.read_to_end(&mut sink).await;
                            read.map(drop).map_err(|error| Error::reading(&made.set, &name, error))
                        }
                        Err(error) => Err(error),
                    };
                    assert!(matches!(read, Err(Error::Damaged { .. })), "{name} {change:?} {seed}: {read:?}");
                }
                files.write(&name, bytes.clone()).await.expect("put back");
            }
        }
    }
    files.write("more", "").await.expect("written");
    let (_, wrong) = look(shop, shelf, &made.set).await;
    assert_eq!(wrong, ["more does not belong to it"]);
    files.remove("more").await.expect("removed");
    assert_eq!(look(shop, shelf, &made.set).await.1, [""; 0]);
}

#[tokio::test]
async fn every_change_is_found_in_a_directory() {
    for (is_encrypted, rounds) in [(false, 12), (true, 3)] {
        let root = tempfile::tempdir().expect("a directory");
        let shop = if is_encrypted { sets::encrypting(root.path()) } else { sets::workshop(root.path()) };
        let shelf = shelf(&sets::directory(root.path()), &identity(), &shop);
        let made = make(&shelf, &sets::files(70_000)).await.expect("a set");
        every_change_is_found(&shop, &shelf, &made, rounds).await;
        if is_encrypted {
            // Who has no key finds it as well.
            let mut shop = shop.clone();
            shop.settings.encryption.identity_file = None;
            let shelf = Shelf::new(shelf.depot().clone(), shelf.of().clone(), shop.clone());
            for file in &made.files {
                let files = shelf.files(&made.set);
                let bytes = files.read(&file.name).await.expect("a file");
                let other = changed(&bytes, Change::Flip, &mut fastrand::Rng::with_seed(1)).expect("bytes");
                files.write(&file.name, other).await.expect("changed");
                let (_, wrong) = look(&shop, &shelf, &made.set).await;
                assert_eq!(wrong.len(), 1, "{wrong:?}");
                files.write(&file.name, bytes).await.expect("put back");
            }
        }
    }
}

#[tokio::test]
async fn every_change_is_found_in_a_bucket() {
    let bucket = Bucket::start();
    let root = tempfile::tempdir().expect("a directory");
    let shop = sets::workshop(root.path());
    let shelf = shelf(&bucket.depot("sets"), &identity(), &shop);
    let made = make(&shelf, &sets::files(70_000)).await.expect("a set");
    every_change_is_found(&shop, &shelf, &made, 2).await;
    // A set that was proven once and has lost its manifest is seen, and is no leftover.
    let files = shelf.files(&made.set);
    files.remove("manifest.json").await.expect("removed");
    assert!(shelf.entries().await.expect("entries")[0].manifest.is_err());
    let next = make(&shelf, &sets::files(100)).await.expect("the next one");
    let sets: Vec<SetId> = shelf.entries().await.expect("entries").into_iter().map(|entry| entry.set).collect();
    assert!(sets.contains(&made.set) && sets.contains(&next.set), "{sets:?}");
}

#[tokio::test]
async fn damage_is_written_down_and_cleared_when_it_is_gone() {
    let root = tempfile::tempdir().expect("a directory");
    let shop = sets::workshop(root.path());
    let shelf = shelf(&sets::directory(root.path()), &identity(), &shop);
    let made = make(&shelf, &sets::files(1000)).await.expect("a set");
    let files = shelf.files(&made.set);
    let verified = async || at_desk(&shop, async |desk| verify(desk, &shelf, &made.set).await).await.expect("a state");
    assert_eq!(verified().await.level(), Level::Verified);
    let bytes = files.read("dump/1.dat").await.expect("a file");
    files.write("dump/1.dat", "").await.expect("changed");
    files.write("more", "").await.expect("written");
    let state = verified().await;
    assert_eq!((state.level(), state.verified_at), (Level::Taken, None));
    assert_eq!(state.damage.as_ref().expect("damage").what, "dump/1.dat: it has 0 bytes and had 1000, and 1 more");
    assert_eq!(shelf.entries().await.expect("entries")[0].state, state);
    assert!(shelf.held(&made.set).await.expect("an answer").is_none());
    files.write("dump/1.dat", bytes).await.expect("put back");
    files.remove("more").await.expect("removed");
    assert_eq!((verified().await.level(), verified().await.damage), (Level::Verified, None));

    // What a drill has found no verification clears, and what that has found no drill clears.
    let damage = |by| Some(Damage { by, at: made.taken_at, what: format!("found by {by:?}") });
    let found = |by| State { damage: damage(by), ..State::taken(made.set.clone()) };
    let state = shelf.mark(Finder::Drill, &found(Finder::Drill)).await.expect("marked");
    assert_eq!((state.level(), state.verified_at.is_some()), (Level::Taken, true));
    let state = verified().await;
    assert_eq!((state.level(), &state.damage), (Level::Taken, &damage(Finder::Drill)));
    assert!(state.verified_at.is_some());
    let drill = DrillResult {
        at: made.taken_at,
        restore_seconds: 1.0,
        data_age_seconds: 1.0,
        rows: 0,
        compared: true,
        note: None,
    };
    let passed = State { drill: Some(drill), ..State::taken(made.set.clone()) };
    shelf.mark(Finder::Verify, &found(Finder::Verify)).await.expect("marked");
    let state = shelf.mark(Finder::Drill, &passed).await.expect("marked");
    assert_eq!((state.level(), &state.damage), (Level::Taken, &damage(Finder::Verify)));
    assert_eq!(verified().await.level(), Level::Drilled);

    // Whoever can make seals can lie about digests, but not about all at the same time.
    let mut lie = made.clone();
    lie.tables.get_mut("actors").expect("a table").rows = Some(7);
    files.write("manifest.json", Sealed::write(&lie)).await.expect("changed");
    let what = verified().await.damage.expect("damage").what;
    assert!(what.contains("7 rows of actors"), "{what}");
    lie.tables.get_mut("actors").expect("a table").digest = Some("00".to_owned());
    files.write("manifest.json", Sealed::write(&lie)).await.expect("changed");
    let what = verified().await.damage.expect("damage").what;
    assert!(what.contains("the digest of actors"), "{what}");
    for name in ["../../outside", "/outside", ""] {
        let mut lie = made.clone();
        lie.files[0].name = name.to_owned();
        files.write("manifest.json", Sealed::write(&lie)).await.expect("changed");
        let what = verified().await.damage.expect("damage").what;
        assert!(what.contains("outside of the set"), "{what}");
    }
    let newer = Sealed::write(&serde_json::json!({ "format": 2, "more": true }));
    files.write("manifest.json", newer).await.expect("changed");
    let what = verified().await.damage.expect("damage").what;
    assert!(what.contains("format 2") && what.contains("newer"), "{what}");
}
