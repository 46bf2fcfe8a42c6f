//! Which sets stay and which go: a decision from what is known of them, with the reason of each. It removes nothing.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Entry, Level, Retention, SetId};

/// How far in the future a set may seem to have been begun, by clocks that disagree a little.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// Backups are made at least each month. When the newest one seems to be older than this, the clock of this host is
/// as likely to be wrong as nobody is to have made any.
const FAR: TimeDelta = TimeDelta::days(60);

/// What has to be known of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, which says when it was begun.
    pub set: SetId,
    /// What can be said of it.
    pub condition: Condition,
    /// Who uses it just now, if somebody does.
    pub held: Option<String>,
}

/// How a set is, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is there, and nobody has verified it, or what was found was damage.
    Unproven,
    /// It is verified at least.
    Verified,
    /// It has been restored, and what came out is what went in.
    Drilled,
    /// Nobody can tell what it is, or it is another deployment's.
    Unreadable(String),
}

impl Candidate {
    /// What has to be known of a set, which somebody may have in use.
    pub fn of(entry: &Entry, held: Option<String>) -> Self {
        let condition = match &entry.manifest {
            Err(why) => Condition::Unreadable(why.clone()),
            Ok(_) => match entry.state.level() {
                Level::Taken => Condition::Unproven,
                Level::Verified => Condition::Verified,
                Level::Drilled => Condition::Drilled,
            },
        };
        Self { set: entry.set.clone(), condition, held }
    }

    fn is_verified(&self) -> bool {
        matches!(self.condition, Condition::Verified | Condition::Drilled)
    }
}

/// What becomes of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The set.
    pub set: SetId,
    /// Whether it goes.
    pub removed: bool,
    /// Why; of a set that stays, everything that keeps it.
    pub reasons: Vec<Why>,
}

/// Why a set stays or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// One of the newest so many.
    KeepLast,
    /// The newest of its day.
    Daily,
    /// The newest of its week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// One of the newest so many verified ones.
    MinSets,
    /// Younger than the least age.
    MinAge,
    /// The newest one that was drilled.
    LastDrilled,
    /// Somebody uses it.
    InUse(String),
    /// Not verified, and no verified one is newer.
    NothingBetter,
    /// Nobody can tell what it is.
    Unreadable(String),
    /// Verified, and no rule keeps it.
    NoRule,
    /// Not verified, and a verified one is newer.
    Superseded,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepLast => f.write_str("one of the newest (keep_last)"),
            Self::Daily => f.write_str("the newest of its day (daily)"),
            Self::Weekly => f.write_str("the newest of its week (weekly)"),
            Self::Monthly => f.write_str("the newest of its month (monthly)"),
            Self::Yearly => f.write_str("the newest of its year (yearly)"),
            Self::MinSets => f.write_str("one of the newest verified ones (min_sets)"),
            Self::MinAge => f.write_str("too young (min_age)"),
            Self::LastDrilled => f.write_str("the newest one that was drilled"),
            Self::InUse(who) => write!(f, "in use: {who}"),
            Self::NothingBetter => f.write_str("not verified, and no verified one is newer"),
            Self::Unreadable(why) => write!(f, "{why}: nobody can tell what it is, so remove it by hand"),
            Self::NoRule => f.write_str("verified, and no rule keeps it"),
            Self::Superseded => f.write_str("not verified, and a verified one is newer"),
        }
    }
}

/// Decides about all sets of a deployment, in their order. Days, weeks, months and years are those of `zone`.
///
/// # Errors
///
/// When the clock cannot be trusted, so that nothing may be removed; the text says why.
pub fn decide(
    rules: &Retention,
    zone: Tz,
    now: DateTime<Utc>,
    candidates: &[Candidate],
) -> Result<Vec<Decision>, String> {
    distrust(now, candidates)?;
    let mut order: Vec<&Candidate> = candidates.iter().collect();
    order.sort_by(|one, other| other.set.cmp(&one.set));
    let mut tally = Tally::new(rules, zone);
    let mut decisions: Vec<Decision> =
        order.into_iter().map(|candidate| decision(rules, now, candidate, &mut tally)).collect();
    decisions.reverse();
    Ok(decisions)
}

