//! What a running daemon does not take over.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::{last_success, load_again, reload, success, told};
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};

/// A configuration that stands by itself, for a daemon that has no variables.
fn config(db: &TestDb, more: &str) -> String {
    format!(
        "[storage]\nbackends = [\"postgresql\"]\n[storage.postgresql]\nhost = \"{}\"\nport = {}\ndbname = \"{}\"\n\
         user = \"postgres\"\n[deployment]\nname = \"as it was\"\n[jobs.ttl_cleanup]\nschedule = \"every 1h\"\n{more}",
        db.host(),
        db.port(),
        db.name()
    )
}

fn start(db: &TestDb) -> Daemon {
    Maintd::bare().config(&config(db, "")).start().ready()
}

/// What could have been taken over, as it is shown.
fn shown(daemon: &Daemon) -> [Value; 3] {
    let status = daemon.status();
    [&status["deployment"], &status["jobs"][0]["schedule"], &status["jobs"][0]["enabled"]].map(Clone::clone)
}

#[track_caller]
fn assert_refused(daemon: &Daemon, what: &str, line: &Value, said: &[&str]) {
    let (word, message) = told(line);
    assert_eq!((word, &line["level"]), ("refused", &"ERROR".into()), "{what}: {message}");
    for said in said {
        assert!(message.contains(said), "{what}: {said} is not in {message}");
    }
    assert_eq!(shown(daemon), ["as it was".into(), Value::from("every 1h"), true.into()], "{what}");
    assert_eq!(success(daemon), 0.0, "{what}");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_every_mistake_is_told() {
    let db = TestDb::new().await;
    let daemon = start(&db);
    let begun = last_success(&daemon);
    let other = config(&db, "").replace("as it was", "other").replace("every 1h", "every 2h");
    for (what, toml, said) in [
        ("no TOML", other.replace("[deployment]", "[deployment"), &["not valid TOML", "config.toml:"] as &[&str]),
        ("an unknown key", other.clone() + "bacth_size = 5\n", &["jobs.ttl_cleanup.bacth_size", "`batch_size`"]),
        ("a bad value", other.clone() + "deadline = \"soon\"\n", &["jobs.ttl_cleanup.deadline", "`soon`"]),
        ("values that do not go together", other.clone() + "workers = 16\n", &["jobs.ttl_cleanup.workers", "max_size"]),
        ("a schedule that is none", other.replace("every 2h", "sometimes"), &["jobs.ttl_cleanup.schedule"]),
        ("a filter that is none", other.clone() + "[log]\nfilter = \"loud\"\n", &["log.filter"]),
        (
            "several mistakes",
            other.clone() + "workers = 0\ndeadline = 5\n[lease]\nttl = \"1\"\n",
            &["jobs.ttl_cleanup.workers", "jobs.ttl_cleanup.deadline", "lease.ttl", "has 3 errors"],
        ),
        ("nothing at all", String::new(), &["storage.backends", "no backend is named"]),
    ] {
        let line = reload(&daemon, &toml);
        let said = said.iter().map(|said| said.replace("config.toml", &daemon.config().display().to_string()));
        assert_refused(&daemon, what, &line, &said.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(last_success(&daemon), begun, "{what}");
    }
    daemon.stop();
}

/// Removes whatever is there.
fn clear(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_changes_nothing() {
    let db = TestDb::new().await;
    let daemon = start(&db);
    let path = daemon.config().to_owned();
    let good = fs::read(&path).unwrap();
    clear(&path);
    for (what, make, said) in [
        ("no file", (|_| {}) as fn(&Path), "does not exist"),
        ("a directory", |path| fs::create_dir(path).unwrap(), "is a directory"),
        ("a circle", |path| symlink(path, path).unwrap(), "cannot be read"),
        ("no text", |path| fs::write(path, b"[deployment]\nname = \"\xff\xfe\"\n").unwrap(), "is not UTF-8"),
        ("too much", |path| fs::write(path, "# much\n".repeat(200_000)).unwrap(), "larger than a mebibyte"),
    ] {
        make(&path);
        assert_refused(&daemon, what, &load_again(&daemon), &[said, &path.display().to_string()]);
        clear(&path);
    }
    fs::write(&path, good).unwrap();
    assert_eq!(told(&load_again(&daemon)).0, "unchanged");
    assert_eq!(success(&daemon), 1.0);
    daemon.stop();
}

#[tokio::test]
async fn the_flag_clears_when_the_file_is_mended_or_put_back() {
    let db = TestDb::new().await;
    let daemon = start(&db);
    let begun = last_success(&daemon);
    reload(&daemon, "nonsense");
    assert_eq!((success(&daemon), last_success(&daemon)), (0.0, begun));
    let line = reload(&daemon, &config(&db, "batch_size = 5\n"));
    assert_eq!(told(&line), ("applied", "the configuration was loaded: jobs.ttl_cleanup.batch_size 2000 → 5"));
    assert_eq!(success(&daemon), 1.0);
    let mended = last_success(&daemon);
    assert!(mended > begun);

    reload(&daemon, "nonsense");
    assert_eq!((success(&daemon), last_success(&daemon)), (0.0, mended));
    let line = reload(&daemon, &config(&db, "# put back\nbatch_size = 5\n"));
    assert_eq!(told(&line), ("unchanged", "the configuration was loaded, and nothing in it has changed"));
    assert_eq!(success(&daemon), 1.0);
    assert!(last_success(&daemon) > mended);
    daemon.stop();
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_holds_everything_back() {
    let db = TestDb::new().await;
    let daemon = start(&db);
    let more = "[lease]\nttl = \"20s\"\n[log]\nformat = \"text\"\nfilter = \"off\"\n[http]\nlisten = \"127.0.0.1:1\"\n\
                [storage.postgresql.pool]\nmax_size = 12\n";
    let other = config(&db, more).replace("as it was", "other").replace("every 1h", "every 2h");
    let line = reload(&daemon, &other.replace("user = \"postgres\"", "user = \"somebody\"\nsslmode = \"disable\""));
    let named = [
        "storage.postgresql.user \"postgres\" → \"somebody\"",
        "storage.postgresql.sslmode \"prefer\" → \"disable\"",
        "storage.postgresql.pool.max_size 10 → 12",
        "log.format \"auto\" → \"text\"",
        "lease.ttl \"10s\" → \"20s\"",
    ];
    assert_refused(&daemon, "all of them", &line, &named);
    let message = told(&line).1;
    assert!(message.ends_with(": restart to apply"), "{message}");
    // What could be taken over is not blamed, nor what a variable of the daemon's overrides.
    for unnamed in ["deployment.name", "schedule", "log.filter", "http.listen"] {
        assert!(!message.contains(unnamed), "{message}");
    }
    assert_eq!(told(&reload(&daemon, &config(&db, ""))).0, "unchanged");
    daemon.stop();
}

#[tokio::test]
async fn what_should_be_looked_at_is_told_again() {
    let db = TestDb::new().await;
    let daemon = Maintd::bare().env("MAINTD_LOG__FLITER", "info").config(&config(&db, "")).start().ready();
    let warnings = || {
        let lines = daemon.lines();
        let warned = |line: &&Value| line["message"].as_str().is_some_and(|said| said.contains("MAINTD_LOG__FLITER"));
        lines.iter().filter(warned).map(|line| line["level"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(warnings(), ["WARN"]);
    load_again(&daemon);
    assert_eq!(warnings(), ["WARN", "WARN"]);
    daemon.stop();
}
