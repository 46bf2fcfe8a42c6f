//! `job pause` and `job resume`.

use std::sync::Arc;

use serde_json::json;

use super::super::DONE;
use super::super::output::Output;
use super::{require_schema, time};
use crate::config::Config;
use crate::daemon::{self, Parts};
use crate::jobs::Job;

pub(super) async fn pause(job: &Arc<dyn Job>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let (name, backend) = (job.name(), job.backend());
    let store = Arc::clone(&Parts::connected(config).await?.runner(backend)?.store);
    require_schema(&*store).await?;
    let paused = store.pause(name, &person()).await?;
    output.either(&json!({ "job": name, "backend": backend, "paused": paused }), || {
        format!("{name} is paused by {} since {}.\n", paused.by, time(Some(paused.since)))
    })?;
    Ok(DONE)
}

pub(super) async fn resume(job: &Arc<dyn Job>, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let (name, backend) = (job.name(), job.backend());
    let store = Arc::clone(&Parts::connected(config).await?.runner(backend)?.store);
    require_schema(&*store).await?;
    let was = store.resume(name).await?;
    output.either(&json!({ "job": name, "backend": backend, "paused": null, "was_paused": was }), || match &was {
        Some(was) => format!("{name} runs again. It was paused by {} since {}.\n", was.by, time(Some(was.since))),
        None => format!("{name} was not paused.\n"),
    })?;
    Ok(DONE)
}

/// Who is at the keyboard, for the others.
fn person() -> String {
    let name = ["USER", "LOGNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    format!("{}@{}", name.as_deref().unwrap_or("somebody"), daemon::host())
}
