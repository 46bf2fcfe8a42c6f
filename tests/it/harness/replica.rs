//! A streaming replica of a test's own server, which can be made to stand still.

use actingweb_maintd::backup::cluster::{Cluster, Options};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, PgPool};

use super::eventually;
use super::private::{Private, blocking};

/// A replica.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Gone with this value.
    cluster: Cluster,
    pool: PgPool,
}

impl Replica {
    /// One that follows `primary`, and says each second how far it is.
    pub(crate) async fn of(primary: &Private) -> Self {
        let settings = vec![("wal_receiver_status_interval".to_owned(), "1s".to_owned())];
        let options = Options { primary: Some(primary.cluster().port()), settings, ..Options::default() };
        let cluster = blocking(move || Cluster::start(&options).unwrap_or_else(|error| panic!("{error}"))).await;
        let connect = PgConnectOptions::new_without_pgpass()
            .socket(cluster.socket_dir())
            .port(cluster.port())
            .username(cluster.superuser())
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        eventually("the replica to follow", async || {
            // What it got with its copy it has replayed before that.
            // Whoever has sent the copy may not have gone yet.
            let streaming = "SELECT coalesce(bool_and(state = 'streaming' AND application_name = 'walreceiver'), false) \
                             FROM pg_stat_replication";
            sqlx::query_scalar(streaming).fetch_one(primary.pool()).await.expect("asking the primary")
        })
        .await;
        Self { cluster, pool: PgPoolOptions::new().max_connections(1).connect_lazy_with(connect) }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Waits until it has replayed what its primary has written.
    pub(crate) async fn catches_up(&self, primary: &Private) {
        let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
            .fetch_one(primary.pool())
            .await
            .expect("the place in the log");
        eventually("the replica to catch up", async || {
            sqlx::query_scalar::<_, bool>("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn")
                .bind(&written)
                .fetch_one(&self.pool)
                .await
                .expect("asking the replica")
        })
        .await;
    }

    /// Receives from now on, and replays nothing.
    pub(crate) async fn stand_still(&self) {
        self.execute("SELECT pg_wal_replay_pause()").await;
    }

    /// Replays again.
    pub(crate) async fn go_on(&self) {
        self.execute("SELECT pg_wal_replay_resume()").await;
    }

    /// Runs statements there, in a session of their own.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let mut session = self.pool.acquire().await.expect("a connection").detach();
        sqlx::raw_sql(sql).execute(&mut session).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        session.close().await.expect("the end of the connection");
    }
}

/// Bytes of the write-ahead log that the slowest replica of a server has not replayed.
pub(crate) async fn lag(primary: &Private) -> i64 {
    sqlx::query_scalar(
        "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint FROM pg_stat_replication",
    )
    .fetch_one(primary.pool())
    .await
    .expect("asking for the lag")
}
