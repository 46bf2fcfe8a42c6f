//! What the server's catalogue and statistics say of the application's tables and indexes. Reads no page of either.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::connect::{Login, alone, within};
use super::error::{Context, no_connection, refused};
use super::statements::{catalog as sql, survey};
use super::transaction::Transaction;
use super::{Op, Postgres, Settings};
use crate::model::Table;
use crate::model::setting::Bounded;
use crate::storage::{Error, ErrorKind, Result};

const CATALOG: Op = Op { name: "catalog", phrase: "read the catalogue" };

/// The first version that remembers by which rules of the operating system a database's texts were sorted.
const REMEMBERS_RULES: i32 = 150_000;

/// What the catalogue says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// The schema of the application's tables.
    pub schema: String,
    /// The database as a whole.
    pub database: Database,
    /// The application's tables that are there.
    pub tables: Vec<TableFacts>,
    /// Their columns, in their order.
    pub columns: Vec<ColumnFacts>,
    /// Their foreign keys.
    pub foreign_keys: Vec<ForeignKeyFacts>,
    /// Their indexes.
    pub indexes: Vec<IndexFacts>,
}

impl Catalog {
    /// What it says of the table with this name.
    pub fn table(&self, name: &str) -> Option<&TableFacts> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The server's version, as in 150014.
    pub version: i32,
    /// Whether the server only follows another one.
    pub is_standby: bool,
    /// Transactions since the oldest that a row may still be marked with.
    pub transaction_age: i64,
    /// The same for groups of transactions that lock one row.
    pub multixact_age: i64,
    /// From this age on autovacuum works against it, whatever its settings.
    pub freeze_max_age: i64,
    /// The same for groups of transactions.
    pub multixact_freeze_max_age: i64,
    /// Whether autovacuum works.
    pub autovacuum: bool,
    /// So many dead rows, ...
    pub vacuum_threshold: f64,
    /// ... and this part of all rows, are too many for autovacuum.
    pub vacuum_scale_factor: f64,
    /// Bytes of a page.
    pub block: u32,
    /// Seconds between two looks of autovacuum at the database.
    pub naptime: f64,
    /// When the statistics began; none where the server does not know.
    pub statistics_since: Option<DateTime<Utc>>,
    /// Servers that follow this one.
    pub replicas: u64,
    /// By which version of the operating system's rules its texts were sorted; none where there are no versions.
    pub collation_version: Option<String>,
    /// By which they are sorted now.
    #[serde(skip)]
    pub collation_version_now: Option<String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: String,
    /// Whether it only stands for its parts, and holds nothing itself.
    pub is_partitioned: bool,
    /// Whether a crash empties it.
    pub is_unlogged: bool,
    /// Its rows, as last counted or estimated.
    pub rows: u64,
    /// Its bytes, without what is stored beside it.
    pub bytes: u64,
    /// Transactions since the oldest that a row of it may still be marked with; none where it has no rows itself.
    pub transaction_age: Option<i64>,
    /// The same for groups of transactions.
    pub multixact_age: Option<i64>,
    /// Live rows, by the statistics.
    pub live: u64,
    /// Dead rows, by the statistics.
    pub dead: u64,
    /// Whether somebody clears them away right now, as far as we may see it.
    pub is_vacuumed: bool,
    /// How often it was read from end to end.
    pub sequential_scans: u64,
    /// How many rows that were.
    pub sequential_rows: u64,
    /// How often it was read by an index.
    pub index_scans: u64,
    /// Whether autovacuum comes to it, where that is set for it.
    pub autovacuum: Option<bool>,
    /// Its own [`Database::vacuum_threshold`].
    pub vacuum_threshold: Option<f64>,
    /// Its own [`Database::vacuum_scale_factor`].
    pub vacuum_scale_factor: Option<f64>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ColumnFacts {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its type, as `format_type` shows it.
    pub r#type: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Whether there is a value for rows that do not name it.
    pub has_default: bool,
    /// By which rules its texts are compared, where these are not the database's.
    pub collation: Option<String>,
    /// Whether texts are only equal when their bytes are.
    pub is_deterministic: Option<bool>,
    /// The version of these rules, as it was.
    pub collation_version: Option<String>,
    /// As it is.
    pub collation_version_now: Option<String>,
}

/// A foreign key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ForeignKeyFacts {
    /// The table that refers.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The table that it refers to, ...
    pub to: String,
    /// ... and whether that is in the same schema.
    pub is_here: bool,
    /// The columns that refer.
    pub columns: Vec<String>,
    /// Whether rows go with the one that they refer to.
    pub cascades: bool,
    /// Whether it is only held at the end of a transaction.
    pub is_deferred: bool,
    /// Whether it was ever held against all rows.
    pub is_validated: bool,
    /// All of it, as it would be written.
    pub definition: String,
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct IndexFacts {
    /// By this the server knows it.
    pub oid: i64,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The access method: `btree`.
    pub method: String,
    /// The columns or expressions that it is by.
    pub keys: Vec<String>,
    /// Whether it holds columns that it is not by.
    pub has_more: bool,
    /// Which rows it holds; none for all.
    pub predicate: Option<String>,
    /// Whether it is the primary key's.
    pub is_primary: bool,
    /// Whether it refuses equal keys.
    pub is_unique: bool,
    /// Whether logical replication knows rows by it.
    pub is_replica_identity: bool,
    /// Whether a constraint is made of it.
    pub is_constraint: bool,
    /// Whether it can be used.
    pub is_valid: bool,
    /// Whether it only stands for the indexes of the parts of its table, and holds nothing itself.
    pub is_partitioned: bool,
    /// Whether it has the default order, operators and rules for texts.
    pub is_plain: bool,
    /// Whether somebody holds the lock on its table that building an index takes.
    pub may_be_built: bool,
    /// Its bytes.
    pub bytes: u64,
    /// Its entries, as last counted or estimated.
    pub rows: u64,
    /// The pages that it had then.
    pub pages: u64,
    /// Whether they ever were.
    pub is_counted: bool,
    /// How full its pages are made, in hundredths; none for the default.
    pub fill_factor: Option<u8>,
    /// Whether equal keys are kept together, where that is set.
    pub deduplicates: Option<bool>,
    /// How often it was used on this server.
    pub scans: u64,
    /// What is known of the values of each of its keys, in their order.
    #[serde(skip)]
    pub values: Vec<Values>,
}

/// What is known of the values of a column or an expression, as `ANALYZE` last saw them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Values {
    /// The index.
    oid: i64,
    /// Whether they are of an expression: then they were looked at in the rows of the index only.
    pub is_expression: bool,
    /// The bytes of each, where all have the same.
    pub fixed: Option<u32>,
    /// Which part of the rows has none; not known before the first `ANALYZE`, or if we may not read the table.
    pub nulls: Option<f64>,
    /// Their bytes on average.
    pub width: Option<f64>,
    /// How many different ones there are; below zero, minus their part of the rows.
    pub distinct_values: Option<f64>,
    /// The part of the rows of each of the most common ones.
    pub common: Option<Vec<f64>>,
    /// The bytes of each of these.
    pub common_lengths: Option<Vec<u32>>,
    /// The bytes of some of the others, each for as many rows.
    pub lengths: Option<Vec<u32>>,
}

