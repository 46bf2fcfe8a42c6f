//! Backups and drills, beside `pg_dump` and `pg_restore` of the same database with the same compression and
//! as many jobs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actingweb_maintd::backup::cluster::{Cluster, Options, Seclusion};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::postgres::{Postgres, Settings, SslMode};
use actingweb_maintd::work::{Progress, Stop};
use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::Effort;
use super::server::Server;
use super::statistics::median_of;
use super::table::{Row, Target, Unit};

const DATABASE: &str = "kept";

/// What both sides compress with, and how many connections read. Without zstd, which `pg_dump` 15 does not have.
const COMPRESSION: (&str, &str) = ("gzip:1", "1");
const JOBS: &str = "2";

/// Where backups go: on the disk that the server is on.
const PLACE: &str = "/var/tmp";

/// What a backup has taken.
#[derive(Debug)]
struct Backup {
    seconds: f64,
    document: Value,
    /// The most memory that it had, in bytes.
    memory: f64,
}

/// Measures backups, in turns with `pg_dump`.
pub(crate) async fn taking(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let (place, rows) = database(server, effort).await?;
    let figures = beside_pg_dump(server, place.path(), rows, effort).await?;
    server.remove(DATABASE).await?;
    Ok(figures)
}

/// Measures drills, in turns with a restore by hand.
pub(crate) async fn drilling(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let (place, rows) = database(server, effort).await?;
    pg_dump(server, &place.path().join("dump"))?;
    create(server, place.path(), true)?;
    let figures = beside_pg_restore(server, place.path(), rows, effort).await?;
    server.remove(DATABASE).await?;
    Ok(figures)
}

/// Makes the database that is backed up. Returns where backups go, and how many rows it has.
async fn database(server: &Server, effort: Effort) -> anyhow::Result<(TempDir, u64)> {
    let rows = effort.pick(1_000_000, 20_000);
    server.create(DATABASE, &contents(rows)).await?;
    Ok((place()?, rows))
}

fn place() -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("maintd-bench-").tempdir_in(PLACE)?)
}

/// Backups with and without digests, in turns with what people would run.
async fn beside_pg_dump(server: &Server, place: &Path, rows: u64, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let (mut plain, mut digested, mut proven) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.pick(3, 1) {
        for (digests, pairs) in [(false, &mut plain), (true, &mut digested)] {
            server.execute(DATABASE, "CHECKPOINT").await?;
            let theirs = pg_dump(server, &place.join("dump"))?;
            server.execute(DATABASE, "CHECKPOINT").await?;
            let ours = create(server, place, digests)?;
            let taking = ours.document["report"]["backups"]["seconds"]["create"].as_f64();
            pairs.push((taking.context("nobody tells how long taking it took")?, theirs));
            if digests {
                proven.push((ours.seconds, theirs));
            }
        }
    }
    let row = |what: &str, pairs: &[(f64, f64)], target| Row {
        what: format!("a backup of {rows} rows {what}"),
        ours: format!("{:.2} s", median_of(pairs, |(ours, _)| *ours)),
        peer: format!("pg_dump: {:.2} s", median_of(pairs, |(_, theirs)| *theirs)),
        figure: median_of(pairs, |(ours, theirs)| ours / theirs),
        unit: Unit::Times,
        target,
    };
    Ok(vec![
        row("with manifest and checksums", &plain, Target::AtMost(1.10)),
        row("and the digests of all tables", &digested, Target::AtMost(1.75)),
        row("and the whole command, which reads all of it again", &proven, Target::Free),
    ])
}

/// A drill against a restore by hand into a server like the drill's own, and one pass over all rows.
async fn beside_pg_restore(server: &Server, place: &Path, rows: u64, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let mut pairs = Vec::new();
    for _ in 0..effort.pick(3, 1) {
        let theirs = restored_by_hand(server, &place.join("dump")).await?;
        let begun = Instant::now();
        let document = maintd(server, place, true, &["backup", "drill", "latest"])?.document;
        ensure!(document["outcome"] == "succeeded", "the drill failed: {document}");
        pairs.push((begun.elapsed().as_secs_f64(), theirs));
    }
    Ok(vec![Row {
        what: format!("a drill of {rows} rows"),
        ours: format!("{:.2} s", median_of(&pairs, |(ours, _)| *ours)),
        peer: format!("pg_restore and one pass of digests: {:.2} s", median_of(&pairs, |(_, theirs)| *theirs)),
        figure: median_of(&pairs, |(ours, theirs)| ours / theirs),
        unit: Unit::Times,
        target: Target::AtMost(1.2),
    }])
}

/// The memory of backups of two sizes.
pub(crate) async fn memory(server: &Server, effort: Effort) -> anyhow::Result<Vec<Row>> {
    let place = place()?;
    let (few, many) = effort.pick((100_000, 5_000_000), (1_000, 10_000));
    let mut peaks = Vec::new();
    for rows in [few, many] {
        server.create(DATABASE, &contents(rows)).await?;
        peaks.push(create(server, place.path(), true)?.memory);
        server.remove(DATABASE).await?;
    }
    let (small, large) = (peaks[0], peaks[1]);
    Ok(vec![Row {
        what: format!("memory of a backup of {many} rows against {few}"),
        ours: format!("{:.1} MB after {:.1} MB", large / 1e6, small / 1e6),
        peer: String::new(),
        figure: large / small,
        unit: Unit::Times,
        target: Target::AtMost(1.1),
    }])
}

