//! Which changes go: the rules, without any input or output.
//!
//! A subscriber takes a number that is missing among others for one that it will hear of later, and
//! in the end for one that it has had. So only ever the lowest numbers go, whatever the reason.

use chrono::{DateTime, Utc};

use crate::storage::{Sighting, Watermark};

/// A change: its number, and the time that is stored with it, if there is one. It is never later than
/// when the change was made, but may be much earlier.
pub(super) type Numbered = (i64, Option<DateTime<Utc>>);

/// What is known of the changes of one actor under one subscription id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// From the lowest number on.
    pub(super) diffs: &'a [Numbered],
    /// Whoever subscribes, as read after the changes.
    pub(super) subscribers: &'a [Subscriber],
    /// Whether the actor itself subscribes to somebody by the same id.
    pub(super) is_mirrored: bool,
    /// The highest numbers that were seen when, oldest first.
    pub(super) watermarks: &'a [Watermark],
    /// That they were seen without a subscription before, if they were.
    pub(super) sighting: Option<&'a Sighting>,
}

/// Somebody who subscribes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscriber {
    pub(super) peerid: String,
    /// The last number that was given out for it.
    pub(super) seqnr: i64,
    /// The number that it has taken in, if it is an actor of the same database.
    pub(super) mark: Option<i64>,
}

/// What goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// So many of the newest changes of a subscription stay; at least one.
    pub(super) keep_newest: usize,
    /// What the subscriber has confirmed.
    pub(super) confirmed: bool,
    /// What was made before this.
    pub(super) made_before: Option<DateTime<Utc>>,
    /// What was seen without a subscription before this.
    pub(super) orphaned_before: Option<DateTime<Utc>>,
    /// Whether the time that is stored with a change may be believed, as long as it does not say that it
    /// is older than what we saw.
    pub(super) believes_times: bool,
}

/// Why changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Aged,
    Confirmed,
    Orphan,
}

impl Reason {
    /// Every reason.
    pub(super) const ALL: [Self; 3] = [Self::Aged, Self::Confirmed, Self::Orphan];

    /// The word in reports and in the label `reason`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Aged => "aged",
            Self::Confirmed => "confirmed",
            Self::Orphan => "orphan",
        }
    }
}

/// What is to be done about the changes of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How many go for which reason, from the lowest number on.
    pub(super) stretches: Vec<(Reason, usize)>,
    /// Whether nobody subscribes.
    pub(super) is_orphaned: bool,
    /// Up to this number every subscriber has them, as far as that is known.
    pub(super) mark: Option<i64>,
    /// Whether their age is not known because numbers went back.
    pub(super) went_back: bool,
}

impl Verdict {
    /// How many go.
    pub(super) fn length(&self) -> usize {
        self.stretches.iter().map(|(_, length)| length).sum()
    }

    /// Whether nobody knows that all subscribers have the change of this number.
    pub(super) fn is_unconfirmed(&self, seqnr: i64) -> bool {
        !self.is_orphaned && self.mark.is_none_or(|mark| seqnr > mark)
    }
}

/// Decides.
pub(super) fn decide(case: &Case<'_>, rules: &Rules) -> Verdict {
    let up_to = |last: i64| case.diffs.partition_point(|(seqnr, _)| *seqnr <= last);
    if case.subscribers.is_empty() {
        if case.is_mirrored {
            return Verdict::default();
        }
        let is_due = |sighting: &&Sighting| rules.orphaned_before.is_some_and(|before| sighting.seen_at <= before);
        let orphans = case.sighting.filter(is_due).map_or(0, |sighting| up_to(sighting.through));
        return Verdict { stretches: stretches([(Reason::Orphan, orphans)]), is_orphaned: true, ..Verdict::default() };
    }
    // Where several share their changes, those go that the last of them has.
    let marks = case.subscribers.iter().map(|subscriber| subscriber.mark);
    let mark = marks.collect::<Option<Vec<_>>>().and_then(|marks| marks.into_iter().min());
    let most = case.diffs.len().saturating_sub(rules.keep_newest.max(1));
    let confirmed = mark.filter(|_| rules.confirmed).map_or(0, up_to).min(most);
    let aged = aged(case, rules).map(|aged| aged.min(most));
    Verdict {
        stretches: stretches([
            (Reason::Confirmed, confirmed),
            (Reason::Aged, aged.unwrap_or_default().saturating_sub(confirmed)),
        ]),
        is_orphaned: false,
        mark,
        went_back: aged.is_none(),
    }
}

fn stretches(lengths: impl IntoIterator<Item = (Reason, usize)>) -> Vec<(Reason, usize)> {
    lengths.into_iter().filter(|(_, length)| *length > 0).collect()
}

/// How many changes, from the lowest number on, are old enough to go. None when that cannot be known,
/// because there is a higher number than one that is still to be given out.
fn aged(case: &Case<'_>, rules: &Rules) -> Option<usize> {
    let Some(before) = rules.made_before else { return Some(0) };
    let next = case.subscribers.iter().map(|subscriber| subscriber.seqnr).min()?;
    let seen = case.watermarks.iter().map(|mark| mark.seqnr).chain(case.diffs.last().map(|(seqnr, _)| *seqnr));
    if seen.max().is_some_and(|highest| highest > next) {
        return None;
    }
    let Some(first) = case.watermarks.first() else { return Some(0) };
    let marked = case.watermarks.iter().filter(|mark| mark.seen_at < before).map(|mark| mark.seqnr).max();
    let mut aged = marked.map_or(0, |last| case.diffs.partition_point(|(seqnr, _)| *seqnr <= last));
    if rules.believes_times {
        // What came here from elsewhere has a lower number than what we saw first, or an older time.
        let is_old = |(seqnr, time): &Numbered| {
            *seqnr > first.seqnr && time.is_some_and(|time| first.seen_at <= time && time < before)
        };
        aged += case.diffs[aged..].iter().take_while(|diff| is_old(diff)).count();
    }
    // However wrong a stored time is, it is never later than the truth: what it says is young, is.
    let young = case.diffs[..aged].iter().position(|(_, time)| time.is_some_and(|time| time >= before));
    Some(young.unwrap_or(aged))
}

#[cfg(test)]
mod tests;