/// A server, told from others.
#[derive(Debug)]
struct Who {
    is_standby: bool,
    system_identifier: i64,
    started: DateTime<Utc>,
}

impl Who {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            is_standby: row.try_get("is_standby")?,
            system_identifier: row.try_get("system_identifier")?,
            started: row.try_get("started")?,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Used {
    name: String,
    scans: u64,
}

impl Postgres {
    /// Reads the catalogue.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn catalog(&self) -> Result<Catalog> {
        self.measured(CATALOG, async {
            let schema = self.place().await?.schema.clone();
            let mut tx = self.begin(CATALOG).await?;
            let mut database: Database = one(self.documents(&mut tx, sql::DATABASE, None).await?)?;
            if database.version >= REMEMBERS_RULES {
                let row = tx.fetch_one(self.query(sql::COLLATION_NOW)).await?;
                database.collation_version_now = row.try_get(0).op(CATALOG)?;
            }
            let place = Some(schema.as_str());
            let tables = self.documents(&mut tx, sql::TABLES, place).await?;
            let columns = self.documents(&mut tx, sql::COLUMNS, place).await?;
            let foreign_keys = self.documents(&mut tx, sql::FOREIGN_KEYS, place).await?;
            let mut indexes: Vec<IndexFacts> = self.documents(&mut tx, sql::INDEXES, place).await?;
            let values: Vec<Values> = self.documents(&mut tx, sql::KEYS, place).await?;
            tx.let_go();
            for index in &mut indexes {
                index.values = values.iter().filter(|values| values.oid == index.oid).cloned().collect();
            }
            indexes.sort_by(|one, other| (&one.table, &one.name).cmp(&(&other.table, &other.name)));
            Ok(Catalog { schema, database, tables, columns, foreign_keys, indexes })
        })
        .await
    }

