//! What it all comes to.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::account::Account;
use super::fleet::{BUDGET, Seen};
use super::samples::Sample;
use super::statistics::median_of;
use super::trend::Trend;

/// What a process does when it is young is no trend: channels and pools fill up to what they hold.
const WARM_UP: Duration = Duration::from_secs(10 * 60);

/// Of a soak that is shorter nothing is said about leaks.
const TELLING: Duration = Duration::from_secs(20 * 60);

/// How much of something a daemon may gain in an hour. Memory in MB: at a run a second, 300 bytes
/// a run. Of the others, one in ten minutes; a connection and its descriptor are opened and closed
/// again as the work goes.
const MEMORY: f64 = 1.0;
const OTHERS: f64 = 6.0;

/// The first and the last samples are put together from so many.
const ENDS: usize = 5;

/// Everything that was seen and read.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// How long it went on.
    pub(crate) lasted: Duration,
    /// What was seen all the while.
    pub(crate) seen: Seen,
    /// What the database tells of it.
    pub(crate) account: Account,
    /// Rows that had expired long before the end and were still there.
    pub(crate) left: i64,
}

/// Something that must hold.
#[derive(Debug)]
struct Check {
    what: String,
    holds: bool,
}

/// A measure of the daemon that is never restarted.
struct Measure {
    what: &'static str,
    of: fn(&Sample) -> f64,
    /// How much more of it there may be each hour; nothing where more is no leak.
    bound: Option<f64>,
}

const MEASURES: [Measure; 5] = [
    Measure { what: "resident memory, MB", of: |sample| sample.memory, bound: Some(MEMORY) },
    Measure { what: "descriptors", of: |sample| sample.descriptors, bound: Some(OTHERS) },
    Measure { what: "threads", of: |sample| sample.threads, bound: Some(OTHERS) },
    Measure { what: "connections at the server", of: |sample| sample.connections, bound: Some(OTHERS) },
    Measure { what: "p99 of /metrics, ms", of: |sample| sample.p99, bound: None },
];

impl Measure {
    fn trend(&self, samples: &[Sample]) -> Option<Trend> {
        let point = |sample: &Sample| (sample.after.as_secs_f64() / 3600.0, (self.of)(sample));
        Trend::through(&samples.iter().map(point).collect::<Vec<_>>())
    }
}

impl Verdict {
    /// Whether everything holds.
    pub(crate) fn holds(&self) -> bool {
        let leaks = MEASURES.iter().any(|measure| self.leaks(measure) == Some(true));
        !leaks && self.checks().iter().all(|check| check.holds)
    }

    /// Whether the daemon has more and more of something; nothing where that cannot be said.
    fn leaks(&self, measure: &Measure) -> Option<bool> {
        let bound = measure.bound.filter(|_| self.lasted >= TELLING)?;
        Some(measure.trend(self.samples())?.exceeds(bound))
    }

    /// The samples after the warm-up.
    fn samples(&self) -> &[Sample] {
        let young = WARM_UP.min(self.lasted / 2);
        &self.seen.lasting[self.seen.lasting.partition_point(|sample| sample.after < young)..]
    }

    /// All of it, for people.
    pub(crate) fn render(&self) -> String {
        let samples = self.samples();
        let mut table = Table::new();
        let heads = ["the daemon that was never restarted", "first", "last", "most", "an hour", "bound", ""];
        table.load_style(presets::NOTHING).set_header(heads);
        for measure in MEASURES {
            let end = |samples: &[Sample]| format!("{:.2}", median_of(samples, measure.of));
            let most = samples.iter().map(measure.of).fold(f64::NAN, f64::max);
            let trend = measure.trend(samples);
            table.add_row([
                measure.what.to_owned(),
                end(&samples[..ENDS.min(samples.len())]),
                end(&samples[samples.len().saturating_sub(ENDS)..]),
                format!("{most:.2}"),
                trend.map_or("-".to_owned(), |trend| format!("{:+.2} +- {:.2}", trend.per_hour, 2.0 * trend.error)),
                measure.bound.map_or(String::new(), |bound| format!("<= {bound}")),
                match self.leaks(&measure) {
                    Some(true) => "LEAKS",
                    Some(false) => "holds",
                    None if measure.bound.is_some() => "too short to tell",
                    None => "",
                }
                .to_owned(),
            ]);
        }
        let mut checks = Table::new();
        checks.load_style(presets::NOTHING);
        for Check { what, holds } in self.checks() {
            checks.add_row([what.as_str(), if holds { "holds" } else { "BROKEN" }]);
        }
        for column in table.column_iter_mut().chain(checks.column_iter_mut()) {
            column.set_padding((0, 2));
        }
        format!("{}\n\n{}\n{}", table.trim_fmt(), checks.trim_fmt(), self.unanswered())
    }

    fn checks(&self) -> Vec<Check> {
        let Self { lasted, seen, account, left } = self;
        let check = |what, holds| Check { what, holds };
        vec![
            check(
                format!(
                    "in {:.1} minutes: {} scrapes answered, {} not",
                    lasted.as_secs_f64() / 60.0,
                    seen.answered,
                    seen.unanswered.len()
                ),
                seen.unanswered.is_empty(),
            ),
            check(
                format!("connections of one daemon at most: {} of {BUDGET}", seen.connections),
                seen.connections <= BUDGET,
            ),
            check(
                format!(
                    "{} slots: {} run, the others passed over; {} missing, {} both",
                    account.slots, account.run, account.missing, account.both
                ),
                account.missing == 0 && account.both == 0 && account.run > 0,
            ),
            check(
                format!(
                    "runs of a slot that was done: {}; at the same time: {}; without an end: {}",
                    account.again, account.overlapping, account.open
                ),
                account.again == 0 && account.overlapping == 0 && account.open == 0,
            ),
            check(
                format!("{} rows deleted, {} told; live ones: {}", account.gone, account.told, account.live),
                account.gone == account.told && account.gone > 0 && account.live == 0,
            ),
            check(format!("rows expired a minute before the end and still there: {left}"), *left == 0),
            check(
                format!(
                    "done to them: {} reloads (the slowest {:.0} ms), {} locks, {} terminations, {} restarts",
                    seen.reloads, seen.slowest_reload, seen.locks, seen.terminations, seen.restarts
                ),
                true,
            ),
        ]
    }

    fn unanswered(&self) -> String {
        self.seen.unanswered.iter().map(|why| format!("{why}\n")).collect()
    }
}
