//! What there is of one actor: its changes first, then who subscribes, so that nobody who has
//! subscribed since is overlooked.

use std::collections::{BTreeMap, BTreeSet};

use super::super::pace::{Halt, Pace};
use super::TABLE;
use super::decide::{Case, Numbered, Rules, Subscriber, Verdict, decide};
use crate::model::row::Subscription;
use crate::model::{Row, Table};
use crate::storage::{ErrorKind, Result, Sighting, Store};

/// Changes in a page: some 100 bytes each on their way here, and far fewer kept.
const PAGE: u32 = 10_000;

/// Surveys actors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survey<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) pace: Pace<'a>,
    pub(super) rules: Rules,
}

/// The changes of one actor.
#[derive(Debug, Default)]
pub(super) struct Surveyed {
    /// How many there are.
    pub(super) examined: u64,
    /// What is to be done, by subscription.
    pub(super) findings: Vec<Finding>,
    /// Ids of subscriptions that have changes under other keys than the library's; none is known where
    /// the subscriptions cannot be read.
    pub(super) unreadable: Vec<String>,
}

/// What is to be done about the changes of one subscription.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) id: String,
    pub(super) subid: String,
    /// Whoever subscribes.
    pub(super) peers: Vec<String>,
    pub(super) verdict: Verdict,
    /// The numbers of those that go.
    pub(super) numbers: Vec<i64>,
    /// How many stay.
    pub(super) stay: u64,
    /// The highest number of all.
    pub(super) newest: i64,
}

/// The changes of an actor by subscription, and the subscriptions that have strange ones.
type Changes = (BTreeMap<String, Vec<Numbered>>, BTreeSet<String>);

impl Survey<'_> {
    /// Looks at one actor.
    pub(super) async fn actor(&self, id: &str) -> Result<Surveyed, Halt> {
        let (mut changes, strange) = self.changes(id).await?;
        let examined = changes.values().map(|diffs| diffs.len() as u64).sum();
        let mut surveyed = Surveyed { examined, ..Surveyed::default() };
        changes.retain(|subid, _| !strange.contains(subid));
        surveyed.unreadable.extend(strange);
        if changes.is_empty() {
            return Ok(surveyed);
        }
        let Some(subscriptions) = self.subscriptions(id).await? else {
            // Any of them may be the one that cannot be read.
            surveyed.unreadable.extend(changes.into_keys());
            return Ok(surveyed);
        };
        let mut sightings: Option<Vec<Sighting>> = None;
        for (subid, mut diffs) in changes {
            diffs.sort_unstable();
            let ours = || subscriptions.iter().filter(|subscription| subscription.subid == subid);
            let is_mirrored = ours().any(|subscription| subscription.callback);
            let (mut subscribers, mut watermarks) = (Vec::new(), Vec::new());
            // Reading more would change nothing.
            let is_enough = diffs.len() > self.rules.keep_newest;
            for Subscription { peerid, seqnr, .. } in ours().filter(|subscription| !subscription.callback) {
                let asks = is_enough && (self.rules.confirmed || self.rules.made_before.is_some());
                let mark = if asks { self.mark(id, peerid, &subid).await? } else { None };
                subscribers.push(Subscriber { peerid: peerid.clone(), seqnr: *seqnr, mark });
            }
            if is_enough && !subscribers.is_empty() && self.rules.made_before.is_some() {
                watermarks = self.pace.persist(|| self.store.watermarks(id, &subid)).await?;
            }
            if subscribers.is_empty() && !is_mirrored && self.rules.orphaned_before.is_some() && sightings.is_none() {
                sightings = Some(self.pace.persist(|| self.store.sightings(id)).await?);
            }
            let sighting = sightings.iter().flatten().find(|sighting| sighting.subid == subid);
            let (subscribers, watermarks) = (subscribers.as_slice(), watermarks.as_slice());
            let case = Case { diffs: &diffs, subscribers, is_mirrored, watermarks, sighting };
            let verdict = decide(&case, &self.rules);
            let going = &diffs[..verdict.length()];
            surveyed.findings.push(Finding {
                id: id.to_owned(),
                peers: subscribers.iter().map(|subscriber| subscriber.peerid.clone()).collect(),
                numbers: going.iter().map(|(seqnr, _)| *seqnr).collect(),
                stay: (diffs.len() - going.len()) as u64,
                newest: diffs.last().map_or(0, |(seqnr, _)| *seqnr),
                verdict,
                subid,
            });
        }
        Ok(surveyed)
    }

    async fn changes(&self, id: &str) -> Result<Changes, Halt> {
        let (mut changes, mut strange) = (BTreeMap::<String, Vec<Numbered>>::new(), BTreeSet::new());
        let mut after: Option<String> = None;
        loop {
            self.pace.check()?;
            let page = self.pace.persist(|| self.store.diff_numbers(id, after.as_deref(), PAGE)).await?;
            self.pace.has_read(TABLE, page.diffs.len() as u64, page.read_units).await;
            for diff in page.diffs {
                if !diff.is_under_its_key {
                    strange.insert(diff.subid.clone());
                }
                // Most come after others of the same subscription.
                match changes.get_mut(&diff.subid) {
                    Some(diffs) => diffs.push((diff.seqnr, diff.timestamp)),
                    None => {
                        changes.insert(diff.subid, vec![(diff.seqnr, diff.timestamp)]);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok((changes, strange));
            }
        }
    }

    /// The actor's subscriptions of both kinds; none when one of them cannot be read.
    async fn subscriptions(&self, id: &str) -> Result<Option<Vec<Subscription>>, Halt> {
        let records = self.pace.persist(|| self.store.read_all(Table::Subscriptions, id)).await?;
        let read = records.into_iter().map(|record| match record.meaning {
            Ok(Row::Subscription(subscription)) => Some(subscription),
            _ => None,
        });
        Ok(read.collect())
    }

    /// The number that a peer has taken in, if it is an actor of this database.
    async fn mark(&self, id: &str, peerid: &str, subid: &str) -> Result<Option<i64>, Halt> {
        match self.pace.persist(|| self.store.subscription(peerid, id, subid)).await {
            Ok(mirror) => Ok(mirror.filter(|mirror| mirror.callback).map(|mirror| mirror.seqnr)),
            // One that cannot be read confirms nothing.
            Err(Halt::Failed(error)) if error.kind == ErrorKind::Other => Ok(None),
            Err(halt) => Err(halt),
        }
    }
}
