//! The durable server that everything is measured on, its databases, and the daemon's own code
//! at work in them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::backup::cluster::{Cluster, Options};
use actingweb_maintd::jobs::{self, ttl_cleanup};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::runner::{
    Board, ClockSettings, Clocks, HistorySettings, LeaseSettings, Ran, Runner, Running, Start,
};
use actingweb_maintd::storage::Store;
use actingweb_maintd::storage::postgres::{Postgres, Settings, SslMode};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Progress, Run, Stop};
use anyhow::{Context, bail, ensure};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::watch;

use super::daemon::Database;

/// What differs from a server as it is installed, and why:
const SETTINGS: [(&str, &str); 5] = [
    // counts WAL and pages by role;
    ("shared_preload_libraries", "pg_stat_statements"),
    // a server of some size, so that neither side is measured at evicting pages;
    ("shared_buffers", "1GB"),
    // no checkpoint but the ones that are asked for before each side;
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "1h"),
    // nor a vacuum in the middle of one side.
    ("autovacuum", "off"),
];

/// What a durable server has on.
const DURABLE: [&str; 4] = ["fsync", "full_page_writes", "synchronous_commit", "wal_sync_method"];

/// Who connects, and what counts by role.
const ROLES: &str = "
    CREATE ROLE application LOGIN;
    CREATE ROLE maintd LOGIN SUPERUSER;
    CREATE ROLE exporter LOGIN SUPERUSER;
    CREATE EXTENSION pg_stat_statements;
";

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    cluster: Cluster,
}

/// What the statements of one role have cost so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Statements.
    pub(crate) calls: i64,
    /// Bytes of the write-ahead log.
    pub(crate) wal: i64,
    /// Pages looked at.
    pub(crate) pages: i64,
}