/// Rows of some 700 bytes, of which half compresses well.
fn contents(rows: u64) -> String {
    format!(
        "INSERT INTO attributes (id, bucket_name, bucket, name, data, \"timestamp\", ttl_timestamp) \
         SELECT md5((n / 100)::text), 'bucket:' || n, 'bucket', n::text, \
             jsonb_build_object('n', n, 'text', repeat('word ', 50), 'noise', \
                 md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || md5((n + 3)::text)), \
             now(), NULL \
         FROM generate_series(1, {rows}) AS n"
    )
}

/// Has `pg_dump` write the database to a directory, and returns how long that took.
fn pg_dump(server: &Server, directory: &Path) -> anyhow::Result<f64> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    let mut command = Command::new(server.program("pg_dump"));
    command.args([
        "--format=directory",
        "--schema=public",
        "--no-password",
        "--jobs",
        JOBS,
        "--compress",
        COMPRESSION.1,
    ]);
    command.arg("--file").arg(directory);
    command.args(["--host", server.host(), "--port", &server.port().to_string(), "--username", "maintd"]);
    timed(command.arg(DATABASE))
}

/// Restores what `pg_dump` has written into a server that is thrown away, and reads all of it once.
async fn restored_by_hand(server: &Server, dump: &Path) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let seclusion = Seclusion { within: PathBuf::from(PLACE), owner: Uuid::new_v4(), stop: Stop::new() };
    let options = Options { seclusion: Some(seclusion), ..Options::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
    let settings = Settings {
        host: cluster.socket_dir().display().to_string(),
        port: Bounded::new(u64::from(cluster.port())),
        dbname: "postgres".to_owned(),
        user: cluster.superuser().to_owned(),
        sslmode: SslMode::Disable,
        ..Settings::default()
    };
    let mut command = Command::new(server.program("pg_restore"));
    command.args([
        "--clean",
        "--if-exists",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--jobs",
        JOBS,
    ]);
    command.args(["--host", &settings.host, "--port", &cluster.port().to_string(), "--username", &settings.user]);
    timed(command.args(["--dbname", "postgres"]).arg(dump))?;
    let store = Postgres::new(settings, Duration::from_secs(10), std::sync::Arc::new(Metrics::new("bench", "bench")))?;
    let snapshot = store.snapshot().await?;
    ensure!(snapshot.digests(JOBS.parse()?, &Stop::new(), &Progress::new()).await?.is_some(), "nobody asked to stop");
    drop(snapshot);
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    Ok(begun.elapsed().as_secs_f64())
}

fn timed(command: &mut Command) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let status = command.stdin(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(begun.elapsed().as_secs_f64())
}

/// Takes a backup as people do.
fn create(server: &Server, place: &Path, digests: bool) -> anyhow::Result<Backup> {
    let backup = maintd(server, place, digests, &["backup", "create"])?;
    ensure!(backup.document["outcome"] == "succeeded", "the backup failed: {}", backup.document);
    Ok(backup)
}

/// Runs a command on the database.
fn maintd(server: &Server, place: &Path, digests: bool, arguments: &[&str]) -> anyhow::Result<Backup> {
    let config = place.join("config.toml");
    let sets = place.join("sets");
    let text = format!(
        "[backup]\nwhere = {sets:?}\nwork_dir = {place:?}\n\
         [backup.postgresql]\ndigests = {digests}\njobs = {JOBS}\ncompression = {:?}\n",
        COMPRESSION.0
    );
    std::fs::write(&config, text)?;
    let database = server.database(DATABASE, "maintd");
    let mut command = Command::new(env!("CARGO_BIN_EXE_actingweb-maintd"));
    // PostgreSQL's programs, and the libraries of those that were only unpacked.
    let found = ["PATH", "LD_LIBRARY_PATH"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(found).arg("--config").arg(&config);
    command.arg("--json").args(arguments);
    command.env("DATABASE_BACKEND", "postgresql").env("PG_DB_HOST", &database.host);
    command.env("PG_DB_PORT", database.port.to_string()).env("PG_DB_NAME", &database.name);
    command.env("PG_DB_USER", &database.role);
    let begun = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let process = child.id();
    // The kernel keeps the highest mark, which is gone with the process.
    let watching = std::thread::spawn(move || {
        let mut highest = 0.0;
        while let Some(mark) = high_mark(process) {
            highest = mark;
            std::thread::sleep(Duration::from_millis(5));
        }
        highest
    });
    let output = child.wait_with_output()?;
    let seconds = begun.elapsed().as_secs_f64();
    let memory = watching.join().ok().context("watching the memory broke off")?;
    let document = serde_json::from_slice(&output.stdout).context("no document was printed")?;
    Ok(Backup { seconds, document, memory })
}

/// The most memory that a process has had so far; none when it has ended.
fn high_mark(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
}
