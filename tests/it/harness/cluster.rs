//! The PostgreSQL server of this test run, and a database of its own for each test.

use std::{env, path::PathBuf, sync::OnceLock, thread};

use actingweb_maintd::backup::cluster::{Cluster, Options};
use chrono::{DateTime, Utc};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

use super::eventually;
use super::role::{self, APPLICATION, JOBS, MAINTENANCE, REPAIRING, REPAIRS};

/// The database that tests get a copy of.
const TEMPLATE: &str = "actingweb_template";

/// Serialises making the template and its roles; any number that nobody else uses on the server.
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

/// A database for one test; dropped with this value. The application owns it.
#[derive(Debug)]
pub(crate) struct TestDb {
    name: String,
    pool: PgPool,
    role: &'static str,
}

impl TestDb {
    /// A copy of the template: the application's schema at its head, the daemon's own, and no rows. The daemon's role
    /// may do what its jobs need and nothing else.
    pub(crate) async fn new() -> Self {
        make_template().await;
        Self::copy(TEMPLATE, MAINTENANCE).await
    }

    /// A database with nothing in it. Whoever makes the application's tables owns them, so the daemon has the
    /// application's role.
    pub(crate) async fn empty() -> Self {
        // It makes the roles as well.
        make_template().await;
        Self::copy("template0", APPLICATION).await
    }

    /// One like [`Self::new`], whose daemon may vacuum tables and repair indexes as well, for which it has to have the
    /// rights of their owner.
    pub(crate) async fn repairing() -> Self {
        make_template().await;
        let db = Self::copy(TEMPLATE, REPAIRING).await;
        let mut connection = server().maintenance().await;
        // What is granted to one and the same role at the same time is refused.
        lock(&mut connection).await;
        role::make(db.host(), db.port(), db.name(), REPAIRING, REPAIRS);
        connection.close().await.expect("closing a connection");
        db
    }

    /// A copy of this database, as somebody makes one who wants another to play with. Nobody may be connected.
    pub(crate) async fn clone(&self) -> Self {
        self.pool.close().await;
        Self::copy(&self.name, self.role).await
    }

    async fn copy(template: &str, role: &'static str) -> Self {
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let mut connection = server().maintenance().await;
        execute(&mut connection, format!("create database {name} template {template} owner {APPLICATION}")).await;
        connection.close().await.expect("closing a connection");
        let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(server().options(&name));
        Self { name, pool, role }
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

    /// The daemon's role. Nobody here needs a password.
    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    /// A role that may do everything.
    pub(crate) fn superuser(&self) -> &'static str {
        "postgres"
    }

    /// Connections of the superuser for the test's own SQL. What is tested makes its own.
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
    lock(&mut connection).await;
    if !template_is_complete(&mut connection).await {
        execute(&mut connection, format!("drop database if exists {TEMPLATE}")).await;
        let role_is_missing = "select not exists (select from pg_roles where rolname = $1)";
        let is_missing = sqlx::query_scalar(role_is_missing).bind(APPLICATION).fetch_one(&mut connection).await;
        if is_missing.expect("reading pg_roles") {
            execute(&mut connection, format!("create role {APPLICATION} login")).await;
        }
        execute(&mut connection, format!("create database {TEMPLATE} template template0 owner {APPLICATION}")).await;
        fill_template().await;
        // Last: this is what says that it is complete. And nobody may connect to what is copied.
        execute(&mut connection, format!("alter database {TEMPLATE} is_template true allow_connections false")).await;
    }
    connection.close().await.expect("closing a connection");
}

/// Makes the application's tables and the daemon's own in the template, and then the daemon's role, which takes over
/// its own. Once per server.
async fn fill_template() {
    let server = server();
    let store = super::store::open_at(server, TEMPLATE, APPLICATION);
    store.apply(true).await.expect("applying the schema to the template");
    store.close(std::time::Duration::from_secs(5)).await;
    role::make(&server.host, server.port, TEMPLATE, MAINTENANCE, JOBS);
}

/// nextest runs other tests in other processes; the lock ends with the connection.
async fn lock(connection: &mut PgConnection) {
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(connection).await.expect("lock");
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

/// Waits until the server is done with what daemons had asked of it before, in the database of `pool`: that is still
/// carried out when whoever has asked is killed. Returns when that had happened, by its clock.
pub(crate) async fn done_with_the_killed(pool: &PgPool) -> DateTime<Utc> {
    let dead: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await.expect("the time");
    eventually("the server to be done with what it was asked", async || {
        sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'actingweb-maintd' AND xact_start <= $1)",
        )
        .bind(dead)
        .fetch_one(pool)
        .await
        .expect("reading what the server does")
    })
    .await;
    dead
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