impl Server {
    /// Starts it.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = Options { durable: true, settings, ..Options::default() };
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
        let server = Self { cluster };
        server.execute("postgres", ROLES).await?;
        Ok(server)
    }

    /// Ends it and removes its data.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self.cluster)).await?)
    }

    /// Machine and server, in words.
    pub(crate) async fn facts(&self) -> anyhow::Result<String> {
        let mut connection = self.connect("postgres", "postgres").await?;
        let mut facts = vec![
            format!("{} cores", std::thread::available_parallelism()?),
            format!("{} profile", if cfg!(debug_assertions) { "DEBUG" } else { "release" }),
        ];
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
        facts.push(format!("PostgreSQL {version} in {}", self.cluster.socket_dir().display()));
        for name in DURABLE.into_iter().chain(SETTINGS.map(|(name, _)| name)) {
            let value: String =
                sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await?;
            facts.push(format!("{name} {value}"));
        }
        Ok(facts.join(", "))
    }

    /// One of the server's own programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let own = self.cluster.bin_dir().join(name);
        if own.is_file() { own } else { PathBuf::from(name) }
    }

    /// The address that it listens on.
    pub(crate) fn host(&self) -> &'static str {
        self.cluster.host()
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// The database `name`, as a daemon with this role finds it.
    pub(crate) fn database(&self, name: &str, role: &str) -> Database {
        Database { host: self.host().to_owned(), port: self.port(), name: name.to_owned(), role: role.to_owned() }
    }

    /// A connection of `role` to the database `name`.
    pub(crate) async fn connect(&self, role: &str, name: &str) -> anyhow::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().host(self.host()).port(self.port());
        let options = options.username(role).database(name).ssl_mode(PgSslMode::Disable);
        PgConnection::connect_with(&options).await.with_context(|| format!("cannot connect to the database {name}"))
    }

    /// Runs `sql` in the database `name`.
    pub(crate) async fn execute(&self, name: &str, sql: &str) -> anyhow::Result<()> {
        let mut connection = self.connect("postgres", name).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Makes a database with both schemas, filled by `fill`, to be a template for others.
    pub(crate) async fn create(&self, name: &str, fill: &str) -> anyhow::Result<()> {
        self.execute("postgres", &format!("CREATE DATABASE {name}")).await?;
        self.store(name)?.apply(true).await?;
        self.execute(name, "CREATE EXTENSION pg_prewarm").await?;
        self.execute(name, fill).await?;
        self.execute(name, "VACUUM (ANALYZE)").await?;
        let grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO application";
        self.execute(name, grants).await
    }

    /// Makes the database `name` a fresh copy of `template`, as a server has it that has run for
    /// a while: its pages in memory, and checkpointed.
    pub(crate) async fn copy(&self, template: &str, name: &str) -> anyhow::Result<()> {
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        let copy = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
        self.execute("postgres", &copy).await?;
        let warm = "SELECT pg_prewarm('attributes'); \
                    SELECT pg_prewarm(indexrelid) FROM pg_index WHERE indrelid = 'attributes'::regclass";
        self.execute(name, warm).await?;
        self.execute(name, "CHECKPOINT").await
    }

    /// Removes the database `name`.
    pub(crate) async fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.execute("postgres", &format!("DROP DATABASE {name} WITH (FORCE)")).await
    }

    /// The daemon's store on the database `name`, as the role `maintd`.
    pub(crate) fn store(&self, name: &str) -> anyhow::Result<Arc<Postgres>> {
        Self::store_by(self.settings(name))
    }

    /// The same, keeping its prepared statements.
    pub(crate) fn store_with_statements(&self, name: &str) -> anyhow::Result<Arc<Postgres>> {
        Self::store_by(Settings { statement_cache: true, ..self.settings(name) })
    }

    fn settings(&self, name: &str) -> Settings {
        Settings {
            host: self.host().to_owned(),
            port: Bounded::new(u64::from(self.port())),
            dbname: name.to_owned(),
            user: "maintd".to_owned(),
            sslmode: SslMode::Disable,
            ..Settings::default()
        }
    }

    fn store_by(settings: Settings) -> anyhow::Result<Arc<Postgres>> {
        Ok(Arc::new(Postgres::new(settings, Duration::from_secs(10), Arc::new(Metrics::new("bench", "bench")))?))
    }

    /// Has psql run one command, as the same role.
    pub(crate) async fn psql(&self, name: &str, command: &str) -> anyhow::Result<()> {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--host", self.host(), "--port", &self.port().to_string()]);
        psql.args(["--username", "maintd", "--dbname", name, "--command", command]).stdin(Stdio::null());
        let status = tokio::task::spawn_blocking(move || psql.status()).await??;
        ensure!(status.success(), "psql failed: {status}");
        Ok(())
    }

    /// What the statements of `role` have cost in the database `name` so far.
    pub(crate) async fn cost(&self, role: &str, name: &str) -> anyhow::Result<Cost> {
        let mut connection = self.connect("postgres", "postgres").await?;
        let (calls, wal, pages) = sqlx::query_as(
            "SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(wal_bytes), 0)::bigint, \
                 coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint \
             FROM pg_stat_statements \
             WHERE userid = $1::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = $2)",
        )
        .bind(role)
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
        Ok(Cost { calls, wal, pages })
    }
}

/// The store's runner, as the daemon has it.
pub(crate) fn runner(store: &Arc<Postgres>) -> Runner {
    let store = Arc::clone(store) as Arc<dyn Store>;
    Runner {
        backend: store.backend(),
        store,
        metrics: Arc::new(Metrics::new("bench", "bench")),
        board: Board::default(),
        clocks: Clocks::new(&ClockSettings::default()),
        lease: LeaseSettings::default(),
        history: watch::Sender::new(HistorySettings::default()),
        holder: "bench".to_owned(),
        ended: Arc::default(),
        running: Running::default(),
    }
}

/// Runs `ttl_cleanup` as `job run` does, with these settings.
pub(crate) async fn clean_up(
    runner: &Runner,
    settings: ttl_cleanup::Settings,
    throttle: throttle::Settings,
) -> anyhow::Result<Run> {
    let place = jobs::Place::on(runner.backend);
    let jobs =
        jobs::registry(&jobs::Settings { ttl_cleanup: settings, ..jobs::Settings::default() }, &throttle, &[place]);
    match runner.run(&jobs[0], Start::Manual, &Stop::new(), &Progress::new()).await? {
        Ran::Ended(run) if run.error.is_none() && !run.report.more => Ok(*run),
        other => bail!("the clean-up did not come to its end: {other:?}"),
    }
}
