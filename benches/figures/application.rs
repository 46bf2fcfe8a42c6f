//! An application that goes on while something is deleted: reads and writes by primary key at a
//! steady rate, by pgbench, which writes down how long each of them took.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::server::Server;
use super::statistics::percentile;

/// Operations per second.
const RATE: u32 = 200;

/// What it does and how often: four reads for each write.
const SCRIPTS: [(&str, u32, &str); 4] = [
    (
        "read_attribute",
        4,
        "SELECT data, ttl_timestamp FROM attributes \
         WHERE id = 'actor-' || :n % 500 AND bucket_name = 'mcp_tokens:' || md5('token' || :n);",
    ),
    (
        "read_property",
        4,
        "SELECT value FROM properties WHERE id = 'actor-' || :n % 500 AND name = 'property-' || :n % 20;",
    ),
    (
        "write_attribute",
        1,
        "UPDATE attributes SET data = '{\"used\": true}', \"timestamp\" = now() \
         WHERE id = 'actor-' || :n % 500 AND bucket_name = 'mcp_tokens:' || md5('token' || :n);",
    ),
    (
        "write_property",
        1,
        "UPDATE properties SET value = 'value ' || :n WHERE id = 'actor-' || :n % 500 AND name = 'property-' || :n % 20;",
    ),
];

/// What it finds: `rows` attributes written in the course of a week, half of them sign-ins
/// of two hours that have expired, half tokens of a month; and some properties. Rows lie in the
/// order in which they were written, keys do not.
pub(crate) fn contents(rows: u32) -> String {
    format!(
        "INSERT INTO attributes (id, bucket_name, bucket, name, data, \"timestamp\", ttl_timestamp) \
         SELECT CASE WHEN lasting THEN 'actor-' || n % 500 ELSE '_actingweb_oauth2' END, bucket || ':' || name, \
             bucket, name, \
             jsonb_build_object('actor_id', 'actor-' || n % 500, 'token', name, 'scope', 'openid email profile'), \
             to_timestamp(written), written + CASE WHEN lasting THEN 30 * 86400 ELSE 7200 END \
         FROM (SELECT floor(extract(epoch FROM now()))::bigint AS now) AS today, generate_series(1, {rows}) AS n, \
             LATERAL (SELECT n % 2 = 1 AS lasting, today.now - 691200 + n::bigint * 604800 / {rows} AS written, \
                 md5('token' || n) AS name) AS row, \
             LATERAL (SELECT CASE WHEN lasting THEN 'mcp_tokens' ELSE 'spa_access_tokens' END AS bucket) AS kind; \
         INSERT INTO properties (id, name, value) \
         SELECT 'actor-' || a, 'property-' || p, 'value ' || p \
         FROM generate_series(0, 499) AS a, generate_series(0, 19) AS p"
    )
}

/// A running application.
#[derive(Debug)]
pub(crate) struct Application {
    pgbench: Child,
    dir: TempDir,
}

/// One thing that it did.
#[derive(Clone, Copy, Debug)]
struct Operation {
    /// Seconds since the Unix epoch at its end.
    ended: f64,
    /// Milliseconds from the moment it was due to its end.
    took: f64,
}

/// Everything that an application did.
#[derive(Debug)]
pub(crate) struct Diary(Vec<Operation>);

/// Seconds since the Unix epoch.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

impl Application {
    /// Starts it in the database `name`, which [`contents`] of `rows` has filled.
    pub(crate) fn start(server: &Server, name: &str, rows: u32) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new(server.program("pgbench"));
        command.args(["--no-vacuum", "--client=8", "--log", "--protocol=prepared", "--time=3600"]);
        command.arg(format!("--rate={RATE}"));
        for (script, weight, sql) in SCRIPTS {
            let path = dir.path().join(script);
            fs::write(&path, format!("\\set n 2 * random(1, {}) - 1\n{sql}\n", rows / 2))?;
            command.arg(format!("--file={}@{weight}", path.display()));
        }
        let command = command.args(["--host", server.host(), "--port", &server.port().to_string()]);
        let command = command.args(["--username", "application", name]).current_dir(dir.path());
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let pgbench = command.spawn().context("cannot start pgbench, which comes with PostgreSQL's server")?;
        Ok(Self { pgbench, dir })
    }

    /// Ends it and returns what it did.
    pub(crate) fn stop(mut self) -> anyhow::Result<Diary> {
        // The alarm it has set itself for the end of its time: it ends as if that had come, and
        // writes its log to the end.
        kill(Pid::from_raw(self.pgbench.id().try_into()?), Signal::SIGALRM)?;
        let status = self.pgbench.wait()?;
        ensure!(status.success(), "pgbench failed: {status}");
        let log = fs::read_dir(self.dir.path())?
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_string_lossy().starts_with("pgbench_log."))
            .context("pgbench wrote no log")?;
        let text = fs::read_to_string(log.path())?;
        Ok(Diary(text.lines().map(Operation::read).collect::<Option<_>>().context("the log of pgbench is strange")?))
    }
}

impl Operation {
    /// Reads a line of pgbench: client, number, microseconds since it was due, script, and the
    /// time of its end in seconds and microseconds.
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<f64> = line.split(' ').map(|field| field.parse().ok()).collect::<Option<_>>()?;
        let [_, _, took, _, seconds, microseconds, ..] = fields[..] else { return None };
        Some(Self { ended: seconds + microseconds / 1e6, took: took / 1e3 })
    }
}

impl Diary {
    /// The 99th percentile, in milliseconds, of what was under way or due between these times.
    pub(crate) fn p99(&self, from: f64, to: f64) -> f64 {
        let seen =
            self.0.iter().filter(|operation| operation.ended >= from && operation.ended - operation.took / 1e3 <= to);
        percentile(&seen.map(|operation| operation.took).collect::<Vec<_>>(), 0.99)
    }
}
