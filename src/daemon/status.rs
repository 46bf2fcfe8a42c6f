//! The status in the log, for whoever asks with a signal.

use crate::runner::{JobStatus, Status};

/// Logs `status`: the document of the API in one field, and the gist in the message.
pub(super) fn tell(status: &Status) {
    match serde_json::to_string(status) {
        Ok(document) => tracing::info!(status = document, "status: {}", gist(status)),
        Err(error) => tracing::error!(%error, "the status cannot be written as JSON"),
    }
}

fn gist(status: &Status) -> String {
    let ready = match status.not_ready.as_slice() {
        [] => "ready".to_owned(),
        reasons => format!("not ready: {}", reasons.join("; ")),
    };
    let told = status.jobs.iter().filter_map(gist_of).fold(ready, |told, gist| format!("{told}; {gist}"));
    let disabled = status.jobs.iter().filter(|shown| gist_of(shown).is_none()).map(|shown| shown.job);
    match disabled.collect::<Vec<_>>().as_slice() {
        [] => told,
        disabled => format!("{told}; disabled: {}", disabled.join(", ")),
    }
}

/// What there is to say of a job; nothing of one that is disabled.
fn gist_of(shown: &JobStatus) -> Option<String> {
    let JobStatus { job, enabled, paused, running, next_run, .. } = shown;
    match (running, next_run) {
        (Some(run), _) => Some(format!("{job} is running on {} since {}", run.holder, run.started_at.format(TIME))),
        _ if let Some(paused) = paused => {
            Some(format!("{job} is paused by {} since {}", paused.by, paused.since.format(TIME)))
        }
        (None, Some(next)) => Some(format!("{job} is due at {}", next.format(TIME))),
        (None, None) => enabled.then(|| format!("{job} is never due")),
    }
}

const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";
