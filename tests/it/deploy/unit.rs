//! The unit for systemd: what systemd makes of it, and what the binary makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use actingweb_maintd::config::Config;
use tempfile::TempDir;

use crate::harness::daemon::Maintd;
use crate::harness::private::Private;
use crate::harness::service_manager::{PING, ServiceManager};
use crate::harness::tools::tool;

const UNIT: &str = "actingweb-maintd.service";

/// What the unit names of other units, and what every service depends on.
const OTHERS: &[&str] = &["sysinit.target", "basic.target", "shutdown.target", "network-online.target"];

/// How much of the system the unit may leave open, in tenths.
const EXPOSURE: &str = "--threshold=12";

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The assignments of one file, in their order: section, key, value.
fn assignments(file: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text(file).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        assert!(!line.ends_with('\\'), "{file}: no line is continued: {line}");
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{file}: {line}"));
            found.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    assert!(!found.is_empty(), "{file} says nothing");
    found
}

/// What a file says of a key, which it does once.
fn value(file: &str, key: &str) -> String {
    let mut values = assignments(file).into_iter().filter(|(_, known, _)| known == key).map(|(_, _, value)| value);
    let value = values.next().unwrap_or_else(|| panic!("{file} has no {key}"));
    assert_eq!(values.next(), None, "{file} has {key} twice");
    value
}

fn seconds(key: &str) -> Duration {
    humantime::parse_duration(&value(UNIT, key)).expect("a time")
}

/// A copy of the unit that starts the binary of this build, beside all that it names of others.
struct Copy {
    dir: TempDir,
}

impl Copy {
    fn new(change: impl FnOnce(String) -> String) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let built = env!("CARGO_BIN_EXE_actingweb-maintd");
        let mut unit = text(UNIT).replace("/usr/local/bin/actingweb-maintd", built);
        // Not every system on which this is tested has the program, which belongs to another package.
        if !Path::new("/bin/kill").exists() {
            unit = unit.replace("/bin/kill", built);
        }
        fs::write(dir.path().join(UNIT), change(unit)).expect("a unit");
        for other in OTHERS {
            fs::write(dir.path().join(other), "[Unit]\nDefaultDependencies=no\n").expect("a unit");
        }
        fs::create_dir(dir.path().join(format!("{UNIT}.d"))).expect("a directory");
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(UNIT)
    }

    fn with(self, drop_in: &str) -> Self {
        fs::write(self.dir.path().join(format!("{UNIT}.d")).join(drop_in), text(drop_in)).expect("a drop-in");
        self
    }

    /// Asks systemd, which sees nothing of this system's own units.
    fn analyze(&self, arguments: &[&str]) -> Output {
        Command::new(tool("systemd-analyze"))
            .args(arguments)
            .arg(self.path())
            .env("SYSTEMD_UNIT_PATH", self.dir.path())
            .output()
            .expect("running systemd-analyze")
    }

    /// Everything that systemd has to say against it.
    fn complaints(&self) -> String {
        let Output { status, stdout, stderr } = self.analyze(&["verify", "--man=no"]);
        let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
        if status.success() { said.into_owned() } else { format!("{status}\n{said}") }
    }
}

fn version_of_systemd() -> u32 {
    let output = Command::new(tool("systemd-analyze")).arg("--version").output().expect("running systemd-analyze");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    assert_eq!(Copy::new(|unit| unit).complaints(), "");
    assert_eq!(Copy::new(|unit| unit).with("password.conf").complaints(), "");
    assert_eq!(Copy::new(|unit| unit).with("backup.conf").complaints(), "");
    if version_of_systemd() >= 253 {
        assert_eq!(Copy::new(|unit| unit).with("password.conf").with("notify-reload.conf").complaints(), "");
    }
    // It would say something.
    for (right, wrong) in [("RestrictRealtime", "RestrictRealtme"), ("=@system-service", "=@system-serice")] {
        let complaints = Copy::new(|unit| unit.replace(right, wrong)).complaints();
        assert!(complaints.contains(wrong.trim_start_matches('=')), "{complaints}");
    }
}

