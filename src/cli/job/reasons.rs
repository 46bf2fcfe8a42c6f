//! What jobs that delete for several reasons say for people.

use super::super::output::table;
use super::time;
use crate::work::{Diffs, LostDiffs, Report};

/// So many subscriptions are listed for people; machines get all that the report has.
const LISTED: usize = 20;

/// What would be deleted, by reason.
pub(super) fn preview(report: &Report) -> String {
    let mut rows: Vec<[String; 2]> =
        report.reasons.iter().map(|(reason, rows)| [reason.clone(), rows.to_string()]).collect();
    rows.push(["all".to_owned(), report.reasons.values().sum::<u64>().to_string()]);
    let mut text = table(["reason", "rows to delete"], rows);
    text.push_str("\nThis would be deleted; nothing was.\n");
    if report.cutoff.is_some() {
        let cutoff = time(report.cutoff);
        text.push_str(&format!("What is known to be older than {cutoff} counts as aged.\n"));
    }
    text.push_str(&report.diffs.as_ref().map(|diffs| of_diffs(diffs, "would lose")).unwrap_or_default());
    text
}

/// What was deleted, by reason; nothing of a job with only one.
pub(super) fn summary(report: &Report) -> String {
    let mut text = String::new();
    if !report.reasons.is_empty() {
        let rows = report.reasons.iter().map(|(reason, rows)| [reason.clone(), rows.to_string()]);
        text.push('\n');
        text.push_str(&table(["reason", "rows deleted"], rows));
    }
    text.push_str(&report.diffs.as_ref().map(|diffs| of_diffs(diffs, "lost")).unwrap_or_default());
    text
}

/// What became of the changes of subscriptions.
fn of_diffs(diffs: &Diffs, lost: &str) -> String {
    let Diffs { resynchronise, unconfirmed, went_back, unreadable, waiting, .. } = diffs;
    let mut text = String::new();
    if *resynchronise > 0 {
        text.push_str(&format!(
            "\n{resynchronise} subscriptions {lost} {unconfirmed} changes that nobody is known to have; who subscribes \
             may have to fetch everything anew:\n"
        ));
        let row = |LostDiffs { id, subid, peers, diffs, through }: &LostDiffs| {
            [id.clone(), subid.clone(), peers.join(" "), diffs.to_string(), through.to_string()]
        };
        let rows = diffs.lost.iter().take(LISTED).map(row);
        text.push_str(&table(["actor", "subscription", "peers", "changes", "up to"], rows));
        if *resynchronise > LISTED as u64 {
            text.push_str("and others, which --json names\n");
        }
    }
    if *waiting > 0 {
        text.push_str(&format!("\n{waiting} changes without a subscription wait to be seen so once more.\n"));
    }
    if went_back + unreadable > 0 {
        text.push_str(&format!(
            "\n{went_back} subscriptions have changes of unknown age, and {unreadable} have some that cannot be read: \
             --json names them.\n"
        ));
    }
    text
}
