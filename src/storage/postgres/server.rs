//! How a server is set up, and how we come to it: what somebody has to know who is to say why the daemon cannot work.
//!
//! All of it is asked on a connection of its own, in a transaction that asks for nothing but to read, so that a standby
//! or a server whose schemas are missing answers as well.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow, Postgres as Driver};
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, Row};

use super::connect::{alone, within};
use super::error::{Context, no_connection};
use super::session::keeps_sessions;
use super::statements::{COMMIT, server as sql, survey};
use super::survey::{PATIENCE, bounded, major};
use super::{FIND_TABLES, Op, Postgres, Settings};
use crate::model::Table;
use crate::storage::Result;

const OP: Op = Op { name: "server", phrase: "ask how the server is set up" };

/// How a server is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its version, as in `15.14`.
    pub version: String,
    /// The first number of it.
    pub major: u32,
    /// Whether it only follows another one.
    pub is_standby: bool,
    /// Who we are to it.
    pub role: String,
    /// The database.
    pub database: String,
    /// Whether our transactions change nothing unless they say that they do.
    pub is_read_only: bool,
    /// The version of TLS that it speaks with whoever is connected to it: us, or a pooler.
    pub tls: Option<String>,
    /// Where its files are; none if the role may not know.
    pub data_directory: Option<PathBuf>,
    /// Tables of which the role sees only the rows that policies show it.
    pub guarded: Vec<String>,
    /// Who follows it.
    pub standbys: Vec<Standby>,
    /// Who has asked it to keep its log for them.
    pub slots: Vec<Slot>,
    /// Whether its log is archived.
    pub archiving: Archiving,
    /// In which time zones the application's tables are written.
    pub zones: Vec<Zone>,
    /// The zone of whoever has none of their own; none if the role may not know.
    pub default_zone: Option<String>,
    /// The zone of the server's log.
    pub log_zone: String,
}

/// Somebody who follows a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// What it calls itself.
    pub name: String,
    /// What it is doing; none if the role may not know.
    pub state: Option<String>,
    /// Bytes of the log that it has not replayed.
    pub lag: Option<u64>,
}

/// A replication slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Whether somebody is using it.
    pub is_active: bool,
    /// Bytes of the log that are kept for it.
    pub kept: Option<u64>,
    /// Whether what it needs is gone already.
    pub is_lost: bool,
}

/// How a server archives its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archiving {
    /// Whether it does.
    pub is_on: bool,
    /// Whether the last attempt failed.
    pub is_failing: bool,
    /// The file of the last attempt that failed.
    pub failed: Option<String>,
    /// When one was archived last.
    pub succeeded: Option<DateTime<Utc>>,
}

/// Somebody who writes the application's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The role.
    pub role: String,
    /// The zone that is set for it; none if the server's own counts.
    pub zone: Option<String>,
    /// Whether it is set for the role, and not for everybody.
    pub of_role: bool,
    /// Whether it is set in this database, and not in all.
    pub of_database: bool,
}

/// How we come to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Whether the usual way leads to a pooler that lends out its connections for a transaction each.
    pub is_pooled: bool,
    /// The cluster there.
    pub system_identifier: i64,
    /// Whether it only follows another one.
    pub is_standby: bool,
    /// Another way that is configured, past a pooler.
    pub direct: Option<Box<Result<Direction, String>>>,
}

impl Postgres {
    /// How the server is set up.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn server(&self) -> Result<Server> {
        self.measured(OP, async {
            let mut visit = Visit::begin(self, OP).await?;
            let schema = visit.schema(&self.settings).await?;
            let tables = Table::ALL.map(Table::name);
            let row = visit.one(sqlx::query(sql::SERVER).bind(&schema).bind(tables.as_slice())).await?;
            let standbys = visit.all(sqlx::query(sql::STANDBYS)).await?;
            let slots = visit.all(sqlx::query(sql::SLOTS)).await?;
            let archiving = visit.one(sqlx::query(sql::ARCHIVING)).await?;
            let zones = visit.all(sqlx::query(sql::ZONES).bind(&schema).bind(tables.as_slice())).await?;
            let log = visit.one(sqlx::query(sql::LOG_ZONE)).await?;
            let default_zone = if log.try_get("may_read").op(OP)? {
                Some(visit.one(sqlx::query(sql::FILE_ZONE)).await?.try_get("zone").op(OP)?)
            } else {
                None
            };
            visit.end().await;
            let read = || {
                let version: String = row.try_get("version")?;
                Ok(Server {
                    // Packagers add their own words.
                    version: version.split_whitespace().next().unwrap_or_default().to_owned(),
                    major: major(row.try_get("number")?),
                    is_standby: row.try_get("is_standby")?,
                    role: row.try_get("role")?,
                    database: row.try_get("database")?,
                    is_read_only: row.try_get("is_read_only")?,
                    tls: row.try_get("tls")?,
                    data_directory: row.try_get::<Option<String>, _>("data_directory")?.map(PathBuf::from),
                    guarded: row.try_get("guarded")?,
                    standbys: standbys.iter().map(standby).collect::<Result<_, _>>()?,
                    slots: slots.iter().map(slot).collect::<Result<_, _>>()?,
                    archiving: read_archiving(&archiving)?,
                    zones: zones.iter().map(zone).collect::<Result<_, _>>()?,
                    default_zone,
                    log_zone: log.try_get("zone")?,
                })
            };
            let read: Result<Server, sqlx::Error> = read();
            read.op(OP)
        })
        .await
    }

    /// How we come to the server.
    ///
    /// # Errors
    ///
    /// When it does not answer. That the way past a pooler leads nowhere is told in the result.
    pub async fn direction(&self) -> Result<Direction> {
        self.measured(OP, async {
            let login = self.login();
            let mut usual = explore(&login.usual, &self.settings).await?;
            let direct = self.settings.past_the_pooler();
            let is_elsewhere = (&direct.host, direct.port) != (&self.settings.host, self.settings.port);
            if is_elsewhere {
                let found = explore(&login.direct, &direct).await;
                usual.direct = Some(Box::new(found.map_err(|error| error.source.to_string())));
            }
            Ok(usual)
        })
        .await
    }
}

