//! What a daemon has and how it answers.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::daemon::Daemon;
use super::http::Connection;
use super::statistics::{milliseconds, percentile};

/// A daemon at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Since the soak began.
    pub(crate) after: Duration,
    /// Resident memory in MB, of a million bytes.
    pub(crate) memory: f64,
    /// Open descriptors.
    pub(crate) descriptors: f64,
    /// Threads.
    pub(crate) threads: f64,
    /// Connections at the server, at most since the last sample.
    pub(crate) connections: f64,
    /// Runs since its start.
    pub(crate) runs: f64,
    /// The 99th percentile of its scrapes since the last sample, in milliseconds.
    pub(crate) p99: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, descriptors, threads, connections, runs, p99, .. } = self;
        write!(f, "{memory:>6.2} {descriptors:>3} {threads:>2} {connections:>2} {runs:>5} {p99:>6.1}")
    }
}

/// What was seen of a process since the last sample.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    kept: Option<Connection>,
    took: Vec<f64>,
    connections: i64,
    runs: f64,
}

impl Watch {
    /// Scrapes it, as Prometheus does, and returns whether it answered.
    pub(crate) fn scrape(&mut self, daemon: &Daemon) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut connection = self.kept.take().map_or_else(|| daemon.connect(), Ok)?;
        let answer = connection.get("/metrics")?;
        self.took.push(milliseconds(begun.elapsed()));
        self.kept = answer.kept.then_some(connection);
        let runs = answer.body.lines().filter(|line| line.starts_with("maintd_job_duration_seconds_count"));
        self.runs = runs.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
        Ok(())
    }

    /// It was seen to have this many connections.
    pub(crate) fn connected(&mut self, connections: i64) {
        self.connections = self.connections.max(connections);
    }

    /// What there is to say now.
    pub(crate) fn sample(&mut self, daemon: &Daemon, after: Duration) -> anyhow::Result<Sample> {
        let process = format!("/proc/{}", daemon.process());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let number = |name: &str| -> anyhow::Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a strange status")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        let took = std::mem::take(&mut self.took);
        Ok(Sample {
            after,
            memory: number("VmRSS")? * 1024.0 / 1e6,
            descriptors: fs::read_dir(format!("{process}/fd"))?.count() as f64,
            threads: number("Threads")?,
            connections: std::mem::take(&mut self.connections) as f64,
            runs: self.runs,
            p99: percentile(&took, 0.99),
        })
    }
}
