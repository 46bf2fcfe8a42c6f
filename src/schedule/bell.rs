//! When to look whether something is due.
//!
//! This is all that tokio-cron-scheduler does here: it looks at the wall clock twice a second, so it
//! notices when the machine slept or its clock was set. It may be late or silent and knows no time
//! zones; slots are computed elsewhere, and the timer beside it is what makes the bell punctual.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Rings when something may be due. A hint: it may be late, doubled or lost.
pub struct Bell {
    rung: Arc<Notify>,
    alarm: Option<Instant>,
    due: watch::Sender<Option<(DateTime<Utc>, Duration)>>,
    scheduler: JobScheduler,
    keeper: JoinHandle<()>,
}

/// The bell could not be started.
#[derive(Debug, thiserror::Error)]
#[error("starting the scheduler's bell")]
pub struct BellError(#[from] JobSchedulerError);

impl Bell {
    /// A bell with no instant to ring at. One serves the whole life of the process.
    ///
    /// # Errors
    ///
    /// When the scheduler does not start.
    pub async fn start() -> Result<Self, BellError> {
        let scheduler = JobScheduler::new().await?;
        scheduler.start().await?;
        let rung = Arc::new(Notify::new());
        let (due, changes) = watch::channel(None);
        let keeper = tokio::spawn(keep(scheduler.clone(), changes, Arc::clone(&rung)));
        Ok(Self { rung, alarm: None, due, scheduler, keeper })
    }

    /// Rings at `due`, when it is `now`; at once if that is past. Replaces the instant set before, so
    /// give it the earliest of all.
    pub fn ring_at(&mut self, due: DateTime<Utc>, now: DateTime<Utc>) {
        let wait = (due - now).to_std().unwrap_or_default();
        self.alarm = Instant::now().checked_add(wait);
        // The scheduler counts from the full second, and so must this.
        let seconds = u64::try_from(due.timestamp() - now.timestamp()).ok().filter(|seconds| *seconds > 0);
        let next = seconds.map(|seconds| (due, Duration::from_secs(seconds)));
        self.due.send_if_modified(|set| {
            let is_other = set.map(|(due, _)| due) != next.map(|(due, _)| due);
            *set = next;
            is_other
        });
    }

    /// Waits until the bell rings (true), at most for `max_wait` (false). May be dropped and called
    /// again: no ring is lost by that.
    pub async fn next_ring(&mut self, max_wait: Duration) -> bool {
        let left = self.alarm.map(|alarm| alarm.saturating_duration_since(Instant::now()));
        let left = left.filter(|left| *left <= max_wait);
        tokio::select! {
            () = self.rung.notified() => true,
            () = tokio::time::sleep(left.unwrap_or(max_wait)) => {
                if left.is_some() {
                    self.alarm = None;
                }
                left.is_some()
            }
        }
    }

    /// Ends what runs in the background.
    pub async fn stop(mut self) {
        self.keeper.abort();
        // It cannot fail: it sets a flag that the scheduler sees within half a second.
        let _ = self.scheduler.shutdown().await;
    }
}

/// Keeps exactly the newest instant in the scheduler. Apart, because the scheduler answers through
/// channels that lose messages: should it never answer, only this task waits.
async fn keep(
    mut scheduler: JobScheduler,
    mut changes: watch::Receiver<Option<(DateTime<Utc>, Duration)>>,
    rung: Arc<Notify>,
) {
    let mut set = None;
    while changes.changed().await.is_ok() {
        let next = *changes.borrow_and_update();
        if let Some(old) = set.take()
            && let Err(error) = scheduler.remove(&old).await
        {
            tracing::debug!(%error, "an instant stays in the bell until it has rung");
        }
        let Some((due, wait)) = next else { continue };
        let rung = Arc::clone(&rung);
        let added = match Job::new_one_shot(wait, move |_, _| rung.notify_one()) {
            Ok(job) => scheduler.add(job).await,
            Err(error) => Err(error),
        };
        match added {
            Ok(id) => set = Some(id),
            Err(error) => tracing::warn!(%error, %due, "the bell rings by its timer only"),
        }
    }
    let _ = scheduler.shutdown().await;
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::clock;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(60 * 60);

    /// Waits until the instants that the scheduler holds, in Unix seconds, are as `wanted`.
    async fn wait_until(bell: &Bell, wanted: impl Fn(&[u64]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let listed = bell.scheduler.context().metadata_storage.write().await.list_next_ticks().await;
            let ticks: Vec<u64> = listed.unwrap().into_iter().map(|job| job.next_tick).collect();
            if wanted(&ticks) {
                return;
            }
            assert!(Instant::now() < deadline, "the scheduler holds {ticks:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn an_instant_that_is_past_rings_at_once_and_once() {
        let mut bell = Bell::start().await.unwrap();
        let now = clock::now();
        bell.ring_at(now - TimeDelta::seconds(5), now);
        assert!(bell.next_ring(LONG).await);
        assert!(!bell.next_ring(Duration::ZERO).await);
        bell.stop().await;
    }

    #[tokio::test]
    async fn without_an_instant_it_waits_as_long_as_it_was_told() {
        let mut bell = Bell::start().await.unwrap();
        assert!(!bell.next_ring(Duration::from_millis(5)).await);
        let now = clock::now();
        bell.ring_at(now + TimeDelta::days(1), now);
        assert!(!bell.next_ring(Duration::from_millis(5)).await);
        bell.stop().await;
    }

    #[tokio::test]
    async fn the_timer_rings_without_the_scheduler() {
        let mut bell = Bell::start().await.unwrap();
        bell.keeper.abort();
        let now = clock::now();
        bell.ring_at(now + TimeDelta::milliseconds(20), now);
        assert!(bell.next_ring(LONG).await);
        bell.stop().await;
    }

    #[tokio::test]
    async fn the_scheduler_rings_without_the_timer() {
        let mut bell = Bell::start().await.unwrap();
        let now = clock::now();
        bell.ring_at(now + TimeDelta::seconds(1), now);
        bell.alarm = None;
        assert!(bell.next_ring(LONG).await);
        bell.stop().await;
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_no_ring() {
        let mut bell = Bell::start().await.unwrap();
        let now = clock::now();
        bell.ring_at(now + TimeDelta::seconds(1), now);
        tokio::select! {
            biased;
            _ = bell.next_ring(LONG) => panic!("it rang too early"),
            () = std::future::ready(()) => {}
        }
        assert!(bell.alarm.is_some());
        assert!(bell.next_ring(LONG).await);
        bell.stop().await;
    }

    #[tokio::test]
    async fn the_scheduler_holds_one_instant_and_none_after_it_has_rung() {
        let mut bell = Bell::start().await.unwrap();
        let now = clock::now();
        for hours in 1..=300 {
            let due = now + TimeDelta::hours(hours);
            bell.ring_at(due, now);
            // The same instant again changes nothing.
            bell.ring_at(due, now);
            if hours % 10 == 0 {
                let due = u64::try_from(due.timestamp()).unwrap();
                wait_until(&bell, |ticks| matches!(ticks, [tick] if tick.abs_diff(due) < 60)).await;
            }
        }
        let now = clock::now();
        bell.ring_at(now + TimeDelta::seconds(1), now);
        assert!(bell.next_ring(LONG).await);
        wait_until(&bell, <[u64]>::is_empty).await;
        bell.stop().await;
    }
}
