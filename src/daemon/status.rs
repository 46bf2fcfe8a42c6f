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
    // A job is one for each backend; where there is only one, nobody needs to be told which.
    let name = |shown: &JobStatus| match status.backends.as_slice() {
        [] | [_] => shown.job.to_owned(),
        _ => format!("{} on {}", shown.job, shown.backend),
    };
    let told = status.jobs.iter().filter_map(|shown| Some(format!("{} {}", name(shown), gist_of(shown)?)));
    let told = told.fold(ready, |told, gist| format!("{told}; {gist}"));
    let disabled = status.jobs.iter().filter(|shown| gist_of(shown).is_none()).map(name);
    match disabled.collect::<Vec<_>>().as_slice() {
        [] => told,
        disabled => format!("{told}; disabled: {}", disabled.join(", ")),
    }
}

/// What there is to say of a job, after its name; nothing of one that is disabled.
fn gist_of(shown: &JobStatus) -> Option<String> {
    let JobStatus { enabled, only_on, paused, running, next_run, .. } = shown;
    match (running, next_run) {
        (Some(run), _) => Some(format!("is running on {} since {}", run.holder, run.started_at.format(TIME))),
        _ if let Some(paused) = paused => {
            Some(format!("is paused by {} since {}", paused.by, paused.since.format(TIME)))
        }
        (None, Some(next)) => Some(format!("is due at {}", next.format(TIME))),
        (None, None) if *enabled => Some("is never due".to_owned()),
        (None, None) => only_on.as_ref().map(|node| format!("runs on {node} only")),
    }
}

const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BackendKind;
    use crate::runner::BackendStatus;

    fn job(backend: BackendKind, job: &'static str, enabled: bool) -> JobStatus {
        JobStatus {
            job,
            backend,
            enabled,
            only_on: None,
            schedule: String::new(),
            paused: None,
            next_run: None,
            running: None,
            progress: None,
            last_run: None,
            last_success: None,
        }
    }

    fn status(backends: &[BackendKind]) -> Status {
        let backend = |backend: &BackendKind| BackendStatus {
            backend: *backend,
            up: Some(true),
            place: String::new(),
            problem: None,
            schema_revision: None,
            backlog: None,
        };
        let of_all = |name, enabled| backends.iter().map(move |backend| job(*backend, name, enabled));
        Status {
            backends: backends.iter().map(backend).collect(),
            jobs: of_all("ttl_cleanup", true).chain(of_all("backup", false)).collect(),
            ..Status::default()
        }
    }

    #[test]
    fn a_job_that_another_host_runs_is_not_told_as_disabled() {
        let elsewhere = JobStatus { only_on: Some("db1".to_owned()), ..job(BackendKind::Postgresql, "backup", false) };
        let status = Status { jobs: vec![elsewhere], ..status(&[BackendKind::Postgresql]) };
        assert_eq!(gist(&status), "ready; backup runs on db1 only");
    }

    #[test]
    fn a_job_of_several_backends_is_told_for_each() {
        assert_eq!(gist(&status(&[BackendKind::Postgresql])), "ready; ttl_cleanup is never due; disabled: backup");
        assert_eq!(
            gist(&status(&[BackendKind::Postgresql, BackendKind::Dynamodb])),
            "ready; ttl_cleanup on postgresql is never due; ttl_cleanup on dynamodb is never due; disabled: backup on \
             postgresql, backup on dynamodb"
        );
    }
}
