//! `index`.

use std::sync::Arc;

use clap::Subcommand;

use super::USAGE;
use super::job::{self, chosen};
use super::output::Output;
use crate::config::Config;
use crate::daemon;
use crate::health;
use crate::jobs::Job;
use crate::jobs::index_health::{self, IndexHealth};
use crate::metrics::Check;
use crate::model::BackendKind;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look whether tables and indexes are what they must be, and well.
    Check {
        /// Read whole tables and indexes as well: their content, their exact bloat, keys and items that come close
        /// to the limits. It takes its time.
        #[arg(long)]
        deep: bool,
        /// Repair what can be repaired: indexes that are missing, invalid or bloated are built beside the old ones,
        /// without blocking anybody; on DynamoDB, missing indexes are made (but the older one on all values), attributes
        /// expire, and tables with a small capacity are paid by request.
        #[arg(long)]
        repair: bool,
        /// Where; needed when the deployment is on several backends.
        #[arg(long, value_name = "BACKEND", value_parser = job::backend)]
        backend: Option<BackendKind>,
    },
}

pub(super) async fn run(command: Command, mut config: Config, output: &Output) -> anyhow::Result<u8> {
    let Command::Check { deep, repair, backend } = command;
    let backend = match chosen(index_health::NAME, backend, &config) {
        Ok(backend) => backend,
        Err(wrong) => {
            output.error(&wrong);
            return Ok(USAGE);
        }
    };
    config.storage.backends = vec![backend.name().to_owned()];
    // What the schedule may repair, whoever only looks does not.
    let repaired = if repair { health::REPAIRABLE.map(Check::name).map(str::to_owned).to_vec() } else { Vec::new() };
    let settings = index_health::Settings { deep, repair: repaired, ..config.jobs.index_health.clone() };
    let check = IndexHealth::new(settings, config.throttle.clone(), daemon::place(&config, backend));
    let job: Arc<dyn Job> = Arc::new(check);
    job::run::run_now(&job, &config, output).await
}
