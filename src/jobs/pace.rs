//! How a walk asks its store: within a run, or for a look that changes nothing.

use std::time::Duration;

use super::persist::Step;
use super::shift::Shift;
use crate::model::Table;
use crate::storage::{Error, Result};
use crate::work::Report;

/// Whether there is a run around a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace<'a>(Option<&'a Shift<'a>>);

/// Why a walk did not come to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// It failed.
    Failed(Error),
    /// The run was asked to stop, perhaps while the store did not answer for this reason.
    Stopped(Option<String>),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Pace<'a> {
    /// That of a run.
    pub(super) fn of(shift: &'a Shift<'a>) -> Self {
        Self(Some(shift))
    }

    /// Without a run: each step is taken once.
    pub(super) fn free() -> Self {
        Self(None)
    }

    /// Takes a step, which may be repeated, until it succeeds or the run ends.
    pub(super) async fn persist<T, S>(self, step: impl Fn() -> S) -> Result<T, Halt>
    where
        S: Future<Output = Result<T>>,
    {
        match self.0 {
            None => Ok(step().await?),
            Some(shift) => match shift.persist(step).await? {
                Step::Done(done) => Ok(done),
                Step::GivenUp(trouble) => Err(Halt::Stopped(Some(trouble))),
            },
        }
    }

    /// Ends the walk here if the run is asked to stop.
    pub(super) fn check(self) -> Result<(), Halt> {
        match self.0.and_then(Shift::stopped) {
            Some(_) => Err(Halt::Stopped(None)),
            None => Ok(()),
        }
    }

    /// Counts rows that were looked at, and rests as long as what that has cost takes.
    pub(super) async fn has_read(self, table: Table, rows: u64, units: f64) {
        if let Some(shift) = self.0 {
            shift.has_read(table, rows, units).await;
        }
    }

    /// The same, where looking at rows is the work.
    pub(super) async fn has_examined(self, table: Table, rows: u64, units: f64) {
        if let Some(shift) = self.0 {
            shift.at().progress.add(rows);
        }
        self.has_read(table, rows, units).await;
    }

    /// Lets time pass, unless the run is asked to stop.
    pub(super) async fn rest(self, time: Duration) {
        match self.0 {
            Some(shift) => shift.at().stop.sleep(time).await,
            None => tokio::time::sleep(time).await,
        }
    }
}

/// What the end of a walk means for its run. The report says already what was done.
pub(super) fn conclude(ended: Result<(), Halt>, shift: &Shift<'_>, report: &mut Report) -> Result<()> {
    report.waited = shift.waited();
    match ended {
        Ok(()) => Ok(()),
        Err(Halt::Failed(error)) => Err(error),
        Err(Halt::Stopped(trouble)) => {
            (report.more, report.stopped, report.trouble) = (true, shift.stopped(), trouble);
            Ok(())
        }
    }
}

/// What it means for who only looked, whom nobody asks to stop.
pub(super) fn looked(ended: Result<(), Halt>) -> Result<()> {
    match ended {
        Err(Halt::Failed(error)) => Err(error),
        Ok(()) | Err(Halt::Stopped(_)) => Ok(()),
    }
}
