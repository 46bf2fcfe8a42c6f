//! `VACUUM`, which cannot be in a transaction, and so is the one statement that is not.

use std::pin::pin;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use uuid::Uuid;

use super::super::connect::within;
use super::super::error::{Context, refused};
use super::super::statements;
use super::super::sweep::count;
use super::super::{Op, Postgres};
use crate::model::Table;
use crate::storage::{ErrorKind, Result, Vacuumed};
use crate::work::Stop;

const OP: Op = Op { name: "vacuum", phrase: "vacuum a table" };

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// Between two attempts to end it, and between two looks whether it was counted.
const AGAIN: Duration = Duration::from_millis(250);

/// How often either is tried. A vacuum looks up after each page, and counts are half a second late on
/// older servers.
const TRIES: u32 = 20;

impl Postgres {
    pub(super) async fn vacuum_table(&self, table: Table, stop: &Stop) -> Result<Vacuumed> {
        self.measured(OP, async {
            let place = self.place().await?;
            let name = statements::full_name(&place.schema, table);
            let before = self.vacuums(&name).await?;
            if stop.requested().is_some() {
                return Ok(Vacuumed::Stopped);
            }
            let options = self.pool.connect_options();
            let connected = within(CONNECTING, PgConnection::connect_with(&options)).await;
            let mut connection =
                connected.ok_or_else(|| refused(OP, ErrorKind::Unavailable, "the server does not answer"))?.op(OP)?;
            // By this it is found among what others do, also behind a pooler.
            let mark = Uuid::new_v4();
            {
                let vacuum = sqlx::raw_sql(statements::vacuum(&place.schema, table, mark));
                let mut vacuum = pin!(vacuum.execute(&mut connection));
                tokio::select! {
                    done = &mut vacuum => {
                        done.op(OP)?;
                    }
                    () = stop.wait() => {
                        for _ in 0..TRIES {
                            self.end_vacuum(mark).await?;
                            if within(AGAIN, &mut vacuum).await.is_some() {
                                break;
                            }
                        }
                        // It is closed, with whatever did not end.
                        return Ok(Vacuumed::Stopped);
                    }
                }
            }
            // What it had to say has been said.
            let _closed = within(AGAIN, connection.close()).await;
            for _ in 0..TRIES {
                if self.vacuums(&name).await? > before {
                    return Ok(Vacuumed::Done);
                }
                stop.sleep(AGAIN).await;
            }
            Ok(Vacuumed::PassedOver)
        })
        .await
    }

    /// How often a table was vacuumed by hand.
    async fn vacuums(&self, name: &str) -> Result<u64> {
        let query = self.query("SELECT coalesce(pg_stat_get_vacuum_count(to_regclass($1::text)), 0)").bind(name);
        count(&self.fetch_one(self.bounds, OP, query).await?, 0, OP)
    }

    /// Has the server end the vacuum with this mark.
    async fn end_vacuum(&self, mark: Uuid) -> Result<()> {
        let query = self.query(
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity \
             WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '/* vacuum ' || $1::text || '%'",
        );
        self.fetch_one(self.bounds, OP, query.bind(mark.to_string())).await.map(drop)
    }

    pub(super) async fn find_unvacuumed(&self) -> Result<Vec<Table>> {
        const OP: Op = Op { name: "unvacuumed", phrase: "ask which tables autovacuum comes to" };
        self.measured(OP, async {
            let place = self.place().await?;
            let names: Vec<String> = Table::ALL.map(|table| statements::full_name(&place.schema, table)).to_vec();
            let query = self.query(
                "SELECT relname::text FROM unnest($1::text[]) AS name JOIN pg_class ON oid = to_regclass(name) \
                 WHERE NOT current_setting('autovacuum')::boolean OR NOT current_setting('track_counts')::boolean \
                     OR EXISTS (SELECT FROM unnest(reloptions) AS option \
                         WHERE CASE split_part(option, '=', 1) WHEN 'autovacuum_enabled' \
                             THEN NOT split_part(option, '=', 2)::boolean END)",
            );
            let rows = self.fetch_all(self.bounds, OP, query.bind(names)).await?;
            let mut found = Vec::new();
            for row in &rows {
                let name: &str = row.try_get(0).op(OP)?;
                found.extend(Table::named(name));
            }
            Ok(found)
        })
        .await
    }
}
