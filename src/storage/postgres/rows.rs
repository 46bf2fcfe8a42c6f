//! What reading and writing rows has in common for all tables.

use sqlx::{Row as _, SqlStr};

use super::again::Again;
use super::error::{Context, refused};
use super::record::{self, Stored, Texts};
use super::statements::{Bounds, Tables};
use super::{Op, Postgres, Statement};
use crate::model::{Row, limits};
use crate::storage::{Error, ErrorKind, Result};

impl Postgres {
    /// The rows that a statement finds by `key`.
    pub(super) async fn select<T: Stored>(
        &self,
        op: Op,
        statement: fn(&Tables) -> &SqlStr,
        key: &[&str],
    ) -> Result<Vec<T>> {
        if cannot_be(key) {
            return self.measured(op, async { Ok(Vec::new()) }).await;
        }
        self.select_within(op, statement, key).await
    }

    /// The row that a statement finds by `key`.
    pub(super) async fn select_one<T: Stored>(
        &self,
        op: Op,
        statement: fn(&Tables) -> &SqlStr,
        key: &[&str],
    ) -> Result<Option<T>> {
        Ok(self.select(op, statement, key).await?.into_iter().next())
    }

    /// The rows that a statement finds between bounds, which need not be what a row can have.
    pub(super) async fn select_within<T: Stored>(
        &self,
        op: Op,
        statement: fn(&Tables) -> &SqlStr,
        bounds: &[&str],
    ) -> Result<Vec<T>> {
        self.measured(op, async {
            let place = self.place().await?;
            let sql = statement(&place.statements.tables);
            let rows = self.read_again(self.bounds, op, || bound(self.query(sql.clone()), bounds)).await?;
            rows.iter()
                .map(|row| {
                    let texts = record::texts(row, op)?;
                    record::read(&texts).map_err(|why| refused(op, ErrorKind::Other, why.to_string()))
                })
                .collect()
        })
        .await
    }

    /// The only column of the first row that a statement finds.
    pub(super) async fn select_text(
        &self,
        bounds: Bounds,
        op: Op,
        statement: fn(&Tables) -> &SqlStr,
        key: &[&str],
    ) -> Result<Option<String>> {
        self.measured(op, async {
            let place = self.place().await?;
            let sql = statement(&place.statements.tables);
            let rows = self.read_again(bounds, op, || bound(self.query(sql.clone()), key)).await?;
            rows.first().map(|row| row.try_get(0).op(op)).transpose()
        })
        .await
    }

    /// Makes a row, unless there is one with its key (false).
    pub(super) async fn create(&self, op: Op, statement: fn(&Tables) -> &SqlStr, row: &Row) -> Result<bool> {
        self.measured(op, async {
            within_limits(op, row)?;
            self.create_of(op, statement, &record::write(row)).await
        })
        .await
    }

    /// The same by the texts of its columns, with defaults for what is missing.
    pub(super) async fn create_of(&self, op: Op, statement: fn(&Tables) -> &SqlStr, texts: &Texts) -> Result<bool> {
        let place = self.place().await?;
        let sql = statement(&place.statements.tables);
        let made = self.execute_again(op, Again::Undone, || bound_texts(self.query(sql.clone()), texts)).await?;
        Ok(made > 0)
    }

    /// Changes the row with this key, if there is one: what is none stays. `changed` is that row
    /// with what changes, and anything within the limits in the place of what stays.
    pub(super) async fn modify(
        &self,
        op: Op,
        statement: fn(&Tables) -> &SqlStr,
        key: &[&str],
        changed: &Row,
        changes: &Texts,
    ) -> Result<bool> {
        self.measured(op, async {
            within_limits(op, changed)?;
            let place = self.place().await?;
            let sql = statement(&place.statements.tables);
            let query = || bound_texts(bound(self.query(sql.clone()), key), changes);
            Ok(self.execute_again(op, Again::Undone, query).await? > 0)
        })
        .await
    }

    /// Changes or deletes rows by conditions that no row can meet when one of them cannot be stored;
    /// returns how many.
    pub(super) async fn change(&self, op: Op, statement: fn(&Tables) -> &SqlStr, key: &[&str]) -> Result<u64> {
        self.measured(op, async {
            if cannot_be(key) {
                return Ok(0);
            }
            let place = self.place().await?;
            let sql = statement(&place.statements.tables);
            self.execute_again(op, Again::Undone, || bound(self.query(sql.clone()), key)).await
        })
        .await
    }
}

/// Whether no row can have these texts, as there are zero bytes in them.
pub(super) fn cannot_be(texts: &[&str]) -> bool {
    texts.iter().any(|text| text.contains('\0'))
}

/// Refuses a row that does not fit into its table.
pub(super) fn within_limits(op: Op, row: &Row) -> Result<()> {
    limits::for_postgresql(row).map_err(|violation| beyond(op, violation))
}

/// The error of what cannot be stored, without its value.
pub(super) fn beyond(op: Op, why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error { source: why.into(), ..refused(op, ErrorKind::Limit, "") }
}

/// A statement with texts for its parameters.
pub(super) fn bound<'q>(query: Statement<'q>, texts: &[&'q str]) -> Statement<'q> {
    texts.iter().fold(query, |query, text| query.bind(*text))
}

/// A statement with texts for its further parameters, some of them missing.
pub(super) fn bound_texts<'q>(query: Statement<'q>, texts: &'q Texts) -> Statement<'q> {
    texts.iter().fold(query, |query, text| query.bind(text.as_deref()))
}
