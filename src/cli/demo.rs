//! `demo`: the daemon at its main job, on a PostgreSQL and a DynamoDB that are thrown away afterwards.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::output::Output;
use super::{DONE, runtime};
use crate::backup::cluster::{self, Cluster};
use crate::daemon::{Signals, host};
use crate::demo::deployment::{Contents, Deployment};
use crate::demo::dynamodb::Emulator;
use crate::demo::tables;
use crate::jobs::ttl_cleanup;
use crate::metrics::Metrics;
use crate::model::OURS_ALONE;
use crate::model::setting::{Bounded, Span};
use crate::runner::LeaseSettings;
use crate::storage::dynamodb::DynamoDb;
use crate::storage::postgres::{self, Postgres};
use crate::storage::{Runs, Store};

/// The database that every cluster has.
const DATABASE: &str = "postgres";

/// What the names of the demo's tables begin with.
const PREFIX: &str = "demo_actingweb";

/// Between two lines of the summary.
const SUMMARY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How long it runs; Ctrl-C ends it earlier.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Where the page and the metrics are; a free port if this one is taken.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6246")]
    listen: SocketAddr,
}

pub(super) fn run(options: &Options, output: &Output) -> anyhow::Result<u8> {
    runtime()?.block_on(demonstrate(options, output))
}

async fn demonstrate(options: &Options, output: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    output.text("Starting a throw-away PostgreSQL and a throw-away DynamoDB ...\n");
    // Nobody but us may reach it, since it asks for no password.
    // Rows are deleted by the second here, and autovacuum has to keep up with that.
    let autovacuum = ("autovacuum_naptime", "2s");
    let settings = [("listen_addresses", ""), ("unix_socket_permissions", "0700"), autovacuum];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options_of_cluster = cluster::Options { settings, ..cluster::Options::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options_of_cluster)).await??;
    let emulator = Emulator::start().await.context("cannot start a DynamoDB")?;

    let prepared = tokio::select! {
        prepared = Stage::prepare(&cluster, &emulator, output) => Some(prepared?),
        _ = signals.next() => None,
    };
    if let Some(stage) = prepared {
        watch(&cluster, &emulator, &stage, options, &mut signals, output).await?;
    }
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    output.text("The throw-away stores are gone.\n");
    Ok(DONE)
}

/// What the demo is played on.
struct Stage {
    deployment: Deployment,
    postgresql: Arc<Postgres>,
    dynamodb: Arc<DynamoDb>,
}

impl Stage {
    /// Makes the application's tables, fills them and says with what.
    async fn prepare(cluster: &Cluster, emulator: &Emulator, output: &Output) -> anyhow::Result<Self> {
        let (metrics, lease) = (Arc::new(Metrics::new("demo", "demo")), LeaseSettings::default().ttl.0);
        let settings = postgres::Settings {
            host: cluster.socket_dir().display().to_string(),
            port: Bounded::new(u64::from(cluster.port())),
            dbname: DATABASE.to_owned(),
            user: cluster.superuser().to_owned(),
            ..postgres::Settings::default()
        };
        let postgresql = Arc::new(Postgres::new(settings, lease, Arc::clone(&metrics))?);
        let dynamodb = DynamoDb::new(emulator.settings(PREFIX), emulator.login(), lease, metrics);
        let stage = Self { deployment: Deployment::new(cluster), postgresql, dynamodb: Arc::new(dynamodb) };
        for store in [Arc::clone(&stage.postgresql) as Arc<dyn Store>, Arc::clone(&stage.dynamodb) as Arc<dyn Store>] {
            store.apply(true).await?;
        }
        stage.deployment.fill().await?;
        tables::fill(&stage.dynamodb).await?;
        for (backend, contents) in
            [("PostgreSQL", stage.deployment.contents().await?), ("DynamoDB", tables::contents(&stage.dynamodb).await?)]
        {
            let Contents { actors, attributes, expired } = contents;
            output.text(&format!(
                "Filled an ActingWeb deployment on {backend}: {actors} actors, {attributes} attributes, {expired} of them expired.\n"
            ));
        }
        Ok(stage)
    }

    /// Uses both deployments as applications would, until it is dropped.
    async fn use_it(&self) -> anyhow::Result<()> {
        let (on_postgresql, on_dynamodb) = (self.deployment.use_it(), tables::use_them(&self.dynamodb));
        tokio::select! {
            failed = on_postgresql => Ok(failed?),
            failed = on_dynamodb => Ok(failed?),
        }
    }

    /// What has become of the deployments.
    async fn line(&self, after: Duration) -> anyhow::Result<String> {
        let mut line = format!("{:>6} s", after.as_secs());
        for (contents, runs) in [
            (self.deployment.contents().await?, self.postgresql.history(Some(ttl_cleanup::NAME), 1000).await?),
            (tables::contents(&self.dynamodb).await?, self.dynamodb.history(Some(ttl_cleanup::NAME), 1000).await?),
        ] {
            let deleted: u64 = runs.iter().map(|run| run.report.deleted).sum();
            let Contents { attributes, expired, .. } = contents;
            line.push_str(&format!("  {attributes:>10}  {expired:>7}  {deleted:>7}  {:>4}", runs.len()));
        }
        line.push('\n');
        Ok(line)
    }
}