#[test]
fn the_unit_leaves_little_of_the_system_open() {
    let assess = |copy: &Copy| copy.analyze(&["security", "--offline=yes", "--no-pager", EXPOSURE]);
    let assessed = assess(&Copy::new(|unit| unit).with("password.conf"));
    assert!(assessed.status.success(), "{}", String::from_utf8_lossy(&assessed.stdout));
    let open = assess(&Copy::new(|unit| unit.replace("SystemCallFilter=", "#")));
    assert!(!open.status.success(), "a unit without a filter is not that tight");
}

#[tokio::test]
async fn the_binary_starts_as_the_unit_says() {
    let private = Private::start(&[], &["host all all 127.0.0.1/32 scram-sha-256"]).await;
    sqlx::raw_sql("ALTER ROLE postgres PASSWORD 'correct horse'; DROP SCHEMA maintd CASCADE")
        .execute(private.pool())
        .await
        .unwrap();
    let credentials = tempfile::tempdir().unwrap();
    let (name, _) = value("password.conf", "LoadCredential").split_once(':').map(own).expect("a name and a file");
    let credential = credentials.path().join(&name);
    fs::write(&credential, "correct horse\n").unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400)).unwrap();

    let command = value(UNIT, "ExecStart");
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[0], "/usr/local/bin/actingweb-maintd");
    assert!(!command.contains(['%', '$', '"', '\'', '\\']), "words are only split: {command}");
    let (variable, file) = value("password.conf", "Environment").split_once('=').map(own).expect("a variable");
    assert_eq!(file, format!("%d/{name}"));
    let file = file.replace("%d", &credentials.path().display().to_string());

    assert_eq!(value(UNIT, "Type"), "notify");
    let manager = ServiceManager::on_a_path();
    let watchdog = seconds("WatchdogSec");
    let daemon = Maintd::bare()
        .env("NOTIFY_SOCKET", manager.address())
        .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
        .env("CREDENTIALS_DIRECTORY", credentials.path())
        .env(&variable, file)
        // What /etc/default/actingweb-maintd may hold.
        .env("DATABASE_BACKEND", "postgresql")
        .env("PG_DB_HOST", private.cluster().host())
        .env("PG_DB_PORT", private.cluster().port().to_string())
        .env("PG_DB_NAME", "postgres")
        .env("PG_DB_USER", "postgres")
        .start_as(&words[1..]);
    manager.until("it to be ready", |message| message == "READY=1\n");
    manager.until("the database to be there", |message| message == "STATUS=ready\n");
    manager.until("the watchdog to be fed", |message| message == PING);
    daemon.stop();
    manager.until("the end", |message| message.starts_with("STOPPING=1\n"));
}

fn own((left, right): (&str, &str)) -> (String, String) {
    (left.to_owned(), right.to_owned())
}

#[test]
fn a_wrong_configuration_is_not_tried_again() {
    let command = value(UNIT, "ExecStart");
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    let ended = Maintd::bare().env("MAINTD_LOG__FILTER", "lots").run(&arguments);
    assert_eq!(value(UNIT, "RestartPreventExitStatus"), ended.code.to_string(), "{}", ended.stderr);
    assert_eq!(value(UNIT, "Restart"), "always");
}

#[test]
fn the_times_of_the_unit_fit_those_of_the_daemon() {
    let grace = Config::default().drain.grace.0;
    // Connections and the last scrape take a few seconds more.
    assert!(seconds("TimeoutStopSec") >= grace + Duration::from_secs(10));
    assert!(text(UNIT).contains(&format!("drain.grace ({}s)", grace.as_secs())), "the comment tells another time");
    let tries: u32 = value(UNIT, "StartLimitBurst").parse().expect("a number");
    let lasting = seconds("RestartSec") * tries;
    assert!(lasting <= seconds("StartLimitIntervalSec"), "the limit is never met");
    assert!(lasting >= Duration::from_secs(30 * 60), "what mends itself within half an hour is waited for");
}

#[test]
fn a_reload_is_asked_for_by_a_signal() {
    assert_eq!(value(UNIT, "ExecReload"), "/bin/kill -HUP $MAINPID");
    // systemd sends the signal itself then, and twice would be twice.
    let drop_in = assignments("notify-reload.conf");
    let expected = [("Type", "notify-reload"), ("ExecReload", "")];
    let expected = expected.map(|(key, value)| ("Service".to_owned(), key.to_owned(), value.to_owned()));
    assert_eq!(drop_in, expected);
    // What a child says is not taken for the daemon's word.
    assert_eq!(value(UNIT, "NotifyAccess"), "main");
}
