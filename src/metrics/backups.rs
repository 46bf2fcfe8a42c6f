//! What there is of backups.

use chrono::{DateTime, Utc};

use super::{Metrics, epoch, set_or_remove};
use crate::model::BackendKind;

/// What there is of backups of one kind.
#[derive(Clone, Debug, Default)]
pub struct BackupsSeen {
    /// When the newest was done that is not damaged.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its bytes.
    pub size: Option<u64>,
    /// When the newest was done that is verified.
    pub verified_at: Option<DateTime<Utc>>,
    /// When one was last drilled.
    pub drilled_at: Option<DateTime<Utc>>,
    /// How long that restore took.
    pub restore_seconds: Option<f64>,
    /// How old the data was that it restored.
    pub data_age_seconds: Option<f64>,
    /// How many there are in each of [`BackupsSeen::STATES`].
    pub sets: [u64; 4],
}

impl BackupsSeen {
    /// The words of the label `state`.
    pub const STATES: [&'static str; 4] = ["taken", "verified", "drilled", "damaged"];
}

impl Metrics {
    /// What there is of backups of one kind; nothing when there are none.
    pub fn backups(&self, backend: BackendKind, kind: &'static str, seen: Option<&BackupsSeen>) {
        let labels = [backend.name(), kind];
        let measured = |value: fn(&BackupsSeen) -> Option<f64>| seen.and_then(value);
        set_or_remove(&self.backup_last_success, &labels, measured(|seen| seen.taken_at.map(epoch)));
        set_or_remove(&self.backup_verified, &labels, measured(|seen| seen.verified_at.map(epoch)));
        set_or_remove(&self.backup_drilled, &labels, measured(|seen| seen.drilled_at.map(epoch)));
        set_or_remove(&self.backup_size, &labels, measured(|seen| seen.size.map(|size| size as f64)));
        set_or_remove(&self.backup_restore, &labels, measured(|seen| seen.restore_seconds));
        set_or_remove(&self.backup_data_age, &labels, measured(|seen| seen.data_age_seconds));
        for (position, state) in BackupsSeen::STATES.into_iter().enumerate() {
            let count = seen.map(|seen| seen.sets[position] as f64);
            set_or_remove(&self.backup_sets, &[backend.name(), kind, state], count);
        }
    }
}
