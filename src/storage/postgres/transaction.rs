//! A transaction whose every step is bounded, on the server and here.
//!
//! The server ends a statement that takes too long, and a client that stands still. Here each
//! answer is waited for a little longer than that; then the network or the server is gone, and
//! the connection is closed, because a socket that nobody answers on can stay open for hours. A
//! connection only goes back to its pool when the end of its transaction has been confirmed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow, Postgres as Driver};
use sqlx::{Row, SqlSafeStr};

use super::connect::within;
use super::error::{Context, refused};
use super::statements::{self, Bounds};
use super::{Op, Statement};
use crate::fault;
use crate::storage::{Error, ErrorKind, Result};

/// A transaction. Dropped without its end, it takes its connection with it.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: PoolConnection<Driver>,
    op: Op,
    bounds: Bounds,
    /// Statements that were sent, which numbers the points at which tests let them fail.
    sent: u32,
    /// Its end has been confirmed.
    ended: bool,
    /// Its place among those that can be cancelled.
    listed: Option<Listed>,
}

/// Where a step of a transaction is, for tests that let it fail.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Statement(u32),
    Commit,
}

impl Transaction {
    /// Begins a transaction of `op` on a connection of `pool`.
    pub(super) async fn begin(pool: &PgPool, bounds: Bounds, op: Op, list: &List) -> Result<Self> {
        let connection = pool.acquire().await.op(op)?;
        let mut tx = Self { connection, op, bounds, sent: 0, ended: false, listed: None };
        tx.fault(Step::Begin, "before").await?;
        let begin = sqlx::raw_sql(statements::begin(bounds));
        let answer = within(bounds.answer(), begin.fetch_all(&mut *tx.connection)).await;
        let rows = tx.learn(answer).await?;
        if let Some(row) = rows.first() {
            let begun: DateTime<Utc> = row.try_get(1).op(op)?;
            let begun = Begun { backend: row.try_get(0).op(op)?, microseconds: begun.timestamp_micros() };
            tx.listed = Some(list.add(begun));
        }
        tx.fault(Step::Begin, "after").await?;
        Ok(tx)
    }

    /// The rows of `query`.
    pub(super) async fn fetch_all(&mut self, query: Statement<'_>) -> Result<Vec<PgRow>> {
        let step = self.next().await?;
        let answer = within(self.bounds.answer(), query.fetch_all(&mut *self.connection)).await;
        let rows = self.learn(answer).await?;
        self.fault(step, "after").await?;
        Ok(rows)
    }

    /// The first row of `query`, if there is one.
    pub(super) async fn fetch_optional(&mut self, query: Statement<'_>) -> Result<Option<PgRow>> {
        Ok(self.fetch_all(query).await?.into_iter().next())
    }

    /// The first row of `query`, which always has one.
    pub(super) async fn fetch_one(&mut self, query: Statement<'_>) -> Result<PgRow> {
        let row = self.fetch_optional(query).await?;
        row.ok_or_else(|| refused(self.op, ErrorKind::Other, "the server answered with no row"))
    }

    /// How many rows `query` changed.
    pub(super) async fn execute(&mut self, query: Statement<'_>) -> Result<u64> {
        let step = self.next().await?;
        let answer = within(self.bounds.answer(), query.execute(&mut *self.connection)).await;
        let done = self.learn(answer).await?;
        self.fault(step, "after").await?;
        Ok(done.rows_affected())
    }

    /// Runs statements without arguments, several at once perhaps.
    pub(super) async fn run(&mut self, sql: impl SqlSafeStr + Send) -> Result<()> {
        let step = self.next().await?;
        let query = sqlx::raw_sql(sql);
        let answer = within(self.bounds.answer(), query.execute(&mut *self.connection)).await;
        self.learn(answer).await?;
        self.fault(step, "after").await
    }

