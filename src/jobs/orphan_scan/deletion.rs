//! Deleting the orphans of a list that somebody has looked through.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use super::list::{self, Orphan};
use super::verdict::spared;
use super::{NAME, ORPHAN, Settings, TOUCHES};
use crate::jobs::pace::{Halt, Pace, conclude, looked};
use crate::jobs::shift::Shift;
use crate::jobs::{Job, Place, Plan, Touches, Workplace};
use crate::model::{BackendKind, Record, Table, digest};
use crate::storage::{Guard, Removal, Result, Store};
use crate::throttle;
use crate::work::{Finding, Findings, Limits, Report};

/// How often a row is tried that somebody else has locked.
const ROUNDS: u32 = 3;

/// The job of `orphan delete`. It has the name of the scan, and with it its lease: neither runs while
/// the other does.
#[derive(Debug)]
pub struct OrphanDeletion {
    settings: Settings,
    throttle: throttle::Settings,
    place: Place,
    /// By id and table.
    list: BTreeMap<(String, Table), Vec<Orphan>>,
}

/// Why a row of the list stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    /// It is not there any more, so that nothing is left to do.
    Gone,
    /// It is not as it was when it was listed.
    Changed,
    /// There is an actor by now.
    HasActor,
    /// The settings say by now that it is none.
    Allowed,
    /// Somebody else is at it.
    Held,
}

impl Stays {
    const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::HasActor => "has_actor",
            Self::Allowed => "allowed",
            Self::Held => "held",
        }
    }
}

/// What is to be done now.
#[derive(Default)]
struct Round {
    removals: Vec<(Orphan, Removal)>,
    /// Rows that were passed over, for another round.
    held: Vec<Orphan>,
}

impl OrphanDeletion {
    /// The deletion of `list`, at the pace of the scan.
    pub fn new(settings: Settings, throttle: throttle::Settings, place: Place, list: Vec<Orphan>) -> Self {
        Self { settings, throttle, place, list: by_id(list) }
    }

    async fn delete(&self, store: &dyn Store, shift: &Shift<'_>, report: &mut Report) -> Result<(), Halt> {
        let mut list = self.list.clone();
        for _ in 0..ROUNDS {
            let mut round = Round::default();
            for ((id, table), orphans) in std::mem::take(&mut list) {
                for found in self.find(store, Pace::of(shift), (&id, table), orphans).await? {
                    match found {
                        Ok(found) => round.removals.push(found),
                        Err(stays) => pass_over(report, stays),
                    }
                    if round.removals.len() >= shift.batch_size() as usize {
                        remove(store, shift, &mut round, report).await?;
                    }
                }
            }
            remove(store, shift, &mut round, report).await?;
            if round.held.is_empty() {
                break;
            }
            list = by_id(round.held);
        }
        for _ in list.into_values().flatten() {
            pass_over(report, Stays::Held);
        }
        report.more = report.passed_over.keys().any(|why| why != Stays::Gone.name());
        Ok(())
    }

    /// The rows of one id in one table as they are now, or why they stay.
    async fn find(
        &self,
        store: &dyn Store,
        pace: Pace<'_>,
        (id, table): (&str, Table),
        orphans: Vec<Orphan>,
    ) -> Result<Vec<Result<(Orphan, Removal), Stays>>, Halt> {
        pace.check()?;
        if spared(id, &self.settings.allow).is_some() {
            return Ok(orphans.iter().map(|_| Err(Stays::Allowed)).collect());
        }
        let actor = [vec![id.to_owned()]];
        let actor = pace.persist(|| store.rows_by_key(Table::Actors, &actor)).await?;
        if actor.records.iter().any(Option::is_some) {
            return Ok(orphans.iter().map(|_| Err(Stays::HasActor)).collect());
        }
        let mut rows = self.rows(store, pace, (id, table), &orphans).await?;
        let found = orphans.into_iter().map(|orphan| match rows.remove(&orphan.key) {
            None => Err(Stays::Gone),
            Some(record) if digest::of_row(&record) != orphan.digest => Err(Stays::Changed),
            Some(record) => {
                let guard = Guard::Absent { table: Table::Actors, key: vec![id.to_owned()] };
                Ok((orphan, Removal { record, guard: Some(guard) }))
            }
        });
        Ok(found.collect())
    }

