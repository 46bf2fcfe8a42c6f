//! A thousand spoilt files: the daemon lives, and what is in force is always one whole file.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use actingweb_maintd::config::{self, Change, Config, EXAMPLE, Sources};
use nix::sys::signal::Signal;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use super::mutation::mutations;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Daemon, Maintd};

/// How many files one daemon gets; there are four of them.
const FILES: usize = 250;

/// The password in each of them; what is left of it when it is spoilt begins alike.
const CANARY: &str = "Kanarienvogel";

/// The example with a value for each of its keys but the second way to a password, and without its prose.
fn original() -> String {
    let lines = EXAMPLE.lines().filter_map(|line| {
        let line = line.strip_prefix("# e.g. ").or(line.strip_prefix('#')).unwrap_or(line);
        let is_wanted = line.starts_with('[') || line.contains(" = ");
        (is_wanted && !line.starts_with(' ')).then_some(line)
    });
    let elsewhere = ["password_file", "sslrootcert", "identity_file"];
    let lines = lines.filter(|line| !elsewhere.iter().any(|key| line.starts_with(key)));
    // The target that the drill is to go to.
    let target = "\n[targets.drill]\nbackend = \"postgresql\"\nhost = \"drill.internal\"\n";
    lines.collect::<Vec<_>>().join("\n").replace("correct horse battery staple", CANARY) + target
}

/// What the daemon should have in force, by the same sources as its own.
struct Model {
    sources: Sources,
    in_force: Config,
}

impl Model {
    /// What comes of the file that is there now: the word and the message.
    fn load(&mut self) -> (&'static str, String) {
        let loaded = match config::load(&self.sources) {
            Ok(loaded) => loaded.config,
            Err(problems) => return ("refused", format!("the configuration stays as it was\n{problems}")),
        };
        let changes = config::changes(&self.in_force, &loaded);
        let listed =
            |changes: &mut dyn Iterator<Item = &Change>| changes.map(Change::to_string).collect::<Vec<_>>().join("; ");
        if changes.iter().any(|change| !change.is_live) {
            let fixed = listed(&mut changes.iter().filter(|change| !change.is_live));
            let why = "the configuration stays as it was, as a running daemon cannot take over";
            return ("refused", format!("{why} {fixed}: restart to apply"));
        }
        self.in_force = loaded;
        match changes.as_slice() {
            [] => ("unchanged", "the configuration was loaded, and nothing in it has changed".to_owned()),
            changes => ("applied", format!("the configuration was loaded: {}", listed(&mut changes.iter()))),
        }
    }
}

/// Reads the log as it grows.
struct Reader {
    seen: usize,
}

impl Reader {
    /// The line that tells the next outcome.
    fn next_outcome(&mut self, daemon: &Daemon) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let log = daemon.log();
            while let Some(length) = log[self.seen..].find('\n') {
                let line = &log[self.seen..self.seen + length];
                self.seen += length + 1;
                let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if line["reload"].is_string() {
                    return line;
                }
            }
            assert!(Instant::now() < deadline, "waited for the outcome of a reload");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[tokio::test]
async fn spoilt_files_are_taken_over_whole_or_not_at_all_1() {
    spoil(1).await;
}

#[tokio::test]
async fn spoilt_files_are_taken_over_whole_or_not_at_all_2() {
    spoil(2).await;
}

#[tokio::test]
async fn spoilt_files_are_taken_over_whole_or_not_at_all_3() {
    spoil(3).await;
}

#[tokio::test]
async fn spoilt_files_are_taken_over_whole_or_not_at_all_4() {
    spoil(4).await;
}

/// Gives a daemon one file after the other; the same ones each time for the same seed.
async fn spoil(seed: u8) {
    let db = TestDb::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let original = original();
    fs::write(&file, &original).unwrap();
    let env = [
        ("DATABASE_BACKEND", "postgresql"),
        ("PG_DB_HOST", db.host()),
        ("PG_DB_PORT", &db.port().to_string()),
        ("PG_DB_NAME", db.name()),
        ("PG_DB_USER", db.superuser()),
        ("MAINTD_CONFIG", file.to_str().unwrap()),
        ("MAINTD_HTTP__LISTEN", "127.0.0.1:0"),
        // Every outcome must be heard.
        ("MAINTD_LOG__FILTER", "info"),
    ];
    let maintd = env.iter().fold(Maintd::bare(), |maintd, (name, value)| maintd.env(name, value));
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let sources = Sources { env, ..Sources::default() };
    let in_force = config::load(&sources).unwrap_or_else(|problems| panic!("{problems}")).config;
    let mut model = Model { sources, in_force };

    let daemon = maintd.start().ready();
    let mut reader = Reader { seen: 0 };
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    let mut runner = TestRunner::new_with_rng(Cases::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    for number in 0..FILES {
        let happened = mutations().new_tree(&mut runner).expect("a value").current();
        let mut bytes = original.clone().into_bytes();
        happened.iter().for_each(|mutation| mutation.apply(&mut bytes));
        fs::write(&file, &bytes).unwrap();
        let case = || format!("file {number}, {happened:?}:\n{}", String::from_utf8_lossy(&bytes));

        daemon.signal(Signal::SIGHUP);
        let line = reader.next_outcome(&daemon);
        let (word, message) = model.load();
        assert_eq!((&line["reload"], &line["message"]), (&word.into(), &message.into()), "{}", case());
        *outcomes.entry(word).or_default() += 1;

        let status = daemon.status();
        let (shown, job) = (&status["jobs"][0], &model.in_force.jobs.ttl_cleanup);
        assert_eq!(status["deployment"], serde_json::json!(model.in_force.deployment.name), "{}", case());
        assert_eq!(shown["schedule"], job.schedule, "{}", case());
        let enabled = job.enabled && job.backends.iter().any(|backend| backend == "postgresql");
        assert_eq!(shown["enabled"], enabled, "{}", case());
        // Where none of its slots lies in its window it has no next run.
        assert!(!shown["next_run"].is_string() || enabled, "{}", case());
    }
    // Both were put to the test.
    for word in ["applied", "refused"] {
        assert!(outcomes.get(word).is_some_and(|count| *count >= 50), "{outcomes:?}");
    }
    fs::write(&file, &original).unwrap();
    daemon.signal(Signal::SIGHUP);
    assert_ne!(reader.next_outcome(&daemon)["reload"], "refused");
    let log = daemon.stop();
    assert!(!log.contains(&CANARY[..6]), "a password was shown");
}
