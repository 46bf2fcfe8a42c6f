//! Which indexes nobody uses.

use chrono::{DateTime, Utc};

use super::indexes;
use crate::health::{Earlier, Finding};
use crate::metrics::Check;
use crate::storage::postgres::{Catalog, IndexFacts, qualified};
use crate::work::{IndexFigures, Steady};

/// Notes for how long each index was used no more. What a server counts begins with every reset, and an index may be new:
/// so an earlier run must have seen the same number, and nothing was reset since. After a crash counting begins at nothing,
/// without a word of it: so every run from that one on must have seen the same. One that could not count says nothing.
pub(super) fn count(figures: &mut [IndexFigures], earlier: Option<&Earlier>, reset: Option<DateTime<Utc>>) {
    let Some(earlier) = earlier.filter(|earlier| reset.is_none_or(|reset| reset <= earlier.at)) else { return };
    for figure in figures {
        let seen = earlier.indexes.iter().find(|seen| seen.index == figure.index && seen.table == figure.table);
        let first = |seen: &IndexFigures| Some(Steady { scans: seen.scans?, since: earlier.at });
        let before = seen.and_then(|seen| seen.steady.or_else(|| first(seen)));
        figure.steady = before.filter(|before| figure.scans.is_none_or(|now| now == before.scans));
    }
}

/// Indexes that nobody has used for as long as it takes. Those that must be there, or stand in for one that must, are none
/// of them: an application that does not need one has it all the same.
pub(super) fn unused(
    catalog: &Catalog,
    position: usize,
    figures: &[IndexFigures],
    before: DateTime<Utc>,
) -> Vec<Finding> {
    let is_unused = |index: &&IndexFacts| {
        let figure = figures.iter().find(|figure| figure.index == index.name && figure.table == index.table);
        figure
            .is_some_and(|figure| figure.scans.is_some() && figure.steady.is_some_and(|steady| steady.since <= before))
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
        vec![IndexFigures { table: mine().table, index: mine().name, scans, ..IndexFigures::default() }]
    }

    /// An index of the application.
    fn mine() -> IndexFacts {
        let (table, name, is_valid) = ("actors".to_owned(), "mine".to_owned(), true);
        IndexFacts { table, name, is_valid, ..IndexFacts::default() }
    }

    /// Whether the index is told as unused for thirty days by the last of daily runs, between two of which the
    /// statistics may have been reset.
    fn is_unused_after(index: IndexFacts, counts: &[Option<u64>], reset: Option<DateTime<Utc>>) -> bool {
        let catalog = Catalog { indexes: vec![index], ..Catalog::default() };
        let (mut at, mut earlier) = (DateTime::UNIX_EPOCH, None);
        for scans in counts {
            at += DAY;
            let mut seen = figures(*scans);
            count(&mut seen, earlier.as_ref(), reset.filter(|reset| *reset <= at));
            earlier = Some(Earlier { at, indexes: seen });
        }
        !unused(&catalog, expected::NEWEST, &earlier.expect("a run").indexes, at - DAY * 30).is_empty()
    }

    fn is_unused(index: IndexFacts, counts: &[Option<u64>]) -> bool {
        is_unused_after(index, counts, None)
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
        let with_gaps: Vec<_> = (0..41).map(|day| (day % 3 == 0).then_some(7)).collect();
        assert!(!is_unused(mine(), &with_gaps), "the last one does not know");
        assert!(is_unused(mine(), &with_gaps[..40]));
        let reset = DateTime::UNIX_EPOCH + DAY * 20;
        assert!(!is_unused_after(mine(), &[Some(0); 40], Some(reset)), "what was before a reset says nothing");
        assert!(is_unused_after(mine(), &[Some(0); 60], Some(reset)));
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
