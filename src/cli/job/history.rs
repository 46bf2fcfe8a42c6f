//! `job history`.

use serde_json::json;

use super::super::DONE;
use super::super::output::{Output, table};
use super::{outcome, require_schema, time};
use crate::config::Config;
use crate::daemon::Parts;
use crate::work::{Report, Run, Trigger};

pub(super) async fn history(name: Option<&str>, limit: u32, config: &Config, output: &Output) -> anyhow::Result<u8> {
    let (mut runs, mut passed) = (Vec::new(), Vec::new());
    for runner in Parts::connected(config).await?.runners {
        require_schema(&*runner.store).await?;
        runs.extend(runner.store.history(name, limit).await?);
        passed.extend(runner.store.passed(name, limit).await?);
    }
    // Each store has its own, the newest first.
    runs.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.run_id)));
    runs.truncate(limit as usize);
    passed.sort_by_key(|slots| std::cmp::Reverse(slots.to));
    passed.truncate(limit as usize);
    output.either(&json!({ "runs": runs, "passed_slots": passed }), || {
        let ran = runs.iter().map(|run| {
            let row = [
                time(Some(run.started_at)),
                run.job.clone(),
                run.backend.to_string(),
                run.trigger.name().to_owned(),
                outcome(run).to_owned(),
                run.seconds().map(|seconds| format!("{seconds:.2} s")).unwrap_or_default(),
                run.report.deleted.to_string(),
                why(run),
            ];
            (run.started_at, row)
        });
        let passed = passed.iter().map(|slots| {
            let why = match slots.count {
                1 => slots.reason.to_string(),
                count => format!("{count} slots since {}: {}", time(Some(slots.from)), slots.reason),
            };
            let [job, backend, fate] = [slots.job.clone(), slots.backend.to_string(), slots.fate.name().to_owned()];
            let [took, deleted] = [String::new(), String::new()];
            (
                slots.to,
                [time(Some(slots.to)), job, backend, Trigger::Schedule.name().to_owned(), fate, took, deleted, why],
            )
        });
        let mut rows: Vec<_> = ran.chain(passed).collect();
        rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let rows = rows.into_iter().take(limit as usize).map(|(_, row)| row);
        table(["started", "job", "backend", "trigger", "outcome", "took", "deleted", "why"], rows)
    })?;
    Ok(DONE)
}

/// Why it ended as it did, if that needs a word.
fn why(run: &Run) -> String {
    let Report { stopped, trouble, .. } = &run.report;
    match (&run.error, stopped, trouble) {
        (Some(error), ..) => error.clone(),
        (None, Some(stopped), Some(trouble)) => format!("{stopped}, and meanwhile: {trouble}"),
        (None, Some(stopped), None) => stopped.to_string(),
        (None, None, _) => match run.report.remaining() {
            0 => String::new(),
            1 => "1 finding".to_owned(),
            findings => format!("{findings} findings"),
        },
    }
}
