//! Asks the store how others are, remembers what it said, and tells when that changes.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::verdict::{Cause, Ease, Verdict, hidden, judge};
use super::{Reason, Settings, Site};
use crate::metrics::{Check, Severity};
use crate::model::Table;
use crate::storage::{Pressure, Strain};

/// How old an answer may be that decides about the next batch.
const FRESH: Duration = Duration::from_millis(200);

/// Pauses for one reason that follow each other sooner are told once.
const TOLD_FOR: Duration = Duration::from_secs(10);

/// What one look came to.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) verdict: Verdict,
    /// It is news, which no other worker of the run has had.
    pub(super) is_new: bool,
    /// The news is that a pause has begun.
    pub(super) begins_pause: bool,
    /// For how long all have been pausing.
    pub(super) paused: Duration,
    /// What is left to others without being asked.
    pub(super) ease: Ease,
    /// Why that is so.
    pub(super) eased_for: Option<Reason>,
}

/// How others are, as the workers of a run see it.
#[derive(Debug)]
pub(super) struct Lookout<'a> {
    store: &'a dyn Pressure,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    answered: Option<Instant>,
    verdict: Verdict,
    /// Requests that had been turned away when the run began, or when it was last told.
    throttled: Option<u64>,
    /// What made the run slow, and since when.
    cause: Option<(Reason, Instant)>,
    paused: Option<Instant>,
    ease: Ease,
    eased_for: Option<Reason>,
    /// The last cause that ended.
    ended: Option<(Reason, Instant)>,
    has_told_hidden: bool,
}

impl<'a> Lookout<'a> {
    /// Nothing has been asked.
    pub(super) fn new(store: &'a dyn Pressure) -> Self {
        let seen = Seen {
            answered: None,
            verdict: Verdict::GoOn,
            throttled: None,
            cause: None,
            paused: None,
            ease: Ease::default(),
            eased_for: None,
            ended: None,
            has_told_hidden: false,
        };
        Self { store, seen: Mutex::new(seen) }
    }

    /// Looks how others are, or remembers it. Nothing is known any more when the run is asked to stop
    /// meanwhile.
    pub(super) async fn look(&self, settings: &Settings, site: Site<'_>, table: Option<Table>) -> Option<Look> {
        // One of the workers asks; the others wait for what it hears.
        let mut seen = self.seen.lock().await;
        let age = seen.answered.map(|answered| answered.elapsed());
        let is_new = age.is_none_or(|age| age >= FRESH);
        let was_paused = seen.paused.is_some();
        if is_new {
            // A question may be dropped half way: nothing is lost but a connection.
            let answer = tokio::select! {
                answer = self.store.strain(table, &settings.ignored_replicas) => answer,
                () = site.stop.wait() => return None,
            };
            let verdict = match answer {
                Ok(strain) => {
                    seen.tell_hidden(&hidden(settings, &strain), site);
                    let before = seen.throttled.replace(strain.throttled).unwrap_or(strain.throttled);
                    judge(settings, &strain, before)
                }
                Err(error) => {
                    let all = hidden(settings, &Strain::HIDDEN).len() as u64;
                    site.metrics.findings(site.backend, Check::ThrottleSignals, Severity::Warning, Some(all));
                    Verdict::Slow(Cause { reason: Reason::Blind, what: error.chain() })
                }
            };
            seen.learn(verdict, age.unwrap_or_default(), site);
        }
        Some(Look {
            verdict: seen.verdict.clone(),
            is_new,
            begins_pause: seen.paused.is_some() && !was_paused,
            paused: seen.paused.map(|since| since.elapsed()).unwrap_or_default(),
            ease: seen.ease,
            eased_for: seen.eased_for,
        })
    }
}

impl Seen {
    /// Takes a verdict over that came `after` the one before.
    fn learn(&mut self, verdict: Verdict, after: Duration, site: Site<'_>) {
        let now = Instant::now();
        self.answered = Some(now);
        let cause = match &verdict {
            Verdict::GoOn => None,
            Verdict::Slow(cause) | Verdict::Pause(cause) | Verdict::End(cause) => Some(cause),
        };
        // Whoever ends the run says so.
        let is_over = matches!(verdict, Verdict::End(_));
        if !is_over && cause.map(|cause| cause.reason) != self.cause.map(|(reason, _)| reason) {
            if let Some((reason, since)) = self.cause.take() {
                self.tell_end(reason, since, site);
                self.ended = Some((reason, now));
            }
            if let Some(cause) = cause {
                self.cause = Some((cause.reason, now));
                self.tell_begin(cause, matches!(verdict, Verdict::Pause(_)), site);
            }
        }
        match &verdict {
            Verdict::Pause(cause) if self.paused.is_none() => {
                self.paused = Some(now);
                (self.ease, self.eased_for) = (self.ease.after_pause(), Some(cause.reason));
            }
            Verdict::Pause(_) => {}
            Verdict::GoOn if self.paused.is_none() => self.ease = self.ease.after(after),
            Verdict::GoOn | Verdict::Slow(_) | Verdict::End(_) => self.paused = None,
        }
        self.verdict = verdict;
    }

    fn was_just_told(&self, reason: Reason) -> bool {
        self.ended.is_some_and(|(ended, at)| ended == reason && at.elapsed() < TOLD_FOR)
    }

    fn tell_begin(&self, cause: &Cause, pauses: bool, site: Site<'_>) {
        let (job, reason, what) = (site.job, cause.reason.name(), &cause.what);
        if self.was_just_told(cause.reason) {
            tracing::debug!(job.name = job, reason, "{job} makes room again: {what}");
        } else if cause.reason == Reason::Blind {
            tracing::warn!(job.name = job, reason, "{job} goes on slowly, as it cannot see how others are: {what}");
        } else if pauses {
            tracing::info!(job.name = job, reason, "{job} pauses: {what}");
        } else {
            tracing::info!(job.name = job, reason, "{job} makes room: {what}");
        }
    }

    fn tell_end(&self, reason: Reason, since: Instant, site: Site<'_>) {
        let (job, took, name) = (site.job, since.elapsed(), reason.name());
        if self.was_just_told(reason) {
            tracing::debug!(job.name = job, reason = name, "{job} has made room for {took:.1?}");
        } else {
            tracing::info!(job.name = job, reason = name, "{job} goes on: {name} is over after {took:.1?}");
        }
    }

    /// Says once what cannot be seen, and what helps.
    fn tell_hidden(&mut self, keys: &[&'static str], site: Site<'_>) {
        let Site { job, backend, metrics, .. } = site;
        metrics.findings(backend, Check::ThrottleSignals, Severity::Warning, Some(keys.len() as u64));
        if keys.is_empty() || self.has_told_hidden {
            return;
        }
        self.has_told_hidden = true;
        tracing::warn!(
            job.name = job,
            keys = keys.join(", "),
            "{job} cannot heed {}, as its role may not see what that takes: GRANT pg_monitor to the role, or switch it \
             off below [throttle]",
            keys.join(", ")
        );
    }
}
