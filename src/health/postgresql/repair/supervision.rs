//! Looking on while the server works at a repair.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use super::point::fault_at;
use crate::health::Visit;
use crate::storage::postgres::{Backend, Postgres, Repair, Waiting, Workbench};
use crate::storage::{Error, ErrorKind, Result};
use crate::work::Progress;

/// Between two looks while nobody has seen yet what is built: only who has seen it can be sure later on whose it is.
const OFTEN: Duration = Duration::from_millis(50);

/// Between two looks after that.
const SELDOM: Duration = Duration::from_millis(500);

/// For so long the server works at nothing, or is not there, before its answer counts as lost on its way. For so long
/// nobody can see whether it works, before whoever is asked to stop leaves it to the next run.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a statement ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was done.
    Done,
    /// The server says why not. The session is as good as before.
    Refused(Error),
    /// The session is gone, and nobody knows what became of the statement.
    Lost(Error),
}

/// Waits for a statement of a repair that the server's process `at` works at, and looks on. If it may be stopped, it is
/// as soon as somebody asks. If nobody can reach the server, whoever asks does not wait for that.
///
/// # Errors
///
/// Where a test lets somebody be killed.
pub(super) async fn supervise(
    store: &Postgres,
    visit: Visit<'_>,
    repair: &Repair,
    at: Backend,
    statement: impl Future<Output = Result<()>>,
    may_stop: bool,
) -> Result<Ended> {
    let mut statement = pin!(statement);
    let mut eye = Eye::on(repair, at);
    let mut silent_since: Option<Instant> = None;
    let mut last_seen = Instant::now();
    loop {
        let asked = may_stop && visit.stop.requested().is_some();
        let rest = async {
            match asked || !may_stop {
                true => tokio::time::sleep(eye.rest()).await,
                false => visit.stop.sleep(eye.rest()).await,
            }
        };
        tokio::select! {
            biased;
            done = &mut statement => return Ok(match done {
                Ok(()) => Ended::Done,
                Err(error) if error.kind == ErrorKind::Unavailable => Ended::Lost(error),
                Err(error) => Ended::Refused(error),
            }),
            () = rest => {}
        }
        fault_at("watch").await?;
        if may_stop && visit.stop.requested().is_some() {
            // Whoever cannot be asked will be asked again.
            let _asked = store.cancel_repair(repair, at).await;
        }
        let waiting = match eye.look(store, repair, visit.progress).await {
            Ok(waiting) => waiting,
            Err(error) if visit.stop.requested().is_some() && last_seen.elapsed() > PATIENCE => {
                return Ok(Ended::Lost(error));
            }
            // What cannot be seen for a while may well go on.
            Err(_) => continue,
        };
        last_seen = Instant::now();
        if waiting.is_some_and(|waiting| waiting.is_working) {
            silent_since = None;
        } else if silent_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            let _ended = store.end_repair_session(at).await;
            let source = "the server's answer was lost on its way".into();
            return Ok(Ended::Lost(Error { source, ..super::unavailable() }));
        }
    }
}

/// Waits until nobody else repairs indexes of the deployment, and looks on at what is done to these. False when
/// somebody asks to stop before that.
///
/// # Errors
///
/// When the server does not answer.
pub(super) async fn wait(
    store: &Postgres,
    visit: Visit<'_>,
    bench: &mut Workbench<'_>,
    repairs: &[Repair],
) -> Result<bool> {
    let mut eyes: Vec<Eye> = repairs.iter().map(|repair| Eye::on(repair, repair.backend)).collect();
    loop {
        if bench.try_lock().await? {
            return Ok(true);
        }
        if visit.stop.requested().is_some() {
            return Ok(false);
        }
        let mut rest = SELDOM;
        for (eye, repair) in eyes.iter_mut().zip(repairs) {
            let waiting = eye.look(store, repair, visit.progress).await?;
            if waiting.is_some() {
                rest = rest.min(eye.rest());
            }
        }
        visit.stop.sleep(rest).await;
    }
}

/// Somebody who looks on at a repair.
#[derive(Debug)]
struct Eye {
    /// Who works at it.
    at: Backend,
    has_seen: bool,
    phase: String,
    done: u64,
}

impl Eye {
    fn on(repair: &Repair, at: Backend) -> Self {
        // What is made is known by its name.
        let has_seen = repair.new_index.is_some() || repair.own_name.is_some();
        Self { at, has_seen, phase: String::new(), done: 0 }
    }

    fn rest(&self) -> Duration {
        if self.has_seen { SELDOM } else { OFTEN }
    }

    /// Looks once, and writes down what is built when it is seen.
    async fn look(&mut self, store: &Postgres, repair: &Repair, progress: &Progress) -> Result<Option<Waiting>> {
        let waiting = store.watch_repair(repair, self.at).await?;
        let Some(seen) = &waiting else { return Ok(None) };
        if let (Some(new), false) = (seen.new_index, self.has_seen) {
            store.saw_new_index(repair, new).await?;
            self.has_seen = true;
            fault_at("seen").await?;
        }
        self.count(seen, progress);
        Ok(waiting)
    }

    /// Each phase counts its own pages from the beginning.
    fn count(&mut self, seen: &Waiting, progress: &Progress) {
        if self.phase != seen.phase {
            (self.phase, self.done) = (seen.phase.clone(), 0);
            progress.expect(progress.expected().max(progress.done() + seen.total));
        }
        progress.add(seen.done.saturating_sub(self.done));
        self.done = self.done.max(seen.done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_over_all_phases() {
        let progress = Progress::new();
        let at = (1, chrono::DateTime::UNIX_EPOCH);
        let mut eye = Eye { at, has_seen: false, phase: String::new(), done: 0 };
        let mut see = |phase: &str, done, total| {
            eye.count(&Waiting { phase: phase.to_owned(), done, total, ..Waiting::default() }, &progress);
            (progress.done(), progress.expected())
        };
        assert_eq!(see("building index: scanning table", 0, 100), (0, 100));
        assert_eq!(see("building index: scanning table", 60, 100), (60, 100));
        assert_eq!(see("building index: scanning table", 100, 100), (100, 100));
        assert_eq!(see("waiting for old snapshots", 0, 0), (100, 100));
        assert_eq!(see("index validation: scanning table", 50, 100), (150, 200));
    }
}
