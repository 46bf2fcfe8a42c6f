//! What jobs have found, as metrics.

use super::{index_health, lookup_check, orphan_scan};
use crate::metrics::{Check, Metrics, Severity};
use crate::model::BackendKind;
use crate::work::Findings;

/// The checks that a job makes, and which of its counts each is about; none for all.
pub(super) fn checks(job: &str) -> &'static [(Check, Option<&'static [&'static str]>)] {
    match job {
        orphan_scan::NAME => &[(Check::Orphans, None)],
        lookup_check::NAME => lookup_check::CHECKS,
        _ => &[],
    }
}

/// Whether a job looks for what is wrong.
pub fn finds(job: &str) -> bool {
    !checks(job).is_empty() || job == index_health::NAME
}

/// Shows what a run of `job` has found.
pub fn show(metrics: &Metrics, backend: BackendKind, job: &str, findings: &Findings) {
    for (check, kinds) in checks(job) {
        let is_about = |kind: &String| kinds.is_none_or(|kinds| kinds.contains(&kind.as_str()));
        let count = findings.counts.iter().filter(|(kind, _)| is_about(kind)).map(|(_, count)| count).sum();
        // What was not looked at is not known.
        let count = findings.note.is_none().then_some(count);
        metrics.findings(backend, *check, Severity::Warning, count);
    }
}
