//! What a writer owes others, by what the store says of them. Nothing here waits or asks.

use std::time::Duration;

use super::{Reason, Settings};
use crate::model::setting::{Size, Span};
use crate::storage::{Reading, Strain};

/// What a writer shall do for the sake of others.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nobody suffers.
    GoOn,
    /// Go on with small batches and long rests.
    Slow(Cause),
    /// Wait until this is over.
    Pause(Cause),
    /// End the run.
    End(Cause),
}

/// What makes a writer slow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    pub(super) reason: Reason,
    /// The same in words, with what was seen.
    pub(super) what: String,
}

/// What the store says, held against the settings. Requests that were turned away count from
/// `throttled_before` on.
pub(super) fn judge(settings: &Settings, strain: &Strain, throttled_before: u64) -> Verdict {
    let signals = signals(settings, strain);
    let abort_at = settings.abort_at.get() as f64;
    if let Some(signal) = signals.iter().find(|signal| signal.times > abort_at && abort_at > 0.0) {
        return Verdict::End(signal.cause());
    }
    if let Some(signal) = signals.iter().find(|signal| signal.times > 1.0) {
        return Verdict::Pause(signal.cause());
    }
    match slowing(settings, strain, throttled_before) {
        Some((reason, what)) => Verdict::Slow(Cause { reason, what }),
        None => Verdict::GoOn,
    }
}

/// A signal that has a level.
struct Signal {
    reason: Reason,
    /// How many times the level it stands at.
    times: f64,
    what: String,
}

impl Signal {
    fn cause(&self) -> Cause {
        Cause { reason: self.reason, what: self.what.clone() }
    }
}

/// What there is of signals with a level that somebody has set.
fn signals(settings: &Settings, strain: &Strain) -> Vec<Signal> {
    let mut signals = Vec::new();
    if let Reading::Seen(lag) = strain.replay {
        let (late, most) = (Span(lag.time), settings.replication_lag);
        if !most.0.is_zero() {
            signals.push(Signal {
                reason: Reason::ReplicationLag,
                times: lag.time.as_secs_f64() / most.0.as_secs_f64(),
                what: format!("a replica is {late} behind, and may be {most} (throttle.replication_lag)"),
            });
        }
        let (bytes, most) = (lag.bytes, settings.replication_lag_bytes);
        if most > Size(0) {
            let mebibytes = bytes as f64 / Size::mebibytes(1).0 as f64;
            signals.push(Signal {
                reason: Reason::ReplicationLag,
                times: bytes as f64 / most.0 as f64,
                what: format!(
                    "a replica is {mebibytes:.1}MiB behind, and may be {most} (throttle.replication_lag_bytes)"
                ),
            });
        }
    }
    let most = settings.wal_archive_backlog;
    if let Reading::Seen(archive) = strain.archive
        && most.get() > 0
    {
        if let Some(waiting) = archive.waiting {
            signals.push(Signal {
                reason: Reason::WalArchive,
                times: waiting as f64 / most.get() as f64,
                what: format!("{waiting} files wait to be archived, and {most} may (throttle.wal_archive_backlog)"),
            });
        }
        if archive.is_failing {
            signals.push(Signal {
                reason: Reason::WalArchive,
                // A reason to wait, however long, as long as not much has gathered.
                times: 1.0 + f64::EPSILON,
                what: "the server's archive_command fails".to_owned(),
            });
        }
    }
    signals
}

/// What makes a writer slow without a level, or without an end that it could wait for.
fn slowing(settings: &Settings, strain: &Strain, throttled_before: u64) -> Option<(Reason, String)> {
    let refused = strain.throttled.saturating_sub(throttled_before);
    if refused > 0 {
        return Some((Reason::Throttled, format!("{refused} requests were turned away for want of capacity")));
    }
    if settings.yield_to_autovacuum && strain.vacuum == Reading::Seen(true) {
        return Some((Reason::Autovacuum, "a vacuum works on the table".to_owned()));
    }
    let least = settings.connection_headroom;
    match strain.connections {
        Reading::Seen(left) if left < least.get() => {
            let what = format!("the server has {left} connections left, below {least} (throttle.connection_headroom)");
            Some((Reason::Connections, what))
        }
        _ => None,
    }
}

/// The signals that somebody wants to be heeded, by the keys that set them, and that cannot be seen.
pub(super) fn hidden(settings: &Settings, strain: &Strain) -> Vec<&'static str> {
    let lag = !settings.replication_lag.0.is_zero() || settings.replication_lag_bytes > Size(0);
    let archive = settings.wal_archive_backlog.get() > 0;
    let uncounted = matches!(strain.archive, Reading::Seen(archive) if archive.waiting.is_none());
    [
        ("replication_lag", lag && strain.replay == Reading::Hidden),
        ("wal_archive_backlog", archive && (strain.archive == Reading::Hidden || uncounted)),
        ("yield_to_autovacuum", settings.yield_to_autovacuum && strain.vacuum == Reading::Hidden),
        ("connection_headroom", settings.connection_headroom.get() > 0 && strain.connections == Reading::Hidden),
    ]
    .into_iter()
    .filter_map(|(key, is_hidden)| is_hidden.then_some(key))
    .collect()
}

/// How much of its time a writer leaves to others once it has had to pause: as much again as each
/// batch took after the first pause, twice that after each pause that follows, and less and less
/// with the time in which there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ease(f64);

impl Ease {
    /// No more than four fifths of the time, or coming back would take longer than anybody waits.
    const MOST: f64 = 4.0;

    /// What goes of it in a second.
    const BACK: f64 = 0.25;

    /// As it is after one more pause.
    pub(super) fn after_pause(self) -> Self {
        Self((self.0 * 2.0).clamp(1.0, Self::MOST))
    }

    /// As it is after `calm` without one.
    pub(super) fn after(self, calm: Duration) -> Self {
        Self((self.0 - Self::BACK * calm.as_secs_f64()).max(0.0))
    }

    /// The rest after a batch that took `elapsed`.
    pub(super) fn rest(self, elapsed: Duration) -> Duration {
        elapsed.mul_f64(self.0)
    }
}

/// The rest of a slow writer after a batch that took `elapsed`: nine tenths of the time.
pub(super) fn slow_rest(elapsed: Duration) -> Duration {
    (elapsed * 9).clamp(Duration::from_millis(100), Duration::from_secs(2))
}

#[cfg(test)]
mod tests;
