//! `backup`.

mod list;
mod prove;
mod prune;
mod sets;

use std::sync::Arc;

use clap::{Args, Subcommand};

use self::sets::Wanted;
use super::USAGE;
use super::job::{self, chosen};
use super::output::Output;
use crate::config::Config;
use crate::daemon;
use crate::jobs::Job;
use crate::jobs::backup::{self, BackupJob};
use crate::model::BackendKind;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a backup, verify it, and remove those that no rule keeps.
    Create {
        #[command(flatten)]
        on: On,
    },
    /// List the backups of the deployment; without its database, those of every deployment.
    List {
        #[command(flatten)]
        on: On,
    },
    /// Read every byte of a backup, and compare it with what was written.
    Verify {
        #[command(flatten)]
        set: Named,
    },
    /// Restore a backup into a place that is thrown away afterwards, and compare every table.
    Drill {
        #[command(flatten)]
        set: Named,
    },
    /// Restore a backup into an empty target of the configuration, and compare every table.
    Restore {
        #[command(flatten)]
        set: Named,
        /// The name of the target: one of [targets].
        #[arg(long, value_name = "NAME")]
        into: String,
    },
    /// Remove the backups that no rule keeps.
    Prune {
        #[command(flatten)]
        on: On,
        /// Only say what becomes of each, and why.
        #[arg(long)]
        dry_run: bool,
    },
}

/// A backend of the deployment.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct On {
    /// Where; needed when the deployment is on several backends.
    #[arg(long, value_name = "BACKEND", value_parser = job::backend)]
    backend: Option<BackendKind>,
}

/// A backup.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its id, as `backup list` shows it, or `latest`.
    id: Wanted,
    #[command(flatten)]
    on: On,
}

pub(super) async fn run(command: Command, config: Config, output: &Output) -> anyhow::Result<u8> {
    match command {
        Command::List { on } => list::list(on.backend, &config, output).await,
        Command::Verify { set } => prove::verify(&set.id, set.on.backend, &config, output).await,
        Command::Restore { set, into } => {
            if !config.targets.contains_key(&into) {
                output.error(&no_target(&into, &config));
                return Ok(USAGE);
            }
            prove::restore(&set.id, set.on.backend, &into, &config, output).await
        }
        Command::Create { on } | Command::Prune { on, .. } | Command::Drill { set: Named { on, .. } } => {
            let backend = match chosen(backup::NAME, on.backend, &config) {
                Ok(backend) => backend,
                Err(wrong) => {
                    output.error(&wrong);
                    return Ok(USAGE);
                }
            };
            let mut config = config;
            config.storage.backends = vec![backend.name().to_owned()];
            under_lease(command, backend, &config, output).await
        }
    }
}

/// What needs the lease of a job.
async fn under_lease(command: Command, backend: BackendKind, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let job = || {
        let (shop, zone) = (Arc::new(daemon::workshop(config)), config.schedule.timezone);
        BackupJob::new(config.jobs.backup.clone(), shop, zone, daemon::place(config, backend))
    };
    match command {
        Command::Drill { set } => prove::drill(&set.id, backend, config, output).await,
        Command::Prune { dry_run: true, .. } => prune::explain(&job(), config, output).await,
        Command::Prune { .. } => {
            let job: Arc<dyn Job> = Arc::new(job().only_pruning());
            job::run::run_now(&job, config, output).await
        }
        _ => {
            let job: Arc<dyn Job> = Arc::new(job());
            job::run::run_now(&job, config, output).await
        }
    }
}

fn no_target(name: &str, config: &Config) -> anyhow::Error {
    let known: Vec<&str> = config.targets.keys().map(String::as_str).collect();
    if known.is_empty() {
        return anyhow::anyhow!(
            "there is no target `{name}`, nor any other: describe an empty database or tables as [targets.{name}] in \
             the configuration file"
        );
    }
    anyhow::anyhow!("there is no target `{name}`; the targets are: {}", known.join(", "))
}
