//! `demo`: the daemon at its main job, on a PostgreSQL that is thrown away afterwards.

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
use crate::config::Config;
use crate::daemon::{Parts, Signals};
use crate::demo::cluster::{self, Cluster};
use crate::demo::deployment::{Contents, Deployment};
use crate::jobs::ttl_cleanup;
use crate::model::OURS_ALONE;
use crate::model::setting::{Bounded, Span};
use crate::storage::Runs;
use crate::storage::postgres::Postgres;

/// The database that every cluster has.
const DATABASE: &str = "postgres";

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
    output.text("Starting a throw-away PostgreSQL ...\n");
    // Nobody but us may reach it, since it asks for no password.
    let settings = [("listen_addresses", ""), ("unix_socket_permissions", "0700")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options_of_cluster = cluster::Options { settings, ..cluster::Options::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options_of_cluster)).await??;

    let prepared = tokio::select! {
        prepared = prepare(&cluster, output) => Some(prepared?),
        _ = signals.next() => None,
    };
    if let Some((deployment, store)) = prepared {
        watch(&cluster, &deployment, &store, options, &mut signals, output).await?;
    }
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    output.text("The throw-away PostgreSQL is gone.\n");
    Ok(DONE)
}

/// Makes the application's tables, fills them and says with what.
async fn prepare(cluster: &Cluster, output: &Output) -> anyhow::Result<(Deployment, Arc<Postgres>)> {
    let mut config = Config::default();
    config.storage.postgresql.host = cluster.socket_dir().display().to_string();
    config.storage.postgresql.port = Bounded::new(u64::from(cluster.port()));
    config.storage.postgresql.dbname = DATABASE.to_owned();
    config.storage.postgresql.user = cluster.superuser().to_owned();
    let store = Parts::new(&config)?.store;
    store.apply(true).await?;
    let deployment = Deployment::new(cluster);
    deployment.fill().await?;
    let Contents { actors, attributes, expired } = deployment.contents().await?;
    output.text(&format!(
        "Filled it as an ActingWeb deployment: {actors} actors, {attributes} attributes, {expired} of them expired.\n\n"
    ));
    Ok((deployment, store))
}

/// Runs the daemon beside an application, and shows what becomes of the deployment.
async fn watch(
    cluster: &Cluster,
    deployment: &Deployment,
    store: &Postgres,
    options: &Options,
    signals: &mut Signals,
    output: &Output,
) -> anyhow::Result<()> {
    let address = free_address(options.listen)?;
    let mut daemon = daemon(cluster, address)?;
    output.text(&format!(
        "The daemon runs its clean-up every 3 seconds, for {}; Ctrl-C ends it earlier.\n\
         \x20 page     http://{address}/\n\
         \x20 metrics  http://{address}/metrics\n\n\
         {:>8}  {:>10}  {:>9}  {:>9}  {:>5}\n",
        Span(options.duration),
        "after",
        "attributes",
        "expired",
        "deleted",
        "runs"
    ));
    let begun = Instant::now();
    let end = tokio::time::sleep(options.duration);
    tokio::pin!(end);
    let mut summary = tokio::time::interval(SUMMARY);
    let application = deployment.use_it();
    tokio::pin!(application);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = signals.next() => break,
            failed = &mut application => failed?,
            status = daemon.wait() => bail!("the daemon ended by itself: {}", status?),
            _ = summary.tick() => output.text(&line(deployment, store, begun.elapsed()).await?),
        }
    }
    stop(&mut daemon).await?;
    output.text(&line(deployment, store, begun.elapsed()).await?);
    output.text("\nThe daemon has ended at a batch boundary, as SIGTERM asks. ");
    Ok(())
}

/// The binary itself as the daemon, which finds its database by the application's variables.
fn daemon(cluster: &Cluster, address: SocketAddr) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    command
        // No file of this machine shall have a say.
        .args(["run", "--config", "/dev/null"])
        .env("DATABASE_BACKEND", "postgresql")
        .env("PG_DB_HOST", cluster.socket_dir())
        .env("PG_DB_PORT", cluster.port().to_string())
        .env("PG_DB_NAME", DATABASE)
        .env("PG_DB_USER", cluster.superuser())
        .env("MAINTD_DEPLOYMENT__NAME", "demo")
        .env("MAINTD_HTTP__LISTEN", address.to_string())
        .env("MAINTD_LOG__FILTER", "warn")
        .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "every 3s")
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

async fn line(deployment: &Deployment, store: &Postgres, after: Duration) -> anyhow::Result<String> {
    let Contents { attributes, expired, .. } = deployment.contents().await?;
    let runs = store.history(Some(ttl_cleanup::NAME), 1000).await?;
    let deleted: u64 = runs.iter().map(|run| run.report.deleted).sum();
    Ok(format!("{:>6} s  {attributes:>10}  {expired:>9}  {deleted:>9}  {:>5}\n", after.as_secs(), runs.len()))
}

/// `wanted`, or a free port of the same address if somebody has it.
fn free_address(wanted: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(wanted).or_else(|_| TcpListener::bind((wanted.ip(), 0)));
    let listener = listener.with_context(|| format!("cannot listen on {}", wanted.ip()))?;
    Ok(listener.local_addr()?)
}
