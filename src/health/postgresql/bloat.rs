//! How large a B-tree would be if it were built anew, from what `ANALYZE` knows of its values. No page is read.
//!
//! The size of an entry follows from the lengths of the values, each rounded up as the server does it. Equal keys are
//! kept together since PostgreSQL 13, as one key with a list of places (`src/backend/access/nbtree/README`, "Notes
//! about deduplication"): how many places there are for a key follows from the number of different values and from
//! the most common ones.

use std::collections::BTreeMap;

use crate::health::{Criteria, Cure, Finding};
use crate::metrics::Check;
use crate::model::Table;
use crate::storage::postgres::{Density, IndexFacts, TableFacts, Values, qualified};

/// Bytes of a page that hold no entries: its head, and what a B-tree notes at its end.
const PAGE_OVERHEAD: f64 = 24.0 + 16.0;

/// Bytes of the head of an entry, and of the pointer to it.
const ENTRY_HEAD: u32 = 8;
const POINTER: f64 = 4.0;

/// Bytes of a place in a list of places.
const PLACE: f64 = 6.0;

/// Lists of places take at most this part of a page while an index is built.
const LIST_PART: u32 = 10;

/// Leaf pages are made so full, in hundredths, unless the index says otherwise; inner pages always this.
const LEAF_FILL: u8 = 90;
const INNER_FILL: f64 = 0.7;

/// The most pages of an index without entries: what it is, and one for the first entry.
const EMPTY: u64 = 2;

/// Texts up to this length have one byte before them, longer ones four.
const SHORT: u32 = 126;

/// What an index is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// The bytes that it would have.
    pub bytes: u64,
    /// Which part of it would go, from 0 to 1.
    pub bloat: f64,
}

/// Whether there is an estimate of an index as soon as enough is known of its values.
pub(super) fn can_be_estimated(index: &IndexFacts) -> bool {
    index.is_valid && index.method == "btree" && !index.has_more && !index.is_partitioned
}

/// What an index would be if it were built anew; none where too little is known: no B-tree, never analysed, empty when
/// it was, or its values may not be seen.
pub(super) fn estimate(index: &IndexFacts, table: &TableFacts, block: u32) -> Option<Estimate> {
    if !can_be_estimated(index) || !index.is_counted || index.values.is_empty() || index.bytes == 0 {
        return None;
    }
    // What was empty when it was counted may be full by now.
    if index.rows == 0 && index.bytes > EMPTY * u64::from(block) {
        return None;
    }
    let lengths = index.values.iter().try_fold(BTreeMap::from([(ENTRY_HEAD, 1.0)]), |sum, values| add(&sum, values))?;
    let key: f64 = lengths.iter().map(|(bytes, part)| f64::from(aligned(*bytes)) * part).sum();
    let entry = key + POINTER;
    let entries = index.rows as f64;
    let (bytes, average) = match index.values.as_slice() {
        [values] if !index.is_unique && index.deduplicates != Some(false) => {
            // Of an expression the statistics are of the rows of the index.
            let rows = if values.is_expression { entries } else { table.rows as f64 };
            let bytes = Lists { key, block }.bytes(values, entries, rows, index.predicate.is_some());
            (bytes, bytes / distinct(values, rows, entries).max(1.0))
        }
        _ => (entries * entry, entry),
    };
    let usable = f64::from(block) - PAGE_OVERHEAD;
    let filled = usable * f64::from(index.fill_factor.unwrap_or(LEAF_FILL)) / 100.0;
    // Each page ends with a copy of the first key of the next one, and before it is quite full: the entry that
    // would have filled it begins the next.
    let average = average.min(f64::from(block * LIST_PART / 100));
    let leaves = (bytes / (filled - entry - average / 2.0).max(1.0)).ceil().max(1.0);
    let (mut inner, mut level) = (0.0, leaves);
    while level > 1.0 {
        level = (level * entry / (usable * INNER_FILL)).ceil();
        inner += level;
    }
    // Nobody has counted what the index has grown by since its entries were counted: it may well be full.
    let grown = index.bytes.saturating_sub(index.pages * u64::from(block));
    // And one page that says where the root is.
    let bytes = ((leaves + inner + 1.0) * f64::from(block)) as u64 + grown;
    Some(Estimate { bytes, bloat: (1.0 - bytes as f64 / index.bytes as f64).max(0.0) })
}

/// How many different values there are.
fn distinct(values: &Values, rows: f64, entries: f64) -> f64 {
    let known = values.distinct_values.unwrap_or(-1.0);
    let distinct = if known < 0.0 { -known * rows } else { known };
    distinct.clamp(1.0, entries.max(1.0))
}

