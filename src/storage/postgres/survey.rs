//! What a server must be before programs work on it: able to have its files copied, or with the schema that a backup is
//! restored into.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use super::connect::{Login, alone, within};
use super::error::{Context, no_connection, refused};
use super::statements::survey as sql;
use super::{Op, Postgres, Settings};
use crate::storage::{ErrorKind, Result};

const SURVEY: Op = Op { name: "survey", phrase: "look at what is there" };

/// How long all of it may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What the server says of copying its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Whether the role may.
    pub may: bool,
    /// How much is written ahead: `minimal` is too little.
    pub wal_level: String,
    /// How many may stream at the same time.
    pub senders: i64,
    /// The server's version, as in `15.14`.
    pub version: String,
    /// The first number of it.
    pub major: u32,
    /// Bytes of all databases.
    pub bytes: u64,
    /// What time it is there.
    pub at: DateTime<Utc>,
    /// The cluster.
    pub system_identifier: i64,
}

/// Makes the schema that `settings` name.
///
/// # Errors
///
/// When the role may not.
pub async fn make_schema(settings: &Settings) -> Result<()> {
    let mut connection = connect(settings).await?;
    bounded(sqlx::raw_sql(sql::make_schema(&settings.schema)).execute(&mut connection)).await?;
    close(connection).await;
    Ok(())
}

impl Postgres {
    /// Whether the server's files can be copied.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn replication(&self) -> Result<Replication> {
        self.measured(SURVEY, async {
            let mut connection = connect(&self.settings).await?;
            let row = bounded(sqlx::query(sql::REPLICATION).fetch_one(&mut connection)).await?;
            close(connection).await;
            read(&row).op(SURVEY)
        })
        .await
    }
}

fn read(row: &PgRow) -> Result<Replication, sqlx::Error> {
    let (bytes, number, version): (i64, i32, String) =
        (row.try_get("bytes")?, row.try_get("number")?, row.try_get("version")?);
    Ok(Replication {
        may: row.try_get("may")?,
        wal_level: row.try_get("wal_level")?,
        senders: row.try_get("senders")?,
        version: version.split_whitespace().next().unwrap_or_default().to_owned(),
        major: major(number),
        bytes: bytes.unsigned_abs(),
        at: row.try_get("at")?,
        system_identifier: row.try_get("system_identifier")?,
    })
}

pub(super) fn major(number: i32) -> u32 {
    u32::try_from(number / 10_000).unwrap_or_default()
}

async fn connect(settings: &Settings) -> Result<PgConnection> {
    let login = Login::new(settings)?;
    let connected = alone(&login.direct).await;
    let mut connection = connected.map_err(|error| no_connection(&settings.past_the_pooler(), SURVEY, error))?;
    bounded(sqlx::raw_sql(sql::BEGIN).execute(&mut connection)).await?;
    Ok(connection)
}

/// Commits what was done, if it was anything.
async fn close(mut connection: PgConnection) {
    let _answer = bounded(sqlx::raw_sql(super::statements::COMMIT).execute(&mut connection)).await;
    let _closed = within(PATIENCE, connection.close()).await;
}

pub(super) async fn bounded<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
    match within(PATIENCE, asked).await {
        Some(answer) => answer.op(SURVEY),
        None => {
            let why = format!("no answer for {} seconds; the connection was given up", PATIENCE.as_secs());
            Err(refused(SURVEY, ErrorKind::Unavailable, why))
        }
    }
}
