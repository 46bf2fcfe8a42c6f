//! Trying again what was not done, where that does no harm.

use sqlx::postgres::PgRow;

use super::statements::Bounds;
use super::{Op, Postgres, Statement};
use crate::storage::{Error, ErrorKind, Result};

/// How often something is tried at most.
const TRIES: u32 = 3;

/// What may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Reads, and writes that end alike whether they are done once or twice: also when the
    /// connection broke, so that nobody knows whether they were.
    Always,
    /// Writes whose answer tells who was first: only when the server says that it undid them, for
    /// the sake of somebody who waited for the same rows.
    Undone,
}

impl Again {
    /// Tries not counted yet.
    pub(super) fn tries(self) -> Tries {
        Tries { again: self, left: TRIES - 1 }
    }
}

/// Tries that are left.
#[derive(Debug)]
pub(super) struct Tries {
    again: Again,
    left: u32,
}

impl Tries {
    /// Whether to try again after `error`, which came after the begin of the transaction: without
    /// a connection nothing was tried, and finding one has been tried often enough.
    pub(super) fn another(&mut self, error: &Error) -> bool {
        let may = match error.kind {
            ErrorKind::Conflict => true,
            ErrorKind::Unavailable => self.again == Again::Always,
            _ => false,
        };
        let goes_on = may && self.left > 0;
        self.left = self.left.saturating_sub(1);
        goes_on
    }
}

impl Postgres {
    /// All rows of a statement that only reads; each try gets a transaction of its own. Once the rows
    /// are here its end is not waited for.
    pub(super) async fn read_again<'q>(
        &self,
        bounds: Bounds,
        op: Op,
        query: impl Fn() -> Statement<'q> + Send,
    ) -> Result<Vec<PgRow>> {
        let mut tries = Again::Always.tries();
        loop {
            let mut tx = self.begin_within(bounds, op).await?;
            match tx.fetch_all(query()).await {
                Ok(rows) => {
                    tx.let_go();
                    return Ok(rows);
                }
                Err(error) if tries.another(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// All rows of a statement that may be repeated; each try gets a transaction of its own.
    pub(super) async fn fetch_again<'q>(
        &self,
        bounds: Bounds,
        op: Op,
        again: Again,
        query: impl Fn() -> Statement<'q> + Send,
    ) -> Result<Vec<PgRow>> {
        let mut tries = again.tries();
        loop {
            let mut tx = self.begin_within(bounds, op).await?;
            let rows = match tx.fetch_all(query()).await {
                Ok(rows) => tx.commit().await.map(|()| rows),
                Err(error) => Err(error),
            };
            match rows {
                Err(error) if tries.another(&error) => {}
                rows => return rows,
            }
        }
    }

    /// How many rows such a statement changed.
    pub(super) async fn execute_again<'q>(
        &self,
        op: Op,
        again: Again,
        query: impl Fn() -> Statement<'q> + Send,
    ) -> Result<u64> {
        let mut tries = again.tries();
        loop {
            let mut tx = self.begin(op).await?;
            let changed = match tx.execute(query()).await {
                Ok(changed) => tx.commit().await.map(|()| changed),
                Err(error) => Err(error),
            };
            match changed {
                Err(error) if tries.another(&error) => {}
                changed => return changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::refused;
    use super::*;

    const OP: Op = Op { name: "test", phrase: "test" };

    #[test]
    fn only_what_does_no_harm_is_tried_again_and_not_for_ever() {
        let often = |again: Again, kind| {
            let (mut tries, error) = (again.tries(), refused(OP, kind, "because"));
            (1..).find(|_| !tries.another(&error)).unwrap()
        };
        assert_eq!(often(Again::Always, ErrorKind::Unavailable), TRIES);
        assert_eq!(often(Again::Always, ErrorKind::Conflict), TRIES);
        assert_eq!(often(Again::Undone, ErrorKind::Conflict), TRIES);
        assert_eq!(often(Again::Undone, ErrorKind::Unavailable), 1);
        assert_eq!(often(Again::Always, ErrorKind::Timeout), 1);
        assert_eq!(often(Again::Always, ErrorKind::Limit), 1);
    }
}
