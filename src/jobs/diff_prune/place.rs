//! Where the walk over all actors is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::pace::{Halt, Pace};
use super::NAME;
use crate::storage::{Result, Store};

/// A place in a pass. A pass that was cut off is taken up where it was; one that came to its end is
/// followed by a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// When the pass began, by the store's clock.
    pub(super) begun: DateTime<Utc>,
    /// The last actor that is done.
    pub(super) after: Option<String>,
}

impl Place {
    /// Where the last run was cut off, or the beginning. What cannot be read, or lies in the future, is as
    /// good as nothing.
    pub(super) async fn found(store: &dyn Store, pace: Pace<'_>, now: DateTime<Utc>) -> Result<Self, Halt> {
        let kept = pace.persist(|| store.cursor(NAME)).await?;
        let kept = kept.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        Ok(kept.filter(|place| place.begun <= now).unwrap_or(Self { begun: now, after: None }))
    }

    /// Remembers it for the next run.
    pub(super) async fn keep(&self, store: &dyn Store, pace: Pace<'_>) -> Result<(), Halt> {
        // A place that could not be written down only means to begin anew.
        let text = serde_json::to_string(self).ok();
        pace.persist(|| store.keep_cursor(NAME, text.as_deref())).await
    }
}
