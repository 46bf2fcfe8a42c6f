//! Whether the clocks are such that rows may be deleted by them.
//!
//! The database's clock decides what has expired, and when it is wrong, live rows have. Nobody can
//! know that it is right; but a clock that is apart from another one, or that jumps, is suspect.
//! Jumps are seen against a third clock, which nobody can set.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::setting::Span;

/// For how many times `clock.max_skew` jobs rest after a jump.
const REST: u32 = 10;

/// Some clocks insert a leap second by stepping. That is no jump, and neither is what an instant
/// more makes of it.
const LEAP: Duration = Duration::from_secs(2);

/// Clocks that are kept in step are slewed by one part in so many at most, as NTP does.
const SLEW: u32 = 2000;

/// The clocks, read together. In this order: `asked`, the question to the server, `local`, `answered`.
/// So however long this process was stopped in between, both wall clocks were read between `asked` and
/// `answered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    /// [`steady`](crate::model::clock::steady) before the question.
    pub(super) asked: Duration,
    /// The server's wall clock, from its answer.
    pub(super) server: DateTime<Utc>,
    /// This machine's wall clock.
    pub(super) local: DateTime<Utc>,
    /// [`steady`](crate::model::clock::steady) after everything else.
    pub(super) answered: Duration,
}

/// Why jobs that delete rest, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Distrust {
    /// The two clocks disagree.
    #[error(
        "this machine's clock is {} the database's, and clock.max_skew allows {}: jobs that delete rest until one of \
         them is put right", Apart(*ahead), Span(*limit)
    )]
    Apart {
        /// By how much this machine's clock is ahead of the database's.
        ahead: TimeDelta,
        /// How much they may be apart.
        limit: Duration,
    },
    /// A clock, or both, jumped.
    #[error(
        "{} {}: jobs that delete rest until {}",
        Jumped(*local, *server), Ago(*ago), until.format("%Y-%m-%dT%H:%M:%SZ")
    )]
    Jumped {
        /// By how much this machine's clock jumped ahead, if it jumped.
        local: Option<TimeDelta>,
        /// By how much the database's clock jumped ahead, if it jumped.
        server: Option<TimeDelta>,
        /// How long ago that was noticed.
        ago: Duration,
        /// When they may go on, by this machine's clock.
        until: DateTime<Utc>,
    },
}

/// Judges the clocks by what it is told of them. It reads none itself.
#[derive(Clone, Debug)]
pub(super) struct ClockWatch {
    max_skew: Duration,
    /// The observation that says most about where the wall clocks stand: the newest, unless it took
    /// so long that an older one is still closer.
    base: Option<Observation>,
    /// By how much this machine's clock is ahead, if that is too much.
    apart: Option<TimeDelta>,
    jump: Option<Jump>,
}

#[derive(Clone, Copy, Debug)]
struct Jump {
    local: Option<TimeDelta>,
    server: Option<TimeDelta>,
    /// When it was noticed, by the steady clock.
    noticed: Duration,
}

impl Observation {
    /// How much earlier than [`Observation::answered`] the wall clocks may have been read.
    fn vagueness(&self) -> Duration {
        self.answered.saturating_sub(self.asked)
    }
}

impl ClockWatch {
    /// A watch that has seen nothing yet, for clocks that may be apart by `max_skew`.
    pub(super) fn new(max_skew: Duration) -> Self {
        Self { max_skew, base: None, apart: None, jump: None }
    }

    /// Lets the clocks be apart by `max_skew` from the next observation on.
    pub(super) fn allow(&mut self, max_skew: Duration) {
        self.max_skew = max_skew;
    }

    /// Takes note of the clocks. Returns what [`ClockWatch::distrust`] says right after it.
    pub(super) fn observe(&mut self, seen: Observation) -> Option<Distrust> {
        let mut is_closest = true;
        if let Some(base) = self.base {
            // Another question was asked later and answered first: this one says nothing new.
            let Some(passed) = seen.answered.checked_sub(base.answered) else { return self.distrust(base.answered) };
            let slack = base.vagueness() + seen.vagueness() + passed / SLEW;
            let most = delta(self.max_skew.max(LEAP) + slack);
            let jumped = |moved: TimeDelta| Some(moved - delta(passed)).filter(|by| by.abs() > most);
            let (local, server) = (jumped(seen.local - base.local), jumped(seen.server - base.server));
            let is_jump = local.is_some() || server.is_some();
            if is_jump {
                self.jump = Some(Jump { local, server, noticed: seen.answered });
            }
            is_closest = is_jump || seen.vagueness() <= base.vagueness() + passed / SLEW;
        }
        let ahead = seen.local - seen.server;
        let apart = Some(ahead).filter(|ahead| ahead.abs() > delta(self.max_skew + seen.vagueness()));
        // A vague observation can convict the clocks, but not acquit them.
        if is_closest || apart.is_some() {
            self.apart = apart;
        }
        if is_closest {
            self.base = Some(seen);
        }
        self.distrust(seen.answered)
    }

    /// Why jobs that delete must rest `now`, by the steady clock, if they must. Nothing is known
    /// against clocks that were not observed.
    pub(super) fn distrust(&self, now: Duration) -> Option<Distrust> {
        if let Some(ahead) = self.apart {
            return Some(Distrust::Apart { ahead, limit: self.max_skew });
        }
        let Jump { local, server, noticed } = self.jump?;
        let end = noticed + REST * self.max_skew;
        if now >= end {
            return None;
        }
        let base = self.base?;
        let until = base.local + delta(end.saturating_sub(base.answered));
        Some(Distrust::Jumped { local, server, ago: now.saturating_sub(noticed), until })
    }
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// `45s ahead of`, `45s behind`.
struct Apart(TimeDelta);

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.0 < TimeDelta::zero() { "behind" } else { "ahead of" };
        write!(f, "{} {place}", Rounded(self.0.abs().to_std().unwrap_or_default()))
    }
}

/// Which clock jumped, how far and where to.
struct Jumped(Option<TimeDelta>, Option<TimeDelta>);

impl fmt::Display for Jumped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let far = |by: TimeDelta| {
            let direction = if by < TimeDelta::zero() { "back" } else { "ahead" };
            format!("{} {direction}", Rounded(by.abs().to_std().unwrap_or_default()))
        };
        match (self.0.map(far), self.1.map(far)) {
            (Some(local), Some(server)) => {
                write!(f, "this machine's clock jumped {local} and the database's {server}")
            }
            (Some(local), None) => write!(f, "this machine's clock jumped {local}"),
            (None, server) => write!(f, "the database's clock jumped {}", server.unwrap_or_default()),
        }
    }
}

/// `20s ago`.
struct Ago(Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_millis(100) {
            return f.write_str("just now");
        }
        write!(f, "{} ago", Rounded(self.0))
    }
}

/// A length of time as exact as anybody wants to read it.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = if self.0 < Duration::from_secs(10) { 100 } else { 1000 };
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        Span::millis(millis.saturating_add(step / 2) / step * step).fmt(f)
    }
}

#[cfg(test)]
mod tests;