async fn explore(options: &PgConnectOptions, settings: &Settings) -> Result<Direction> {
    let connect = async || alone(options).await.map_err(|error| no_connection(settings, OP, error));
    let (mut one, mut other) = (connect().await?, connect().await?);
    let is_pooled = !keeps_sessions(&mut one, &mut other, OP).await?;
    // At once, as the next message may reach another of a pooler's connections.
    let row = bounded(sqlx::raw_sql(sql::CLUSTER).fetch_one(&mut one)).await?;
    let (system_identifier, is_standby) = (row.try_get(0).op(OP)?, row.try_get(1).op(OP)?);
    for connection in [one, other] {
        let _closed = within(PATIENCE, connection.close()).await;
    }
    Ok(Direction { is_pooled, system_identifier, is_standby, direct: None })
}

/// A connection of its own with a transaction that only reads.
pub(super) struct Visit {
    connection: PgConnection,
}

impl Visit {
    pub(super) async fn begin(store: &Postgres, op: Op) -> Result<Self> {
        let connected = alone(&store.pool.connect_options()).await;
        let mut connection = connected.map_err(|error| no_connection(&store.settings, op, error))?;
        bounded(sqlx::raw_sql(survey::BEGIN).execute(&mut connection)).await?;
        Ok(Self { connection })
    }

    /// The schema of the application's tables.
    pub(super) async fn schema(&mut self, settings: &Settings) -> Result<String> {
        let found = match settings.schema.as_str() {
            "public" => self.all(sqlx::query(FIND_TABLES)).await?,
            _ => Vec::new(),
        };
        found.first().map_or_else(|| Ok(settings.schema.clone()), |row| row.try_get(0).op(OP))
    }

    pub(super) async fn one(&mut self, query: Query<'_, Driver, PgArguments>) -> Result<PgRow> {
        bounded(query.persistent(false).fetch_one(&mut self.connection)).await
    }

    pub(super) async fn all(&mut self, query: Query<'_, Driver, PgArguments>) -> Result<Vec<PgRow>> {
        bounded(query.persistent(false).fetch_all(&mut self.connection)).await
    }

    pub(super) async fn end(mut self) {
        let _answer = bounded(sqlx::raw_sql(COMMIT).execute(&mut self.connection)).await;
        let _closed = within(PATIENCE, self.connection.close()).await;
    }
}

fn standby(row: &PgRow) -> Result<Standby, sqlx::Error> {
    let lag: Option<i64> = row.try_get("bytes")?;
    Ok(Standby { name: row.try_get("name")?, state: row.try_get("state")?, lag: lag.map(i64::unsigned_abs) })
}

fn slot(row: &PgRow) -> Result<Slot, sqlx::Error> {
    let kept: Option<i64> = row.try_get("bytes")?;
    Ok(Slot {
        name: row.try_get("name")?,
        is_active: row.try_get("active")?,
        kept: kept.map(i64::unsigned_abs),
        is_lost: row.try_get::<&str, _>("status")? == "lost",
    })
}

fn read_archiving(row: &PgRow) -> Result<Archiving, sqlx::Error> {
    Ok(Archiving {
        is_on: row.try_get::<&str, _>("mode")? != "off",
        is_failing: row.try_get("failing")?,
        failed: row.try_get("failed")?,
        succeeded: row.try_get("succeeded")?,
    })
}

fn zone(row: &PgRow) -> Result<Zone, sqlx::Error> {
    Ok(Zone {
        role: row.try_get("name")?,
        zone: row.try_get("zone")?,
        of_role: row.try_get::<Option<bool>, _>("of_role")?.unwrap_or_default(),
        of_database: row.try_get::<Option<bool>, _>("of_database")?.unwrap_or_default(),
    })
}
