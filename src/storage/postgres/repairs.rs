//! The journal of repairs of indexes, in our own schema: what was begun and is not at its end.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::again::Again;
use super::error::Context;
use super::{Backend, Op, Postgres};
use crate::model::Table;
use crate::storage::Result;

/// What is written down before anything is begun.
#[derive(Clone, Debug)]
pub struct Begin<'a> {
    /// What it is to cure, in the word of the finding.
    pub finding: &'a str,
    /// The table, and as what the server knows it.
    pub table: (Table, u32),
    /// The index that is to be there at the end.
    pub index: &'a str,
    /// Whether there is none yet; then it is made under a name of its own.
    pub creates: bool,
    /// The index as it is, and its bytes.
    pub old: Option<(u32, u64)>,
    /// Every index that is on the table.
    pub beside: &'a [u32],
    /// Who builds.
    pub backend: Backend,
    /// In the name of which run.
    pub run: Option<Uuid>,
}

/// A repair that has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Its id, by which the server's statements are known as well.
    pub id: Uuid,
    /// What it is to cure, in the word of the finding.
    pub finding: String,
    /// The table.
    pub table: Table,
    /// As what the server knew it.
    pub table_oid: u32,
    /// The index that is to be there at the end.
    pub index: String,
    /// The name that an index has while it is made; none where one is rebuilt.
    pub own_name: Option<String>,
    /// The index as it was.
    pub old_index: Option<u32>,
    /// Every index that was on the table.
    pub beside: Vec<u32>,
    /// What is built, once it was seen.
    pub new_index: Option<u32>,
    /// Who built; whoever brings it to its end may be another.
    pub backend: Backend,
    /// What was to be done next.
    pub step: RepairStep,
    /// Bytes before.
    pub bytes_before: Option<u64>,
}

/// A step of a repair. It is written down before it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairStep {
    /// The index is built.
    Building,
    /// What was made gets its name.
    Renaming,
    /// What is left is removed.
    Removing,
}

impl RepairStep {
    const ALL: [Self; 3] = [Self::Building, Self::Renaming, Self::Removing];

    const fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Renaming => "renaming",
            Self::Removing => "removing",
        }
    }
}

