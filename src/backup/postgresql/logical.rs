//! A logical backup: a dump, and the digests of its tables from the same snapshot.

use std::collections::BTreeMap;

use futures_util::future::try_join;

use super::dump::dump;
use super::{direct, room, same_cluster};
use crate::backup::point::fault_at;
use crate::backup::program::Toolbox;
use crate::backup::{CompressionKind, Consistency, Desk, Draft, Error, Result, Taken, Versions};
use crate::model::Table;
use crate::model::digest::Digest;
use crate::storage::postgres::{Postgres, Snapshot};

/// Rows take about this part of their space when they are compressed.
const COMPRESSED: u64 = 3;

/// What is known of the rows of each table.
type Sums = (BTreeMap<Table, u64>, BTreeMap<Table, Digest>);

pub(super) async fn take(desk: Desk<'_>, store: &Postgres, draft: &Draft) -> Result<Taken> {
    let settings = &desk.shop.settings.postgresql;
    let snapshot = store.snapshot().await?;
    fault_at("backup::snapshot").await?;
    let origin = snapshot.origin();
    same_cluster(draft.shelf().of(), &direct(desk), origin.system_identifier)?;
    if snapshot.tables().next().is_none() {
        return Err(Error::Refused(format!(
            "the schema {} holds no ActingWeb tables: check storage.postgresql.dbname and .schema",
            origin.schema
        )));
    }
    let expected = match settings.compression.kind {
        CompressionKind::None => origin.table_bytes,
        CompressionKind::Zstd | CompressionKind::Gzip => origin.table_bytes / COMPRESSED,
    };
    room::ensure(desk, draft.directory(), expected)?;
    let pg_dump = Toolbox::of(&desk.shop.settings).find("pg_dump", origin.major(), desk.stop).await?;
    desk.progress.expect(snapshot.rough_rows());
    let dumping = async {
        fault_at("backup::dump").await?;
        dump(desk, draft, origin, &pg_dump).await
    };
    let working = try_join(dumping, sums(desk, &snapshot));
    // What depends on the snapshot is worth nothing without it, and may hang.
    let (dumped, (rows, digests)) = tokio::select! {
        done = working => done?,
        lost = snapshot.lost() => return Err(lost.into()),
    };
    Ok(Taken {
        at: origin.at,
        consistency: Consistency::Snapshot,
        versions: Versions {
            server: Some(origin.version.clone()),
            client: Some(pg_dump.version.text.clone()),
            ..Versions::default()
        },
        compression: dumped.compression,
        rows: named(rows),
        digests: named(digests),
        parts: Vec::new(),
    })
}

/// The digest of every table, or at least how many rows it has.
async fn sums(desk: Desk<'_>, snapshot: &Snapshot<'_>) -> Result<Sums> {
    let settings = &desk.shop.settings.postgresql;
    let sums = if settings.digests {
        let digests = snapshot.digests(settings.jobs.get(), desk.stop, desk.progress).await?;
        let digests = digests.ok_or(Error::Stopped)?;
        (digests.iter().map(|(table, digest)| (*table, digest.count())).collect(), digests)
    } else {
        (snapshot.counts(desk.stop, desk.progress).await?.ok_or(Error::Stopped)?, BTreeMap::new())
    };
    fault_at("backup::digests").await?;
    Ok(sums)
}

fn named<T>(by_table: BTreeMap<Table, T>) -> BTreeMap<String, T> {
    by_table.into_iter().map(|(table, value)| (table.name().to_owned(), value)).collect()
}
