//! Physical backups, and passwords that nobody sees.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actingweb_maintd::archive::{ErrorKind, sum};
use actingweb_maintd::backup::{self, CompressionKind, Error, Form, PostgresqlMethod};
use actingweb_maintd::model::setting::Size;
use actingweb_maintd::storage::postgres::{Settings, SslMode};

use super::workbench::Workbench;
use crate::harness::private::Private;
use crate::harness::store::{open, settings_of};

/// Neither a word nor anything that quoting leaves as it is.
const PASSWORD: &str = "Kanarienvogel-7%2F@:/ \\\"'";

/// What is left of it however it is quoted.
const CANARY: &str = "Kanarienvogel";

/// A server that wants a password for everything that comes over TCP, and how to log in.
async fn server() -> (Private, Settings) {
    let lines = ["host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"];
    let private = Private::start(&[], &lines).await;
    let quoted = PASSWORD.replace('\'', "''");
    let sql = format!(
        "ALTER ROLE postgres PASSWORD '{quoted}'; CREATE ROLE plain LOGIN PASSWORD '{quoted}'; \
         GRANT ALL ON ALL TABLES IN SCHEMA public TO plain; GRANT USAGE ON SCHEMA maintd TO plain; \
         GRANT ALL ON ALL TABLES IN SCHEMA maintd TO plain; \
         INSERT INTO actors (id, creator, passphrase) VALUES ('a', 'c', 'p')"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(private.pool()).await.unwrap();
    let settings = settings_of(private.cluster().host(), private.cluster().port(), "postgres");
    (private, Settings { password: Some(PASSWORD.to_owned().into()), sslmode: SslMode::Disable, ..settings })
}

/// Tells that it is over, however the test ends.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Looks at the argument lists of all processes until it is told that it is over. Returns those with the password.
fn watch_arguments(over: Arc<AtomicBool>) -> Vec<String> {
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments).into_owned();
            if arguments.contains(CANARY) {
                seen.push(arguments);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    seen
}

fn assert_nowhere_below(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        if entry.path().is_dir() {
            assert_nowhere_below(&entry.path());
        } else {
            let bytes = std::fs::read(entry.path()).expect("a file");
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "{} holds the password", entry.path().display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_copied_and_every_byte_of_it_checked_and_no_password_is_seen() {
    let (_server, settings) = server().await;
    let store = open(settings.clone());
    let mut bench = Workbench::of(settings.clone());
    bench.shop.settings.postgresql.globals = true;
    let over = Over(Arc::new(AtomicBool::new(false)));
    let watching = tokio::task::spawn_blocking({
        let over = Arc::clone(&over.0);
        move || watch_arguments(over)
    });

    bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    bench.shop.settings.postgresql.method = PostgresqlMethod::Physical;
    bench.shop.settings.postgresql.compression.kind = CompressionKind::None;
    let manifest = bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    drop(over);
    assert_eq!(watching.await.unwrap(), [] as [String; 0]);
    assert_nowhere_below(bench.path());
    assert_eq!(manifest.form, Form::Physical);
    assert!(manifest.files.iter().any(|file| file.name.ends_with("backup_manifest")), "{manifest:?}");
    assert_eq!(bench.inspect(&store, &manifest).await.unwrap(), None);

    // A byte in the middle, with a checksum of ours that agrees: what PostgreSQL itself has written finds it.
    let shelf = bench.shelf(&store).await;
    let base = shelf.files(&manifest.set).directory().unwrap().join("base/base.tar");
    let mut bytes = std::fs::read(&base).unwrap();
    let middle = bytes.len() / 2;
    let at = (middle..bytes.len()).find(|at| bytes[*at] != 0).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&base, &bytes).unwrap();
    let mut damaged = manifest.clone();
    damaged.files.iter_mut().find(|file| file.name == "base/base.tar").unwrap().sha256 = sum(&bytes);
    let found = bench.inspect(&store, &damaged).await;
    // An archive whose inner structure is hit cannot even be unpacked.
    assert!(!matches!(found, Ok(None)), "byte {at} of {}", bytes.len());
    let left: Vec<_> = std::fs::read_dir(bench.shop.work_dir()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");

    // Errors keep the password to themselves, too.
    let wrong = Settings { password: Some(format!("{CANARY} in vain").into()), ..settings.clone() };
    let plain = Settings { user: "plain".to_owned(), ..settings };
    for (settings, method, words) in [
        (wrong.clone(), PostgresqlMethod::Logical, "password"),
        (wrong, PostgresqlMethod::Physical, "password"),
        (plain, PostgresqlMethod::Physical, "REPLICATION"),
    ] {
        bench.shop.storage.postgresql = settings.clone();
        bench.shop.settings.postgresql.method = method;
        // As whoever may: the program is the one that may not.
        let asked_by = if words == "REPLICATION" { open(settings) } else { Arc::clone(&store) };
        let error = bench.create(&asked_by).await.unwrap_err();
        let told = format!("{} {error:?}", error.chain());
        assert!(told.contains(words) && !told.contains(CANARY), "{told}");
    }
    bench.shop.settings.encryption.recipients = vec!["age1".to_owned()];
    let error = bench.create(&store).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_) | Error::Place(_) | Error::Failed { .. }), "{error:?}");
}

/// How many bytes a check of a set wants free, as its refusal tells.
fn wanted(error: &Error, keep_free: Size) -> u64 {
    let told = error.chain();
    let mebibytes = |before: &str, after: &str| -> f64 {
        let number = told.split(before).nth(1).and_then(|rest| rest.split(after).next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told}"))
    };
    ((mebibytes("are free, and ", " MiB are needed") * f64::from(1 << 20)) as u64).saturating_sub(keep_free.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compressed_is_unpacked_only_where_there_is_space_for_all_of_it() {
    let private = Private::start(&[], &[]).await;
    let settings = settings_of(private.cluster().host(), private.cluster().port(), "postgres");
    let store = open(settings.clone());
    let mut bench = Workbench::of(settings);
    bench.shop.settings.postgresql.method = PostgresqlMethod::Physical;
    let packed = bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    bench.shop.settings.postgresql.compression.kind = CompressionKind::None;
    let plain = bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(packed.bytes() * 3 < plain.bytes(), "{} {}", packed.bytes(), plain.bytes());
    assert_eq!(bench.inspect(&store, &packed).await.unwrap(), None);

    // More than any disk has.
    bench.shop.settings.keep_free = "4096TiB".parse().unwrap();
    for set in [&packed, &plain] {
        let error = bench.inspect(&store, set).await.unwrap_err();
        assert!(matches!(&error, Error::Place(error) if error.kind == ErrorKind::Full), "{}", error.chain());
        let wanted = wanted(&error, bench.shop.settings.keep_free);
        // Of the log, another file may have been begun.
        let most = plain.bytes() + (32 << 20);
        assert!((plain.bytes() * 9 / 10..most).contains(&wanted), "{wanted} {}", plain.bytes());
    }
    let drilled = backup::drill(bench.desk(), &bench.shelf(&store).await, &packed.set).await.unwrap_err();
    let wanted = wanted(&drilled, bench.shop.settings.keep_free);
    assert!(wanted > plain.bytes() * 3 / 2, "{wanted} {}", drilled.chain());
    let left: Vec<_> = std::fs::read_dir(bench.shop.work_dir()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
