//! Which indexes nobody uses.

use chrono::{DateTime, Utc};

use super::indexes;
use crate::health::{Earlier, Finding};
use crate::metrics::Check;
use crate::storage::postgres::{Catalog, IndexFacts, qualified};
use crate::work::IndexFigures;

/// Indexes that nobody has used for as long as it takes. Those that must be there, or stand in for one that must, are none
/// of them: an application that does not need one has it all the same. What a server counts begins with every reset, and an index
/// may be new: so an earlier run must have seen the same number, as long ago as that, and nothing was reset since. After a
/// crash counting begins at nothing, without a word of it: so every run from that one on must have seen the same number.
pub(super) fn unused(
    catalog: &Catalog,
    position: usize,
    figures: &[IndexFigures],
    earlier: &[Earlier],
    before: DateTime<Utc>,
) -> Vec<Finding> {
    let reset = catalog.database.statistics_since;
    let seen: Vec<_> = earlier.iter().filter(|seen| reset.is_none_or(|reset| reset <= seen.at)).collect();
    let is_unused = |index: &&IndexFacts| {
        let counted = |figures: &[IndexFigures]| {
            let known = figures.iter().find(|figure| figure.index == index.name && figure.table == index.table);
            known.and_then(|figure| figure.scans)
        };
        let Some(now) = counted(figures) else { return false };
        let then = seen.iter().filter_map(|seen| Some((seen.at, counted(&seen.indexes)?)));
        let Some(since) = then.clone().map(|(at, _)| at).filter(|at| *at <= before).max() else { return false };
        then.filter(|(at, _)| *at >= since).all(|(_, scans)| scans == now)
    };
    let is_free = |index: &&IndexFacts| {
        let is_bound = index.is_unique || index.is_constraint || index.is_replica_identity;
        // Of one that has others below it nothing is counted.
        !is_bound && !index.is_partitioned && !indexes::is_needed(index, catalog, position)
    };
    let told = |index: &IndexFacts| {
        let what = format!(
            "nobody has used the index {} on {} ({} bytes) since {}",
            index.name,
            index.table,
            index.bytes,
            before.format("%Y-%m-%d")
        );
        let remedy = format!(
            "DROP INDEX CONCURRENTLY {}, or say in jobs.index_health.acknowledge why it is kept",
            qualified(&catalog.schema, &index.name)
        );
        Finding::new(Check::IndexUnused, index.name.clone(), what, remedy)
    };
    catalog.indexes.iter().filter(|index| index.is_valid).filter(is_free).filter(is_unused).map(told).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::expected;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn figures(scans: Option<u64>) -> Vec<IndexFigures> {
        let (table, index) = ("actors".to_owned(), "mine".to_owned());
        vec![IndexFigures { table, index, known_as: None, bytes: 0, bloat: None, scans }]
    }

    /// An index of the application.
    fn mine() -> IndexFacts {
        let (table, name, is_valid) = ("actors".to_owned(), "mine".to_owned(), true);
        IndexFacts { table, name, is_valid, ..IndexFacts::default() }
    }

    /// Whether the index is told as unused for thirty days, after daily runs of which the last one is today's.
    fn is_unused(index: IndexFacts, counts: &[Option<u64>]) -> bool {
        let catalog = Catalog { indexes: vec![index], ..Catalog::default() };
        let now = DateTime::UNIX_EPOCH + DAY * 365;
        let (today, earlier) = counts.split_last().expect("a run");
        let seen = |(days, scans): (usize, &Option<u64>)| Earlier {
            at: now - DAY * (days + 1) as u32,
            indexes: figures(*scans),
        };
        let earlier: Vec<_> = earlier.iter().rev().enumerate().map(seen).collect();
        !unused(&catalog, expected::NEWEST, &figures(*today), &earlier, now - DAY * 30).is_empty()
    }

    #[test]
    fn every_run_since_must_have_seen_the_same_count() {
        let runs = |counts: &[u64]| is_unused(mine(), &counts.iter().copied().map(Some).collect::<Vec<_>>());
        assert!(runs(&[7; 40]) && runs(&[0; 31]));
        assert!(!runs(&[0; 30]), "not for long enough");
        // A crash, after which everything is counted anew.
        let growing: Vec<u64> = (0..40).map(|day| day * 100).chain([0]).collect();
        assert!(!runs(&growing));
        let used_before: Vec<u64> = (0..9).chain([9; 31]).collect();
        assert!(runs(&used_before));
        // Runs that could not ask every replica say nothing.
        let with_gaps: Vec<_> = (0..40).map(|day| (day % 3 == 0).then_some(7)).collect();
        assert!(is_unused(mine(), &with_gaps));
    }

    #[test]
    fn of_an_index_of_a_table_in_parts_nothing_is_counted() {
        assert!(!is_unused(IndexFacts { is_partitioned: true, ..mine() }, &[Some(0); 40]));
    }

    #[test]
    fn what_stands_in_for_an_expected_index_is_needed() {
        let on = |keys: &[&str]| IndexFacts {
            keys: keys.iter().copied().map(str::to_owned).collect(),
            method: "btree".to_owned(),
            is_plain: true,
            ..mine()
        };
        assert!(is_unused(on(&["passphrase", "creator"]), &[Some(0); 40]));
        assert!(!is_unused(on(&["creator", "passphrase"]), &[Some(0); 40]), "it finds actors by creator as well");
    }
}
