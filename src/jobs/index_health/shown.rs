//! What a run has seen, as metrics.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::health;
use crate::metrics::{Check, IndexSeen, Metrics};
use crate::model::{BackendKind, Table, expected, layout};
use crate::work::{Defect, IndexFigures, Report, Run};

/// The label of indexes that are none of ActingWeb's.
const OTHER: &str = "other";

/// Shows what a run of the job has found and measured; nothing if it has not looked.
pub fn show(metrics: &Metrics, backend: BackendKind, report: &Report) {
    let Some(seen) = &report.health else { return };
    // What nobody has looked at has no number; of a deep look before this one what it has found stays.
    for check in health::CHECKS.into_iter().filter(|check| health::is_made(*check, backend, seen.deep)) {
        let is_counted = |defect: &&Defect| defect.kind == check.name() && defect.acknowledged.is_none();
        let count = report.defects.iter().filter(is_counted).count() as u64;
        metrics.findings(backend, check, health::severity(check), Some(count));
    }
    for (table, index, seen) in by_label(backend, &seen.indexes) {
        metrics.index(backend, table, index, seen);
    }
}

/// What is known of the tables and indexes.
#[derive(Debug, PartialEq)]
pub struct Known {
    /// When the newest look was over.
    pub looked_at: DateTime<Utc>,
    /// When the newest deep one was; none if there was none.
    pub looked_deep_at: Option<DateTime<Utc>>,
    /// What the newest has seen and, of what only a deep look shows, what the newest deep one has found.
    pub report: Report,
}

/// What is known by these runs, newest first.
pub fn known(runs: &[Run]) -> Option<Known> {
    let is_look = |run: &&Run| run.report.health.is_some() && run.finished_at.is_some();
    let newest = runs.iter().find(is_look)?;
    let mut report = newest.report.clone();
    let is_deep = |run: &&Run| run.report.health.as_ref().is_some_and(|seen| seen.deep);
    let newest_deep = runs.iter().filter(is_look).find(is_deep);
    if let Some(deep) = newest_deep.filter(|deep| deep.run_id != newest.run_id) {
        let made = |deep: bool| {
            health::CHECKS
                .into_iter()
                .filter(move |check| health::is_made(*check, newest.backend, deep))
                .map(Check::name)
        };
        let only_deep: Vec<_> = made(true).filter(|name| made(false).all(|other| other != *name)).collect();
        let found = deep.report.defects.iter().filter(|defect| only_deep.contains(&defect.kind.as_str()));
        report.defects.extend(found.cloned());
        if let Some(seen) = &mut report.health {
            seen.deep = true;
        }
    }
    let looked_deep_at = newest_deep.and_then(|deep| deep.finished_at);
    Some(Known { looked_at: newest.finished_at?, looked_deep_at, report })
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
    use chrono::TimeDelta;

    use super::*;
    use crate::work::{Health, Outcome, Trigger};

    #[test]
    fn labels_are_those_of_actingweb_and_one_for_all_others() {
        let figure = |index: &str, known_as: Option<&str>, bytes| IndexFigures {
            table: "actors".to_owned(),
            index: index.to_owned(),
            known_as: known_as.map(str::to_owned),
            bytes,
            bloat: Some(0.5),
            scans: Some(7),
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

    fn run(minutes: i64, deep: bool, kinds: &[&str]) -> Run {
        let defect = |kind: &&str| {
            let check = health::CHECKS.into_iter().find(|check| check.name() == *kind).expect("a check");
            health::Finding::new(check, "x", "", "").defect(None)
        };
        let report = Report {
            defects: kinds.iter().map(defect).collect(),
            health: Some(Box::new(Health { deep, ..Health::default() })),
            ..Report::default()
        };
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        Run {
            run_id: uuid::Uuid::from_u128(minutes.unsigned_abs().into()),
            job: super::super::NAME.to_owned(),
            backend: BackendKind::Postgresql,
            slot: None,
            trigger: Trigger::Manual,
            outcome: Some(Outcome::Succeeded),
            started_at: at,
            finished_at: Some(at),
            holder: String::new(),
            error: None,
            report,
        }
    }

    #[test]
    fn what_a_deep_look_has_found_stays_until_the_next_one() {
        let kinds = |runs: &[Run]| {
            let Known { looked_at, looked_deep_at, report } = known(runs).expect("a look");
            let kinds: Vec<String> = report.defects.into_iter().map(|defect| defect.kind).collect();
            assert_eq!(report.health.expect("figures").deep, looked_deep_at.is_some());
            let minutes = |at: DateTime<Utc>| (at - DateTime::UNIX_EPOCH).num_minutes();
            (minutes(looked_at), kinds, looked_deep_at.map(minutes))
        };
        let deep = run(1, true, &["index_corrupt", "index_bloat"]);
        let shallow = run(2, false, &["index_missing"]);
        let words = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
        assert_eq!(kinds(&[shallow.clone(), deep.clone()]), (2, words(&["index_missing", "index_corrupt"]), Some(1)));
        assert_eq!(kinds(std::slice::from_ref(&shallow)), (2, words(&["index_missing"]), None));
        assert_eq!(kinds(&[run(3, true, &[]), shallow, deep]), (3, words(&[]), Some(3)));
        assert_eq!(known(&[]), None);
    }

    #[test]
    fn every_index_that_ever_was_has_a_label() {
        let names = names(BackendKind::Postgresql);
        for name in ["idx_properties_value", "idx_attributes_chain_id", "properties_pkey"] {
            assert_eq!(names.iter().filter(|(_, known)| *known == name).count(), 1, "{name}");
        }
    }
}
