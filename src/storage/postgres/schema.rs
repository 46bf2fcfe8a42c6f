//! The two schemas: the application's, led by Alembic's ledger, and our own.

use std::time::Duration;

use serde::Serialize;
use sqlx::Row;

use super::error::{Context, refused};
use super::statements::{self, Bounds, Statements};
use super::transaction::Transaction;
use super::{Op, Postgres};
use crate::model::schema::{self, REVISIONS};
use crate::storage::{ErrorKind, Result};

/// Our own migrations, oldest first. The number of a migration is its place, counted from 1.
const OWN: &[&str] = &[
    include_str!("../../../migrations/maintd/01_runs.sql"),
    include_str!("../../../migrations/maintd/02_slots.sql"),
    include_str!("../../../migrations/maintd/03_moving.sql"),
    include_str!("../../../migrations/maintd/04_pruning.sql"),
    include_str!("../../../migrations/maintd/05_repairs.sql"),
];

/// What the schemas of a deployment are like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaStatus {
    /// The schema of the application's tables.
    pub schema: String,
    /// The application's revisions; Alembic has one, none before the first migration.
    pub revisions: Vec<String>,
    /// The newest revision that this build knows.
    pub known_head: &'static str,
    /// Revisions that this build does not know and that the settings do not accept.
    pub unknown: Vec<String>,
    /// How many of our own migrations are applied; none when our schema is missing.
    pub maintd_version: Option<u32>,
    /// How many of our own migrations this build has.
    pub maintd_head: u32,
}

impl SchemaStatus {
    /// Whether our own schema is the one that this build makes.
    pub fn is_current(&self) -> bool {
        self.maintd_version == Some(self.maintd_head)
    }

    /// Why nothing may be deleted, if so. A known older revision is fine: every revision since the
    /// first has the column and the index that jobs need.
    pub fn refusal(&self) -> Option<String> {
        if let Some(unknown) = self.unknown.first() {
            return Some(format!(
                "the schema {} is at the unknown revision {unknown}: update actingweb-maintd, or, if you know that \
                 its tables still mean the same, add \"{unknown}\" to storage.postgresql.accept_revisions",
                self.schema
            ));
        }
        if self.revisions.is_empty() {
            return Some(format!(
                "the schema {} holds no ActingWeb tables: check storage.postgresql.dbname and .schema, or make \
                 the tables with `alembic upgrade head` or `actingweb-maintd schema apply`",
                self.schema
            ));
        }
        self.own_refusal()
    }

    /// Why our own tables cannot be used, if so.
    pub fn own_refusal(&self) -> Option<String> {
        match self.maintd_version {
            _ if self.is_current() => None,
            Some(version) if version > self.maintd_head => Some(format!(
                "the schema maintd is at version {version} and this build knows {}: run the newer actingweb-maintd",
                self.maintd_head
            )),
            _ => Some(
                "the daemon's own schema maintd is missing or old: run `actingweb-maintd schema apply`, or start \
                 with `run --apply-schema`"
                    .to_owned(),
            ),
        }
    }
}

/// What `apply` did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Revisions of the application's schema, in order.
    pub revisions: Vec<&'static str>,
    /// Migrations of our own schema, by number.
    pub maintd: Vec<u32>,
}

/// Migrations of the application may have to build an index, but must not keep it waiting for a
/// lock.
const MIGRATING: Bounds = Bounds { statement: 0, lock: 5_000, idle: 60_000 };

/// Our own take no time, and the daemon that makes them must not wait for ever for a server that
/// has gone.
const MIGRATING_OURS: Bounds = Bounds { statement: 30_000, lock: 5_000, idle: 10_000 };

/// How long an applier waits for another one.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

