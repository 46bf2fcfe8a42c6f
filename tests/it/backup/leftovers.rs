//! What is left over from a backup that was killed, and what looks like it and is somebody's set.

use actingweb_maintd::backup::{Entry, Form, Level, SetId, Shelf, verify};
use actingweb_maintd::model::clock;

use crate::harness::s3::Bucket;
use crate::harness::sets::{self, at_desk, fill, identity, make, shelf};

/// The names of the files of a set.
async fn names(shelf: &Shelf, set: &SetId) -> Vec<String> {
    let mut names: Vec<_> =
        shelf.files(set).list().await.expect("files").into_iter().map(|stored| stored.name).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_set_in_a_bucket_that_has_lost_its_manifest_is_no_leftover() {
    let bucket = Bucket::start();
    let root = tempfile::tempdir().expect("a directory");
    let shop = sets::workshop(root.path());
    let shelf = shelf(&bucket.depot("sets"), &identity(), &shop);
    let files = sets::files(1000);
    let made = async || make(&shelf, &files).await.expect("a set").set;
    // Nobody has ever verified any of them. One has lost its manifest, one was not told to be taken before its maker
    // was killed, and one was being removed.
    let (lost, whole, going) = (made().await, made().await, made().await);
    for (set, missing) in
        [(&lost, ["manifest.json"].as_slice()), (&whole, &["state.json"]), (&going, &["state.json", "manifest.json"])]
    {
        for name in missing {
            shelf.files(set).remove(name).await.expect("removed");
        }
    }
    // And one was never made to its end.
    let draft = shelf.begin(SetId::new(clock::now(), Form::Tool)).await.expect("a draft");
    let unfinished = draft.set().clone();
    fill(&draft, &files).await.expect("files");
    std::mem::forget(draft);
    let before = names(&shelf, &lost).await;
    assert!(before.len() > 1 && !names(&shelf, &unfinished).await.is_empty());

    let next = made().await;
    for left in [&going, &unfinished] {
        assert_eq!(names(&shelf, left).await, [""; 0], "{left}");
    }
    assert_eq!(names(&shelf, &lost).await, before);
    let entries = shelf.entries().await.expect("entries");
    assert_eq!(entries.len(), 3, "{entries:?}");
    for Entry { set, manifest, state } in entries {
        assert_eq!(state.level(), Level::Taken, "{set}");
        match manifest {
            Ok(_) => assert!([&whole, &next].contains(&&set), "{set}"),
            Err(why) => assert_eq!((&set, why.as_str()), (&lost, "manifest.json is not there")),
        }
    }
    let state = at_desk(&shop, async |desk| verify(desk, &shelf, &lost).await).await.expect("a state");
    assert_eq!(state.damage.expect("damage").what, "manifest.json is not there");
}
