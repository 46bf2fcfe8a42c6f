//! The table `[jobs.index_health]`.

use std::collections::BTreeSet;

use serde_json::json;

use crate::health::{Acknowledgement, Criteria, REPAIRABLE, RepairLimits, WANTED, Wanted};
use crate::jobs::settings::job_settings;
use crate::metrics::Check;
use crate::model::setting::{Bounded, Problem, Size, Span};
use crate::work::Limits;

job_settings! {
    /// How tables and indexes are looked at, and which findings are repaired.
    pub struct Settings {
        enabled: true,
        schedule: "30 4 * * *",
        deadline: Span::secs(6 * 60 * 60),
        /// Whether whole tables and indexes are read as well.
        #[serde(deserialize_with = "crate::model::setting::flag")]
        pub deep: bool = false,
        /// The checks whose findings are repaired.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub repair: Vec<String> = Vec::new(),
        /// Findings that may stay as they are, each with the reason.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub acknowledge: Vec<String> = Vec::new(),
        /// Settings that every table of DynamoDB must have.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub expect: Vec<String> = Vec::new(),
        /// An index is bloated when so many hundredths of it would go if it were built anew ...
        pub bloat_percent: Bounded<1, 99> = Bounded::new(50),
        /// ... and they are at least so much.
        pub bloat_size: Size = Size::mebibytes(16),
        /// An index is unused when the server's statistics have not seen it used for so long.
        pub unused_after: Span = Span::secs(30 * 24 * 60 * 60),
        /// Servers that follow the database's, each as `host:port`: they are asked which indexes they use.
        #[serde(deserialize_with = "crate::model::setting::list")]
        pub replicas: Vec<String> = Vec::new(),
        /// Rows looked at of each table of DynamoDB with `deep`; fewer where they would take more than twice as many read
        /// units.
        pub sample: Bounded<1, 10_000_000> = Bounded::new(1000),
        /// A repair waits for locks and transactions of others for so long at most.
        pub lock_wait: Span = Span::secs(30),
        /// No repair begins while somebody's transaction is older than this.
        pub long_transaction: Span = Span::secs(5 * 60),
        /// The largest index that is built while nobody can see how much space the server has left.
        pub unseen_space: Size = Size::mebibytes(10 * 1024),
        /// Space that must be left for others where that can be seen.
        pub keep_free: Size = Size::mebibytes(1024),
    }
}

impl Settings {
    /// What counts as wrong.
    pub fn criteria(&self) -> Criteria {
        Criteria {
            deep: self.deep,
            bloat_percent: self.bloat_percent.get(),
            bloat_bytes: self.bloat_size.0,
            unused_after: self.unused_after.0,
            replicas: self.replicas.iter().filter_map(|text| replica(text)).collect(),
            sample: self.sample.get(),
            wanted: self.expect.iter().filter_map(|name| wanted(name)).collect::<BTreeSet<_>>(),
        }
    }

    /// What a repair must not do.
    pub fn repair_limits(&self) -> RepairLimits {
        RepairLimits {
            lock_wait: self.lock_wait.0,
            long_transaction: self.long_transaction.0,
            unseen_space: self.unseen_space.0,
            keep_free: self.keep_free.0,
        }
    }

    /// The checks whose findings are repaired.
    pub fn repaired(&self) -> Vec<Check> {
        REPAIRABLE.into_iter().filter(|check| self.repair.iter().any(|name| name == check.name())).collect()
    }

    /// Findings that may stay as they are.
    pub fn acknowledgements(&self) -> Vec<Acknowledgement> {
        self.acknowledge.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// The limits of a run.
    pub(super) fn limits(&self) -> Limits {
        let limits = [
            ("deadline", json!(self.deadline.0.as_secs_f64())),
            ("deep", json!(self.deep)),
            ("repair", json!(self.repair)),
            ("bloat_percent", json!(self.bloat_percent)),
            ("bloat_size", json!(self.bloat_size)),
            ("unused_after", json!(self.unused_after.0.as_secs_f64())),
            ("lock_wait", json!(self.lock_wait.0.as_secs_f64())),
            ("long_transaction", json!(self.long_transaction.0.as_secs_f64())),
        ];
        limits.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What is wrong with these values together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.common_problems();
        let repairable = REPAIRABLE.map(Check::name);
        // Everything that is wrong with a key at once.
        let mut wrong = |key: &str, messages: Vec<String>| {
            problems.extend((!messages.is_empty()).then(|| Problem::new(key, messages.join("; "))));
        };
        let repair = self.repair.iter().filter(|name| !repairable.contains(&name.as_str()));
        let any = repairable.join(", ");
        wrong("repair", repair.map(|name| format!("`{name}` cannot be repaired: write any of {any}")).collect());
        let expect = self.expect.iter().filter(|name| wanted(name).is_none());
        let any = WANTED.map(Wanted::name).join(", ");
        wrong("expect", expect.map(|name| format!("`{name}` is not known: write any of {any}")).collect());
        let replicas = self.replicas.iter().filter(|text| replica(text).is_none());
        let no_address =
            |text: &String| format!("`{text}` is no address: write a host and a port, as in \"db2.example.com:5432\"");
        wrong("replicas", replicas.map(no_address).collect());
        let acknowledged = self.acknowledge.iter().filter_map(|text| text.parse::<Acknowledgement>().err());
        wrong("acknowledge", acknowledged.collect());
        if self.lock_wait < Span::millis(100) {
            let message = format!("{} is too short to get any lock: write \"1s\" or more", self.lock_wait);
            problems.push(Problem::new("lock_wait", message));
        }
        problems
    }
}

fn wanted(name: &str) -> Option<Wanted> {
    WANTED.into_iter().find(|wanted| wanted.name() == name)
}

/// A host and its port.
fn replica(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}
