//! Places to restore into: what is there already, and databases that are thrown away afterwards.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row, SqlStr};
use uuid::Uuid;

use super::connect::within;
use super::error::{Context, refused};
use super::statements::{Bounds, scratch};
use super::{Op, Postgres};
use crate::model::Table;
use crate::storage::{Error, ErrorKind, Result};

/// What the names of databases for drills begin with. The deployment and something random follow.
const DRILL: &str = "maintd_drill_";

/// `object_in_use`: somebody is connected to the database.
const IN_USE: &str = "55006";

/// How long making or removing a database may take: the server writes a checkpoint for it, and copies its template.
const PATIENCE: Duration = Duration::from_secs(120);

/// Removing tables waits for nobody for long.
const REMOVING: Bounds = Bounds { statement: 120_000, lock: 5_000, idle: 10_000 };

/// What is in a database that something is to be restored into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The cluster: `pg_control_system()`.
    pub system_identifier: i64,
    /// The database.
    pub database: String,
    /// The first number of the server's version.
    pub major: u32,
    /// Whether the server only follows another one.
    pub is_standby: bool,
    /// The schema that the application's tables are in, or would be.
    pub schema: String,
    /// Whether it is there.
    pub has_schema: bool,
    /// Which of the application's tables are there, Alembic's ledger among them.
    pub tables: Vec<String>,
    /// The deployment that our own tables know here, if any.
    pub deployment: Option<Uuid>,
    /// Whether we have marked it as incomplete, so that what is there came from us.
    pub is_incomplete: bool,
    /// Where the server's files are; none if the role may not know.
    pub data_directory: Option<PathBuf>,
}

