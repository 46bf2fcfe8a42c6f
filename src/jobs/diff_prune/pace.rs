//! Taking steps, in a run at its pace and in a preview at once.

use super::super::persist::Step;
use super::super::shift::Shift;
use super::TABLE;
use crate::storage::{Error, Result};

/// How steps are taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace<'a> {
    /// Again and again, with rests.
    Run(&'a Shift<'a>),
    /// Once.
    Preview,
}

/// Why the walk does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The run was asked to stop, perhaps while a step failed for this reason.
    Stopped(Option<String>),
    /// A step failed for good.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Pace<'_> {
    /// Takes a step that may be repeated.
    pub(super) async fn take<T, S>(&self, step: impl Fn() -> S) -> Result<T, Halt>
    where
        S: Future<Output = Result<T>>,
    {
        match self {
            Self::Preview => Ok(step().await?),
            Self::Run(shift) => match shift.persist(step).await? {
                Step::Done(done) => Ok(done),
                Step::GivenUp(trouble) => Err(Halt::Stopped(Some(trouble))),
            },
        }
    }

    /// Asks whether to go on.
    pub(super) fn go_on(&self) -> Result<(), Halt> {
        match self {
            Self::Run(shift) if shift.stopped().is_some() => Err(Halt::Stopped(None)),
            _ => Ok(()),
        }
    }

    /// Tells that changes were looked at, and rests as long as reading them takes.
    pub(super) async fn has_read(&self, rows: usize, units: f64) {
        if let Self::Run(shift) = self {
            shift.has_read(TABLE, rows as u64, units).await;
        }
    }
}
