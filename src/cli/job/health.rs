//! What is said of tables and indexes for people.

use indicatif::HumanBytes;

use super::super::output::table;
use super::outcome;
use crate::work::{Defect, Health, IndexFigures, RepairOutcome, Repaired, Report, Run, Severity};

/// A run that looked at tables and indexes.
pub(super) fn summary(run: &Run, health: &Health) -> String {
    let mut text = table(
        ["run", &run.run_id.to_string()],
        [
            ["outcome", outcome(run)].map(str::to_owned),
            ["took".to_owned(), run.seconds().map(|seconds| format!("{seconds:.2} s")).unwrap_or_default()],
            ["looking took".to_owned(), format!("{:.2} s", health.seconds)],
        ],
    );
    text.push_str(&seen(&run.report, health));
    if let Some(why) = &run.report.stopped {
        text.push_str(&format!("\nIt ended early: {why}. What it had not come to is not told.\n"));
    }
    if let Some(error) = &run.error {
        text.push_str(&format!("\nIt failed: {error}\n"));
    }
    text
}

/// What was seen, repaired and found.
pub(super) fn seen(report: &Report, health: &Health) -> String {
    let mut text = String::new();
    if health.looked {
        text.push_str(&format!("\n{}", indexes(&health.indexes)));
    }
    if !health.repairs.is_empty() {
        text.push('\n');
        text.push_str(&table(["repair", "", "", ""], health.repairs.iter().map(repaired)));
    }
    for note in &health.notes {
        text.push_str(&format!("\nNote: {note}.\n"));
    }
    let (known, found): (Vec<_>, Vec<_>) = report.defects.iter().partition(|defect| defect.acknowledged.is_some());
    for Defect { kind, severity, object, what, remedy, .. } in found {
        let how = match severity {
            Severity::Critical => "CRITICAL",
            Severity::Warning => "warning",
        };
        let object = object.as_deref().unwrap_or_default();
        text.push_str(&format!("\n{how}: {kind} {object}\n  {what}\n  What to do: {remedy}\n"));
    }
    for Defect { kind, object, acknowledged, .. } in known {
        let (object, why) = (object.as_deref().unwrap_or_default(), acknowledged.as_deref().unwrap_or_default());
        text.push_str(&format!("\nacknowledged: {kind} {object}: {why}\n"));
    }
    if let Some(at) = health.deep_at.filter(|_| health.looked && !health.deep) {
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        text.push_str(&format!(
            "\nWhat only a deep look shows is as it was at {at}: `index check --deep` looks again.\n"
        ));
    }
    if health.looked {
        text.push_str(&count(report, health));
    }
    text
}

fn count(report: &Report, health: &Health) -> String {
    let found = match report.remaining() {
        0 if health.unseen.is_empty() => return "\nNothing was found.\n".to_owned(),
        0 => "Nothing was found".to_owned(),
        1 => "There is one finding".to_owned(),
        count => format!("There are {count} findings"),
    };
    if health.unseen.is_empty() {
        return format!("\n{found}.\n");
    }
    format!(
        "\n{found}, and not everything was looked at: the notes say why {} may have more.\n",
        health.unseen.join(", ")
    )
}

fn indexes(figures: &[IndexFigures]) -> String {
    let row = |figure: &IndexFigures| {
        [
            figure.index.clone(),
            figure.table.clone(),
            HumanBytes(figure.bytes).to_string(),
            figure.bloat.map(|bloat| format!("{:.0} %", bloat * 100.0)).unwrap_or_default(),
            figure.scans.map(|scans| scans.to_string()).unwrap_or_default(),
        ]
    };
    table(["index", "table", "size", "bloat", "used"], figures.iter().map(row))
}

fn repaired(repaired: &Repaired) -> [String; 4] {
    let outcome = match repaired.outcome {
        RepairOutcome::Done => "done",
        RepairOutcome::GoingOn => "going on",
        RepairOutcome::PutOff => "put off",
        RepairOutcome::Failed => "FAILED",
        RepairOutcome::CleanedUp => "cleaned up",
    };
    [repaired.kind.clone(), repaired.object.clone(), outcome.to_owned(), repaired.what.clone()]
}
