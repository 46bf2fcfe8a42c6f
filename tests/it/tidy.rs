//! What keeps the house in order: who may import whom, and how long a file may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms by floor, as ARCHITECTURE.md shows them. A room imports from lower floors only.
const FLOORS: &[&[&str]] = &[
    &["fault", "model"],
    &["work"],
    &["metrics"],
    &["archive", "storage"],
    &["throttle"],
    &["backup", "health"],
    &["jobs"],
    &["schedule"],
    &["runner"],
    &["http"],
    &["config"],
    &["daemon", "demo"],
    &["cli"],
];

/// Files stay near 300 lines.
const LONGEST: usize = 500;

#[test]
fn rooms_import_from_lower_floors_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let Some(room) = room_of(&path) else { continue };
        let floor = floor_of(&room).unwrap_or_else(|| panic!("{room} is on no floor"));
        for import in imports(&text) {
            let allowed = import == room || floor_of(&import).is_some_and(|below| below < floor);
            if !allowed {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_is_on_a_floor_and_in_the_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (path, _) in sources("src") {
        if let Some(room) = room_of(&path) {
            assert!(floor_of(&room).is_some(), "{room} is on no floor");
            let named = [format!(" {room}/ "), format!(" {room}.rs ")].iter().any(|name| map.contains(name));
            assert!(named, "ARCHITECTURE.md does not show `{room}`");
        }
    }
}

/// A library with a shape of its own is named in one place, so that it can be replaced there.
#[test]
fn some_libraries_are_named_in_their_own_rooms_only() {
    let homes: BTreeMap<&str, &[&str]> = BTreeMap::from([
        // The demo plays the application, which has its own connection.
        ("sqlx", ["src/storage/postgres", "src/demo"].as_slice()),
        ("aws_sdk_dynamodb", ["src/storage/dynamodb"].as_slice()),
        ("aws_config", ["src/storage/dynamodb/client.rs"].as_slice()),
        ("dynoxide", ["src/demo/dynamodb.rs"].as_slice()),
        ("AssertSqlSafe", ["src/storage/postgres/statements"].as_slice()),
        ("figment", ["src/config"].as_slice()),
        ("tokio_cron_scheduler", ["src/schedule/bell.rs"].as_slice()),
        ("hyper", ["src/http"].as_slice()),
        ("prometheus::", ["src/metrics"].as_slice()),
        ("signal_hook", ["src/daemon/signals.rs"].as_slice()),
        ("sd_notify", ["src/daemon/systemd.rs"].as_slice()),
        ("clap", ["src/cli"].as_slice()),
        ("rustix", ["src/model/clock.rs", "src/archive/space.rs", "src/backup"].as_slice()),
        ("object_store", ["src/archive"].as_slice()),
        (" age::", ["src/archive"].as_slice()),
        ("zstd", ["src/archive"].as_slice()),
    ]);
    for (path, text) in sources("src") {
        for (library, rooms) in &homes {
            let used = text.lines().any(|line| line.trim_start().starts_with("use ") && line.contains(library));
            let at_home = rooms.iter().any(|room| path.starts_with(room));
            assert!(!used || at_home, "{} names {library}, whose home is {rooms:?}", path.display());
        }
    }
}

/// Two providers of TLS in one process panic when they are first used, and a second HTTP stack would be
/// one that nobody maintains.
#[test]
fn there_is_one_tls_and_one_http() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let count = |name: &str| lock.matches(&format!("\nname = \"{name}\"\n")).count();
    for only in ["rustls", "ring", "hyper", "h2", "http"] {
        assert_eq!(count(only), 1, "{only}");
    }
    for none in ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"] {
        assert_eq!(count(none), 0, "{none}");
    }
}

/// A program that is started must not answer the service manager in the daemon's place.
#[test]
fn programs_are_started_without_what_is_ours_alone() {
    let mut found = 0;
    for (path, text) in sources("src").into_iter().filter(|(_, text)| text.contains("Command::new(")) {
        assert!(text.contains("in OURS_ALONE"), "{} starts programs that inherit NOTIFY_SOCKET", path.display());
        found += 1;
    }
    assert!(found > 0);
}

/// Neither backend knows of the other.
#[test]
fn the_backends_are_kept_apart() {
    for (path, text) in sources("src/storage") {
        for (room, other) in [("postgres", "dynamodb"), ("dynamodb", "postgres")] {
            let names_it = [format!("storage::{other}"), format!("{other}::")].iter().any(|name| text.contains(name));
            let is_there = path.starts_with(format!("src/storage/{room}"));
            assert!(!is_there || !names_it, "{} names {other}", path.display());
        }
    }
}

#[test]
fn files_have_one_subject_each() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines: split it by subject", path.display());
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below `dir`, by their path from the root.
fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {dir}");
    found
}

/// The room that a file of `src` belongs to; none for `lib.rs` and `main.rs`.
fn room_of(path: &Path) -> Option<String> {
    let mut parts = path.iter().skip(1);
    let first = parts.next()?.to_str()?;
    if parts.next().is_some() {
        return Some(first.to_owned());
    }
    first.strip_suffix(".rs").filter(|name| !["lib", "main"].contains(name)).map(str::to_owned)
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// The rooms that a file names with `crate::`.
fn imports(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .filter(|room| !room.is_empty() && room.chars().all(|c| c.is_lowercase() || c == '_'))
        .collect()
}
