//! What indexes are like.

use super::{Metrics, set_or_remove};
use crate::model::{BackendKind, Table};

/// What was seen of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IndexSeen {
    /// Its bytes.
    pub bytes: u64,
    /// Which part of it would go if it were built anew, if that is known.
    pub bloat: Option<f64>,
    /// How often it was used, if that is known.
    pub scans: Option<u64>,
}

impl Metrics {
    /// What an index is like; none when it is not there.
    pub fn index(&self, backend: BackendKind, table: Table, index: &'static str, seen: Option<IndexSeen>) {
        let labels = [backend.name(), table.name(), index];
        set_or_remove(&self.index_size, &labels, seen.map(|seen| seen.bytes as f64));
        set_or_remove(&self.index_bloat, &labels, seen.and_then(|seen| seen.bloat));
        match seen.and_then(|seen| seen.scans) {
            Some(scans) => {
                // The server counts, and begins anew when its statistics are reset, like any counter.
                let counter = self.index_scans.with_label_values(&labels);
                counter.reset();
                counter.inc_by(scans);
            }
            None => {
                // The error says that it was not there, which is what was wanted.
                let _absent = self.index_scans.remove_label_values(&labels);
            }
        }
    }
}
