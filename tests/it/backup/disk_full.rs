//! A disk that is full at one byte or another.

use std::path::Path;
use std::process::Command;

use actingweb_maintd::archive::ErrorKind;
use actingweb_maintd::backup::{Error, Form, SetId, examine};
use actingweb_maintd::model::clock;
use actingweb_maintd::model::setting::Size;

use crate::harness::sets::{self, at_desk, identity, make, shelf};

/// The directory with a small disk, for [`fills_its_disk`].
const DISK: &str = "TEST_SMALL_DISK";

/// A page of the small disk.
const PAGE: usize = 4096;

/// Not a test of its own, but a process that is started where it may mount a disk that is small.
#[tokio::test]
#[ignore = "another test starts it"]
async fn fills_its_disk() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    let (filler, files, of) = (disk.join("filler"), sets::files(40_000), identity());
    for is_encrypted in [false, true] {
        let shop = if is_encrypted { sets::encrypting(disk) } else { sets::workshop(disk) };
        let shelf = shelf(&sets::directory(disk), &of, &shop);
        let kept = make(&shelf, &files).await.expect("a set");
        let (mut failures, mut successes) = (0, 0);
        for pages in 0..40 {
            // All but so many pages are taken by somebody else.
            let free = free_pages(disk);
            std::fs::write(&filler, vec![1; free.saturating_sub(pages) * PAGE]).expect("room for the filler");
            match make(&shelf, &files).await {
                Ok(made) => {
                    successes += 1;
                    shelf.remove(&made.set).await.expect("removed");
                }
                Err(Error::Place(error)) => {
                    failures += 1;
                    assert_eq!(error.kind, ErrorKind::Full, "{pages}: {}", error.chain());
                }
                Err(error) => panic!("{pages}: {}", error.chain()),
            }
            let entries = shelf.entries().await.expect("entries");
            assert_eq!(entries.len(), 1, "{pages}");
            assert_eq!(entries[0].manifest.as_ref(), Ok(&kept), "{pages}");
            let wrong = at_desk(&shop, async |desk| examine(desk, &shelf, &kept).await).await;
            assert_eq!(wrong.expect("a look"), [""; 0], "{pages}");
            std::fs::remove_file(&filler).expect("removed");
        }
        assert!(failures > 5 && successes > 5, "{failures} {successes}");
        let made = make(&shelf, &files).await.expect("the next one");
        let left = std::fs::read_dir(shelf.depot().directory().expect("a directory")).expect("entries").count();
        assert_eq!(left, 2, "something is left over");
        for set in [made.set, kept.set] {
            shelf.remove(&set).await.expect("removed");
        }
    }
    // Who knows how much it will be is told before.
    let shelf_of = |shop| shelf(&sets::directory(disk), &of, shop);
    let shop = sets::workshop(disk);
    let draft = shelf_of(&shop).begin(SetId::new(clock::now(), Form::Tool)).await.expect("a draft");
    draft.need(100_000).await.expect("space");
    let error = draft.need(1 << 20).await.expect_err("too little space");
    assert!(matches!(&error, Error::Place(error) if error.kind == ErrorKind::Full), "{}", error.chain());
    // What is to stay free is not touched.
    let mut shop = sets::workshop(disk);
    shop.settings.keep_free = Size::mebibytes(64);
    let error = make(&shelf_of(&shop), &files).await.expect_err("too little space");
    assert!(matches!(&error, Error::Place(error) if error.kind == ErrorKind::Full), "{}", error.chain());
    assert!(error.chain().contains("keep_free"), "{}", error.chain());
}

fn free_pages(disk: &Path) -> usize {
    let answer = Command::new("stat").args(["--file-system", "--format=%a"]).arg(disk).output().expect("`stat`");
    String::from_utf8(answer.stdout).expect("a text").trim().parse().expect("a number")
}

#[test]
#[expect(clippy::print_stderr, reason = "that nothing was tested is told to whoever runs the tests")]
fn a_full_disk_harms_no_earlier_set_and_leaves_nothing_half_done() {
    let disk = tempfile::tempdir().expect("a directory");
    let command = r#"mount -t tmpfs -o size=512k none "$0" && exec "$@""#;
    let started = |script: &str, arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(disk.path()).args(arguments);
        command.env(DISK, disk.path()).output()
    };
    if !started(command, &["true".as_ref()]).is_ok_and(|ended| ended.status.success()) {
        // A machine that lets nobody mount anything, such as some containers, has no disk to fill.
        eprintln!("skipped: `unshare --map-root-user --mount` may not mount a tmpfs here");
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let arguments = ["--exact", "backup::disk_full::fills_its_disk", "--ignored"];
    let arguments: Vec<_> = std::iter::once(program.as_os_str()).chain(arguments.iter().map(AsRef::as_ref)).collect();
    let ended = started(command, &arguments).expect("a process");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&ended.stderr));
}
