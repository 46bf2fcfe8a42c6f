//! Making indexes and building them anew while everybody goes on writing.
//!
//! The statements that do so cannot be in a transaction and take as long as they take, so they have a session of their
//! own past the pooler. As long as it is there nobody else repairs: it holds a lock, also when whoever began it is gone
//! and the server still works.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row, SqlStr};

use super::connect::within;
use super::error::Context;
use super::repairs::{numbers, oid};
use super::session::answered;
use super::statements::{full_name, rebuild as sql};
use super::{Op, Postgres, Repair};
use crate::model::Table;
use crate::model::expected::Index;
use crate::storage::{Error, ErrorKind, Result};

const REBUILD: Op = Op { name: "rebuild", phrase: "repair an index" };
pub(super) const WATCH: Op = Op { name: "watch_repair", phrase: "look at the repair of an index" };

/// How long the end of a session is waited for.
const CLOSING: Duration = Duration::from_secs(1);

/// A session in which indexes are repaired, one statement at a time.
#[derive(Debug)]
pub struct Workbench<'a> {
    store: &'a Postgres,
    connection: PgConnection,
    schema: String,
    /// Who we are to the server.
    pub backend: Backend,
}

/// A process of the server, and when that began: numbers of processes come again.
pub type Backend = (i32, DateTime<Utc>);

/// A table as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSeen {
    /// As what the server knows it; none when it is not there.
    pub oid: Option<u32>,
    /// Somebody else does something to it that excludes another of the kind.
    pub is_worked_at: bool,
    /// Its indexes, by name.
    pub indexes: Vec<IndexSeen>,
}

/// An index as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSeen {
    /// As what the server knows it.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// Whether it is used and kept up to date.
    pub is_valid: bool,
    /// Somebody else builds it, replaces it or removes it.
    pub is_held: bool,
    /// Its bytes.
    pub bytes: u64,
}

/// How far the server is with a repair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Whether it works at a statement.
    pub is_working: bool,
    /// What is built, once it can be seen.
    pub new_index: Option<u32>,
    /// In which phase it is.
    pub phase: String,
    /// Pages of this phase.
    pub total: u64,
    /// Pages of it that are done.
    pub done: u64,
}

impl Postgres {
    /// A session for repairs that waits for locks for `lock_wait` at most.
    ///
    /// # Errors
    ///
    /// When there is no connection past the pooler, because what is there is a pooler that keeps no sessions.
    pub async fn workbench(&self, lock_wait: Duration) -> Result<Workbench<'_>> {
        self.measured(REBUILD, async {
            let schema = self.place().await?.schema.clone();
            let mut connection = self.session(REBUILD, "a repair of indexes").await?.connection;
            let query = sqlx::query(sql::SETTINGS).bind(lock_wait.as_millis().to_string());
            answered(query.fetch_one(&mut connection), REBUILD).await?;
            let row = answered(sqlx::query(sql::SELF).fetch_one(&mut connection), REBUILD).await?;
            let backend = (row.try_get(0).op(REBUILD)?, row.try_get(1).op(REBUILD)?);
            Ok(Workbench { store: self, connection, schema, backend })
        })
        .await
    }

    /// A table as it is now, but for what the server's process `own` does to it.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn table_seen(&self, table: Table, own: i32) -> Result<TableSeen> {
        self.measured(WATCH, async {
            let name = full_name(&self.place().await?.schema, table);
            let query = |statement: &'static str| self.query(statement).bind(&name).bind(own);
            let tables = self.read_again(self.bounds, WATCH, || query(sql::TABLE)).await?;
            let indexes = self.read_again(self.bounds, WATCH, || query(sql::INDEXES)).await?;
            let mut seen = TableSeen::default();
            if let Some(row) = tables.first() {
                seen.oid = Some(oid(row.try_get(0).op(WATCH)?));
                seen.is_worked_at = row.try_get(1).op(WATCH)?;
            }
            seen.indexes = indexes.iter().map(index_seen).collect::<Result<_, _>>().op(WATCH)?;
            Ok(seen)
        })
        .await
    }

    /// How far the server's process `at` is with what it does for a repair; none when that is gone.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn watch_repair(&self, repair: &Repair, at: Backend) -> Result<Option<Waiting>> {
        self.measured(WATCH, async {
            let query = || {
                self.query(sql::WATCH)
                    .bind(at.0)
                    .bind(at.1)
                    .bind(i64::from(repair.table_oid))
                    .bind(numbers(&repair.beside))
            };
            let rows = self.read_again(self.bounds, WATCH, query).await?;
            rows.first().map(waiting).transpose().op(WATCH)
        })
        .await
    }

    /// Has the server's process `at` end its statement of a repair, which leaves what it has built so far.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn cancel_repair(&self, repair: &Repair, at: Backend) -> Result<()> {
        self.measured(WATCH, async {
            let query = self.query(sql::CANCEL).bind(at.0).bind(at.1);
            self.fetch_one(self.bounds, WATCH, query.bind(repair.id.to_string())).await.map(drop)
        })
        .await
    }

    /// Ends the session of a repair, that of the server's process `at`, whose answer was lost on its way, and with it the
    /// lock that it holds.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn end_repair_session(&self, at: Backend) -> Result<()> {
        self.measured(WATCH, async {
            let query = self.query(sql::END).bind(at.0).bind(at.1);
            self.fetch_one(self.bounds, WATCH, query).await.map(drop)
        })
        .await
    }
}

