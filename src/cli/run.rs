//! `run`: the daemon.

use clap::Args;

use super::{DONE, runtime, warn};
use crate::config::{Loaded, Sources};
use crate::daemon::{self, Logging};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Make or update the daemon's own schema `maintd` first; never the application's.
    #[arg(long)]
    apply_schema: bool,
}

pub(super) fn run(options: Options, sources: Sources, loaded: Loaded) -> anyhow::Result<u8> {
    let logging = Logging::start(&loaded.config.log.filter, loaded.config.log.format)?;
    warn(&loaded);
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(sources, loaded.config, logging, options.apply_schema));
    // Whatever still runs was cut on purpose and must not keep the process.
    runtime.shutdown_background();
    ended.map(|()| DONE)
}
