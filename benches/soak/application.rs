//! What an application does: rows that expire soon, are extended at the last moment or a moment
//! later, and are read.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::task::JoinHandle;

use super::server::Server;

/// Between two goes.
const PAUSE: Duration = Duration::from_millis(100);

/// One go: ten rows that expire within half a minute, two extended that have just expired or are
/// about to, and a few read.
const GO: [&str; 3] = [
    "INSERT INTO attributes (id, bucket_name, bucket, name, data, ttl_timestamp) \
     SELECT '_actingweb_oauth2', 'spa_access_tokens:' || name, 'spa_access_tokens', name, '{\"scope\": \"openid\"}', \
         floor(extract(epoch FROM now()))::bigint + 1 + (random() * 30)::int \
     FROM (SELECT gen_random_uuid()::text AS name FROM generate_series(1, 10)) AS fresh",
    "UPDATE attributes SET ttl_timestamp = floor(extract(epoch FROM now()))::bigint + 30 \
     WHERE (id, bucket_name) IN (SELECT id, bucket_name FROM attributes \
         WHERE ttl_timestamp < extract(epoch FROM now()) + 2 ORDER BY ttl_timestamp DESC LIMIT 2)",
    "SELECT data FROM attributes WHERE id = '_actingweb_oauth2' AND bucket_name > 'spa_access_tokens:' || $1 \
     ORDER BY bucket_name LIMIT 5",
];

/// A running application.
#[derive(Debug)]
pub(crate) struct Application(JoinHandle<sqlx::Result<()>>);

impl Application {
    /// Starts it.
    pub(crate) async fn start(server: &Server) -> anyhow::Result<Self> {
        let connection = server.connect().await?;
        Ok(Self(tokio::spawn(use_it(connection))))
    }

    /// Whether it still runs.
    pub(crate) fn goes_on(&self) -> bool {
        !self.0.is_finished()
    }

    /// Ends it, in the middle of something perhaps: its server is thrown away soon.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.0.abort();
        match self.0.await {
            Ok(failed) => Ok(failed?),
            Err(_aborted) => Ok(()),
        }
    }
}

async fn use_it(mut connection: PgConnection) -> sqlx::Result<()> {
    let [write, extend, read] = GO;
    for go in 0_u32.. {
        sqlx::query(write).execute(&mut connection).await?;
        sqlx::query(extend).execute(&mut connection).await?;
        let from = format!("{:x}", go % 256);
        sqlx::query(read).bind(from).fetch_all(&mut connection).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
