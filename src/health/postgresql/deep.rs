//! What only reading whole tables and indexes shows: their content, their exact bloat, and keys that come close to the
//! largest.

use std::time::Instant;

use super::bloat;
use crate::health::{Examined, Finding, Visit};
use crate::metrics::Check;
use crate::model::layout::postgresql_key;
use crate::model::{Table, expected};
use crate::storage::postgres::{Catalog, Extensions, IndexFacts, IndexRead, LongKeys, Postgres, qualified};
use crate::storage::{Error, ErrorKind, Result};

/// A key may have 2,704 bytes in pages of 8 KiB, a third of a page (`BTMaxItemSize`); from four fifths of that on it
/// comes close.
const LARGEST_KEY: u64 = 2704;
const CLOSE: u64 = LARGEST_KEY / 5 * 4;

/// Looks at everything, as far as the extensions are there, until it is asked to stop.
pub(super) async fn look(
    store: &Postgres,
    visit: Visit<'_>,
    catalog: &Catalog,
    extensions: &Extensions,
    position: usize,
    examined: &mut Examined,
) -> Result<()> {
    let block = u64::from(catalog.database.block.max(1));
    let of_indexes: u64 = usable(catalog).map(|index| index.bytes / block).sum();
    let of_tables: u64 = catalog.tables.iter().map(|table| table.bytes / block).sum();
    let readings = u64::from(extensions.content.is_some()) + u64::from(extensions.density.is_some());
    visit.progress.expect(of_tables + of_indexes * readings);
    match &extensions.content {
        Some(schema) => contents(store, visit, schema, catalog, examined).await?,
        None => examined.leave_out(
            [Check::IndexCorrupt],
            "nobody has looked whether indexes hold what they must: CREATE EXTENSION amcheck, and GRANT EXECUTE ON FUNCTION \
             bt_index_check(regclass, boolean) to our role",
        ),
    }
    match &extensions.density {
        Some(schema) => densities(store, visit, schema, catalog, examined).await?,
        None => examined.notes.push(
            "bloat is estimated: CREATE EXTENSION pgstattuple, and GRANT pg_stat_scan_tables to our role, for what it is \
             exactly"
                .to_owned(),
        ),
    }
    for table in Table::ALL {
        let Some(facts) = catalog.table(table.name()) else { continue };
        for keys in keys(table, position) {
            let extent = (CLOSE, facts.bytes / block, catalog.database.version);
            match store.long_keys(table, &keys, extent, visit.stop, visit.progress).await {
                Ok(Some(long)) => examined.findings.extend(long_keys(table, &keys, long)),
                Ok(None) => return Ok(()),
                Err(error) => unread(examined, Check::KeySize, &format!("the table {table}"), error)?,
            }
        }
    }
    Ok(())
}

/// The keys of a table's indexes that can be too long: those of short texts and numbers cannot.
fn keys(table: Table, position: usize) -> Vec<Vec<&'static str>> {
    let long = |index: expected::Index| index.keys.iter().any(|key| ["value"].contains(key) || key.contains("->>"));
    let others = expected::indexes(table, position).into_iter().filter(|index| long(*index));
    let mut keys: Vec<Vec<&str>> = others.map(|index| index.keys.to_vec()).collect();
    keys.push(postgresql_key(table).to_vec());
    keys
}

/// The indexes that can be looked into.
fn usable(catalog: &Catalog) -> impl Iterator<Item = &IndexFacts> {
    catalog.indexes.iter().filter(|index| index.is_valid && index.method == "btree" && !index.is_partitioned)
}

async fn contents(
    store: &Postgres,
    visit: Visit<'_>,
    extension: &str,
    catalog: &Catalog,
    examined: &mut Examined,
) -> Result<()> {
    let block = u64::from(catalog.database.block.max(1));
    for index in usable(catalog) {
        let begun = Instant::now();
        let read = store.content(extension, index, visit.stop).await;
        visit.progress.add(index.bytes / block);
        let read = or_passed_over(read, index, Check::IndexCorrupt, examined)?;
        if read == IndexRead::Stopped {
            return Ok(());
        }
        if let IndexRead::Done(Err(why)) = read {
            let what = format!("the index {} on {} does not hold what it must: {why}", index.name, index.table);
            let remedy = format!(
                "look for what damaged it (disk, memory, rules for texts that have changed), and check the table with pg_amcheck \
                 before anything is written over; then REINDEX INDEX CONCURRENTLY {}, which fails if rows are there twice",
                qualified(&catalog.schema, &index.name)
            );
            examined.findings.push(Finding::new(Check::IndexCorrupt, index.name.clone(), what, remedy));
        }
        // Half of the time is for others.
        visit.stop.sleep(begun.elapsed()).await;
    }
    Ok(())
}

async fn densities(
    store: &Postgres,
    visit: Visit<'_>,
    extension: &str,
    catalog: &Catalog,
    examined: &mut Examined,
) -> Result<()> {
    let block = u64::from(catalog.database.block.max(1));
    for index in usable(catalog) {
        let begun = Instant::now();
        let read = store.density(extension, index, visit.stop).await;
        visit.progress.add(index.bytes / block);
        let density = match or_passed_over(read, index, Check::IndexBloat, examined)? {
            IndexRead::Done(density) => density,
            IndexRead::Gone => continue,
            IndexRead::Stopped => return Ok(()),
        };
        let exact = bloat::exact(index, &density, catalog.database.block);
        let figure =
            examined.indexes.iter_mut().find(|figure| figure.index == index.name && figure.table == index.table);
        if let Some(figure) = figure {
            figure.bloat = Some(exact.bloat);
        }
        examined.findings.extend(bloat::finding(&catalog.schema, index, &exact, visit.criteria, true));
        visit.stop.sleep(begun.elapsed()).await;
    }
    Ok(())
}

/// What came of reading an index. One that cannot be read is told, and passed over like one that is gone.
fn or_passed_over<T>(
    read: Result<IndexRead<T>>,
    index: &IndexFacts,
    check: Check,
    examined: &mut Examined,
) -> Result<IndexRead<T>> {
    read.or_else(|error| unread(examined, check, &format!("the index {}", index.name), error).map(|()| IndexRead::Gone))
}

/// That something cannot be read, as others can: it is damaged, locked for long, or nothing for our role. Without a
/// server nothing can.
pub(super) fn unread(examined: &mut Examined, check: Check, what: &str, error: Error) -> Result<()> {
    if error.kind == ErrorKind::Unavailable {
        return Err(error);
    }
    examined.leave_out([check], format!("{what} could not be read: {}", error.chain()));
    Ok(())
}

fn long_keys(table: Table, keys: &[&str], LongKeys { rows, longest }: LongKeys) -> Option<Finding> {
    let names = keys.join(", ");
    let what = format!(
        "{rows} rows of {table} have keys ({names}) of more than {CLOSE} bytes, the longest {longest}: an index takes \
         {LARGEST_KEY}, and what is longer cannot be written"
    );
    let remedy = "see which application stores such long names or values, before it stores one that is refused";
    (rows > 0).then(|| Finding { rows: Some(rows), ..Finding::new(Check::KeySize, table.name(), what, remedy) })
}
