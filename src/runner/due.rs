//! What to do about the slots of a schedule: a pure function of the schedule, of where the job
//! stands in the store, and of the time.
//!
//! Every slot has one fate. The newest one that is due is run; those before it that nobody ran
//! are passed over, each with its reason. So after any downtime there is one run to catch up, not
//! many. A slot that fell due during a run is not run after it. A slot that was begun and is not
//! done, because its run failed or was cut short, is tried again until a newer one takes its
//! place.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::schedule::{CatchUp, Schedule, Window};
use crate::storage::{Conclusion, Due, Held, OpenSlot, Standing};
use crate::work::{Passed, Reason};

/// A slot may start as late as this, because a database or a daemon was just restarting perhaps,
/// without counting as one to catch up.
const ON_TIME: TimeDelta = TimeDelta::minutes(1);

/// When the newest slot lies further ahead than this, a clock that was wrong has been put right,
/// and the schedule goes back with it. Less than this is waited for, so that no slot runs twice.
/// (Vixie cron draws the line there.)
const TOO_FAR: TimeDelta = TimeDelta::hours(3);

/// A schedule that has no start in so many openings of its window is taken to have none.
const TRIES: u32 = 400;

/// What stands in the place of the schedule of a job that is disabled.
pub(super) const DISABLED: &str = "disabled";

/// Slots have whole seconds.
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// How a job is scheduled.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) schedule: Schedule,
    /// How much later than its slots the job starts.
    pub(super) delay: TimeDelta,
    pub(super) zone: Tz,
    pub(super) catch_up: CatchUp,
    pub(super) window: Option<Window>,
    pub(super) retries: u32,
}

impl Policy {
    /// The newest slot whose time to start has come.
    pub(super) fn latest(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.latest(now - self.delay)
    }

    /// When the job starts next.
    pub(super) fn next_start(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.next(now - self.delay).map(|slot| slot + self.delay)
    }

    /// When the job starts next, if its window is open then.
    pub(super) fn next_run(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut next = self.next_start(now)?;
        let Some(window) = &self.window else { return Some(next) };
        for _ in 0..TRIES {
            if window.is_open(next, self.zone) {
                return Some(next);
            }
            next = self.next_start(window.opens(next, self.zone)? - SECOND)?;
        }
        None
    }

    /// Whether the newest slot that is dealt with is one of another schedule.
    fn is_another(&self, standing: &Standing) -> bool {
        standing.schedule.as_ref().is_some_and(|was| *was != self.schedule.describe())
    }

    /// Whether a run that began at `since` is so old that it is not the newest slot's own, whatever
    /// the clocks are apart.
    pub(super) fn is_overlapped(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.latest(now).is_some_and(|slot| since + ON_TIME < slot + self.delay)
    }
}

/// Why this process could not run what was due, and the first slot that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocked {
    pub(super) since: DateTime<Utc>,
    pub(super) reason: Reason,
}

/// What to do.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// Nothing is due.
    Nothing,
    /// Remember this slot as the one after which the schedule begins.
    Begin(DateTime<Utc>),
    /// The newest slot lies in the future: go back to this one.
    TurnBack { from: DateTime<Utc>, to: DateTime<Utc> },
    /// Somebody is running it.
    Held(Held),
    /// It may be tried again only after this time; or then a newer slot takes its place.
    Wait(Duration),
    /// Pass slots over.
    Pass(Conclusion),
    /// Run it.
    Run(Due),
}

/// Whether the newest slot lies where no clock that is right could have put it.
pub(super) fn is_too_far(last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    last > now + TOO_FAR
}

/// What to do about a job that stands like this, `now`.
pub(super) fn next(policy: &Policy, standing: &Standing, blocked: Option<Blocked>, now: DateTime<Utc>) -> Next {
    let Some(latest) = policy.latest(now) else { return Next::Nothing };
    let Some(last) = standing.last_slot else { return Next::Begin(latest) };
    if is_too_far(last, now) {
        return match &standing.held {
            Some(held) => Next::Held(held.clone()),
            None => Next::TurnBack { from: last, to: latest },
        };
    }
    let is_another = policy.is_another(standing);
    if latest <= last && !is_another {
        return Next::Nothing;
    }
    if let Some(held) = &standing.held {
        return if latest <= last { Next::Nothing } else { Next::Held(held.clone()) };
    }
    let past = Past::new(policy, standing, blocked, last);
    let paused = standing.paused.as_ref().map(|_| Reason::Paused);
    if latest <= last || standing.schedule.as_deref() == Some(DISABLED) {
        // The slots of the schedule that it was end here, and not when the first of this one comes.
        return Next::Pass(past.conclude(now - policy.delay, paused, None));
    }
    if paused.is_some() {
        return Next::Pass(past.conclude(latest, paused, None));
    }
    if policy.window.as_ref().is_some_and(|window| !window.is_open(now, policy.zone)) {
        return Next::Pass(past.conclude(latest, None, Some(Reason::Window)));
    }
    let open = past.open;
    let slot = match open {
        _ if !past.is_busy(latest) => latest,
        Some(open) => open.slot,
        None => return Next::Pass(past.conclude(latest, None, None)),
    };
    if let Some(open) = open
        && open.slot == slot
    {
        if open.wait > Duration::ZERO {
            let newer = policy.next_start(now).and_then(|next| (next - now).to_std().ok());
            return Next::Wait(newer.map_or(open.wait, |newer| newer.min(open.wait)));
        }
    } else if policy.catch_up == CatchUp::None && now - policy.delay - slot > ON_TIME {
        return Next::Pass(past.conclude(latest, None, None));
    }
    Next::Run(Due { slot, before: past.conclude(slot - SECOND, None, None), retries: policy.retries })
}

