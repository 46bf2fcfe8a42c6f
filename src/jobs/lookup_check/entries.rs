//! From the entries to the properties: which entries are stale.

use super::check::{Check, PATIENCE, SUSPECTS};
use super::verdict::{Kind, entry, stale};
use crate::jobs::pace::Halt;
use crate::jobs::shift::Shift;
use crate::model::{Record, Table, digest};
use crate::storage::{Guard, Place, Removal, Segment};
use crate::work::Report;

/// How often the removal of an entry is tried whose property changes meanwhile.
const ROUNDS: u32 = 3;

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
            self.pace.has_examined(Table::PropertyLookup, page.records.len() as u64, page.read_units).await;
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
        self.remove(stale, shift, report).await
    }

    /// Removes stale entries, and finds those that could not be.
    async fn remove(
        &mut self,
        mut stale: Vec<(Record, Guard)>,
        shift: &Shift<'_>,
        report: &mut Report,
    ) -> Result<(), Halt> {
        let fence = shift.at().lease.fence(0);
        for _ in 0..ROUNDS {
            let mut left = stale.as_slice();
            let mut held = Vec::new();
            while !left.is_empty() {
                self.pace.check()?;
                let (batch, others) = left.split_at(left.len().min(shift.batch_size() as usize));
                left = others;
                let removals = batch.iter().cloned();
                let removals: Vec<Removal> =
                    removals.map(|(record, guard)| Removal { record, guard: Some(guard) }).collect();
                let removed = self.pace.persist(|| self.store.remove(&removals, &fence)).await?;
                let kept = removals.into_iter().zip(&removed.rows).filter(|(_, is_gone)| !**is_gone);
                held.extend(kept.filter_map(|(removal, _)| removal.record.key()));
                report.batches += 1;
                report.deleted += removed.batch.deleted;
                shift.has_deleted(Table::PropertyLookup, super::STALE, removed.batch.deleted);
                shift.rest_after(&removed.batch).await;
            }
            // The property has changed once more, or somebody is at one of them.
            let now = self.rows(Table::PropertyLookup, &held).await?;
            stale = self.stale(now.into_iter().flatten().collect()).await?;
            if stale.is_empty() {
                break;
            }
        }
        for (record, _) in stale {
            self.find(Kind::Stale, &record, None);
        }
        Ok(())
    }
}
