//! Reading all rows, and writing them down.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::pace::Pace;
use crate::archive::rows::{Header, Name, Writer};
use crate::backup::point::fault_at;
use crate::backup::{Consistency, Desk, Draft, Error, Result, Taken, Versions};
use crate::model::digest::{Digest, Kind};
use crate::model::{BackendKind, Table};
use crate::storage::dynamodb::DynamoDb;
use crate::storage::{Bulk, Place, Segment, Slots};

/// How many rows are read at once at most; DynamoDB hands out a megabyte of them at most.
const PAGE: u32 = 1000;

/// How large a file becomes, before it is compressed, until the next one is begun: so that a file that is damaged
/// takes little with it, and large tables are read by several.
const FILE: u64 = 256 << 20;

/// What was read of a table, or of a part of one.
struct Sum {
    table: Table,
    digest: Digest,
}

/// Reads every table in segments, several at the same time.
pub(super) async fn take(desk: Desk<'_>, store: &DynamoDb, draft: &Draft) -> Result<Taken> {
    let pace = Pace::of(desk);
    let existing = pace.persist(|| store.existing_tables()).await?;
    let tables: Vec<Table> = existing.iter().map(|existing| existing.table).collect();
    for missing in Table::ALL.into_iter().filter(|table| !tables.contains(table)) {
        tracing::warn!(table = missing.name(), "a table is not there, and so not in the backup");
    }
    desk.progress.expect(existing.iter().map(|existing| existing.rows).sum());
    // What was written before this moment is in the backup.
    let at = pace.persist(|| store.time()).await?;
    let segments = u32::try_from(desk.shop.settings.dynamodb.segments.get()).unwrap_or(u32::MAX);
    // A loop, as a closure over references would keep the whole from being sent to another thread.
    let mut parts = Vec::new();
    for table in tables {
        for index in 0..segments {
            let segment = Segment { index, of: segments };
            parts.push(Box::pin(Reading { desk, store, draft, pace, table, segment }.run()));
        }
    }
    let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
    let mut parts = stream::iter(parts).buffer_unordered(segments as usize);
    while let Some(Sum { table, digest }) = parts.try_next().await? {
        let sum = digests.entry(table.name().to_owned()).or_insert_with(|| Digest::new(Kind::Exact));
        sum.merge(&digest).map_err(|error| Error::Failed { what: table.to_string(), source: Some(error.into()) })?;
    }
    drop(parts);
    Ok(Taken {
        at,
        consistency: Consistency::Row,
        versions: Versions::default(),
        compression: Some("zstd:3".to_owned()),
        rows: digests.iter().map(|(table, digest)| (table.clone(), digest.count())).collect(),
        digests,
        parts: Vec::new(),
    })
}

/// The reading of a segment.
struct Reading<'a> {
    desk: Desk<'a>,
    store: &'a DynamoDb,
    draft: &'a Draft,
    pace: Pace<'a>,
    table: Table,
    segment: Segment,
}

impl Reading<'_> {
    /// Reads it, and writes one file or several; there is one even when there is no row.
    async fn run(self) -> Result<Sum> {
        let mut digest = Digest::new(Kind::Exact);
        let mut next = Some(Place::default());
        let mut file = 0;
        while let Some(place) = next {
            next = self.fill(file, place, &mut digest).await?;
            file += 1;
        }
        Ok(Sum { table: self.table, digest })
    }

    /// Fills a file with the rows from `place` on. Returns where the next one begins.
    async fn fill(&self, file: u32, place: Place, digest: &mut Digest) -> Result<Option<Place>> {
        let name = Name { table: self.table, segment: self.segment.index, file };
        let header = Header { backend: BackendKind::Dynamodb, segments: self.segment.of, name };
        let mut sheet = self.draft.create(&name.to_string()).await?;
        let mut writer = Writer::begin(sheet.sink(), header).await?;
        let mut next = Some(place);
        while let Some(place) = &next
            && writer.bytes() < FILE
        {
            fault_at("backup::scan").await?;
            let stretch = self.pace.persist(|| self.store.scan(self.table, self.segment, place, PAGE)).await?;
            for record in &stretch.records {
                writer.add(&record.source).await?;
                digest.add(record);
            }
            self.desk.progress.add(stretch.records.len() as u64);
            self.pace.has_read(stretch.read_units).await;
            next = stretch.next;
        }
        writer.finish(next.is_none()).await?;
        sheet.finish().await?;
        Ok(next)
    }
}
