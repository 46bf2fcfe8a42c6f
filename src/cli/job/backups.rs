//! What jobs about backups say for people.

use indicatif::HumanBytes;

use super::super::output::table;
use super::outcome;
use crate::work::{Backups, Pruning, Run};

/// A run that made, proved or removed backups.
pub(super) fn summary(run: &Run, backups: &Backups) -> String {
    let Backups { set, form, bytes, files, rows, level, damage, drill, pruning, seconds, note, recovery_findings: _ } =
        backups;
    let mut lines = vec![
        ["outcome", outcome(run)].map(str::to_owned),
        ["took".to_owned(), run.seconds().map(|seconds| format!("{seconds:.2} s")).unwrap_or_default()],
    ];
    let mut line = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| [name.to_owned(), value]));
    };
    line("set", set.clone());
    line("kind", form.clone());
    line("size", bytes.map(|bytes| HumanBytes(bytes).to_string()));
    line("files", files.map(|files| files.to_string()));
    line("rows", rows.map(|rows| rows.to_string()));
    line("state", level.clone());
    line("damage", damage.clone());
    if let Some(drill) = drill {
        line("restored in", Some(format!("{:.2} s", drill.restore_seconds)));
        line("age of the data", Some(format!("{:.0} s", drill.data_age_seconds)));
        line("rows compared", Some(drill.rows.to_string()));
        line("digests compared", Some(if drill.compared { "yes" } else { "no" }.to_owned()));
        line("remark", drill.note.clone());
    }
    for (step, seconds) in seconds {
        line(&format!("{step} took"), Some(format!("{seconds:.2} s")));
    }
    let mut text = table(["run", &run.run_id.to_string()], lines);
    if let Some(pruning) = pruning {
        text.push_str(&removed(pruning, "removed"));
    }
    if let Some(note) = note {
        text.push_str(&format!("\nNothing was done: {note}.\n"));
    }
    if let Some(why) = &run.report.stopped {
        text.push_str(&format!("\nIt ended early: {why}.\n"));
    }
    if let Some(error) = &run.error {
        text.push_str(&format!("\nIt failed: {error}\n"));
    }
    text
}

/// What a run would do.
pub(super) fn preview(backups: &Backups) -> String {
    let mut text = String::new();
    if let Some(set) = &backups.set {
        text.push_str(&format!("The set {set} would be drilled.\n"));
    }
    if let Some(note) = &backups.note {
        text.push_str(&format!("Nothing would be done: {note}.\n"));
    }
    if let Some(pruning) = &backups.pruning {
        text.push_str("A backup would be made and verified.\n");
        text.push_str(&removed(pruning, "would be removed"));
    }
    text.push_str("\nNothing was changed.\n");
    text
}

fn removed(pruning: &Pruning, verb: &str) -> String {
    let Pruning { kept, removed, note } = pruning;
    if let Some(note) = note {
        return format!("\nNo backup {verb}: {note}.\n");
    }
    let mut text = format!("\n{} {verb}, {kept} kept.\n", removed.len());
    if !removed.is_empty() {
        text.push_str(&table([verb, "why"], removed.iter().map(|(set, why)| [set.clone(), why.clone()])));
    }
    text
}