    /// The rows of `query`, which alone is undone when the server refuses it for one of these
    /// reasons, by SQLSTATE; then what the server says. Any other error ends the transaction as ever.
    pub(super) async fn attempt(
        &mut self,
        query: Statement<'_>,
        reasons: &[&str],
    ) -> Result<Result<Vec<PgRow>, String>> {
        self.run(statements::SAVEPOINT).await?;
        let step = self.next().await?;
        let rows = match within(self.bounds.answer(), query.fetch_all(&mut *self.connection)).await {
            Some(Err(sqlx::Error::Database(error)))
                if error.code().is_some_and(|code| reasons.contains(&code.as_ref())) =>
            {
                self.run(statements::UNDO).await?;
                return Ok(Err(error.message().to_owned()));
            }
            answer => self.learn(answer).await?,
        };
        self.fault(step, "after").await?;
        self.run(statements::RELEASE).await?;
        Ok(Ok(rows))
    }

    /// Ends it. When this fails nobody knows whether it was committed.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.fault(Step::Commit, "before").await?;
        self.end(statements::COMMIT).await?;
        self.fault(Step::Commit, "after").await
    }

    /// Has it end by itself: what was only read does not depend on how. Until its end has been
    /// confirmed it can be cancelled, and its connection serves nobody else.
    pub(super) fn let_go(self) {
        // A connection that fails now is closed, like any other.
        tokio::spawn(async move { self.commit().await.ok() });
    }

    /// Ends it without a trace.
    pub(super) async fn rollback(mut self) -> Result<()> {
        self.end(statements::ROLLBACK).await
    }

    async fn end(&mut self, how: &'static str) -> Result<()> {
        let query = sqlx::raw_sql(how);
        let answer = within(self.bounds.answer(), query.execute(&mut *self.connection)).await;
        self.learn(answer).await?;
        self.over();
        Ok(())
    }

    /// What an answer means for the transaction: after an error of the server it is over, after
    /// any other the connection cannot be trusted.
    async fn learn<T>(&mut self, answer: Option<Result<T, sqlx::Error>>) -> Result<T> {
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                if let sqlx::Error::Database(_) = error {
                    let query = sqlx::raw_sql(statements::ROLLBACK);
                    let answer = within(self.bounds.answer(), query.execute(&mut *self.connection)).await;
                    if let Some(Ok(_)) = answer {
                        self.over();
                    }
                }
                Err(error).op(self.op)
            }
            None => {
                let waited = self.bounds.answer().unwrap_or_default();
                let why = format!("no answer for {waited:?}; the connection was given up");
                Err(refused(self.op, ErrorKind::Unavailable, why))
            }
        }
    }

    fn over(&mut self) {
        self.ended = true;
        self.listed = None;
    }

    async fn next(&mut self) -> Result<Step> {
        self.sent += 1;
        let step = Step::Statement(self.sent);
        self.fault(step, "before").await?;
        Ok(step)
    }

    async fn fault(&self, step: Step, when: &str) -> Result<()> {
        let point = || {
            let op = self.op.name;
            match step {
                Step::Begin => format!("postgresql.{op}.begin.{when}"),
                Step::Statement(number) => format!("postgresql.{op}.{number}.{when}"),
                Step::Commit => format!("postgresql.{op}.commit.{when}"),
            }
        };
        fault::at(point)
            .await
            .map_err(|injected| Error { source: injected.into(), ..refused(self.op, ErrorKind::Unavailable, "") })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.ended {
            // Going back, sqlx asks the connection for an answer; the server may have gone since.
            tokio::spawn(within(self.bounds.answer(), self.connection.return_to_pool()));
        } else {
            self.connection.close_on_drop();
        }
    }
}

/// The transactions that are open, as the server knows them.
#[derive(Clone, Debug, Default)]
pub(super) struct List(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    transactions: BTreeMap<u64, Begun>,
}

/// A transaction as `pg_stat_activity` shows it. The time tells it from whoever has the same
/// backend after it, behind a pooler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) backend: i32,
    /// Since the Unix epoch.
    pub(super) microseconds: i64,
}

/// A place in the list, until it is dropped.
#[derive(Debug)]
struct Listed {
    list: List,
    number: u64,
}

impl List {
    /// The transactions that are open now.
    pub(super) fn open(&self) -> Vec<Begun> {
        self.lock().transactions.values().copied().collect()
    }

    fn add(&self, begun: Begun) -> Listed {
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        open.transactions.insert(number, begun);
        drop(open);
        Listed { list: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.lock().transactions.remove(&self.number);
    }
}
