//! The two looks: over all rows, and again at those that seemed to have no actor.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::Sender;

use super::Settings;
use super::list::Orphan;
use super::verdict::{Known, RESERVED, TOMBSTONES, deleted_at, is_settling, spared};
use crate::jobs::pace::{Halt, Pace};
use crate::model::{BackendKind, Record, Table};
use crate::storage::{Error, ErrorKind, Place, Result, Segment, Store, Stretch};
use crate::work::{Finding, Findings, Report};

/// The tables whose rows have an actor.
pub(super) const TABLES: [Table; 8] = [
    Table::Properties,
    Table::PropertyLookup,
    Table::Attributes,
    Table::Trusts,
    Table::PeerTrustees,
    Table::Subscriptions,
    Table::SubscriptionDiffs,
    Table::SubscriptionSuspensions,
];

/// Ids that are looked at again by one run; what is beyond them is for the next.
const MOST_CANDIDATES: usize = 100_000;

/// How many actors are read to find one that is not the library's own.
const FEW: u32 = 100;

/// A scan.
pub(super) struct Scan<'a> {
    pub(super) backend: BackendKind,
    pub(super) store: &'a dyn Store,
    pub(super) settings: &'a Settings,
    pub(super) pace: Pace<'a>,
    /// What the store's clock showed at the beginning.
    pub(super) now: DateTime<Utc>,
    /// Who wants all of them.
    pub(super) sink: Option<&'a Sender<Orphan>>,
    pub(super) known: Known,
    /// Ids that were no actor's when a row of theirs had been read, with the keys of their look-up
    /// entries, which DynamoDB does not keep by actor.
    pub(super) candidates: BTreeMap<String, Vec<Vec<String>>>,
    pub(super) findings: Findings,
}