/// Runs the daemon beside an application, and shows what becomes of the deployments.
async fn watch(
    cluster: &Cluster,
    emulator: &Emulator,
    stage: &Stage,
    options: &Options,
    signals: &mut Signals,
    output: &Output,
) -> anyhow::Result<()> {
    let address = free_address(options.listen)?;
    let mut daemon = daemon(cluster, emulator, address)?;
    let columns = format!("  {:>10}  {:>7}  {:>7}  {:>4}", "attributes", "expired", "deleted", "runs");
    output.text(&format!(
        "\nThe daemon cleans up every 3 seconds, looks at tables and indexes every 10, makes a backup every 15 and restores \
         one to prove it every 20, for {}; Ctrl-C ends it earlier.\n\
         \x20 page     http://{address}/\n\
         \x20 metrics  http://{address}/metrics\n\n\
         {:10}{:36}{}\n{:>8}{columns}{columns}\n",
        Span(options.duration),
        "",
        "on PostgreSQL",
        "on DynamoDB",
        "after",
    ));
    let begun = Instant::now();
    let end = tokio::time::sleep(options.duration);
    tokio::pin!(end);
    let mut summary = tokio::time::interval(SUMMARY);
    let application = stage.use_it();
    tokio::pin!(application);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = signals.next() => break,
            failed = &mut application => failed?,
            status = daemon.wait() => bail!("the daemon ended by itself: {}", status?),
            _ = summary.tick() => output.text(&stage.line(begun.elapsed()).await?),
        }
    }
    stop(&mut daemon).await?;
    output.text(&stage.line(begun.elapsed()).await?);
    output.text("\nThe daemon has ended at a batch boundary, as SIGTERM asks. ");
    Ok(())
}

/// The binary itself as the daemon, which finds its stores by the application's variables.
fn daemon(cluster: &Cluster, emulator: &Emulator, address: SocketAddr) -> anyhow::Result<Child> {
    // The cluster's directory is gone with it, whatever ends us.
    let kept = cluster.socket_dir().join("backups");
    let mut command = Command::new(std::env::current_exe()?);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    command
        // No file of this machine shall have a say.
        .args(["run", "--config", "/dev/null"])
        .env("MAINTD_STORAGE__BACKENDS", "postgresql,dynamodb")
        .env("PG_DB_HOST", cluster.socket_dir())
        .env("PG_DB_PORT", cluster.port().to_string())
        .env("PG_DB_NAME", DATABASE)
        .env("PG_DB_USER", cluster.superuser())
        .env("AWS_DB_HOST", emulator.endpoint())
        .env("AWS_DB_PREFIX", PREFIX)
        // Anybody is let in.
        .env("AWS_ACCESS_KEY_ID", "demo")
        .env("AWS_SECRET_ACCESS_KEY", "demo")
        .env("MAINTD_DEPLOYMENT__NAME", "demo")
        .env("MAINTD_HTTP__LISTEN", address.to_string())
        .env("MAINTD_LOG__FILTER", "warn")
        .env("MAINTD_JOBS__TTL_CLEANUP__BACKENDS", "postgresql,dynamodb")
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 3s")
        .env("MAINTD_JOBS__INDEX_HEALTH__SCHEDULE", "every 10s")
        .env("MAINTD_BACKUP__WHERE", kept)
        .env("MAINTD_BACKUP__WORK_DIR", cluster.socket_dir())
        .env("MAINTD_BACKUP__NODE", host())
        .env("MAINTD_JOBS__BACKUP__ENABLED", "true")
        .env("MAINTD_JOBS__BACKUP__SCHEDULE", "every 15s")
        .env("MAINTD_JOBS__BACKUP_DRILL__ENABLED", "true")
        .env("MAINTD_JOBS__BACKUP_DRILL__SCHEDULE", "every 20s")
        // Ctrl-C in a terminal reaches a whole group: we pass it on once ourselves.
        .process_group(0)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the daemon")
}

/// Asks the daemon to end, and waits for it.
async fn stop(daemon: &mut Child) -> anyhow::Result<()> {
    if let Some(id) = daemon.id() {
        kill(Pid::from_raw(id.try_into()?), Signal::SIGTERM)?;
    }
    let status = daemon.wait().await?;
    if !status.success() {
        bail!("the daemon did not end well: {status}");
    }
    Ok(())
}

/// `wanted`, or a free port of the same address if somebody has it.
fn free_address(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(wanted).or_else(|_| TcpListener::bind((wanted.ip(), 0)));
    let listener = listener.with_context(|| format!("cannot listen on {}", wanted.ip()))?;
    Ok(listener.local_addr()?)
}
