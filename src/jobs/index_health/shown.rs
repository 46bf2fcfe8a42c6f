//! What a run has seen, as metrics.

use std::collections::BTreeMap;

use crate::health;
use crate::metrics::{IndexSeen, Metrics};
use crate::model::{BackendKind, Table, expected, layout};
use crate::work::{Defect, IndexFigures, Report, Run};

/// The label of indexes that are none of ActingWeb's.
const OTHER: &str = "other";

/// Shows what a run of the job has found and measured; nothing if its look has not come to an end.
pub fn show(metrics: &Metrics, backend: BackendKind, report: &Report) {
    let Some(seen) = report.health.as_ref().filter(|seen| seen.looked) else { return };
    // What nobody has looked at has no number.
    for check in health::CHECKS.into_iter().filter(|check| health::is_made(*check, backend, seen.deep_at.is_some())) {
        let is_counted = |defect: &&Defect| defect.kind == check.name() && defect.acknowledged.is_none();
        let count = report.defects.iter().filter(is_counted).count() as u64;
        let is_unknown = count == 0 && seen.unseen.iter().any(|unseen| unseen == check.name());
        metrics.findings(backend, check, health::severity(check), (!is_unknown).then_some(count));
    }
    for (table, index, seen) in by_label(backend, &seen.indexes) {
        metrics.index(backend, table, index, seen);
    }
}

/// The newest of these runs, newest first, whose look came to its end.
pub fn newest_look(runs: &[Run]) -> Option<&Run> {
    let is_look = |run: &&Run| run.report.health.as_ref().is_some_and(|seen| seen.looked) && run.finished_at.is_some();
    runs.iter().find(is_look)
}

/// Every label, with what was seen of its index; those that have no label of their own are added up.
fn by_label(
    backend: BackendKind,
    figures: &[IndexFigures],
) -> impl Iterator<Item = (Table, &'static str, Option<IndexSeen>)> {
    let mut labels: BTreeMap<(Table, &'static str), Option<IndexSeen>> =
        names(backend).into_iter().map(|label| (label, None)).collect();
    for figure in figures {
        let Some(table) = Table::named(&figure.table) else { continue };
        let known = labels.keys().find(|(of, name)| *of == table && figure.known_as.as_deref() == Some(*name));
        let label = known.copied().unwrap_or((table, OTHER));
        let sum = labels.entry(label).or_default().get_or_insert_default();
        sum.bytes += figure.bytes;
        sum.bloat = figure.bloat.filter(|_| label.1 != OTHER);
        sum.scans = figure.scans.map(|scans| sum.scans.unwrap_or_default() + scans);
    }
    labels.into_iter().map(|((table, index), seen)| (table, index, seen))
}

/// The indexes that ActingWeb has, and a word for all others of each table.
fn names(backend: BackendKind) -> Vec<(Table, &'static str)> {
    let others = Table::ALL.into_iter().map(|table| (table, OTHER));
    let known: Vec<_> = match backend {
        BackendKind::Postgresql => expected::index_names().collect(),
        BackendKind::Dynamodb => {
            let index = |table| Some((table, layout::dynamodb_index(table, true)?.name));
            Table::ALL.into_iter().filter_map(index).collect()
        }
    };
    known.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Check;
    use crate::work::Health;

    #[test]
    fn labels_are_those_of_actingweb_and_one_for_all_others() {
        let figure = |index: &str, known_as: Option<&str>, bytes| IndexFigures {
            table: "actors".to_owned(),
            index: index.to_owned(),
            known_as: known_as.map(str::to_owned),
            bytes,
            bloat: Some(0.5),
            scans: Some(7),
            steady: None,
        };
        let figures = [
            figure("idx_actors_creator", Some("ix_actors_creator"), 10),
            figure("mine", None, 20),
            figure("mine_too", None, 30),
        ];
        let seen: Vec<_> = by_label(BackendKind::Postgresql, &figures).filter(|(.., seen)| seen.is_some()).collect();
        let own = IndexSeen { bytes: 10, bloat: Some(0.5), scans: Some(7) };
        let others = IndexSeen { bytes: 50, bloat: None, scans: Some(14) };
        assert_eq!(seen, [(Table::Actors, "ix_actors_creator", Some(own)), (Table::Actors, "other", Some(others))]);
    }

    #[test]
    fn what_was_not_looked_at_has_no_number() {
        let metrics = Metrics::new("test", "test");
        let shown = |health: Health, kinds: &[Check]| {
            let defects = kinds.iter().map(|kind| health::Finding::new(*kind, "x", "", "").defect(None)).collect();
            show(
                &metrics,
                BackendKind::Postgresql,
                &Report { defects, health: Some(Box::new(health)), ..Report::default() },
            );
            let text = metrics.encode();
            [Check::IndexBloat, Check::IndexMissing, Check::IndexCorrupt].map(|check| {
                let name = format!("check=\"{}\"", check.name());
                let line = text.lines().find(|line| line.starts_with("maintd_findings{") && line.contains(&name))?;
                Some(line.rsplit_once(' ').expect("a value").1.to_owned())
            })
        };
        let (zero, one) = (Some("0".to_owned()), Some("1".to_owned()));
        let unseen = vec![Check::IndexMissing.name().to_owned()];
        let looked = Health { looked: true, ..Health::default() };
        assert_eq!(shown(looked.clone(), &[Check::IndexMissing]), [zero.clone(), one.clone(), None]);
        // A look that was cut short changes nothing.
        assert_eq!(shown(Health::default(), &[]), [zero.clone(), one.clone(), None]);
        let without = Health { unseen, ..looked.clone() };
        assert_eq!(shown(without.clone(), &[]), [zero.clone(), None, None]);
        // What was found all the same, counts.
        assert_eq!(shown(without, &[Check::IndexMissing]), [zero.clone(), one.clone(), None]);
        let deep = Health { deep_at: Some(chrono::DateTime::UNIX_EPOCH), ..looked };
        assert_eq!(shown(deep, &[Check::IndexCorrupt]), [zero.clone(), zero, one]);
    }

    #[test]
    fn every_index_that_ever_was_has_a_label() {
        let names = names(BackendKind::Postgresql);
        for name in ["idx_properties_value", "idx_attributes_chain_id", "properties_pkey"] {
            assert_eq!(names.iter().filter(|(_, known)| *known == name).count(), 1, "{name}");
        }
    }
}