    /// The rows of an id in a table, by what their keys are called in a list.
    async fn rows(
        &self,
        store: &dyn Store,
        pace: Pace<'_>,
        (id, table): (&str, Table),
        orphans: &[Orphan],
    ) -> Result<HashMap<String, Record>, Halt> {
        // There they are not kept by actor, and the list has their keys.
        let records = if table == Table::PropertyLookup && self.place.backend == BackendKind::Dynamodb {
            let keys: Vec<Vec<String>> = orphans.iter().map(|orphan| vec![orphan.key.clone()]).collect();
            let found = pace.persist(|| store.rows_by_key(table, &keys)).await?;
            pace.has_examined(table, 0, found.read_units).await;
            found.records.into_iter().flatten().filter(|record| record.id() == id).collect()
        } else {
            pace.persist(|| store.read_all(table, id)).await?
        };
        Ok(records.into_iter().filter_map(|record| Some((list::key(&record)?, record))).collect())
    }
}

/// Deletes what has been found, in the store's own transaction with the actor's absence.
async fn remove(store: &dyn Store, shift: &Shift<'_>, round: &mut Round, report: &mut Report) -> Result<(), Halt> {
    let (orphans, removals): (Vec<Orphan>, Vec<Removal>) = std::mem::take(&mut round.removals).into_iter().unzip();
    if removals.is_empty() {
        return Ok(());
    }
    let fence = shift.at().lease.fence(0);
    let removed = Pace::of(shift).persist(|| store.remove(&removals, &fence)).await?;
    let mut rows: BTreeMap<Table, u64> = BTreeMap::new();
    for (orphan, is_gone) in orphans.into_iter().zip(&removed.rows) {
        if *is_gone {
            *rows.entry(orphan.table).or_default() += 1;
        } else {
            round.held.push(orphan);
        }
    }
    report.batches += 1;
    report.examined += removals.len() as u64;
    report.deleted += removed.batch.deleted;
    for (table, rows) in rows {
        shift.has_deleted(table, ORPHAN, rows);
    }
    shift.rest_after(&removed.batch).await;
    Ok(())
}

fn by_id(list: Vec<Orphan>) -> BTreeMap<(String, Table), Vec<Orphan>> {
    let mut sorted: BTreeMap<_, Vec<Orphan>> = BTreeMap::new();
    for orphan in list {
        sorted.entry((orphan.id.clone(), orphan.table)).or_default().push(orphan);
    }
    sorted
}

fn pass_over(report: &mut Report, stays: Stays) {
    *report.passed_over.entry(stays.name().to_owned()).or_default() += 1;
}

#[async_trait]
impl Job for OrphanDeletion {
    fn name(&self) -> &'static str {
        NAME
    }

    fn backend(&self) -> BackendKind {
        self.place.backend
    }

    fn touches(&self) -> &'static [Touches] {
        TOUCHES
    }

    fn plan(&self) -> Plan {
        self.settings.plan()
    }

    fn limits(&self) -> Limits {
        self.settings.limits()
    }

    async fn run(&self, store: &dyn Store, at: Workplace<'_>, report: &mut Report) -> Result<()> {
        report.more = true;
        at.progress.expect(self.list.values().map(|orphans| orphans.len() as u64).sum());
        let pace = (self.settings.batch_size.get(), self.settings.max_rows_per_second.get());
        let shift = Shift::new(NAME, at, &self.throttle, pace, &self.place);
        let ended = self.delete(store, &shift, report).await;
        conclude(ended, &shift, report)
    }

    /// Counts by table what would go.
    async fn preview(&self, store: &dyn Store) -> Result<Report> {
        let mut report = Report { limits: self.limits(), ..Report::default() };
        let mut findings = Findings::default();
        let looking = async {
            for ((id, table), orphans) in &self.list {
                let found = self.find(store, Pace::free(), (id, *table), orphans.clone()).await?;
                let rows = found.iter().filter(|found| found.is_ok()).count() as u64;
                report.examined += found.len() as u64;
                found.into_iter().filter_map(Result::err).for_each(|stays| pass_over(&mut report, stays));
                if rows > 0 {
                    let (kind, id, name) = (ORPHAN.to_owned(), id.clone(), table.name());
                    findings.add(name, Finding { kind, table: name.to_owned(), id, rows, ..Finding::default() });
                }
            }
            Ok(())
        };
        looked(looking.await)?;
        report.more = findings.total() > 0 || report.passed_over.keys().any(|why| why != Stays::Gone.name());
        report.findings = Some(findings);
        Ok(report)
    }
}
