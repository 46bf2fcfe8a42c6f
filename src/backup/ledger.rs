//! What there is to see of the sets of a deployment: for the metrics, the page and whoever asks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{Damage, DrillResult, Entry, Form, Level, Manifest, Owner, Result, SetId, Workshop};

/// The sets of a deployment at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ledger {
    /// What there is of each kind.
    pub kinds: Vec<Kind>,
    /// The newest set, whatever it is.
    pub last: Option<Line>,
}

/// The sets of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kind {
    /// The kind.
    pub form: Form,
    /// How many there are, by how far they are proven.
    pub counts: Counts,
    /// When the newest was done that is not damaged.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its bytes, those of the parts that lie elsewhere as far as their keeper tells.
    pub size: Option<u64>,
    /// When the newest was done that is verified.
    pub verified_at: Option<DateTime<Utc>>,
    /// The last drill.
    pub drill: Option<DrillResult>,
}

/// How many sets there are, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Neither proven nor found to be damaged.
    pub taken: u64,
    /// Every byte is what was written.
    pub verified: u64,
    /// Restored and compared.
    pub drilled: u64,
    /// Found not to be what was written, or not to be readable at all.
    pub damaged: u64,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.taken + self.verified + self.drilled + self.damaged
    }
}

/// A set, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The set.
    pub set: SetId,
    /// What it is made of; none if its manifest cannot be read.
    pub form: Option<Form>,
    /// The moment that its data is of.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its bytes, those of the parts that lie elsewhere as far as their keeper tells.
    pub size: Option<u64>,
    /// Its files, as far as they lie here.
    pub files: Option<usize>,
    /// Its rows, if they were counted.
    pub rows: Option<u64>,
    /// How far it is proven.
    pub level: Level,
    /// When every byte was last found to be what was written.
    pub verified_at: Option<DateTime<Utc>>,
    /// How it was last restored and compared.
    pub drill: Option<DrillResult>,
    /// What was found wrong.
    pub damage: Option<Damage>,
    /// Why nobody can tell what it is, if so.
    pub unreadable: Option<String>,
}

impl Line {
    /// A set, for people.
    pub fn of(entry: &Entry) -> Self {
        let manifest = entry.manifest.as_ref().ok();
        Self {
            set: entry.set.clone(),
            form: manifest.map(|manifest| manifest.form),
            taken_at: manifest.map(|manifest| manifest.taken_at),
            size: manifest.map(Manifest::size),
            files: manifest.map(|manifest| manifest.files.len()),
            rows: manifest.and_then(Manifest::rows),
            level: if manifest.is_some() { entry.state.level() } else { Level::Taken },
            verified_at: entry.state.verified_at,
            drill: entry.state.drill.clone(),
            damage: entry.state.damage.clone(),
            unreadable: entry.manifest.as_ref().err().cloned(),
        }
    }

    /// Whether it is not what was written.
    pub fn is_damaged(&self) -> bool {
        self.damage.is_some() || self.unreadable.is_some()
    }
}

impl Ledger {
    /// The sets at a glance.
    pub fn of(entries: &[Entry]) -> Self {
        let mut kinds: BTreeMap<Form, Kind> = BTreeMap::new();
        let mut last: Option<&Entry> = None;
        for entry in entries {
            kinds.entry(entry.set.form()).or_insert_with_key(|form| Kind::empty(*form)).learn(entry);
            if last.is_none_or(|last| last.set < entry.set) {
                last = Some(entry);
            }
        }
        Self { kinds: kinds.into_values().collect(), last: last.map(Line::of) }
    }

    /// How many sets there are.
    pub fn counts(&self) -> Counts {
        self.kinds.iter().fold(Counts::default(), |sum, Kind { counts, .. }| Counts {
            taken: sum.taken + counts.taken,
            verified: sum.verified + counts.verified,
            drilled: sum.drilled + counts.drilled,
            damaged: sum.damaged + counts.damaged,
        })
    }

    /// When the newest set was done that is verified.
    pub fn verified_at(&self) -> Option<DateTime<Utc>> {
        self.kinds.iter().filter_map(|kind| kind.verified_at).max()
    }

    /// The last drill.
    pub fn drill(&self) -> Option<&DrillResult> {
        self.kinds.iter().filter_map(|kind| kind.drill.as_ref()).max_by_key(|drill| drill.at)
    }
}

impl Kind {
    fn empty(form: Form) -> Self {
        Self { form, counts: Counts::default(), taken_at: None, size: None, verified_at: None, drill: None }
    }

    fn learn(&mut self, entry: &Entry) {
        let line = Line::of(entry);
        let count = match line.level {
            _ if line.is_damaged() => &mut self.counts.damaged,
            Level::Taken => &mut self.counts.taken,
            Level::Verified => &mut self.counts.verified,
            Level::Drilled => &mut self.counts.drilled,
        };
        *count += 1;
        let Some(manifest) = entry.manifest.as_ref().ok().filter(|_| !line.is_damaged()) else { return };
        let done = Some(manifest.finished_at);
        if self.taken_at < done {
            (self.taken_at, self.size) = (done, line.size);
        }
        if line.level >= Level::Verified {
            self.verified_at = self.verified_at.max(done);
        }
        let is_newer = |drill: &DrillResult| self.drill.as_ref().is_none_or(|known| known.at < drill.at);
        if let Some(drill) = line.drill.filter(is_newer) {
            self.drill = Some(drill);
        }
    }
}

impl Workshop {
    /// The deployments whose sets are in the place. Where one is, the newest of its manifests that can be read tells.
    ///
    /// # Errors
    ///
    /// When no place is configured, or it does not answer.
    pub async fn deployments(&self) -> Result<Vec<Owner>> {
        let mut found = Vec::new();
        for name in self.depot()?.below().await? {
            let Ok(id) = name.parse::<Uuid>() else { continue };
            let unknown = Owner { id, home: None };
            let entries = self.shelf(unknown.clone())?.entries().await?;
            let newest = entries.into_iter().rev().find_map(|entry| entry.manifest.ok());
            found.push(newest.map_or(unknown, |manifest| manifest.deployment.into()));
        }
        Ok(found)
    }
}
