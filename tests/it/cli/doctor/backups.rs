//! What backups and drills need where they are made.

use super::examine;
use crate::harness::Nobody;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;
use crate::harness::moto::Keys;
use crate::harness::s3::Bucket;

/// Backups and drills below `place`, with more keys at the top of `[backup]`.
fn config(place: &str, more: &str) -> String {
    format!(
        "[jobs.backup]\nenabled = true\n[jobs.backup_drill]\nenabled = true\n\
         [backup]\nwhere = \"{place}\"\n{more}\n"
    )
}

#[tokio::test]
async fn programs_place_and_space_are_looked_for() {
    let db = TestDb::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("sets").display().to_string();
    let found = |place: &str, more: &str| examine(Maintd::on(&db).with_programs().config(&config(place, more)));
    let well = found(&place, "keep_free = \"1MiB\"");
    well.assert_well();
    assert!(well.only("backup").1.starts_with("pg_dump "), "{well:#?}");
    assert!(well.only("drill").1.starts_with("in a cluster of its own"), "{well:#?}");
    assert!(!directory.path().join("sets").exists(), "looking makes nothing");

    let empty = tempfile::tempdir().expect("a directory");
    let none = found(&place, &format!("keep_free = \"1MiB\"\nbin_dir = \"{}\"", empty.path().display()));
    let (state, what, remedy) = none.only("backup");
    assert!(state == "failure" && what.contains("pg_dump has to be as new: there is none in"), "{what}");
    assert!(remedy.contains("install postgresql-client-"), "{remedy}");
    let (state, _, remedy) = none.only("drill");
    assert!(state == "failure" && remedy.contains("backup.drill.target"), "{remedy}");

    // What another host does, nobody needs here.
    let elsewhere = found(&place, &format!("node = \"another-host\"\nbin_dir = \"{}\"", empty.path().display()));
    elsewhere.assert_well();
    assert!(elsewhere.only("backup_place").1.contains("on the host another-host"), "{elsewhere:#?}");
    assert_eq!((elsewhere.all("backup").count(), elsewhere.all("drill").count()), (0, 0), "{elsewhere:#?}");

    let target = |port: u16| {
        format!(
            "keep_free = \"1MiB\"\n[backup.drill]\ntarget = \"other\"\n[targets.other]\nbackend = \"postgresql\"\n\
             host = \"127.0.0.1\"\nport = {port}\ndbname = \"postgres\"\nuser = \"{}\"",
            db.role()
        )
    };
    let there = found(&place, &target(db.port()));
    there.assert_well();
    assert_eq!(there.only("drill").1, "in the target other");
    let nowhere = found(&place, &target(Nobody::there().address().port()));
    let (state, what, remedy) = nowhere.only("drill");
    assert!(state == "failure" && what.starts_with("the target other: ") && what.contains("refused"), "{what}");
    assert!(remedy.contains("correct [targets.other]"), "{remedy}");

    let full = found(&place, "keep_free = \"4096TiB\"");
    let (state, what, remedy) = full.only("backup_place");
    assert!(state == "warning" && what.contains("backup.keep_free is"), "{what}");
    assert!(remedy.contains("backup.where") && full.code == 0, "{full:#?}");
    assert_eq!(full.only("disk").0, "warning");

    std::fs::write(directory.path().join("file"), "").expect("a file");
    let blocked = found(&directory.path().join("file/sets").display().to_string(), "keep_free = \"1MiB\"");
    let (state, what, remedy) = blocked.only("backup_place");
    assert!(state == "failure" && what.contains("nothing can be written below"), "{what}");
    assert!(remedy.contains("give it to the daemon's user"), "{remedy}");
    std::fs::remove_file(directory.path().join("file")).expect("it can be removed");
    found(&directory.path().join("file/sets").display().to_string(), "keep_free = \"1MiB\"").assert_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_tried() {
    let db = TestDb::new().await;
    let bucket = Bucket::start();
    let [reader, writer] = bucket.only_for([
        ("reader", &["s3:ListBucket", "s3:GetObject"]),
        ("writer", &["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
    ]);
    let found = |keys: &Keys| {
        let maintd = Maintd::on(&db).with_programs().env("AWS_ENDPOINT_URL_S3", bucket.endpoint());
        let maintd = maintd.env("AWS_ACCESS_KEY_ID", &keys.id).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
        let more = "keep_free = \"1MiB\"\n[backup.bucket]\nregion = \"us-east-1\"";
        examine(maintd.config(&config("s3://backups/sets", more)))
    };
    let denied = found(&reader);
    let (state, what, remedy) = denied.only("backup_place");
    assert!(state == "failure" && what.contains("s3://backups/sets"), "{what}");
    assert!(remedy.contains("what the daemon's keys are allowed"), "{remedy}");
    found(&writer).assert_well();
}
