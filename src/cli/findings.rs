//! What jobs have found, for people.

use super::job::time;
use super::output::table;
use crate::work::{Findings, Report};

/// What a report says of findings, of rows that were passed over, and of rows that were added; empty when
/// it says nothing of them.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    if report.added > 0 {
        text.push_str(&format!("\nRows added: {}.\n", report.added));
    }
    if let Some(findings) = &report.findings {
        text.push_str(&of(findings));
    }
    if !report.passed_over.is_empty() {
        let reasons = report.passed_over.iter().map(|(why, rows)| [why.clone(), rows.to_string()]);
        text.push('\n');
        text.push_str(&table(["passed over", "rows"], reasons));
    }
    text
}

fn of(findings: &Findings) -> String {
    let Findings { counts, listed, left_out, note } = findings;
    let mut text = String::new();
    match (note, findings.total()) {
        (Some(note), _) => text.push_str(&format!("\nNothing was checked: {note}.\n")),
        (None, 0) => text.push_str("\nNothing was found.\n"),
        (None, _) => {
            text.push('\n');
            text.push_str(&table(
                ["found", "rows"],
                counts.iter().map(|(kind, rows)| [kind.clone(), rows.to_string()]),
            ));
            let rows = listed.iter().map(|finding| {
                [
                    finding.kind.clone(),
                    finding.table.clone(),
                    finding.id.clone(),
                    finding.name.clone().unwrap_or_else(|| format!("{} rows", finding.rows)),
                    match (&finding.other, finding.deleted_at) {
                        (Some(other), _) => format!("{other} has the entry"),
                        (None, Some(at)) => format!("deleted {}", time(Some(at))),
                        (None, None) => String::new(),
                    },
                ]
            });
            text.push('\n');
            text.push_str(&table(["", "table", "actor", "what", ""], rows));
            let shown: u64 = listed.iter().map(|finding| finding.rows).sum();
            if shown < findings.total() {
                text.push_str(&format!("and {} rows more.\n", findings.total() - shown));
            }
        }
    }
    if !left_out.is_empty() {
        let tables = left_out.join(", ");
        text.push_str(&format!("\nNot looked at, as the schema has not what this build knows: {tables}.\n"));
    }
    text
}
