//! From the entries to the properties: which entries are stale.

use super::check::{Check, PATIENCE, SUSPECTS};
use super::verdict::{Kind, entry, stale};
use crate::jobs::pace::Halt;
use crate::model::{Record, Table, digest};
use crate::storage::{Guard, Place, Removal, Segment};
use crate::work::Report;

impl Check<'_> {
    /// Walks over the look-up table.
    pub(super) async fn entries(&mut self, report: &mut Report) -> Result<(), Halt> {
        let mut suspects = Vec::new();
        let mut next = Some(Place::default());
        while let Some(place) = next {
            self.pace.check()?;
            let scan = || self.store.scan(Table::PropertyLookup, Segment::WHOLE, &place, self.limit);
            let page = self.pace.persist(scan).await?;
            next = page.next;
            report.examined += page.records.len() as u64;
            self.pace.has_read(Table::PropertyLookup, page.records.len() as u64, page.read_units).await;
            let unreadable = page.records.iter().filter(|record| entry(record).is_none()).count() as u64;
            if unreadable > 0 {
                *report.passed_over.entry("unreadable".to_owned()).or_default() += unreadable;
            }
            let stale = self.stale(page.records).await?;
            suspects.extend(stale.into_iter().map(|(record, _)| record));
            if suspects.len() >= SUSPECTS || next.is_none() {
                self.settle_stale(std::mem::take(&mut suspects), report).await?;
            }
        }
        Ok(())
    }

    /// Those of these entries that are stale by what their properties are now.
    async fn stale(&self, records: Vec<Record>) -> Result<Vec<(Record, Guard)>, Halt> {
        let records: Vec<Record> = records.into_iter().filter(|record| entry(record).is_some()).collect();
        let keys = records.iter().filter_map(entry);
        let keys: Vec<Vec<String>> =
            keys.map(|entry| vec![entry.actor_id.clone(), entry.property_name.clone()]).collect();
        let properties = self.rows(Table::Properties, &keys).await?;
        let judged = records.into_iter().zip(properties);
        let judged = judged.filter_map(|(record, property)| {
            let guard = stale(entry(&record)?, property.as_ref())?;
            Some((record, guard))
        });
        Ok(judged.collect())
    }

    /// Looks at suspects again. An application writes a property and then its entries.
    async fn settle_stale(&mut self, suspects: Vec<Record>, report: &mut Report) -> Result<(), Halt> {
        if suspects.is_empty() {
            return Ok(());
        }
        self.pace.rest(PATIENCE).await;
        self.pace.check()?;
        let suspects: Vec<(Vec<String>, Record)> =
            suspects.into_iter().filter_map(|record| Some((record.key()?, record))).collect();
        let keys: Vec<Vec<String>> = suspects.iter().map(|(key, _)| key.clone()).collect();
        let now = self.rows(Table::PropertyLookup, &keys).await?;
        let unchanged = suspects.into_iter().zip(now).filter_map(|((_, seen), now)| {
            let now = now?;
            (digest::of_row(&seen) == digest::of_row(&now)).then_some(now)
        });
        let stale = self.stale(unchanged.collect()).await?;
        let Some(shift) = self.repairing else {
            for (record, _) in stale {
                self.find(Kind::Stale, &record, None);
            }
            return Ok(());
        };
        let fence = shift.at().lease.fence(0);
        let mut left = stale.as_slice();
        while !left.is_empty() {
            self.pace.check()?;
            let (batch, others) = left.split_at(left.len().min(shift.batch_size() as usize));
            left = others;
            let removal =
                |(record, guard): &(Record, Guard)| Removal { record: record.clone(), guard: Some(guard.clone()) };
            let removals: Vec<Removal> = batch.iter().map(removal).collect();
            let removed = self.pace.persist(|| self.store.remove(&removals, &fence)).await?;
            for ((record, _), _) in batch.iter().zip(&removed.rows).filter(|(_, is_gone)| !**is_gone) {
                self.find(Kind::Stale, record, None);
            }
            report.batches += 1;
            report.deleted += removed.batch.deleted;
            shift.has_deleted(Table::PropertyLookup, super::STALE, removed.batch.deleted);
            shift.rest_after(&removed.batch).await;
        }
        Ok(())
    }
}
