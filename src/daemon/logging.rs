//! Logs go to stderr: text for people, JSON for machines.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging what `filter` lets through.
///
/// # Errors
///
/// When the filter cannot be read, and when logging was started before.
pub fn init(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    // The libraries' own stories are not the operator's, unless the filter names them.
    let filter = format!("tokio_cron_scheduler=warn,sqlx=warn,{filter}");
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("log.filter: cannot read `{filter}`"))?;
    let text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if text {
        logs.with_ansi(io::stderr().is_terminal()).with_target(false).try_init()
    } else {
        logs.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!(error)).context("cannot start logging")
}