/// The lengths of an entry with one more value, with the part of the entries that have each. None where nothing is
/// known of the values.
fn add(sum: &BTreeMap<u32, f64>, values: &Values) -> Option<BTreeMap<u32, f64>> {
    let lengths = match values.fixed {
        Some(_) => BTreeMap::new(),
        None => text_lengths(values)?,
    };
    let mut added = BTreeMap::new();
    for (bytes, part) in sum {
        match values.fixed {
            Some(fixed) => {
                let boundary = fixed.clamp(1, 8).next_power_of_two();
                *added.entry(bytes.next_multiple_of(boundary) + fixed).or_default() += part;
            }
            None => {
                for (length, share) in &lengths {
                    let end = match length {
                        0..=SHORT => bytes + 1 + length,
                        _ => bytes.next_multiple_of(4) + 4 + length,
                    };
                    *added.entry(end).or_default() += part * share;
                }
            }
        }
    }
    Some(added)
}

/// The lengths of texts, with the part of them that each has.
fn text_lengths(values: &Values) -> Option<BTreeMap<u32, f64>> {
    let (nulls, width) = (values.nulls?, values.width?);
    let common = values.common.as_deref().unwrap_or_default();
    let mut lengths: BTreeMap<u32, f64> = BTreeMap::new();
    for (length, part) in values.common_lengths.iter().flatten().zip(common) {
        *lengths.entry(*length).or_default() += part;
    }
    let others = (1.0 - nulls - common.iter().sum::<f64>()).max(0.0);
    let shown = values.lengths.as_deref().unwrap_or_default();
    for length in shown {
        *lengths.entry(*length).or_default() += others / shown.len() as f64;
    }
    let whole: f64 = lengths.values().sum();
    if whole <= 0.0 {
        // The average has the byte before the text in it.
        return Some(BTreeMap::from([((width - 1.0).max(0.0) as u32, 1.0)]));
    }
    lengths.values_mut().for_each(|part| *part /= whole);
    // What is long is compressed before it is stored, and the statistics know how well.
    let average: f64 = lengths.iter().map(|(length, part)| f64::from(*length) * part).sum();
    if average > f64::from(SHORT) && width < average {
        return Some(BTreeMap::from([(width as u32, 1.0)]));
    }
    Some(lengths)
}

const fn aligned(bytes: u32) -> u32 {
    bytes.next_multiple_of(8)
}

/// Keys with lists of places.
struct Lists {
    /// Bytes of a key.
    key: f64,
    /// Bytes of a page.
    block: u32,
}

impl Lists {
    /// The bytes of all entries of an index of one key.
    fn bytes(&self, values: &Values, entries: f64, rows: f64, leaves_nulls_out: bool) -> f64 {
        let nulls = if leaves_nulls_out { 0.0 } else { values.nulls.unwrap_or_default() };
        let (mut bytes, mut entries_left) = (0.0, entries * (1.0 - nulls));
        let mut values_left = distinct(values, rows, entries_left);
        for part in values.common.iter().flatten() {
            let equal = (part * rows).min(entries_left);
            bytes += self.group(equal);
            entries_left -= equal;
            values_left -= 1.0;
        }
        if entries_left > 0.0 {
            bytes += self.groups(values_left.clamp(1.0, entries_left.max(1.0)), entries_left);
        }
        if nulls > 0.0 {
            bytes += self.group(entries * nulls);
        }
        bytes
    }

    /// The bytes of entries whose keys are equally common. How many there are of each is either the same, or as
    /// chance has it; nothing tells which, and the truth is mostly between.
    fn groups(&self, values: f64, entries: f64) -> f64 {
        let each = entries / values;
        let whole = each.floor();
        let same = (1.0 - (each - whole)) * self.group(whole) + (each - whole) * self.group(whole + 1.0);
        values * (same + self.by_chance(each)) / 2.0
    }

    /// The bytes of the entries of a value that has `each` on average: Poisson, given that there is one.
    fn by_chance(&self, each: f64) -> f64 {
        const ALL_THE_SAME: f64 = 40.0;
        if each <= 1.001 || each >= ALL_THE_SAME {
            return self.group(each);
        }
        let average = |rate: f64| rate / (1.0 - (-rate).exp());
        let (mut low, mut high) = (1e-6, each);
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            if average(middle) < each { low = middle } else { high = middle }
        }
        let rate = low;
        let mut part = (-rate).exp() / (1.0 - (-rate).exp());
        let (mut sum, mut most) = (0.0, 0.0);
        while most < rate + 12.0 * rate.sqrt() + 20.0 {
            most += 1.0;
            part *= rate / most;
            sum += part * self.group(most);
        }
        sum
    }

    /// The bytes of so many entries with one key.
    fn group(&self, equal: f64) -> f64 {
        let single = self.key + POINTER;
        if equal <= 1.0 {
            return single;
        }
        let longest = f64::from(aligned(self.block * LIST_PART / 100)) - 8.0 - POINTER;
        let in_one = ((longest - self.key) / PLACE).floor().max(1.0);
        let list = |places: f64| ((self.key + places * PLACE) / 8.0).ceil() * 8.0 + POINTER;
        let lists = (equal / in_one).floor();
        let rest = equal - lists * in_one;
        let rest = match rest {
            ..=0.0 => 0.0,
            ..=1.0 => single,
            _ => list(rest),
        };
        lists * list(in_one) + rest
    }
}

