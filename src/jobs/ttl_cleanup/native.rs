//! Whether DynamoDB itself deletes what has expired, and can.

use super::settings::NativeTtl as Mode;
use crate::model::layout::TTL_ATTRIBUTE;
use crate::storage::{Ends, NativeTtl};
use crate::work::{Defect, Severity};

/// The longest that DynamoDB takes, as AWS has it.
const SLOWEST: i64 = 48 * 3600;

/// What is known of it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What DynamoDB says.
    pub(super) state: NativeTtl,
    /// Why it could not be switched on, if that was tried.
    pub(super) refusal: Option<String>,
    /// What rows show.
    pub(super) ends: Ends,
}

/// What is wrong. `sweeps`: whether this job deletes what has expired as well. `now` is in epoch seconds.
pub(super) fn defects(seen: &Seen, mode: Mode, sweeps: bool, now: i64) -> Vec<Defect> {
    let mut defects = Vec::new();
    // What this job does as well is only done at a price.
    let unless_swept = if sweeps { Severity::Warning } else { Severity::Critical };
    let mut add = |kind: &str, severity, rows, what: String, remedy: String| {
        defects.push(Defect { kind: kind.to_owned(), severity, rows, object: None, what, remedy, acknowledged: None });
    };
    let works = match &seen.state {
        NativeTtl::Never => return defects,
        NativeTtl::On(attribute) | NativeTtl::Starting(attribute) if attribute != TTL_ATTRIBUTE => {
            let what = format!("DynamoDB expires attributes by `{attribute}`, and ActingWeb stores `{TTL_ATTRIBUTE}`");
            let remedy = format!(
                "if nothing else needs `{attribute}`, switch it off (UpdateTimeToLive), wait an hour, and run \
                 `actingweb-maintd schema apply`; this job never changes it"
            );
            add("wrong_attribute", Severity::Critical, None, what, remedy);
            false
        }
        NativeTtl::On(_) => true,
        NativeTtl::Starting(_) => false,
        NativeTtl::Stopping => {
            let what = "DynamoDB is about to stop expiring attributes".to_owned();
            let remedy = "find out who has switched it off; in an hour at most it can be switched on again".to_owned();
            add("off", unless_swept, None, what, remedy);
            false
        }
        NativeTtl::Off => {
            let (mut what, mut remedy) = (
                "DynamoDB does not expire attributes".to_owned(),
                "run `actingweb-maintd schema apply`, or write jobs.ttl_cleanup.native_ttl = \"enable\"".to_owned(),
            );
            if let Some(refusal) = &seen.refusal {
                what = format!("{what}, and cannot be told to: {refusal}");
                remedy = "allow dynamodb:UpdateTimeToLive (deploy/aws/policy.json); after a change of it, wait an \
                          hour, which the job does by itself"
                    .to_owned();
            } else if mode == Mode::Enable {
                remedy = "the next run switches it on".to_owned();
            }
            add("off", unless_swept, None, what, remedy);
            false
        }
    };
    let ends = &seen.ends;
    let of = |rows: u64| if rows == 1 { "1 row has".to_owned() } else { format!("{rows} rows have") };
    if ends.not_numbers > 0 {
        let what = format!("{} a TTL that is no number, so nothing ever deletes them", of(ends.not_numbers));
        let remedy = "find out which program writes them, and store a number of seconds instead".to_owned();
        add("not_a_number", Severity::Critical, Some(ends.not_numbers), what, remedy);
    }
    if ends.not_seconds > 0 {
        let what = format!(
            "{} a TTL that is not in seconds, but perhaps in milliseconds, so they never expire",
            of(ends.not_seconds)
        );
        let remedy = "find out which program writes them, and divide it by a thousand".to_owned();
        add("not_in_seconds", Severity::Critical, Some(ends.not_seconds), what, remedy);
    }
    if ends.too_old > 0 {
        let what = format!("{} a TTL of more than five years ago, which DynamoDB passes over", of(ends.too_old));
        let remedy = if sweeps {
            "nothing: this job deletes them".to_owned()
        } else {
            "run this job with jobs.ttl_cleanup.sweep = true once".to_owned()
        };
        add("too_old", unless_swept, Some(ends.too_old), what, remedy);
    }
    if let Some(age) = ends.oldest.map(|oldest| now.saturating_sub(oldest)).filter(|age| works && *age > SLOWEST) {
        let what = format!(
            "a row expired {} hours ago and is still there, though DynamoDB says that it expires rows, which takes \
             it 48 at most",
            age / 3600
        );
        let remedy =
            "if that was switched on in the last two days, wait; else ask AWS, and let this job sweep".to_owned();
        add("stalled", unless_swept, None, what, remedy);
    }
    defects
}

#[cfg(test)]
mod tests;
