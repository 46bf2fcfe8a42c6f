//! Writing the rows of an archive into tables.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::files::{self, Found};
use super::pace::Pace;
use crate::archive::rows::Name;
use crate::backup::point::fault_at;
use crate::backup::{Desk, Manifest, Result, Shelf};
use crate::model::{Record, Source, limits};
use crate::storage::dynamodb::{self, DynamoDb};
use crate::storage::{Bulk, Written};

/// How many rows are written at once, four requests' worth.
const BATCH: usize = 100;

/// How many bytes of rows are written at once.
const BATCH_BYTES: usize = 4 << 20;

/// Writes every file, several at the same time.
pub(super) async fn restore(desk: Desk<'_>, shelf: &Shelf, manifest: &Manifest, into: &DynamoDb) -> Result<()> {
    // Whoever restores reads every row again, to compare it.
    desk.progress.expect(manifest.rows().unwrap_or_default().saturating_mul(2));
    let at_once = usize::try_from(desk.shop.settings.dynamodb.segments.get()).unwrap_or(usize::MAX);
    // A loop, as a closure over references would keep the whole from being sent to another thread.
    let mut fillings = Vec::new();
    for name in files::of(manifest) {
        fillings.push(Box::pin(Filling { desk, shelf, manifest, into, pace: Pace::of(desk) }.run(name)));
    }
    let found: Vec<Found> = stream::iter(fillings).buffer_unordered(at_once).try_collect().await?;
    files::are_complete(manifest, &found).map_err(|what| files::damaged(manifest, what))
}

/// The filling of tables with a file.
struct Filling<'a> {
    desk: Desk<'a>,
    shelf: &'a Shelf,
    manifest: &'a Manifest,
    into: &'a DynamoDb,
    pace: Pace<'a>,
}

impl Filling<'_> {
    async fn run(self, name: Name) -> Result<Found> {
        let mut rows = files::open(self.shelf, self.manifest, name).await?;
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
        while let Some(row) = rows.next().await.map_err(|error| files::reading(self.manifest, error))? {
            let Source::Dynamodb(item) = row else { continue };
            bytes += limits::item_size(&item);
            batch.push(dynamodb::record(name.table, item));
            if batch.len() == BATCH || bytes >= BATCH_BYTES {
                self.write(&batch).await?;
                batch.clear();
                bytes = 0;
            }
        }
        self.write(&batch).await?;
        Ok(Found { header: *rows.header(), is_last: rows.is_last() == Some(true), rows: rows.rows() })
    }

    /// Writes rows; again if it must be, as writing them twice changes nothing.
    async fn write(&self, batch: &[Record]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        fault_at("backup::restore").await?;
        let Written { records, write_units } = self.pace.persist(|| self.into.write(batch)).await?;
        self.desk.progress.add(records);
        self.pace.has_written(write_units).await;
        Ok(())
    }
}
