//! Bringing a repair to its end, whatever became of it.

use std::time::Duration;

use uuid::Uuid;

use super::point::fault_at;
use super::supervision::{Ended, supervise};
use super::verdict::{Next, next};
use crate::health::Visit;
use crate::storage::postgres::{Postgres, RepairStep, Workbench};
use crate::storage::{ErrorKind, Result};

/// A session of the server that ends gives back our lock a little before those on tables and indexes, and somebody may
/// only pass by: so often, and with such rests, somebody who is at work is looked at again.
const LOOKS: u32 = 20;
const AGAIN: Duration = Duration::from_millis(100);

/// What a repair has come to.
#[derive(Debug)]
pub(super) enum Settled {
    /// The index is as it should be, with so many bytes.
    Finished(u64),
    /// Nothing of it is left, as these indexes were removed.
    Removed(Vec<String>),
    /// Something of it is left, and why.
    Left(String),
}

/// Takes the steps that are left of the repair `id`, which nobody works at but `bench`, by what the table looks like. What
/// is journalled and what the server says is all it goes by, so it is the same for our own repairs and for those of
/// somebody who was killed. None when the journal does not know of it.
///
/// # Errors
///
/// When the server does not answer; then the next run goes on.
pub(super) async fn settle(
    store: &Postgres,
    visit: Visit<'_>,
    bench: &mut Workbench<'_>,
    id: Uuid,
) -> Result<Option<Settled>> {
    let mut removed = Vec::new();
    let mut unnamed = None;
    let mut looks = 0;
    let at = bench.backend;
    loop {
        let Some(repair) = store.open_repairs().await?.into_iter().find(|repair| repair.id == id) else {
            return Ok(None);
        };
        let table = store.table_seen(repair.table, at.0).await?;
        let end = match next(&repair, &table) {
            Next::Rename(from) => {
                store.take_repair_step(&repair, RepairStep::Renaming).await?;
                fault_at("rename").await?;
                match supervise(store, visit, &repair, at, bench.rename(&repair, &from), false).await? {
                    Ended::Done => fault_at("renamed").await?,
                    Ended::Refused(error) if error.kind == ErrorKind::Timeout => {
                        let why = format!("{from} does not have its name yet, which the next run gives it");
                        return Ok(Some(Settled::Left(format!("{why}: {}", error.source))));
                    }
                    Ended::Refused(error) => {
                        unnamed = Some(error.source.to_string());
                        store.take_repair_step(&repair, RepairStep::Removing).await?;
                    }
                    Ended::Lost(error) => return Err(error),
                }
                continue;
            }
            Next::Remove(name) => {
                store.take_repair_step(&repair, RepairStep::Removing).await?;
                fault_at("remove").await?;
                match supervise(store, visit, &repair, at, bench.drop_index(&repair, &name), false).await? {
                    Ended::Done => removed.push(name),
                    Ended::Refused(error) => {
                        let why = format!("the index {name} is left of it, which the next run removes");
                        return Ok(Some(Settled::Left(format!("{why}: {}", error.source))));
                    }
                    Ended::Lost(error) => return Err(error),
                }
                fault_at("removed").await?;
                continue;
            }
            Next::Later(_) if looks < LOOKS => {
                looks += 1;
                visit.stop.sleep(AGAIN).await;
                continue;
            }
            Next::Later(why) => return Ok(Some(Settled::Left(format!("the next run looks again: {why}")))),
            Next::Finished(bytes) => Settled::Finished(bytes),
            Next::GiveUp(why) => Settled::Left(why),
            Next::Nothing => match unnamed {
                Some(why) => Settled::Left(format!("the new index could not have its name, and was removed: {why}")),
                None => Settled::Removed(removed),
            },
        };
        fault_at("close").await?;
        store.close_repair(&repair).await?;
        return Ok(Some(end));
    }
}
