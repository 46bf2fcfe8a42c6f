//! Judges what a fleet has left in its database: the history as a whole, after the fact.

mod doctored;
mod read;
mod slots;

use std::collections::BTreeMap;

use actingweb_maintd::schedule::Schedule;
use chrono::{DateTime, Utc};

use super::witness::Fate;

/// Everything that is left behind: what was told of each job, and what became of the rows.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) histories: Vec<History>,
    pub(crate) fate: Fate,
}

/// What is told of one job of one deployment.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// Deployment, backend and job.
    pub(crate) name: String,
    pub(crate) schedule: Schedule,
    /// The newest slot that was known before anything ran; accounts are kept from there on.
    pub(crate) baseline: Option<DateTime<Utc>>,
    /// The newest slot that was dealt with.
    pub(crate) last_slot: Option<DateTime<Utc>>,
    /// The slot that was begun and is to be tried again.
    pub(crate) open_slot: Option<DateTime<Utc>>,
    /// The lease's term.
    pub(crate) term: i64,
    /// Who has the lease.
    pub(crate) held_by: Option<String>,
    /// Fences that no run took with it to its end.
    pub(crate) fences: i64,
    pub(crate) runs: Vec<Entry>,
    /// Slots that were not run; none if nobody keeps this account.
    pub(crate) passed: Option<Vec<Stretch>>,
    /// The processes that were killed.
    pub(crate) killed: Vec<Killed>,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) run_id: String,
    pub(crate) slot: Option<DateTime<Utc>>,
    pub(crate) holder: String,
    pub(crate) term: i64,
    pub(crate) outcome: Option<String>,
    /// Why it ended before its work did.
    pub(crate) stopped: Option<String>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) examined: i64,
    pub(crate) deleted: i64,
    pub(crate) skipped: i64,
}

/// Neighbouring slots that were not run.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) first_slot: DateTime<Utc>,
    pub(crate) last_slot: DateTime<Utc>,
    pub(crate) count: i64,
    pub(crate) fate: String,
}

/// A process that was killed.
#[derive(Clone, Debug)]
pub(crate) struct Killed {
    pub(crate) process: u32,
    /// When it was dead and the server had ended what it still did for it, by the server's clock.
    pub(crate) at: DateTime<Utc>,
}

/// Whether `holder`, a host and a process, is this process.
pub(crate) fn is_process(holder: &str, process: u32) -> bool {
    holder.rsplit('/').next() == Some(&process.to_string())
}

impl Ledger {
    /// All that is wrong with it.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.histories.iter().flat_map(History::problems).collect();
        let told = self.histories.iter().flat_map(|history| &history.runs).map(|run| run.deleted).sum();
        problems.extend(self.fate.problems(told));
        problems
    }

    /// Fails the test with all that is wrong.
    pub(crate) fn assert_holds(&self) {
        let problems = self.problems();
        assert!(problems.is_empty(), "the ledger does not hold:\n{}\n{self:#?}", problems.join("\n"));
    }

    /// The runs of all jobs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Entry> {
        self.histories.iter().flat_map(|history| &history.runs)
    }

    /// How many runs ended like this.
    pub(crate) fn ended(&self, outcome: &str) -> usize {
        self.runs().filter(|run| run.outcome.as_deref() == Some(outcome)).count()
    }
}

impl History {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.order(&mut problems);
        self.rest(&mut problems);
        self.successes(&mut problems);
        self.repetitions(&mut problems);
        self.dead(&mut problems);
        slots::accounts(self, &mut problems);
        problems.into_iter().map(|problem| format!("{}: {problem}", self.name)).collect()
    }

    /// Terms grow with time, and no two runs are going on at once.
    fn order(&self, problems: &mut Vec<String>) {
        let mut runs: Vec<&Entry> = self.runs.iter().collect();
        runs.sort_by_key(|run| (run.started_at, run.term));
        for pair in runs.windows(2) {
            let (earlier, later) = (pair[0], pair[1]);
            if later.term <= earlier.term {
                problems.push(format!(
                    "the term does not grow: {} of run {} is followed by {} of run {}",
                    earlier.term, earlier.run_id, later.term, later.run_id
                ));
            }
        }
        // Not only neighbours: a long run may reach over several.
        let end = |run: &Entry| run.finished_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let mut longest: Option<&Entry> = None;
        for run in runs {
            if let Some(before) = longest.filter(|before| end(before) > run.started_at) {
                problems.push(format!("run {} began before run {} had ended", run.run_id, before.run_id));
            }
            if end(run) < run.started_at {
                problems.push(format!("run {} ended before it began", run.run_id));
            }
            if longest.is_none_or(|before| end(run) > end(before)) {
                longest = Some(run);
            }
        }
        if let Some(newest) = self.runs.iter().max_by_key(|run| run.term)
            && newest.term > self.term
        {
            problems.push(format!("run {} has the term {}, the lease {}", newest.run_id, newest.term, self.term));
        }
    }

    /// Nothing is open once all daemons have ended.
    fn rest(&self, problems: &mut Vec<String>) {
        for run in self.runs.iter().filter(|run| run.outcome.is_none() || run.finished_at.is_none()) {
            problems.push(format!("run {} of {} is left open", run.run_id, run.holder));
        }
        if let Some(holder) = &self.held_by {
            problems.push(format!("the lease is still held by {holder}"));
        }
        if self.fences > 0 {
            problems.push(format!("{} fences are left of runs that have ended", self.fences));
        }
    }

    /// A success has dealt with all that it looked at.
    fn successes(&self, problems: &mut Vec<String>) {
        for run in self.runs.iter().filter(|run| run.outcome.as_deref() == Some("succeeded")) {
            let untouched = run.examined - run.deleted - run.skipped;
            if untouched > 0 {
                problems.push(format!("run {} succeeded, and left {untouched} rows that it had found", run.run_id));
            }
        }
    }

    /// A slot runs again only if it was cut short.
    fn repetitions(&self, problems: &mut Vec<String>) {
        let mut tries: BTreeMap<DateTime<Utc>, Vec<&Entry>> = BTreeMap::new();
        for run in &self.runs {
            if let Some(slot) = run.slot {
                tries.entry(slot).or_default().push(run);
            }
        }
        for (slot, mut runs) in tries {
            runs.sort_by_key(|run| run.term);
            let (_last, earlier) = runs.split_last().expect("a slot has runs");
            for run in earlier {
                let outcome = run.outcome.as_deref().unwrap_or("open");
                let cut =
                    matches!((outcome, run.stopped.as_deref()), ("lost" | "failed", _) | ("partial", Some("shutdown")));
                if !cut {
                    problems.push(format!("the slot {slot} was run again after run {} had {outcome}", run.run_id));
                }
            }
        }
    }

    /// Who was killed ends nothing any more: others mark it as lost.
    fn dead(&self, problems: &mut Vec<String>) {
        for killed in &self.killed {
            for run in self.runs.iter().filter(|run| is_process(&run.holder, killed.process)) {
                if run.started_at > killed.at {
                    problems
                        .push(format!("run {} was begun by process {}, which was dead", run.run_id, killed.process));
                }
                let outcome = run.outcome.as_deref().unwrap_or("open");
                if run.finished_at.is_none_or(|finished| finished > killed.at) && outcome != "lost" {
                    problems.push(format!(
                        "run {} of process {}, which was killed, is {outcome} and not lost",
                        run.run_id, killed.process
                    ));
                }
            }
        }
    }
}