impl Postgres {
    /// What the schemas are like now.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn schema(&self) -> Result<SchemaStatus> {
        const OP: Op = Op { name: "schema", phrase: "read the schema's revision" };
        self.measured(OP, async {
            let place = self.place().await?;
            let mut tx = self.begin(OP).await?;
            let revisions = self.revisions(&mut tx, &place.schema, &place.statements, OP).await?;
            let maintd_version = self.own_version(&mut tx, OP).await?;
            tx.commit().await?;
            let accepted = &self.settings.accept_revisions;
            let unknown = revisions
                .iter()
                .filter(|id| schema::position(id).is_none() && !accepted.contains(id))
                .cloned()
                .collect();
            Ok(SchemaStatus {
                schema: place.schema.clone(),
                revisions,
                known_head: schema::HEAD,
                unknown,
                maintd_version,
                maintd_head: OWN.len() as u32,
            })
        })
        .await
    }

    /// Brings both schemas to this build's head, or only our own. Everything happens in one
    /// transaction, so that it is done wholly or not at all; of several appliers at once one does
    /// it and the others find it done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when the application's schema is at a revision that is not ours to
    /// change, [`ErrorKind::Timeout`] when a table stays locked.
    pub async fn apply(&self, application: bool) -> Result<Applied> {
        const OP: Op = Op { name: "apply_schema", phrase: "apply the schema" };
        self.measured(OP, async {
            let place = self.place().await?;
            let bounds = if application { MIGRATING } else { MIGRATING_OURS };
            let mut tx = self.lock_migrations(bounds, OP).await?;
            let mut applied = Applied::default();
            if application {
                applied.revisions = self.apply_application(&mut tx, &place.schema, &place.statements, OP).await?;
            }
            applied.maintd = self.apply_own(&mut tx, OP).await?;
            tx.commit().await?;
            Ok(applied)
        })
        .await
    }

    /// A transaction that holds the migration lock. It asks again and again instead of waiting,
    /// because a waiting transaction would itself keep others waiting, and it takes the lock for
    /// the transaction, because a pooler knows no sessions.
    async fn lock_migrations(&self, bounds: Bounds, op: Op) -> Result<Transaction> {
        let rounds = PATIENCE.as_millis() / POLL.as_millis();
        for _ in 0..rounds {
            let mut tx = self.begin_within(bounds, op).await?;
            let row = tx
                .fetch_one(
                    self.query("SELECT pg_try_advisory_xact_lock(hashtextextended('actingweb-maintd schema', 0))"),
                )
                .await?;
            if row.try_get(0).op(op)? {
                return Ok(tx);
            }
            tx.rollback().await?;
            tokio::time::sleep(POLL).await;
        }
        let waited = PATIENCE.as_secs();
        Err(refused(
            op,
            ErrorKind::Timeout,
            format!("another process has been applying the schema for {waited} seconds"),
        ))
    }

    async fn apply_application(
        &self,
        tx: &mut Transaction,
        schema: &str,
        statements: &Statements,
        op: Op,
    ) -> Result<Vec<&'static str>> {
        let revisions = self.revisions(tx, schema, statements, op).await?;
        let done = match revisions.as_slice() {
            [] => 0,
            [id] => schema::position(id).ok_or_else(|| {
                let why = format!("the schema {schema} is at revision {id}, which this build does not know");
                refused(op, ErrorKind::Schema, why)
            })?,
            several => {
                let why = format!("{schema}.alembic_version holds several revisions: {}", several.join(", "));
                return Err(refused(op, ErrorKind::Schema, why));
            }
        };
        if done == REVISIONS.len() {
            return Ok(Vec::new());
        }
        if done == 0 {
            let taken = tx
                .fetch_one(
                    self.query(
                        "SELECT n.oid IS NOT NULL, c.oid IS NOT NULL \
                     FROM (SELECT) one LEFT JOIN pg_namespace n ON nspname = $1 \
                     LEFT JOIN pg_class c ON relnamespace = n.oid AND relname = 'actors'",
                    )
                    .bind(schema),
                )
                .await?;
            if taken.try_get(1).op(op)? {
                let why = format!(
                    "the schema {schema} holds a table `actors` but no Alembic revision: if these are ActingWeb's \
                     tables, say which revision they are with `alembic stamp`"
                );
                return Err(refused(op, ErrorKind::Schema, why));
            }
            // Asked first, because CREATE SCHEMA IF NOT EXISTS wants the privilege even if it does.
            if !taken.try_get::<bool, _>(0).op(op)? {
                tx.run(statements::create_schema(schema)).await?;
            }
        }
        tx.run(statements::lock_ledger(schema)).await?;
        for revision in &REVISIONS[done..] {
            tx.run(statements::migration(revision.sql, schema)).await?;
        }
        let from_base = done == 0;
        tx.execute(self.query(statements::advance_ledger(schema, from_base)).bind(schema::HEAD)).await?;
        Ok(REVISIONS[done..].iter().map(|revision| revision.id).collect())
    }

    async fn apply_own(&self, tx: &mut Transaction, op: Op) -> Result<Vec<u32>> {
        let done = match self.own_version(tx, op).await? {
            Some(version) => version,
            None => {
                // Asked first: whoever was given the schema need not be allowed to make one.
                let is_there = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'maintd')";
                if !tx.fetch_one(self.query(is_there)).await?.try_get::<bool, _>(0).op(op)? {
                    tx.run("CREATE SCHEMA maintd").await?;
                }
                tx.run(
                    "CREATE TABLE maintd.migrations ( \
                         version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
                )
                .await?;
                0
            }
        };
        let mut applied = Vec::new();
        for (version, sql) in (1..).zip(OWN).skip(done as usize) {
            tx.run(*sql).await?;
            tx.execute(self.query("INSERT INTO maintd.migrations (version) VALUES ($1)").bind(version as i32)).await?;
            applied.push(version);
        }
        Ok(applied)
    }

    /// The application's revisions; none when its ledger is empty or missing.
    async fn revisions(
        &self,
        tx: &mut Transaction,
        schema: &str,
        statements: &Statements,
        op: Op,
    ) -> Result<Vec<String>> {
        if !self.has_table(tx, schema, "alembic_version", op).await? {
            return Ok(Vec::new());
        }
        let rows = tx.fetch_all(self.query(statements.revisions.clone())).await?;
        rows.iter().map(|row| row.try_get(0).op(op)).collect()
    }

    /// How many of our own migrations are applied; none when our schema is missing.
    async fn own_version(&self, tx: &mut Transaction, op: Op) -> Result<Option<u32>> {
        if !self.has_table(tx, "maintd", "migrations", op).await? {
            return Ok(None);
        }
        let row = tx.fetch_one(self.query("SELECT coalesce(max(version), 0) FROM maintd.migrations")).await?;
        let version: i32 = row.try_get(0).op(op)?;
        Ok(Some(version.unsigned_abs()))
    }

    async fn has_table(&self, tx: &mut Transaction, schema: &str, table: &str, op: Op) -> Result<bool> {
        let row = tx
            .fetch_one(
                self.query(
                    "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace \
                 WHERE nspname = $1 AND relname = $2)",
                )
                .bind(schema)
                .bind(table),
            )
            .await?;
        row.try_get(0).op(op)
    }
}
