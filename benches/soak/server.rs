//! The database, and the witness in it.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::backup::cluster::{Cluster, Options};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::postgres::{Postgres, Settings, SslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::daemon::Database;

/// Every cluster has it.
const DATABASE: &str = "postgres";

/// A row should be gone this long after it has expired, whatever happens meanwhile.
const PROMPT: Duration = Duration::from_secs(60);

/// Writes down what is deleted, row by row judged at the moment of its deletion, in the deletion's
/// own transaction. And the slot from which accounts are kept.
const WITNESS: &str = "
    CREATE SCHEMA witness;
    CREATE TABLE witness.deletions (gone bigint NOT NULL, live bigint NOT NULL);
    CREATE FUNCTION witness.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO witness.deletions SELECT count(*), count(*) FILTER (
            WHERE (ttl_timestamp < floor(extract(epoch FROM clock_timestamp()))) IS NOT TRUE) FROM gone;
        RETURN NULL;
    END $$;
    CREATE TRIGGER witness AFTER DELETE ON attributes REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION witness.note();

    CREATE TABLE witness.baseline AS SELECT date_trunc('second', now()) AS slot;
    INSERT INTO maintd.leases (deployment, backend, job, last_slot)
    SELECT 'public', 'postgresql', 'ttl_cleanup', slot FROM witness.baseline;
";

/// A throw-away server with an application's tables and ours.
#[derive(Debug)]
pub(crate) struct Server(Cluster);

impl Server {
    /// Starts it, with a role for each daemon.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let server = Self(tokio::task::spawn_blocking(|| Cluster::start(&Options::default())).await??);
        let settings = Settings {
            host: server.0.host().to_owned(),
            port: Bounded::new(u64::from(server.0.port())),
            dbname: DATABASE.to_owned(),
            user: server.0.superuser().to_owned(),
            sslmode: SslMode::Disable,
            ..Settings::default()
        };
        let metrics = Arc::new(Metrics::new("soak", "soak"));
        let store = Postgres::new(settings, Duration::from_secs(10), metrics)?;
        store.apply(true).await?;
        store.close(Duration::from_secs(1)).await;
        server.execute(WITNESS).await?;
        Ok(server)
    }

    /// Ends it and removes its data.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self.0)).await?)
    }

    /// A connection that may do everything.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass().host(self.0.host()).port(self.0.port());
        let options = options.username(self.0.superuser()).database(DATABASE).ssl_mode(PgSslMode::Disable);
        Ok(PgConnection::connect_with(&options).await?)
    }

    /// Runs `sql`.
    pub(crate) async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// The database, as a daemon with this role finds it.
    pub(crate) fn database(&self, role: &str) -> Database {
        let (host, port) = (self.0.host().to_owned(), self.0.port());
        Database { host, port, name: DATABASE.to_owned(), role: role.to_owned() }
    }

    /// How many rows have been left lying.
    pub(crate) async fn left_behind(&self) -> anyhow::Result<i64> {
        let sql = "SELECT count(*) FROM attributes WHERE ttl_timestamp < extract(epoch FROM now()) - $1";
        Ok(sqlx::query_scalar(sql).bind(PROMPT.as_secs_f64()).fetch_one(&mut self.connect().await?).await?)
    }
}