impl Workbench<'_> {
    /// Whether nobody else repairs indexes of the deployment. From then on nobody else can, until the session ends.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn try_lock(&mut self) -> Result<bool> {
        let query = sqlx::query(sql::LOCK).bind(&self.schema).fetch_one(&mut self.connection);
        answered(query, REBUILD).await?.try_get(0).op(REBUILD)
    }

    /// Makes the index of a repair under the name of its own.
    ///
    /// # Errors
    ///
    /// When the server does not; something may be left then.
    pub async fn create(&mut self, repair: &Repair, index: &Index) -> Result<()> {
        let own = repair.own_name.as_deref().unwrap_or(&repair.index);
        self.execute(sql::create(&self.schema, repair.table, index, own, repair.id)).await
    }

    /// Builds the index of a repair anew.
    ///
    /// # Errors
    ///
    /// When the server does not; something may be left then.
    pub async fn rebuild(&mut self, repair: &Repair) -> Result<()> {
        self.execute(sql::rebuild(&self.schema, &repair.index, repair.id)).await
    }

    /// Gives an index another name.
    ///
    /// # Errors
    ///
    /// When the server does not, as the name is taken or somebody holds the index.
    pub async fn rename(&mut self, repair: &Repair, from: &str) -> Result<()> {
        self.execute(sql::rename(&self.schema, from, &repair.index, repair.id)).await
    }

    /// Removes an index.
    ///
    /// # Errors
    ///
    /// When the server does not, as somebody holds the table; then it is there still, and no longer used.
    pub async fn drop_index(&mut self, repair: &Repair, name: &str) -> Result<()> {
        self.execute(sql::drop(&self.schema, name, repair.id)).await
    }

    /// Lets others repair, and ends the session. When that fails, the server ends it by itself.
    pub async fn close(mut self) {
        // The server would take a moment to see that the session is over, and we may be the next.
        if answered(sqlx::raw_sql(sql::UNLOCK).execute(&mut self.connection), REBUILD).await.is_ok() {
            let _closed = within(CLOSING, self.connection.close()).await;
        }
    }

    /// However long it takes: whoever waits looks whether the server still works at it. What the server lacks the means
    /// for, as its disk is full, leaves the session as good as before: then it is a refusal like others.
    async fn execute(&mut self, statement: SqlStr) -> Result<()> {
        let connection = &mut self.connection;
        let done = async {
            match sqlx::raw_sql(statement).execute(&mut *connection).await.op(REBUILD) {
                Err(error) if error.kind == ErrorKind::Unavailable && still_answers(connection).await => {
                    Err(Error { kind: ErrorKind::Other, ..error })
                }
                done => done.map(drop),
            }
        };
        self.store.measured(REBUILD, done).await
    }
}

async fn still_answers(connection: &mut PgConnection) -> bool {
    answered(sqlx::query(sql::SELF).fetch_one(connection), REBUILD).await.is_ok()
}

fn index_seen(row: &PgRow) -> Result<IndexSeen, sqlx::Error> {
    let bytes: i64 = row.try_get("bytes")?;
    Ok(IndexSeen {
        oid: oid(row.try_get("oid")?),
        name: row.try_get("name")?,
        is_valid: row.try_get("is_valid")?,
        is_held: row.try_get("is_held")?,
        bytes: bytes.unsigned_abs(),
    })
}

fn waiting(row: &PgRow) -> Result<Waiting, sqlx::Error> {
    let (total, done): (i64, i64) = (row.try_get("total")?, row.try_get("done")?);
    let new: Option<i64> = row.try_get("new_index")?;
    Ok(Waiting {
        is_working: row.try_get("is_working")?,
        new_index: new.map(oid),
        phase: row.try_get("phase")?,
        total: total.unsigned_abs(),
        done: done.unsigned_abs(),
    })
}
