//! The watch over the clocks, shared by whoever asks the store for the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::ClockSettings;
use super::clock::{ClockWatch, Observation};
use crate::jobs::Judge;
use crate::model::clock;
use crate::storage::{Result, Slots};

/// What is known of the clocks.
#[derive(Clone, Debug)]
pub struct Clocks(Arc<Mutex<ClockWatch>>);

impl Clocks {
    /// Clocks of which nothing is known yet.
    pub fn new(settings: &ClockSettings) -> Self {
        Self(Arc::new(Mutex::new(ClockWatch::new(settings.max_skew.0))))
    }

    /// Allows another skew from now on. What is known of the clocks stays known.
    pub fn allow(&self, settings: &ClockSettings) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).allow(settings.max_skew.0);
    }

    /// Asks the store for the time. Returns why jobs that delete must rest, if they must.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn ask(&self, store: &dyn Slots) -> Result<Option<String>> {
        let asked = clock::steady();
        let server = store.time().await?;
        Ok(self.distrust(asked, server))
    }
}

impl Judge for Clocks {
    fn distrust(&self, asked: Duration, server: DateTime<Utc>) -> Option<String> {
        let local = clock::now();
        let seen = Observation { asked, server, local, answered: clock::steady() };
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watch.observe(seen).map(|distrust| distrust.to_string())
    }
}
