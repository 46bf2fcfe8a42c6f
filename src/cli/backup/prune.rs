//! `backup prune --dry-run`.

use serde_json::json;

use super::super::output::{Output, table};
use super::super::{DONE, REMAINS};
use crate::backup::Decision;
use crate::config::Config;
use crate::daemon::Parts;
use crate::jobs::Job;
use crate::jobs::backup::BackupJob;

/// Says what becomes of each set, and why.
pub(super) async fn explain(job: &BackupJob, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let backend = job.backend();
    let runner = Parts::connected(config).await?.runner(backend)?;
    let pruned = job.decide(&*runner.store).await?;
    output.either(&json!({ "backend": backend, "dry_run": true, "pruning": pruned }), || {
        if let Some(note) = &pruned.note {
            return format!("Nothing would be removed: {note}.\n");
        }
        if pruned.decisions.is_empty() {
            return "There are no backups.\n".to_owned();
        }
        let row = |Decision { set, removed, reasons }: &Decision| {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            let fate = if *removed { "goes" } else { "stays" };
            [set.to_string(), fate.to_owned(), reasons.join("; ")]
        };
        let mut text = table(["set", "", "why"], pruned.decisions.iter().map(row));
        text.push_str(&format!("\n{} would be removed; nothing was.\n", pruned.removed().count()));
        text
    })?;
    Ok(if pruned.note.is_some() { REMAINS } else { DONE })
}