/// Refuses to decide by a clock that the sets themselves contradict.
fn distrust(now: DateTime<Utc>, candidates: &[Candidate]) -> Result<(), String> {
    let Some(newest) = candidates.iter().max_by_key(|candidate| candidate.set.begun()) else { return Ok(()) };
    let begun = newest.set.begun();
    if begun - now > AHEAD {
        return Err(format!(
            "the set {} was begun in the future, so this clock or the one it was made by is wrong: nothing is removed",
            newest.set
        ));
    }
    let verified = candidates.iter().filter(|candidate| candidate.is_verified());
    match verified.map(|candidate| candidate.set.begun()).max() {
        Some(begun) if now - begun > FAR => Err(format!(
            "the newest verified set is {} days old, so either this clock is wrong or all others are the more \
             precious: nothing is removed",
            (now - begun).num_days()
        )),
        _ => Ok(()),
    }
}

/// What the newer sets have used up of the rules.
struct Tally {
    zone: Tz,
    verified: u64,
    drilled: bool,
    last: Allowance<SetId>,
    days: Allowance<chrono::NaiveDate>,
    weeks: Allowance<(i32, u32)>,
    months: Allowance<(i32, u32)>,
    years: Allowance<i32>,
}

impl Tally {
    fn new(rules: &Retention, zone: Tz) -> Self {
        Self {
            zone,
            verified: 0,
            drilled: false,
            last: Allowance::of(rules.keep_last.get()),
            days: Allowance::of(rules.daily.get()),
            weeks: Allowance::of(rules.weekly.get()),
            months: Allowance::of(rules.monthly.get()),
            years: Allowance::of(rules.yearly.get()),
        }
    }

    /// The rules that keep a verified set; it counts from now on.
    fn take(&mut self, rules: &Retention, candidate: &Candidate) -> Vec<Why> {
        let local = candidate.set.begun().with_timezone(&self.zone).date_naive();
        let week = local.iso_week();
        let mut reasons = Vec::new();
        let kept = [
            (self.last.take(candidate.set.clone()), Why::KeepLast),
            (self.days.take(local), Why::Daily),
            (self.weeks.take((week.year(), week.week())), Why::Weekly),
            (self.months.take((local.year(), local.month())), Why::Monthly),
            (self.years.take(local.year()), Why::Yearly),
            (self.verified < rules.min_sets.get(), Why::MinSets),
        ];
        reasons.extend(kept.into_iter().filter(|(is_kept, _)| *is_kept).map(|(_, why)| why));
        if candidate.condition == Condition::Drilled && !std::mem::replace(&mut self.drilled, true) {
            reasons.push(Why::LastDrilled);
        }
        self.verified += 1;
        reasons
    }
}

/// So many stretches of time of which the newest set is kept.
struct Allowance<T> {
    most: u64,
    seen: BTreeSet<T>,
}

impl<T: Ord> Allowance<T> {
    fn of(most: u64) -> Self {
        Self { most, seen: BTreeSet::new() }
    }

    /// Whether the set is the newest of its stretch, and the stretch is among the newest so many.
    fn take(&mut self, stretch: T) -> bool {
        (self.seen.len() as u64) < self.most && self.seen.insert(stretch)
    }
}

fn decision(rules: &Retention, now: DateTime<Utc>, candidate: &Candidate, tally: &mut Tally) -> Decision {
    let set = candidate.set.clone();
    let mut reasons = match &candidate.condition {
        Condition::Verified | Condition::Drilled => tally.take(rules, candidate),
        Condition::Unproven if tally.verified == 0 => vec![Why::NothingBetter],
        Condition::Unproven => Vec::new(),
        Condition::Unreadable(why) => vec![Why::Unreadable(why.clone())],
    };
    // One that seems to come from the future is younger than any age.
    if (now - set.begun()).to_std().map_or(true, |age| age < rules.min_age.0) {
        reasons.push(Why::MinAge);
    }
    reasons.extend(candidate.held.clone().map(Why::InUse));
    if reasons.is_empty() {
        let why = if candidate.is_verified() { Why::NoRule } else { Why::Superseded };
        return Decision { set, removed: true, reasons: vec![why] };
    }
    Decision { set, removed: false, reasons }
}

#[cfg(test)]
mod tests;
