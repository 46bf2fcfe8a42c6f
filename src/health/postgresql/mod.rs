//! The health of tables and indexes of PostgreSQL.

mod bloat;
mod deep;
mod indexes;
mod repair;
mod schema;
mod usage;
mod vitals;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub(super) use self::repair::{recover, repair};
use super::{Examined, Finding, Visit};
use crate::metrics::Check;
use crate::model::{clock, expected, schema as revisions};
use crate::storage::Result;
use crate::storage::postgres::{Catalog, Extensions, IndexFacts, IndexRead, Postgres};
use crate::throttle::Reason;
use crate::work::IndexFigures;

/// What follows from the revision of the schema.
const OF_REVISION: [Check; 13] = [
    Check::TableMissing,
    Check::ColumnMissing,
    Check::ColumnDifferent,
    Check::ColumnExtra,
    Check::KeyDifferent,
    Check::ForeignKeyDifferent,
    Check::IndexMissing,
    Check::IndexDifferent,
    Check::IndexInvalid,
    Check::IndexLeftover,
    Check::IndexDuplicate,
    Check::IndexCovered,
    Check::IndexExtra,
];

/// Between two looks at dead rows.
const LOOKING: Duration = Duration::from_secs(2);

/// Looks at everything. Reads no page of a table or an index, but of those indexes that seem to be bloated, unless
/// it is to look deep.
pub(super) async fn examine(store: &Postgres, visit: Visit<'_>) -> Result<Examined> {
    let mut catalog = store.catalog().await?;
    // Who builds an index is seen a little later than whether it is valid, and may have come to the end in between.
    if catalog.indexes.iter().any(|index| !index.is_valid && !index.may_be_built) {
        catalog = store.catalog().await?;
    }
    let mut examined = Examined::default();
    // What a revision that nobody here knows has, nobody here knows.
    let status = store.schema().await?;
    let known = status.revisions.first().and_then(|id| revisions::position(id));
    match known {
        Some(position) => {
            examined.findings.extend(schema::compare(&catalog, position));
            examined.findings.extend(indexes::compare(&catalog, position));
        }
        None => examined.leave_out(
            OF_REVISION,
            format!(
                "nobody knows what the schema {} must have at its revision: tables and indexes were not compared",
                catalog.schema
            ),
        ),
    }
    examined.notes.extend(vitals::loses_rows(catalog.database.version).map(str::to_owned));
    let position = known.unwrap_or(expected::NEWEST);
    examined.findings.extend(vitals::findings(&catalog));
    examined.findings.extend(still_behind(store, visit, &catalog).await?);
    let on_replicas = used_on_replicas(store, visit, &catalog, &mut examined.notes).await;
    examined.indexes = figures(&catalog, position, on_replicas.as_ref());
    let before = clock::now() - visit.criteria.unused_after;
    usage::count(&mut examined.indexes, visit.earlier, catalog.database.statistics_since);
    examined.findings.extend(usage::unused(&catalog, position, &examined.indexes, before));
    let extensions = store.extensions().await?;
    if visit.criteria.deep {
        deep::look(store, visit, &catalog, &extensions, position, &mut examined).await?;
    }
    let could_be_known = |figure: &IndexFigures| {
        let index = catalog.indexes.iter().find(|index| index.name == figure.index);
        index.is_some_and(bloat::can_be_estimated)
    };
    let is_unknown = |figure: &&IndexFigures| {
        figure.bloat.is_none() && figure.bytes >= visit.criteria.bloat_bytes && could_be_known(figure)
    };
    let unknown: Vec<_> = examined.indexes.iter().filter(is_unknown).map(|figure| figure.index.as_str()).collect();
    if !unknown.is_empty() {
        examined.notes.push(format!(
            "how bloated they are is not known of {}: nobody has analysed their tables or they were empty then, or our role \
             may not see the statistics (SELECT on the table; of an index on an expression, only its owner may)",
            unknown.join(", ")
        ));
    }
    if !visit.criteria.deep || extensions.density.is_none() {
        bloated(store, visit, &catalog, &extensions, &mut examined).await?;
    }
    Ok(examined)
}

