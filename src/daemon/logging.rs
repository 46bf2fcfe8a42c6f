//! Logs go to stderr: text for people, JSON for machines.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::LogFormat;

/// The log of this process, whose filter can be replaced.
#[derive(Clone, Debug)]
pub struct Logging(reload::Handle<EnvFilter, Registry>);

impl Logging {
    /// Starts logging what `filter` lets through.
    ///
    /// # Errors
    ///
    /// When the filter cannot be read, and when logging was started before.
    pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<Self> {
        let text = match format {
            LogFormat::Text => true,
            LogFormat::Json => false,
            LogFormat::Auto => io::stderr().is_terminal(),
        };
        let lines = fmt::layer().with_writer(io::stderr);
        let lines = if text {
            lines.with_ansi(io::stderr().is_terminal()).with_target(false).boxed()
        } else {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        };
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        tracing_subscriber::registry().with(filter).with(lines).try_init().context("cannot start logging")?;
        Ok(Self(handle))
    }

    /// Logs what `filter` lets through from now on.
    pub(super) fn set(&self, filter: EnvFilter) {
        if let Err(error) = self.0.reload(filter) {
            tracing::error!(%error, "log.filter stays as it was");
        }
    }
}

/// Reads a filter.
pub(super) fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    // The libraries' own stories are not the operator's, unless the filter names them. The scheduler's
    // are about rings that were taken back, and sound like errors.
    let filter = format!("tokio_cron_scheduler=off,sqlx=warn,{filter}");
    EnvFilter::try_new(&filter).with_context(|| format!("log.filter: cannot read `{filter}`"))
}