    /// How often each index was used on a replica, by the index's name. It is asked like the server itself, at another
    /// address, and is then, as the one that was started at its time, among those that were asked.
    ///
    /// # Errors
    ///
    /// When it does not answer, is no replica of the server, or was asked already: an address may lead to another server
    /// after a failover, and several to one.
    pub async fn usage_on(
        &self,
        host: &str,
        port: u16,
        asked: &mut BTreeSet<DateTime<Utc>>,
    ) -> Result<BTreeMap<String, u64>> {
        self.measured(CATALOG, async {
            let schema = self.place().await?.schema.clone();
            let own = Who::read(&self.fetch_one(self.bounds, CATALOG, self.query(sql::WHO)).await?).op(CATALOG)?;
            let settings =
                Settings { host: host.to_owned(), port: Bounded::new(u64::from(port.max(1))), ..self.settings.clone() };
            let options = Login::new(&settings)?.usual;
            let connected = alone(&options).await;
            let mut connection = connected.map_err(|error| no_connection(&settings, CATALOG, error))?;
            let Some(answer) = within(ANSWER, usage(&mut connection, &schema)).await else {
                return Err(refused(CATALOG, ErrorKind::Unavailable, format!("{host}:{port} does not answer")));
            };
            let (who, used) = answer?;
            let objection = if !who.is_standby {
                "the server at this address follows no other: it is the primary itself, or was made one"
            } else if who.system_identifier != own.system_identifier {
                "the server at this address is a replica of another cluster"
            } else if !asked.insert(who.started) {
                "the server at this address was asked already, at another one"
            } else {
                return Ok(used);
            };
            Err(refused(CATALOG, ErrorKind::Other, objection))
        })
        .await
    }

    /// The documents that a statement returns, about the application's tables unless there is no schema.
    async fn documents<T: DeserializeOwned>(
        &self,
        tx: &mut Transaction,
        statement: &'static str,
        schema: Option<&str>,
    ) -> Result<Vec<T>> {
        let query = self.query(statement);
        let query = match schema {
            Some(schema) => query.bind(schema).bind(Table::ALL.map(Table::name).as_slice()),
            None => query,
        };
        tx.fetch_all(query).await?.iter().map(document).collect()
    }
}

/// How long a replica may take to answer.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(20);

async fn usage(connection: &mut PgConnection, schema: &str) -> Result<(Who, BTreeMap<String, u64>)> {
    sqlx::raw_sql(survey::BEGIN).execute(&mut *connection).await.op(CATALOG)?;
    let who = Who::read(&sqlx::query(sql::WHO).fetch_one(&mut *connection).await.op(CATALOG)?).op(CATALOG)?;
    let query = sqlx::query(sql::USAGE).bind(schema).bind(Table::ALL.map(Table::name).as_slice());
    let rows = query.fetch_all(&mut *connection).await.op(CATALOG)?;
    let used: Vec<Used> = rows.iter().map(document).collect::<Result<_>>()?;
    // It is closed by being dropped: nothing was changed.
    Ok((who, used.into_iter().map(|Used { name, scans }| (name, scans)).collect()))
}

fn document<T: DeserializeOwned>(row: &PgRow) -> Result<T> {
    let text: &str = row.try_get(0).op(CATALOG)?;
    serde_json::from_str(text)
        .map_err(|error| Error { source: Box::new(error), ..refused(CATALOG, ErrorKind::Other, "") })
}

fn one<T>(found: Vec<T>) -> Result<T> {
    found
        .into_iter()
        .next()
        .ok_or_else(|| refused(CATALOG, ErrorKind::Other, "the server does not know its own database"))
}