impl Scan<'_> {
    /// Looks at everything. The report is filled in as it goes; its findings only at the end.
    pub(super) async fn run(mut self, report: &mut Report) -> Result<(), Halt> {
        report.more = true;
        let mut is_beyond = false;
        for table in TABLES {
            is_beyond |= self.walk(table, report).await?;
        }
        if !self.candidates.is_empty() {
            self.require_actors().await?;
        }
        for (id, keys) in std::mem::take(&mut self.candidates) {
            self.look_again(&id, &keys, report).await?;
        }
        report.more = is_beyond;
        report.findings = Some(self.findings);
        Ok(())
    }

    /// Looks at the rows of a table for the first time. Returns whether there were more ids than one
    /// run looks at again.
    async fn walk(&mut self, table: Table, report: &mut Report) -> Result<bool, Halt> {
        let limit = u32::try_from(self.settings.batch_size.get()).unwrap_or(u32::MAX);
        let mut is_beyond = false;
        let mut next = Some(Place::default());
        while let Some(place) = next {
            self.pace.check()?;
            let page = self.pace.persist(|| self.store.scan(table, Segment::WHOLE, &place, limit)).await;
            let Some(Stretch { records, next: behind, read_units }) = self.unless_left_out(table, page)? else { break };
            next = behind;
            report.examined += records.len() as u64;
            self.pace.has_examined(table, records.len() as u64, read_units).await;
            is_beyond |= self.sort(&records, report).await?;
        }
        Ok(is_beyond)
    }

    /// Asks for the actors of rows that have been read. One that is made later has rows that are made
    /// later still, and one that is deleted has lost its rows before.
    async fn sort(&mut self, records: &[Record], report: &mut Report) -> Result<bool, Halt> {
        let mut unknown = BTreeSet::new();
        for record in records {
            let id = record.id();
            if let Some(why) = spared(id, &self.settings.allow) {
                *report.passed_over.entry(why.name().to_owned()).or_default() += 1;
            } else if !self.known.contains(id) && !self.candidates.contains_key(id) {
                unknown.insert(id.to_owned());
            }
        }
        let mut is_beyond = false;
        if !unknown.is_empty() {
            let unknown: Vec<String> = unknown.into_iter().collect();
            let existing = self.existing(&unknown).await?;
            for (id, exists) in unknown.into_iter().zip(existing) {
                if exists {
                    self.known.insert(id);
                } else if self.candidates.len() < MOST_CANDIDATES {
                    self.candidates.insert(id, Vec::new());
                } else {
                    is_beyond = true;
                }
            }
        }
        for record in records.iter().filter(|record| record.table == Table::PropertyLookup) {
            if let (Some(keys), Some(key)) = (self.candidates.get_mut(record.id()), record.key()) {
                keys.push(key);
            }
        }
        Ok(is_beyond)
    }

    /// Which of these ids are actors', in their order. That the question fails is no answer.
    async fn existing(&self, ids: &[String]) -> Result<Vec<bool>, Halt> {
        let keys: Vec<Vec<String>> = ids.iter().map(|id| vec![id.clone()]).collect();
        let found = self.pace.persist(|| self.store.rows_by_key(Table::Actors, &keys)).await?;
        self.pace.has_examined(Table::Actors, 0, found.read_units).await;
        Ok(found.records.iter().map(Option::is_some).collect())
    }

    /// Refuses to call anything an orphan where there is no actor at all. The library makes its own in
    /// any place it is pointed to, so they do not count.
    async fn require_actors(&self) -> Result<(), Halt> {
        let mut next = Some(Place::default());
        while let Some(place) = next {
            let page = self.pace.persist(|| self.store.scan(Table::Actors, Segment::WHOLE, &place, FEW)).await?;
            if page.records.iter().any(|record| !record.id().starts_with(RESERVED)) {
                return Ok(());
            }
            next = page.next;
        }
        let why = format!(
            "there are rows of {} ids and not a single actor: it looks as if the table of the actors were empty or \
             another deployment's ({}); nothing is called an orphan",
            self.candidates.len(),
            self.store.describe()
        );
        let error = Error {
            backend: self.backend,
            op: "tell whose rows have no actor",
            kind: ErrorKind::Other,
            source: why.into(),
        };
        Err(error.into())
    }

    /// Looks again at all rows of an id that had no actor. What is there while the actor is not, at one
    /// and the same instant, is an orphan.
    async fn look_again(&mut self, id: &str, keys: &[Vec<String>], report: &mut Report) -> Result<(), Halt> {
        self.pace.check()?;
        let mut tables = Vec::new();
        for table in TABLES {
            if self.findings.left_out.iter().any(|left_out| left_out == table.name()) {
                continue;
            }
            let rows = self.pace.persist(|| self.store.orphans(table, id, keys)).await?;
            self.pace.has_examined(table, 0, rows.read_units).await;
            if !rows.records.is_empty() {
                tables.push((table, rows.records));
            }
        }
        if tables.is_empty() {
            return Ok(());
        }
        let deleted_at = self.deleted_at(id).await?;
        if is_settling(deleted_at, self.now, self.settings.settle.0) {
            let rows = tables.iter().map(|(_, records)| records.len() as u64).sum::<u64>();
            *report.passed_over.entry("settling".to_owned()).or_default() += rows;
            return Ok(());
        }
        for (table, records) in tables {
            let finding = Finding {
                kind: "orphan".to_owned(),
                table: table.name().to_owned(),
                id: id.to_owned(),
                rows: records.len() as u64,
                deleted_at,
                ..Finding::default()
            };
            self.findings.add(table.name(), finding);
            let Some(sink) = self.sink else { continue };
            for orphan in records.iter().filter_map(|record| Orphan::of(record, deleted_at)) {
                if sink.send(orphan).await.is_err() {
                    let source = "nobody takes it any more".into();
                    let (backend, kind) = (self.backend, ErrorKind::Other);
                    return Err(Error { backend, op: "hand on the list", kind, source }.into());
                }
            }
        }
        Ok(())
    }

    /// When the actor was deleted, as its tombstone says.
    async fn deleted_at(&self, id: &str) -> Result<Option<DateTime<Utc>>, Halt> {
        let (store, bucket) = TOMBSTONES;
        let key = [vec![store.to_owned(), format!("{bucket}:{id}")]];
        let found = self.pace.persist(|| self.store.rows_by_key(Table::Attributes, &key)).await?;
        Ok(found.records.iter().flatten().next().and_then(deleted_at))
    }

    /// The answer, unless the table is not there or not as this build knows it: an application that
    /// is older than the table has no rows in it.
    fn unless_left_out<T>(&mut self, table: Table, answer: Result<T, Halt>) -> Result<Option<T>, Halt> {
        match answer {
            Err(Halt::Failed(error)) if error.kind == ErrorKind::Schema => {
                tracing::warn!(table = table.name(), error = error.chain(), "a table cannot be looked at");
                self.findings.left_out.push(table.name().to_owned());
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }
}
