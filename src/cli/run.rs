//! `run`: the daemon.

use clap::Args;

use super::{DONE, runtime, warn};
use crate::config::Loaded;
use crate::daemon;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Make or update the daemon's own schema `maintd` first; never the application's.
    #[arg(long)]
    apply_schema: bool,
}

pub(super) fn run(options: Options, loaded: Loaded) -> anyhow::Result<u8> {
    daemon::init_logging(&loaded.config.log.filter, loaded.config.log.format)?;
    warn(&loaded);
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(loaded.config, options.apply_schema));
    // Whatever still runs was cut on purpose and must not keep the process.
    runtime.shutdown_background();
    ended.map(|()| DONE)
}
