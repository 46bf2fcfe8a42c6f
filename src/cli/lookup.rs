//! `lookup`.

use std::sync::Arc;

use clap::Subcommand;

use super::USAGE;
use super::job::{self, chosen};
use super::output::Output;
use crate::config::Config;
use crate::daemon;
use crate::jobs::Job;
use crate::jobs::lookup_check::{self, LookupCheck};
use crate::model::BackendKind;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Hold the look-up table against the properties.
    Check {
        /// Add missing entries and remove stale ones. Where two actors have one value, nobody decides
        /// between them.
        #[arg(long)]
        repair: bool,
        /// Where; needed when the deployment is on several backends.
        #[arg(long, value_name = "BACKEND", value_parser = job::backend)]
        backend: Option<BackendKind>,
    },
}

pub(super) async fn run(command: Command, mut config: Config, output: &Output) -> anyhow::Result<u8> {
    let Command::Check { repair, backend } = command;
    let backend = match chosen(lookup_check::NAME, backend, &config) {
        Ok(backend) => backend,
        Err(wrong) => {
            output.error(&wrong);
            return Ok(USAGE);
        }
    };
    config.storage.backends = vec![backend.name().to_owned()];
    // What the schedule may repair, whoever only looks does not.
    let settings = lookup_check::Settings { repair, ..config.jobs.lookup_check.clone() };
    let check = LookupCheck::new(settings, config.throttle.clone(), daemon::place(&config, backend));
    let job: Arc<dyn Job> = Arc::new(check);
    job::run::run_now(&job, &config, output).await
}