/// What an index would be, by how full its pages are.
pub(super) fn exact(index: &IndexFacts, density: &Density, block: u32) -> Estimate {
    let fill = f64::from(index.fill_factor.unwrap_or(LEAF_FILL));
    let leaves = (density.leaf_pages as f64 * density.filled / fill).ceil();
    let inner = (density.inner_pages as f64 * leaves / (density.leaf_pages as f64).max(1.0)).ceil();
    let bytes = ((leaves + inner + 1.0) * f64::from(block)) as u64;
    Estimate { bytes, bloat: (1.0 - bytes as f64 / density.bytes.max(1) as f64).max(0.0) }
}

/// Whether that is too much.
pub(super) fn is_too_much(index: &IndexFacts, estimate: &Estimate, criteria: &Criteria) -> bool {
    estimate.bloat * 100.0 >= criteria.bloat_percent as f64
        && index.bytes.saturating_sub(estimate.bytes) >= criteria.bloat_bytes
}

/// The finding, if it is too much.
pub(super) fn finding(
    schema: &str,
    index: &IndexFacts,
    estimate: &Estimate,
    criteria: &Criteria,
    is_exact: bool,
) -> Option<Finding> {
    if !is_too_much(index, estimate, criteria) {
        return None;
    }
    let table = Table::named(&index.table)?;
    let what = format!(
        "the index {} on {} has {} bytes and would have {} if it were built anew: {:.0} % would go{}",
        index.name,
        index.table,
        index.bytes,
        estimate.bytes,
        estimate.bloat * 100.0,
        if is_exact { "" } else { ", by an estimate that nobody could confirm as pgstattuple is missing" }
    );
    let remedy = format!("`index check --repair`, or REINDEX INDEX CONCURRENTLY {}", qualified(schema, &index.name));
    // Whoever sees to it that there is space for it must not rely on an estimate.
    let (name, expected) = (index.name.clone(), is_exact.then_some(estimate.bytes));
    let cure = Cure::RebuildIndex { table, index: name, oid: index.oid, bytes: index.bytes, expected };
    Some(Finding::new(Check::IndexBloat, index.name.clone(), what, remedy).with_cure(cure))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MEBIBYTE: u64 = 1 << 20;

    /// An index on creators with so many bytes.
    fn index(bytes: u64) -> IndexFacts {
        let (table, name, method) = ("actors".to_owned(), "ix_actors_creator".to_owned(), "btree".to_owned());
        IndexFacts { table, name, method, bytes, is_valid: true, ..IndexFacts::default() }
    }

    #[test]
    fn what_an_index_has_grown_by_since_it_was_counted_is_no_bloat() {
        const BLOCK: u32 = 8192;
        let bloat = |rows, pages, pages_now: u64| {
            let mut values = Values::default();
            (values.nulls, values.width) = (Some(0.0), Some(21.0));
            let values = vec![values];
            let index = IndexFacts { rows, pages, values, is_counted: true, ..index(pages_now * u64::from(BLOCK)) };
            let table = TableFacts { rows, ..TableFacts::default() };
            Some((estimate(&index, &table, BLOCK)?.bloat * 100.0).round())
        };
        // A creator each: 60,000 take 297 pages.
        assert_eq!(bloat(60_000, 3000, 3000), Some(90.0));
        assert_eq!(bloat(60_000, 300, 3000), Some(0.0));
        assert_eq!(bloat(60_000, 3000, 6000), Some(45.0));
        assert_eq!(bloat(1, 2, 3000), Some(0.0));
        assert_eq!(bloat(0, 1, 3000), None);
        assert_eq!(bloat(0, 2, 2), Some(0.0));
    }

    #[test]
    fn only_what_was_measured_is_relied_upon_by_a_repair() {
        let (bloat_percent, bloat_bytes, unused_after) = (50, MEBIBYTE, Duration::ZERO);
        let wanted = [].into();
        let criteria =
            Criteria { deep: false, bloat_percent, bloat_bytes, unused_after, replicas: Vec::new(), sample: 1, wanted };
        let told = Estimate { bytes: MEBIBYTE, bloat: 0.9 };
        let expected = |is_exact| match finding("public", &index(10 * MEBIBYTE), &told, &criteria, is_exact)?.cure? {
            Cure::RebuildIndex { bytes, expected, .. } => Some((bytes, expected)),
            _ => None,
        };
        assert_eq!(expected(true), Some((10 * MEBIBYTE, Some(MEBIBYTE))));
        assert_eq!(expected(false), Some((10 * MEBIBYTE, None)));
    }
}