/// The slots since the newest one that is dealt with.
struct Past<'a> {
    policy: &'a Policy,
    /// The schedule that they belong to: an older configuration's perhaps. None if there was none.
    schedule: Option<Schedule>,
    /// It is not the one that the job has now.
    is_another: bool,
    last: DateTime<Utc>,
    open: Option<OpenSlot>,
    /// After the first and up to the second slot they fell due during a run.
    busy: Option<(DateTime<Utc>, DateTime<Utc>)>,
    blocked: Option<Blocked>,
}

impl<'a> Past<'a> {
    fn new(policy: &'a Policy, standing: &Standing, blocked: Option<Blocked>, last: DateTime<Utc>) -> Self {
        let schedule = match standing.schedule.as_deref() {
            Some(DISABLED) => None,
            Some(text) => Schedule::parse_described(text).ok(),
            None => Some(policy.schedule.clone()),
        };
        Self {
            policy,
            schedule,
            is_another: policy.is_another(standing),
            last,
            open: standing.open.filter(|open| open.slot > last),
            // A slot falls due later than its name says.
            busy: standing.busy.map(|(from, until)| (from - policy.delay, until - policy.delay)),
            blocked,
        }
    }

    fn is_busy(&self, slot: DateTime<Utc>) -> bool {
        self.busy.is_some_and(|(from, until)| from < slot && slot <= until)
    }

    /// What becomes of the slots up to `until` that were not run. `always` is a reason for all
    /// that fell due outside of a run, `newest` one for the newest of them.
    fn conclude(&self, until: DateTime<Utc>, always: Option<Reason>, newest: Option<Reason>) -> Conclusion {
        let open = self.open.map(|open| open.slot).filter(|slot| *slot <= until);
        let newest = newest.map(|reason| Blocked { since: until, reason });
        let cuts = [
            self.busy.map(|busy| busy.0),
            self.busy.map(|busy| busy.1),
            self.blocked.map(|blocked| blocked.since - SECOND),
            newest.map(|newest| newest.since - SECOND),
            open.map(|open| open - SECOND),
            open,
        ];
        let mut cuts: Vec<_> = cuts.into_iter().flatten().filter(|cut| self.last < *cut && *cut < until).collect();
        cuts.push(until);
        cuts.sort_unstable();
        cuts.dedup();
        let mut passed: Vec<Passed> = Vec::new();
        let mut after = self.last;
        for cut in cuts {
            let stretch = self.schedule.as_ref().and_then(|schedule| schedule.stretch(after, cut));
            let stretch = stretch.filter(|_| open != Some(cut));
            if let Some(stretch) = stretch {
                let in_run = self.busy.is_some_and(|(from, until)| from <= after && cut <= until);
                let met = |why: Option<Blocked>| why.filter(|why| why.since <= stretch.first).map(|why| why.reason);
                let reason = if in_run {
                    Reason::Running
                } else {
                    always.or(met(newest)).or(met(self.blocked)).unwrap_or(Reason::Downtime)
                };
                passed.push(Passed { first: stretch.first, last: stretch.last, count: stretch.count, reason });
            }
            after = cut;
        }
        // Neighbours are one stretch, unless what was begun lies between them.
        passed.dedup_by(|next, before| {
            let is_between = open.is_some_and(|open| before.last < open && open < next.first);
            let is_one = next.reason == before.reason && !is_between;
            if is_one {
                (before.last, before.count) = (next.last, before.count + next.count);
            }
            is_one
        });
        let dealt_with = passed.last().map(|passed| passed.last).max(open).unwrap_or(self.last);
        // The slots that another schedule would have had until now never were.
        let dealt_with = if self.is_another { until } else { dealt_with };
        Conclusion {
            since: self.last,
            goes_on: passed.first().is_some_and(|first| open.is_none_or(|open| open > first.last)),
            until: dealt_with,
            begun: u64::from(open.is_some()),
            passed,
            schedule: self.policy.schedule.describe(),
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
