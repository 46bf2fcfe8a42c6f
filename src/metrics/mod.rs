//! Every metric, once: its name, its labels, and what it means, which is also its help text.
//!
//! Callers never write a label themselves: each method takes what the metric is about, as an enum
//! or a `&'static str`, so that no label can grow with the data. Counters stand at zero from the
//! moment their labels are registered; a gauge appears when it is first measured and goes when it
//! is set to nothing, because a zero that nobody measured is a lie.

mod backups;
mod families;
mod findings;
mod indexes;
mod jobs;
mod stores;

use chrono::{DateTime, Utc};
use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, TextEncoder};

pub use backups::BackupsSeen;
pub use families::Metrics;
pub use findings::Check;
pub use indexes::IndexSeen;

pub use crate::work::Severity;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

impl Metrics {
    /// The metrics of a process that has measured nothing yet.
    pub fn new(version: &str, revision: &str) -> Self {
        let metrics = Self::families();
        metrics.registry.register(Box::new(ProcessCollector::for_self())).expect("the process has its own names");
        metrics.build_info.with_label_values(&[version, revision]).set(1.0);
        metrics
    }

    /// Everything measured, in the text format of Prometheus. Asks nobody but `/proc`.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(32 * 1024);
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).expect("gathered families are complete");
        text
    }

    /// The configuration was loaded at this time, or what was loaded could not be used.
    pub fn config_loaded(&self, at: Option<DateTime<Utc>>) {
        set(&self.config_reload_success, &[], at.is_some());
        if let Some(at) = at {
            set_or_remove(&self.config_last_reload, &[], Some(epoch(at)));
        }
    }
}

fn set(family: &GaugeVec, labels: &[&str], value: bool) {
    family.with_label_values(labels).set(f64::from(u8::from(value)));
}

fn set_or_remove(family: &GaugeVec, labels: &[&str], value: Option<f64>) {
    match value {
        Some(value) => family.with_label_values(labels).set(value),
        None => {
            // The error says that the gauge was not there, which is what was wanted.
            let _absent = family.remove_label_values(labels);
        }
    }
}

fn epoch(at: DateTime<Utc>) -> f64 {
    // Milliseconds are exact in an f64 and finer than anybody's schedule.
    at.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