impl Postgres {
    /// The repairs of the deployment that have not come to their end, the oldest first.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn open_repairs(&self) -> Result<Vec<Repair>> {
        const OP: Op = Op { name: "repairs", phrase: "read which repairs are open" };
        self.measured(OP, async {
            let place = self.place().await?;
            let query = || {
                self.query(
                    "SELECT id, finding, table_name, table_oid::bigint, index_name, own_name, old_index::bigint, \
                         beside::bigint[], new_index::bigint, backend, backend_start, step, bytes_before \
                     FROM maintd.repairs WHERE deployment = $1 ORDER BY begun_at, id",
                )
                .bind(&place.schema)
            };
            let rows = self.read_again(self.bounds, OP, query).await?;
            rows.iter().map(read).collect::<Result<_, _>>().op(OP)
        })
        .await
    }

    /// Writes down that a repair begins. None when one of the same index is open.
    ///
    /// # Errors
    ///
    /// When the server does not answer; then it may have been written down.
    pub async fn begin_repair(&self, begin: Begin<'_>) -> Result<Option<Repair>> {
        const OP: Op = Op { name: "repairs", phrase: "write down that a repair begins" };
        self.measured(OP, async {
            let place = self.place().await?;
            let id = Uuid::new_v4();
            let repair = Repair {
                id,
                finding: begin.finding.to_owned(),
                table: begin.table.0,
                table_oid: begin.table.1,
                index: begin.index.to_owned(),
                own_name: begin.creates.then(|| format!("maintd_{}", &id.simple().to_string()[..12])),
                old_index: begin.old.map(|(oid, _)| oid),
                beside: begin.beside.to_vec(),
                new_index: None,
                backend: begin.backend,
                step: RepairStep::Building,
                bytes_before: begin.old.map(|(_, bytes)| bytes),
            };
            let query = || {
                self.query(
                    "INSERT INTO maintd.repairs (deployment, id, finding, table_name, table_oid, index_name, own_name, \
                         old_index, beside, backend, backend_start, step, run_id, bytes_before) \
                     VALUES ($1, $2, $3, $4, $5::bigint::oid, $6, $7, $8::bigint::oid, $9::bigint[]::oid[], $10, $11, \
                         $12, $13, $14) ON CONFLICT DO NOTHING",
                )
                .bind(&place.schema)
                .bind(repair.id)
                .bind(&repair.finding)
                .bind(repair.table.name())
                .bind(i64::from(repair.table_oid))
                .bind(&repair.index)
                .bind(&repair.own_name)
                .bind(repair.old_index.map(i64::from))
                .bind(numbers(&repair.beside))
                .bind(repair.backend.0)
                .bind(repair.backend.1)
                .bind(repair.step.name())
                .bind(begin.run)
                .bind(repair.bytes_before.map(|bytes| bytes as i64))
            };
            // Done twice it would look like somebody else's.
            let written = self.execute_again(OP, Again::Undone, query).await?;
            Ok((written == 1).then_some(repair))
        })
        .await
    }

    /// Writes down the step that is taken next.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn take_repair_step(&self, repair: &Repair, step: RepairStep) -> Result<()> {
        const OP: Op = Op { name: "repairs", phrase: "write down the next step of a repair" };
        self.measured(OP, async {
            let query =
                || self.query("UPDATE maintd.repairs SET step = $2 WHERE id = $1").bind(repair.id).bind(step.name());
            self.execute_again(OP, Again::Always, query).await.map(drop)
        })
        .await
    }

    /// Writes down which index it is that a repair builds.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn saw_new_index(&self, repair: &Repair, index: u32) -> Result<()> {
        const OP: Op = Op { name: "repairs", phrase: "write down what a repair builds" };
        self.measured(OP, async {
            let query = || {
                self.query("UPDATE maintd.repairs SET new_index = $2::bigint::oid WHERE id = $1")
                    .bind(repair.id)
                    .bind(i64::from(index))
            };
            self.execute_again(OP, Again::Always, query).await.map(drop)
        })
        .await
    }

    /// Writes down that a repair has come to its end.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn close_repair(&self, repair: &Repair) -> Result<()> {
        const OP: Op = Op { name: "repairs", phrase: "write down the end of a repair" };
        self.measured(OP, async {
            let query = || self.query("DELETE FROM maintd.repairs WHERE id = $1").bind(repair.id);
            self.execute_again(OP, Again::Always, query).await.map(drop)
        })
        .await
    }
}

/// As the server takes OIDs.
pub(super) fn numbers(oids: &[u32]) -> Vec<i64> {
    oids.iter().copied().map(i64::from).collect()
}

/// An OID that was sent as a larger number.
pub(super) fn oid(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn read(row: &PgRow) -> Result<Repair, sqlx::Error> {
    let (table, step): (String, String) = (row.try_get("table_name")?, row.try_get("step")?);
    let unknown = |what: &str| sqlx::Error::Decode(format!("maintd.repairs holds the unknown {what}").into());
    let (table_oid, beside): (i64, Vec<i64>) = (row.try_get("table_oid")?, row.try_get("beside")?);
    let (old, new): (Option<i64>, Option<i64>) = (row.try_get("old_index")?, row.try_get("new_index")?);
    let bytes: Option<i64> = row.try_get("bytes_before")?;
    Ok(Repair {
        id: row.try_get("id")?,
        finding: row.try_get("finding")?,
        table: Table::ALL
            .into_iter()
            .find(|known| known.name() == table)
            .ok_or_else(|| unknown(&format!("table {table}")))?,
        table_oid: oid(table_oid),
        index: row.try_get("index_name")?,
        own_name: row.try_get("own_name")?,
        old_index: old.map(oid),
        beside: beside.into_iter().map(oid).collect(),
        new_index: new.map(oid),
        backend: (row.try_get("backend")?, row.try_get("backend_start")?),
        step: RepairStep::ALL
            .into_iter()
            .find(|known| known.name() == step)
            .ok_or_else(|| unknown(&format!("step {step}")))?,
        bytes_before: bytes.map(i64::unsigned_abs),
    })
}
