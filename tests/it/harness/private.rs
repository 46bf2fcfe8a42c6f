//! A server of a test's own, for what would disturb the others: settings, restarts, passwords.

use actingweb_maintd::backup::cluster::{Cluster, Options};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

use super::daemon::Maintd;
use super::store::{open, settings_of};

/// The database that every cluster has.
const DATABASE: &str = "postgres";

/// A cluster whose database `postgres` is a deployment without rows.
#[derive(Debug)]
pub(crate) struct Private {
    // None only while the guard does something.
    cluster: Option<Cluster>,
    pool: PgPool,
}

impl Private {
    /// A cluster with these settings, and these lines before the others in `pg_hba.conf`. The
    /// superuser gets in through the socket whatever they say, unless they name `local`.
    pub(crate) async fn start(settings: &[(&str, &str)], hba: &[&str]) -> Self {
        // Before PostgreSQL 14 passwords are kept in another way than `hba` asks for them.
        let scram = [("password_encryption", "scram-sha-256")];
        let settings =
            scram.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let hba = hba.iter().map(|line| (*line).to_owned()).collect();
        let options = Options { settings, hba, ..Options::default() };
        let cluster = blocking(move || Cluster::start(&options).unwrap_or_else(|error| panic!("{error}"))).await;
        let connect = PgConnectOptions::new_without_pgpass()
            .socket(cluster.socket_dir())
            .port(cluster.port())
            .username(cluster.superuser())
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable);
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(connect);
        let socket = cluster.socket_dir().display().to_string();
        let store = open(settings_of(&socket, cluster.port(), DATABASE));
        store.apply(true).await.expect("applying the schemas");
        store.close(std::time::Duration::from_secs(5)).await;
        Self { cluster: Some(cluster), pool }
    }

    /// Connections for the test's own SQL, through the socket.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The server.
    pub(crate) fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("only taken for a moment")
    }

    /// The binary beside an application on this server, over TCP.
    pub(crate) fn maintd(&self) -> Maintd {
        Maintd::at(self.cluster().host(), self.cluster().port(), DATABASE)
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.cluster().log_file()).expect("the server's log")
    }

    /// Shuts the server down.
    pub(crate) async fn stop(&mut self) {
        self.with(|cluster| cluster.stop().unwrap_or_else(|error| panic!("{error}"))).await;
    }

    /// Kills the server, as a crash does.
    pub(crate) async fn crash(&mut self) {
        self.with(|cluster| cluster.kill().unwrap_or_else(|error| panic!("{error}"))).await;
    }

    /// Starts it again on the same data and port.
    pub(crate) async fn start_again(&mut self) {
        self.with(|cluster| cluster.start_again().unwrap_or_else(|error| panic!("{error}"))).await;
    }

    async fn with(&mut self, act: impl FnOnce(&mut Cluster) + Send + 'static) {
        let mut cluster = self.cluster.take().expect("only taken for a moment");
        let cluster = blocking(move || {
            act(&mut cluster);
            cluster
        });
        self.cluster = Some(cluster.await);
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work does not panic")
}
