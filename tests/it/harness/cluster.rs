//! The PostgreSQL server of this test run, and a database of its own for each test.

use std::{env, path::PathBuf, sync::OnceLock, thread};

use actingweb_maintd::backup::cluster::{Cluster, Options};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

/// The database that tests get a copy of.
const TEMPLATE: &str = "actingweb_template";

/// Serialises making the template; any number that nobody else uses on the server.
const TEMPLATE_LOCK: i64 = 0x6d61_696e_7464;

/// The server that all tests of a run share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The directory of PostgreSQL's programs.
    pub(crate) bin_dir: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// The server is ours if nobody gave us one. It ends with this process.
    _own: Option<Cluster>,
}

/// The server that `examples/private_cluster.rs` announces; else one for this process.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let variable = |name| env::var(name).ok();
        if let Some(host) = variable("TEST_PG_HOST") {
            let expect = |name| variable(name).unwrap_or_else(|| panic!("TEST_PG_HOST is set, {name} is not"));
            return Server {
                host,
                port: expect("TEST_PG_PORT").parse().expect("TEST_PG_PORT is a port"),
                bin_dir: expect("TEST_PG_BIN").into(),
                data_dir: expect("TEST_PG_DATA").into(),
                _own: None,
            };
        }
        let cluster = Cluster::start(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
        Server {
            host: cluster.host().to_owned(),
            port: cluster.port(),
            bin_dir: cluster.bin_dir().to_owned(),
            data_dir: cluster.data_dir(),
            _own: Some(cluster),
        }
    })
}

impl Server {
    /// How to connect to one of the server's databases.
    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username("postgres")
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// A connection for creating and dropping databases.
    async fn maintenance(&self) -> PgConnection {
        PgConnection::connect_with(&self.options("postgres")).await.expect("the test server accepts connections")
    }
}

/// A database for one test; dropped with this value.
#[derive(Debug)]
pub(crate) struct TestDb {
    name: String,
    pool: PgPool,
}

impl TestDb {
    /// A copy of the template: the application's schema at its head, the daemon's own, and no rows.
    pub(crate) async fn new() -> Self {
        make_template().await;
        Self::copy(TEMPLATE).await
    }

    /// A database with nothing in it.
    pub(crate) async fn empty() -> Self {
        Self::copy("template0").await
    }

    /// A copy of this database, as somebody makes one who wants another to play with. Nobody may be connected.
    pub(crate) async fn clone(&self) -> Self {
        self.pool.close().await;
        Self::copy(&self.name).await
    }

    async fn copy(template: &str) -> Self {
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let mut connection = server().maintenance().await;
        execute(&mut connection, format!("create database {name} template {template}")).await;
        connection.close().await.expect("closing a connection");
        let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(server().options(&name));
        Self { name, pool }
    }

    /// The database's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The server's address.
    pub(crate) fn host(&self) -> &'static str {
        &server().host
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        server().port
    }

    /// A role that may do everything, and needs no password.
    pub(crate) fn user(&self) -> &'static str {
        "postgres"
    }

    /// Connections for the test's own SQL. What is tested makes its own.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Drop for TestDb {
    /// Databases that stay would fill the memory that the cluster is in. Whoever is still
    /// connected is disconnected; and what cannot be dropped goes with the cluster.
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server().options("postgres")).await?;
                let sql = format!("drop database if exists {name} with (force)");
                sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
                connection.close().await?;
                Ok::<_, anyhow::Error>(())
            })
        });
        let _ = dropping.join();
    }
}

/// Makes the template if this is the first test on this server that wants it.
async fn make_template() {
    let mut connection = server().maintenance().await;
    if template_is_complete(&mut connection).await {
        return;
    }
    // nextest runs other tests in other processes; the lock ends with the connection.
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut connection).await.expect("lock");
    if !template_is_complete(&mut connection).await {
        execute(&mut connection, format!("drop database if exists {TEMPLATE}")).await;
        execute(&mut connection, format!("create database {TEMPLATE} template template0")).await;
        fill_template().await;
        // Last: this is what says that it is complete. And nobody may connect to what is copied.
        execute(&mut connection, format!("alter database {TEMPLATE} is_template true allow_connections false")).await;
    }
    connection.close().await.expect("closing a connection");
}

/// Makes the application's tables and the daemon's own in the template. Once per server.
async fn fill_template() {
    let store = super::store::open_at(server(), TEMPLATE);
    store.apply(true).await.expect("applying the schema to the template");
    store.close(std::time::Duration::from_secs(5)).await;
}

async fn template_is_complete(connection: &mut PgConnection) -> bool {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
        .bind(TEMPLATE)
        .fetch_one(connection)
        .await
        .expect("reading pg_database")
}

async fn execute(connection: &mut PgConnection, sql: String) {
    let log = server().data_dir.with_file_name("postgres.log");
    sqlx::query(AssertSqlSafe(sql.clone()))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error} (the server's log is {})", log.display()));
}

#[tokio::test]
async fn a_test_database_is_gone_after_its_test() {
    let first = TestDb::new().await;
    let second = TestDb::new().await;
    sqlx::query("create table only_here (id int)").execute(first.pool()).await.unwrap();
    let name = first.name().to_owned();
    drop(first);

    let left: Vec<String> =
        sqlx::query_scalar("select datname from pg_database where datname = $1 or datname = current_database()")
            .bind(&name)
            .fetch_all(second.pool())
            .await
            .unwrap();
    assert_eq!(left, [second.name()]);
    assert!(sqlx::query("select from only_here").execute(second.pool()).await.is_err());
}
