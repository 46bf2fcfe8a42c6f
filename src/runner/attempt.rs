//! One attempt to deal with what is due.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::due::{self, Blocked, Next, Policy};
use super::{Ran, Runner, Start};
use crate::jobs::{Job, Judge};
use crate::model::clock;
use crate::storage::{Conclusion, ErrorKind, Held, Result};
use crate::work::{Progress, Reason, Stop};

/// Between two looks whether the lease that somebody else holds is free. What is left open by a
/// daemon that ends is taken up by another within this.
const WAITING: Duration = Duration::from_millis(500);

/// After an attempt that came to nothing, the next one waits this long.
const RETRY: Duration = Duration::from_secs(2);

/// How often an attempt begins anew because somebody else was quicker, before it takes a rest.
const ROUNDS: u32 = 8;

/// What an attempt is about.
pub(super) struct Attempt {
    pub(super) runner: Arc<Runner>,
    pub(super) job: Arc<dyn Job>,
    pub(super) policy: Arc<Policy>,
    pub(super) blocked: Option<Blocked>,
    /// Why the last slot was passed over, if it was and this process has told it.
    pub(super) passed: Option<Reason>,
    pub(super) stop: Stop,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// The newest slot that is known to be dealt with.
    pub(super) last: Option<DateTime<Utc>>,
    /// How long to leave the job alone.
    pub(super) rest: Duration,
    /// What keeps it from running, in words.
    pub(super) complaint: Option<String>,
    /// The same as a reason, where this process is the one that is kept from it.
    pub(super) blocked: Option<Reason>,
    /// The slot that met it first, if that may be an earlier one than was due here.
    pub(super) since: Option<DateTime<Utc>>,
    /// Why the last slot was passed over, if it was and this process has told it.
    pub(super) passed: Option<Reason>,
}

impl Learned {
    /// An attempt that came to nothing.
    pub(super) fn nothing() -> Self {
        Self { rest: RETRY, ..Self::default() }
    }
}

impl Attempt {
    /// Deals with what is due, or finds out why not.
    pub(super) async fn make(self) -> Learned {
        match self.deal().await {
            Ok(learned) => learned,
            Err(error) => Learned {
                complaint: Some(error.chain()),
                // Anything else is a refusal of the store, not its absence; but nobody ran it.
                blocked: Some(if error.kind == ErrorKind::Schema { Reason::Schema } else { Reason::Unavailable }),
                ..Learned::nothing()
            },
        }
    }

    async fn deal(&self) -> Result<Learned> {
        let Self { runner, job, policy, .. } = self;
        let store = &*runner.store;
        let mut learned = Learned { passed: self.passed, ..Learned::default() };
        let mut has_run = false;
        for _ in 0..ROUNDS {
            if self.stop.requested().is_some() {
                return Ok(learned);
            }
            let asked = clock::steady();
            let standing = store.standing(job.name()).await?;
            let now = clock::now();
            if let Some(why) = runner.clocks.distrust(asked, standing.now) {
                // By the other clock, as this one may be ahead.
                learned.since = policy.latest(standing.now);
                return Ok(refused(learned, Reason::Clock, why));
            }
            learned.last = standing.last_slot;
            runner.show_paused(job.name(), standing.paused.clone());
            // What comes after a run may be for other settings to say.
            if has_run {
                return Ok(learned);
            }
            match due::next(policy, &standing, self.blocked, now) {
                Next::Nothing => return Ok(learned),
                Next::Begin(slot) => store.begin_schedule(job.name(), slot, &policy.schedule.describe()).await?,
                Next::TurnBack { from, to } => {
                    tracing::warn!(
                        job.name = job.name(), slot.newest = %from, slot.now = %to,
                        "{}: slots up to {from} are dealt with, which lies in the future: a clock was wrong; the \
                         schedule goes on after {to}", job.name()
                    );
                    store.turn_back(job.name(), from, to).await?;
                }
                Next::Held(held) => {
                    // Where there are several daemons, one of them runs each slot.
                    let complaint = policy.is_overlapped(held.since, now).then(|| running(&held));
                    return Ok(Learned { rest: WAITING, complaint, ..learned });
                }
                Next::Wait(rest) => return Ok(Learned { rest, ..learned }),
                Next::Pass(conclusion) => {
                    if store.pass(job.name(), &conclusion, &runner.holder).await? {
                        runner.count_passed(job.name(), &conclusion);
                        learned.passed = tell(job.name(), &conclusion, learned.passed);
                    }
                }
                Next::Run(due) => {
                    let closes = policy.window.as_ref().and_then(|window| window.closes(now, policy.zone));
                    let open_for = closes.map(|closes| (closes - now).to_std().unwrap_or_default());
                    let passed = due.before.clone();
                    let start = Start::Scheduled { due, open_for };
                    match runner.run(job, start, &self.stop, &Progress::new()).await? {
                        Ran::Ended(_) => {
                            tell(job.name(), &passed, learned.passed);
                            learned.passed = None;
                            has_run = true;
                        }
                        Ran::Held(_) => return Ok(Learned { rest: WAITING, ..learned }),
                        Ran::Refused(reason, why) => return Ok(refused(learned, reason, why)),
                        Ran::Stopped => return Ok(learned),
                        Ran::Moved | Ran::Paused(_) => {}
                    }
                }
            }
        }
        Ok(Learned { rest: RETRY, ..learned })
    }
}

fn refused(learned: Learned, reason: Reason, why: String) -> Learned {
    Learned { rest: RETRY, complaint: Some(why), blocked: Some(reason), ..learned }
}

fn running(held: &Held) -> String {
    format!("it has been running on {} since {}", held.holder, held.since.format("%Y-%m-%dT%H:%M:%SZ"))
}

/// Says which slots were passed over; one more for the reason `told` before only to whoever wants
/// details. Returns the reason of the last one.
fn tell(job: &'static str, conclusion: &Conclusion, told: Option<Reason>) -> Option<Reason> {
    for (index, passed) in conclusion.passed.iter().enumerate() {
        let fate = passed.reason.fate().name();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    job.name = job, slots.fate = fate, slots.reason = passed.reason.name(), slots.count = passed.count,
                    slots.from = %passed.first, slots.to = %passed.last,
                    "{job}: {} {} {fate}: {}", passed.count, if passed.count == 1 { "slot" } else { "slots" }, passed.reason
                )
            };
        }
        if index == 0 && told == Some(passed.reason) && passed.count == 1 { line!(debug) } else { line!(info) }
    }
    conclusion.passed.last().map_or(told, |passed| Some(passed.reason))
}
