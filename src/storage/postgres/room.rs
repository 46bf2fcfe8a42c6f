//! What there is to know before an index is repaired.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::Context;
use super::rebuild::WATCH;
use super::repairs::oid;
use super::statements::{full_name, rebuild as sql};
use super::{Postgres, Settings};
use crate::model::Table;
use crate::storage::Result;

/// What there is to know before a repair is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The server's version, as in 150014.
    pub version: i32,
    /// As what the server knows the table.
    pub table: u32,
    /// Its bytes, without what is kept beside its rows.
    pub table_bytes: u64,
    /// Bytes of a page.
    pub page: u64,
    /// The index on it with the wanted name, and its bytes.
    pub index: Option<(u32, u64)>,
    /// Whether that is in use: one that is not may hold nothing yet, however large its table is.
    pub is_valid: bool,
    /// Whatever has that name in the schema.
    pub taken: Option<u32>,
    /// Every index on the table.
    pub beside: Vec<u32>,
    /// Our role, the owner of the table, and whether ours may act as that.
    pub owner: (String, String, bool),
    /// The schema, and whether our role may make something in it.
    pub schema: (String, bool),
    /// Where the server is.
    pub nearness: Nearness,
    /// Where the server keeps the index; none if our role may not know.
    pub directory: Option<PathBuf>,
    /// When the server was started, in seconds since the Unix epoch.
    pub started: i64,
    /// The oldest transaction that would be waited for and is too old: its process and its age.
    pub oldest: Option<(i32, Duration)>,
    /// The same of those that were prepared to be committed: its name and its age.
    pub prepared: Option<(String, Duration)>,
}

/// Where the server is, seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// Behind this socket, so that it is on this machine.
    Socket(PathBuf),
    /// At an address of this machine, where something may pass on what comes from afar.
    Loopback,
    /// Nobody knows.
    Elsewhere,
}

impl Nearness {
    /// Where the server with these settings is, past a pooler.
    pub fn of(settings: &Settings) -> Self {
        let settings = &settings.past_the_pooler();
        let (host, port) = (settings.host.as_str(), settings.port);
        let address: Option<IpAddr> = host.parse().ok();
        if host.starts_with('/') {
            Self::Socket(PathBuf::from(format!("{host}/.s.PGSQL.{port}")))
        } else if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            Self::Loopback
        } else {
            Self::Elsewhere
        }
    }
}

impl Postgres {
    /// What there is to know before the index `index` of a table is repaired, when nobody's transaction may be older
    /// than `oldest`. None when there is no such table.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn repair_room(&self, table: Table, index: &str, oldest: Duration) -> Result<Option<Room>> {
        self.measured(WATCH, async {
            let name = full_name(&self.place().await?.schema, table);
            let query = || self.query(sql::ROOM).bind(&name).bind(index).bind(oldest.as_secs_f64());
            let rows = self.read_again(self.bounds, WATCH, query).await?;
            let nearness = Nearness::of(&self.settings);
            rows.first().map(|row| read(row, nearness)).transpose().op(WATCH)
        })
        .await
    }
}

fn read(row: &PgRow, nearness: Nearness) -> Result<Room, sqlx::Error> {
    let bytes = |name: &str| row.try_get::<Option<i64>, _>(name).map(|bytes| bytes.map_or(0, i64::unsigned_abs));
    let (index, taken): (Option<i64>, Option<i64>) = (row.try_get("index_oid")?, row.try_get("taken")?);
    let beside: Vec<i64> = row.try_get("beside")?;
    let (process, gid): (Option<i32>, Option<String>) = (row.try_get("pid")?, row.try_get("gid")?);
    let directory: Option<String> = row.try_get("directory")?;
    let seconds = |name: &str| bytes(name).map(Duration::from_secs);
    let (age, prepared_age) = (seconds("age")?, seconds("prepared_age")?);
    let index_bytes = bytes("index_bytes")?;
    let is_valid: Option<bool> = row.try_get("is_valid")?;
    Ok(Room {
        version: row.try_get("version")?,
        table: oid(row.try_get("table_oid")?),
        table_bytes: bytes("table_bytes")?,
        page: bytes("block")?.max(1),
        index: index.map(|index| (oid(index), index_bytes)),
        is_valid: is_valid.unwrap_or_default(),
        taken: taken.map(oid),
        beside: beside.into_iter().map(oid).collect(),
        owner: (row.try_get("role")?, row.try_get("owner")?, row.try_get("is_owner")?),
        schema: (row.try_get("schema")?, row.try_get("may_create")?),
        nearness,
        directory: directory.filter(|directory| !directory.is_empty()).map(PathBuf::from),
        started: row.try_get("started")?,
        oldest: process.map(|process| (process, age)),
        prepared: gid.map(|gid| (gid, prepared_age)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::setting::Bounded;

    #[test]
    fn a_server_is_near_by_its_address() {
        let at = |host: &str| {
            Nearness::of(&Settings { host: host.to_owned(), port: Bounded::new(5433), ..Settings::default() })
        };
        assert_eq!(at("/run/postgresql"), Nearness::Socket("/run/postgresql/.s.PGSQL.5433".into()));
        for here in ["localhost", "127.0.0.1", "127.8.9.1", "::1"] {
            assert_eq!(at(here), Nearness::Loopback, "{here}");
        }
        for there in ["db.example.org", "10.0.0.1", "fe80::1"] {
            assert_eq!(at(there), Nearness::Elsewhere, "{there}");
        }
    }
}
