//! Whether the scheduler loop is turning.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The last time the scheduler loop came round. Nothing else may feed it: a process that answers
/// but no longer schedules is dead.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    last: watch::Sender<Instant>,
    period: Duration,
}

/// The beats of a loop, to wait for.
#[derive(Debug)]
pub struct Beats(watch::Receiver<Instant>);

impl Heartbeat {
    /// A loop comes round at least this often, however patient its watchdog is.
    const LONGEST: Duration = Duration::from_secs(5);

    /// A loop that is about to turn. The watchdog, if there is one, takes it for dead after
    /// `watchdog` without a beat.
    pub fn new(watchdog: Option<Duration>) -> Self {
        let period = watchdog.map_or(Self::LONGEST, |time| Self::LONGEST.min(time / 2));
        Self { last: watch::Sender::new(Instant::now()), period }
    }

    /// The loop comes round at least this often, whatever is due: twice in the watchdog's time.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The loop came round.
    pub fn beat(&self) {
        self.last.send_replace(Instant::now());
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.last.borrow().elapsed()
    }

    /// The beats from now on.
    pub fn beats(&self) -> Beats {
        Beats(self.last.subscribe())
    }
}

impl Beats {
    /// Waits for a beat that comes after this question. False when nobody is left to beat.
    pub async fn next(&mut self) -> bool {
        self.0.mark_unchanged();
        self.0.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_loop_comes_round_twice_in_the_time_of_its_watchdog() {
        let period = |watchdog| Heartbeat::new(watchdog).period();
        assert_eq!(period(None), Duration::from_secs(5));
        assert_eq!(period(Some(Duration::from_secs(60))), Duration::from_secs(5));
        assert_eq!(period(Some(Duration::from_secs(3))), Duration::from_millis(1500));
    }

    #[test]
    fn a_beat_of_the_past_is_none_to_wait_for() {
        let heartbeat = Heartbeat::new(None);
        let mut beats = heartbeat.beats();
        heartbeat.beat();
        let mut next = Box::pin(beats.next());
        assert_eq!(next.as_mut().now_or_never(), None);
        heartbeat.beat();
        assert_eq!(next.now_or_never(), Some(true));
        drop(heartbeat);
        assert_eq!(beats.next().now_or_never(), Some(false));
    }
}
