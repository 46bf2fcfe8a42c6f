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
    status.jobs.iter().fold(ready, |told, shown| format!("{told}; {}", gist_of(shown)))
}

fn gist_of(shown: &JobStatus) -> String {
    let JobStatus { job, enabled, paused, running, next_run, .. } = shown;
    match (running, next_run) {
        (Some(run), _) => format!("{job} is running on {} since {}", run.holder, run.started_at.format(TIME)),
        _ if let Some(paused) = paused => {
            format!("{job} is paused by {} since {}", paused.by, paused.since.format(TIME))
        }
        (None, Some(next)) => format!("{job} is due at {}", next.format(TIME)),
        (None, None) if *enabled => format!("{job} is never due"),
        (None, None) => format!("{job} is disabled"),
    }
}

const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";