impl Postgres {
    /// What is here.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn site(&self) -> Result<Site> {
        const OP: Op = Op { name: "site", phrase: "look at what is there" };
        self.measured(OP, async {
            let place = self.place().await?;
            let names: Vec<&str> = Table::ALL.iter().map(|table| table.name()).chain(["alembic_version"]).collect();
            let mut tx = self.begin(OP).await?;
            let query = self.query(
                "SELECT system_identifier, current_database()::text, \
                     current_setting('server_version_num')::integer / 10000, pg_is_in_recovery(), \
                     ARRAY(SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
                         WHERE nspname = $1 AND relname = ANY($2::text[]) ORDER BY 1), \
                     CASE WHEN pg_has_role('pg_read_all_settings', 'usage') THEN current_setting('data_directory') END, \
                     to_regclass('maintd.deployments') IS NOT NULL, \
                     EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) \
                 FROM pg_control_system()",
            );
            let row = tx.fetch_one(query.bind(&place.schema).bind(names)).await?;
            let known = if row.try_get(6).op(OP)? {
                // Of an older build the column is not there yet.
                let query = self.query(
                    "SELECT id, to_jsonb(d) ->> 'incomplete_since' IS NOT NULL FROM maintd.deployments d \
                     WHERE deployment = $1",
                );
                tx.fetch_optional(query.bind(&place.schema)).await?
            } else {
                None
            };
            let deployment = known.as_ref().map(|row| row.try_get(0)).transpose().op(OP)?;
            let is_incomplete = known.map(|row| row.try_get(1)).transpose().op(OP)?;
            tx.commit().await?;
            let data_directory: Option<String> = row.try_get(5).op(OP)?;
            Ok(Site {
                system_identifier: row.try_get(0).op(OP)?,
                database: row.try_get(1).op(OP)?,
                major: row.try_get::<i32, _>(2).op(OP)?.unsigned_abs(),
                is_standby: row.try_get(3).op(OP)?,
                schema: place.schema.clone(),
                has_schema: row.try_get(7).op(OP)?,
                tables: row.try_get(4).op(OP)?,
                deployment,
                is_incomplete: is_incomplete.unwrap_or_default(),
                data_directory: data_directory.map(PathBuf::from),
            })
        })
        .await
    }

    /// Removes the application's tables from a deployment that is marked incomplete for this very reason, `why`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it is not marked so; then nothing is removed.
    pub async fn remove_incomplete(&self, why: &str) -> Result<()> {
        const OP: Op = Op { name: "remove_incomplete", phrase: "remove what an earlier attempt left" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin_within(REMOVING, OP).await?;
            let query = self.query(
                "SELECT FROM maintd.deployments \
                 WHERE deployment = $1 AND incomplete_since IS NOT NULL AND incomplete_why = $2 FOR UPDATE",
            );
            if tx.fetch_optional(query.bind(&place.schema).bind(why)).await?.is_none() {
                return Err(refused(OP, ErrorKind::Conflict, "somebody else has marked the deployment meanwhile"));
            }
            tx.run(scratch::drop_tables(&place.schema)).await?;
            tx.commit().await
        })
        .await
    }

    /// Makes a database on this server for a drill of the deployment `owner`, and returns its name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] when the role may not make databases.
    pub async fn make_scratch_database(&self, owner: Uuid) -> Result<String> {
        const OP: Op = Op { name: "make_scratch_database", phrase: "make a database for a drill" };
        self.measured(OP, async {
            let random = Uuid::new_v4().simple().to_string();
            let name = format!("{}{}", beginning(owner), &random[..8]);
            let made = self.outside(OP, scratch::create_database(&name)).await;
            let made = made.map_err(|error| match error.kind {
                ErrorKind::Denied => {
                    let user = &self.settings.user;
                    let why = format!("{}: let the role {user} make databases (ALTER ROLE … CREATEDB)", error.source);
                    Error { source: why.into(), ..error }
                }
                _ => error,
            })?;
            if !made {
                return Err(refused(OP, ErrorKind::Conflict, "somebody is using the server's template"));
            }
            let mut tx = self.begin(OP).await?;
            tx.run(scratch::mark_database(&name, owner)).await?;
            tx.commit().await?;
            Ok(name)
        })
        .await
    }

    /// The databases on this server that were made for drills of the deployment `owner`.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn scratch_databases(&self, owner: Uuid) -> Result<Vec<String>> {
        const OP: Op = Op { name: "scratch_databases", phrase: "look for databases of drills" };
        self.measured(OP, async {
            // Whoever made one and was killed has not always been able to say on it whose it is.
            let query = self.query(
                "SELECT datname::text FROM pg_database \
                 WHERE starts_with(datname, $1) AND coalesce(shobj_description(oid, 'pg_database'), $2) = $2 ORDER BY 1",
            );
            let query = query.bind(beginning(owner)).bind(scratch::comment(owner));
            let rows = self.fetch_all(self.bounds, OP, query).await?;
            rows.iter().map(|row| row.try_get(0).op(OP)).collect()
        })
        .await
    }

    /// Removes a database that was made for a drill of the deployment `owner`. Whoever is connected to it is
    /// disconnected if `force`, and otherwise keeps it (false).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it is not such a database.
    pub async fn remove_scratch_database(&self, name: &str, owner: Uuid, force: bool) -> Result<bool> {
        const OP: Op = Op { name: "remove_scratch_database", phrase: "remove a database of a drill" };
        if !self.scratch_databases(owner).await?.iter().any(|ours| ours == name) {
            return Err(refused(OP, ErrorKind::Conflict, format!("the database {name} is not of a drill of ours")));
        }
        self.measured(OP, async { self.outside(OP, scratch::drop_database(name, force)).await }).await
    }

    /// Runs what cannot be in a transaction, on a connection of its own that nothing is left behind on. False when
    /// the database is in use.
    async fn outside(&self, op: Op, sql: SqlStr) -> Result<bool> {
        let options = self.pool.connect_options();
        let late = || refused(op, ErrorKind::Unavailable, "the server does not answer");
        let connected = within(PATIENCE, PgConnection::connect_with(&options)).await;
        let mut connection = connected.ok_or_else(late)?.op(op)?;
        let done = within(PATIENCE, sqlx::raw_sql(sql).execute(&mut connection)).await.ok_or_else(late)?;
        let is_in_use = matches!(&done, Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(IN_USE));
        if !is_in_use {
            done.op(op)?;
        }
        // What it had to say has been said.
        let _closed = within(Duration::from_secs(1), connection.close()).await;
        Ok(!is_in_use)
    }
}

/// What the names of databases for drills of a deployment begin with: nobody else has its id.
fn beginning(owner: Uuid) -> String {
    format!("{DRILL}{}_", &owner.simple().to_string()[..12])
}