/// Tables that autovacuum does not get done with: they are looked at again until it had the time to come to them.
async fn still_behind(store: &Postgres, visit: Visit<'_>, catalog: &Catalog) -> Result<Vec<Finding>> {
    let mut behind = vitals::behind(catalog);
    let time = Duration::from_secs_f64(catalog.database.naptime.max(0.0)) * 2;
    let begun = Instant::now();
    let _shown = (!behind.is_empty()).then(|| visit.progress.rest(Reason::Autovacuum.name()));
    while !behind.is_empty() && begun.elapsed() < time {
        visit.stop.sleep(LOOKING.min(time)).await;
        if visit.stop.requested().is_some() {
            return Ok(Vec::new());
        }
        let before = behind;
        behind = vitals::behind(&store.catalog().await?);
        behind.retain(|now| before.iter().any(|then| then.object == now.object));
    }
    Ok(behind)
}

/// How often each index was used on the replicas; none where that cannot be told of all of them.
async fn used_on_replicas(
    store: &Postgres,
    visit: Visit<'_>,
    catalog: &Catalog,
    notes: &mut Vec<String>,
) -> Option<BTreeMap<String, u64>> {
    let mut used: BTreeMap<String, u64> = BTreeMap::new();
    let (mut seen, mut asked) = (0, BTreeSet::new());
    for (host, port) in &visit.criteria.replicas {
        match store.usage_on(host, *port, &mut asked).await {
            Ok(scans) => {
                seen += 1;
                for (index, scans) in scans {
                    *used.entry(index).or_default() += scans;
                }
            }
            Err(error) => {
                notes.push(format!("the replica {host}:{port} does not say which indexes it uses: {}", error.chain()))
            }
        }
    }
    let following = catalog.database.replicas;
    if seen < following {
        notes.push(format!(
            "{following} servers follow this one and {seen} were asked: which indexes nobody uses, is not known; name all in \
             jobs.index_health.replicas"
        ));
    }
    (seen >= following && seen as usize == visit.criteria.replicas.len()).then_some(used)
}

/// The indexes in numbers.
fn figures(catalog: &Catalog, position: usize, on_replicas: Option<&BTreeMap<String, u64>>) -> Vec<IndexFigures> {
    let bloat = |index: &IndexFacts| {
        let table = catalog.table(&index.table)?;
        Some(bloat::estimate(index, table, catalog.database.block)?.bloat)
    };
    let usable = catalog.indexes.iter().filter(|index| !indexes::is_being_built(index));
    let figures = usable.map(|index| IndexFigures {
        table: index.table.clone(),
        index: index.name.clone(),
        known_as: indexes::known_as(index, position).map(str::to_owned),
        bytes: index.bytes,
        bloat: bloat(index),
        scans: on_replicas.map(|used| index.scans + used.get(&index.name).copied().unwrap_or_default()),
        steady: None,
    });
    figures.collect()
}

/// Indexes that are bloated: by estimate, and where that can be done confirmed by reading the one in question.
async fn bloated(
    store: &Postgres,
    visit: Visit<'_>,
    catalog: &Catalog,
    extensions: &Extensions,
    examined: &mut Examined,
) -> Result<()> {
    for index in &catalog.indexes {
        let Some(table) = catalog.table(&index.table) else { continue };
        let Some(estimate) = bloat::estimate(index, table, catalog.database.block) else { continue };
        if !bloat::is_too_much(index, &estimate, visit.criteria) {
            continue;
        }
        let (mut told, mut is_exact) = (estimate, false);
        if let Some(extension) = &extensions.density {
            match store.density(extension, index, visit.stop).await {
                Ok(IndexRead::Done(density)) => {
                    (told, is_exact) = (bloat::exact(index, &density, catalog.database.block), true);
                }
                Ok(IndexRead::Gone) => continue,
                Ok(IndexRead::Stopped) => return Ok(()),
                Err(error) => deep::unread(examined, Check::IndexBloat, &format!("the index {}", index.name), error)?,
            }
        }
        examined.findings.extend(bloat::finding(&catalog.schema, index, &told, visit.criteria, is_exact));
    }
    Ok(())
}
