//! From the properties to the entries: which properties are not found.

use std::collections::BTreeSet;

use super::check::{Check, PATIENCE, SUSPECTS};
use super::verdict::{Kind, Unfound, entry, property, unfound};
use crate::jobs::pace::Halt;
use crate::model::row::Property;
use crate::model::{Record, Table};
use crate::storage::{Added, Batch, Entry, Place, Segment};
use crate::work::Report;

impl Check<'_> {
    /// Walks over the properties.
    pub(super) async fn properties(&mut self, report: &mut Report) -> Result<(), Halt> {
        let mut suspects = Vec::new();
        let mut next = Some(Place::default());
        while let Some(place) = next {
            self.pace.check()?;
            let scan = || self.store.scan(Table::Properties, Segment::WHOLE, &place, self.limit);
            let page = self.pace.persist(scan).await?;
            next = page.next;
            report.examined += page.records.len() as u64;
            self.pace.has_examined(Table::Properties, page.records.len() as u64, page.read_units).await;
            let looked_up = page.records.iter().filter_map(property);
            let looked_up =
                looked_up.filter(|property| self.indexing.covers(&property.name) && !property.value.is_empty());
            let looked_up: Vec<Property> = looked_up.cloned().collect();
            let entries = self.entries_of(&looked_up).await?;
            let without =
                looked_up.into_iter().zip(entries).filter(|(property, entry)| !is_found(property, entry.as_ref()));
            suspects.extend(without.map(|(property, _)| property));
            if suspects.len() >= SUSPECTS || next.is_none() {
                self.settle_unfound(std::mem::take(&mut suspects), report).await?;
            }
        }
        Ok(())
    }

    /// The entries for the values of these properties.
    async fn entries_of(&self, properties: &[Property]) -> Result<Vec<Option<Record>>, Halt> {
        let keys: Vec<Vec<String>> =
            properties.iter().map(|property| vec![property.name.clone(), property.value.clone()]).collect();
        self.rows(Table::PropertyLookup, &keys).await
    }

    /// Looks at suspects again. What has another value by now is in the application's hands.
    async fn settle_unfound(&mut self, suspects: Vec<Property>, report: &mut Report) -> Result<(), Halt> {
        if suspects.is_empty() {
            return Ok(());
        }
        self.pace.rest(PATIENCE).await;
        self.pace.check()?;
        let keys: Vec<Vec<String>> =
            suspects.iter().map(|suspect| vec![suspect.id.clone(), suspect.name.clone()]).collect();
        let now = self.rows(Table::Properties, &keys).await?;
        let unchanged = suspects.into_iter().zip(now);
        let unchanged = unchanged.filter(|(seen, now)| now.as_ref().and_then(property) == Some(seen));
        let unchanged: Vec<Property> = unchanged.map(|(seen, _)| seen).collect();
        let entries = self.entries_of(&unchanged).await?;
        let unfound =
            unchanged.into_iter().zip(entries).filter(|(property, entry)| !is_found(property, entry.as_ref()));
        let judged = self.judge(unfound.collect()).await?;
        let (mending, others): (Vec<_>, Vec<_>) = judged.into_iter().partition(|(_, _, kind)| {
            // Whether it is too long only the server can tell.
            self.repairing.is_some() && matches!(kind, Kind::Missing | Kind::TooLong)
        });
        for (property, entry, kind) in others {
            self.find_property(kind, &property, entry.as_ref());
        }
        self.add(mending.into_iter().map(|(property, ..)| property).collect(), report).await
    }

    /// Why these are not found.
    async fn judge(
        &self,
        unfound: Vec<(Property, Option<Record>)>,
    ) -> Result<Vec<(Property, Option<Record>, Kind)>, Halt> {
        let ids: BTreeSet<String> = unfound.iter().map(|(property, _)| property.id.clone()).collect();
        let keys: Vec<Vec<String>> = ids.iter().map(|id| vec![id.clone()]).collect();
        let actors = self.rows(Table::Actors, &keys).await?;
        let actors: BTreeSet<&String> =
            ids.iter().zip(&actors).filter(|(_, actor)| actor.is_some()).map(|(id, _)| id).collect();
        let holder = |(property, held): &(Property, Option<Record>)| {
            let id = held.as_ref().and_then(entry).map_or_else(String::new, |entry| entry.actor_id.clone());
            vec![id, property.name.clone()]
        };
        let holders: Vec<Vec<String>> = unfound.iter().map(holder).collect();
        let holders = self.rows(Table::Properties, &holders).await?;
        let judged = unfound.into_iter().zip(holders).map(|((property, held), holder)| {
            let (is_taken, has_actor) = (held.is_some(), actors.contains(&property.id));
            let what = Unfound { property: &property, holder: holder.as_ref(), is_taken, has_actor };
            let kind = self::unfound(what, self.backend);
            (property, held, kind)
        });
        Ok(judged.collect())
    }

    /// Makes entries, and finds what could not be made.
    async fn add(&mut self, missing: Vec<Property>, report: &mut Report) -> Result<(), Halt> {
        let Some(shift) = self.repairing else { return Ok(()) };
        let fence = shift.at().lease.fence(0);
        let mut left = missing.as_slice();
        let mut taken = Vec::new();
        while !left.is_empty() {
            self.pace.check()?;
            let (batch, others) = left.split_at(left.len().min(shift.batch_size() as usize));
            left = others;
            let Added { entries, batch: numbers } = self.pace.persist(|| self.store.add_entries(batch, &fence)).await?;
            let mut made = 0;
            for (property, entry) in batch.iter().zip(entries) {
                match entry {
                    Entry::Made => made += 1,
                    Entry::Taken => taken.push(property.clone()),
                    // By the application, which makes the entry as well.
                    Entry::Changed => *report.passed_over.entry("changed".to_owned()).or_default() += 1,
                    Entry::NoActor => self.find_property(Kind::NoActor, property, None),
                    Entry::TooLong => self.find_property(Kind::TooLong, property, None),
                }
            }
            report.batches += 1;
            report.added += made;
            // The rate is of rows that are changed, however.
            shift.rest_after(&Batch { deleted: made, ..numbers }).await;
        }
        // By the application, by ourselves in an attempt without an answer, or by another actor.
        let entries = self.entries_of(&taken).await?;
        let unfound = taken.into_iter().zip(entries).filter(|(property, entry)| !is_found(property, entry.as_ref()));
        for (property, entry, kind) in self.judge(unfound.collect()).await? {
            self.find_property(kind, &property, entry.as_ref());
        }
        Ok(())
    }

    /// Adds a property that is not found to the findings.
    fn find_property(&mut self, kind: Kind, property: &Property, held: Option<&Record>) {
        let other = held.and_then(entry).map(|entry| entry.actor_id.clone());
        let record = Record::from(crate::model::Row::Property(property.clone()));
        self.find(kind, &record, other.filter(|_| kind == Kind::Collision));
    }
}

/// Whether the entry for a property's value is its actor's.
fn is_found(property: &Property, record: Option<&Record>) -> bool {
    record.and_then(entry).is_some_and(|entry| entry.actor_id == property.id)
}
