//! How a server of PostgreSQL is set up.

use sqlx::AssertSqlSafe;

use super::{examine, follow};
use crate::harness::archiving::{archive_with, failing};
use crate::harness::cluster::{TestDb, server};
use crate::harness::daemon::Maintd;
use crate::harness::eventually;
use crate::harness::pooler::Pooler;
use crate::harness::private::Private;
use crate::harness::replica::Replica;
use crate::harness::role::{APPLICATION, JOBS, make};

async fn execute(private: &Private, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(private.pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[tokio::test]
async fn a_standby_and_those_who_keep_the_log_are_told() {
    let private = Private::start(&[], &[]).await;
    examine(private.maintd()).assert_well();
    let replica = Replica::of(&private).await;
    let primary = examine(private.maintd());
    primary.assert_well();
    assert!(primary.only("replication").1.contains("is streaming"), "{primary:#?}");

    let standby = examine(Maintd::at("127.0.0.1", replica.port(), "postgres"));
    assert_eq!(standby.code, 2);
    let (state, what, remedy) = standby.only("server");
    assert!(state == "failure" && what.ends_with("is a standby, on which nothing can be changed"), "{what}");
    assert!(remedy.contains("lead to the primary"), "{remedy}");

    // As the way past a pooler it is enough for backups, and not for whoever changes something.
    let direct = format!("[storage.postgresql.direct]\nhost = \"127.0.0.1\"\nport = {}\n", replica.port());
    examine(private.maintd().config(&direct)).assert_well();
    let repairing = format!("{direct}[jobs.index_health]\nrepair = [\"index_invalid\"]\n");
    let repairing = examine(private.maintd().config(&repairing));
    let (state, what, remedy) = repairing.only("pooler");
    assert!(
        state == "failure" && what.contains("is a standby, and repairs of indexes change something there"),
        "{what}"
    );
    assert!(remedy.contains("name the primary itself in storage.postgresql.direct"), "{remedy}");

    // So little may be late here that nothing else is.
    replica.stand_still().await;
    execute(&private, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 4000000))").await;
    let strict = || private.maintd().config("[throttle]\nreplication_lag_bytes = \"1MiB\"\n");
    let late = examine(strict());
    let (state, what, remedy) = late.only("replication");
    assert!(state == "warning" && what.contains("behind, for which jobs pause"), "{what}");
    assert!(remedy.contains("throttle.ignored_replicas") && late.code == 0, "{late:#?}");
    replica.go_on().await;
    replica.catches_up(&private).await;
    eventually("the replica to be well", async || examine(strict()).only("replication").0 == "ok").await;

    execute(&private, "SELECT pg_create_physical_replication_slot('left_over', true)").await;
    let kept = examine(private.maintd());
    let (state, what, remedy) = kept.only("replication");
    assert!(state == "warning" && what.contains("nobody uses the replication slot left_over"), "{what}");
    follow(private.pool(), remedy).await;
    examine(private.maintd()).assert_well();
}

#[tokio::test]
async fn an_archive_that_fails_is_a_failure() {
    let private = failing().await;
    let failing = examine(private.maintd());
    let (_, what, remedy) = failing.only("archive");
    assert!(failing.code == 2 && what.contains("the server cannot archive 0000"), "{what}");
    assert!(remedy.contains("archive_command"), "{remedy}");
    archive_with(&private, "true").await;
    eventually("the archive to be well", async || examine(private.maintd()).only("archive").0 == "ok").await;
    let well = examine(private.maintd());
    well.assert_well();
    assert!(well.only("archive").1.starts_with("on, and the last file went at"), "{well:#?}");
}

#[tokio::test]
async fn whoever_writes_in_another_time_zone_is_told() {
    let private = Private::start(&[], &[]).await;
    execute(&private, "CREATE ROLE writer LOGIN; GRANT INSERT ON actors TO writer; CREATE ROLE reader LOGIN").await;
    execute(&private, "ALTER ROLE reader SET timezone = 'Asia/Tokyo'").await;
    examine(private.maintd()).assert_well();
    for (change, told) in [
        ("ALTER ROLE writer SET timezone = 'Asia/Tokyo'", "writer writes in Asia/Tokyo, set for the role"),
        (
            "ALTER ROLE writer IN DATABASE postgres SET timezone = 'Asia/Kabul'",
            "writer writes in Asia/Kabul, set for the role in this database",
        ),
    ] {
        execute(&private, change).await;
        let found = examine(private.maintd());
        let (state, what, remedy) = found.only("time_zone");
        assert_eq!((state, found.code), ("warning", 0));
        assert!(what.starts_with(told) && !what.contains("reader"), "{what}");
        follow(private.pool(), remedy).await;
        examine(private.maintd()).assert_well();
    }
    execute(&private, "ALTER ROLE writer IN DATABASE postgres RESET ALL; ALTER ROLE writer RESET ALL").await;
    for change in ["ALTER DATABASE postgres SET timezone = 'Europe/Oslo'", "ALTER SYSTEM SET timezone = 'Europe/Oslo'"]
    {
        execute(&private, change).await;
        execute(&private, "SELECT pg_reload_conf()").await;
        eventually("the zone to count", async || examine(private.maintd()).only("time_zone").0 == "warning").await;
        let found = examine(private.maintd());
        let (_, what, remedy) = found.only("time_zone");
        assert!(what.contains("postgres writes in") && what.contains("; writer writes in"), "{what}");
        assert!(what.contains("Europe/Oslo"), "{what}");
        follow(private.pool(), remedy).await;
        examine(private.maintd()).assert_well();
        execute(&private, "ALTER ROLE writer IN DATABASE postgres RESET ALL").await;
        execute(&private, "ALTER ROLE postgres IN DATABASE postgres RESET ALL; ALTER DATABASE postgres RESET ALL")
            .await;
    }
}

#[tokio::test]
async fn settings_of_the_role_that_are_in_its_way_are_told() {
    let db = TestDb::new().await;
    let role = format!("bound_{}", db.name());
    make(db.host(), db.port(), db.name(), &role, JOBS);
    let maintd = || Maintd::on(&db).env("PG_DB_USER", &role);
    examine(maintd()).assert_well();
    for (change, state, told) in [
        (
            format!("ALTER ROLE {role} SET default_transaction_read_only = on"),
            "warning",
            "default_transaction_read_only is on",
        ),
        (
            "ALTER TABLE attributes ENABLE ROW LEVEL SECURITY".to_owned(),
            "failure",
            "row security hides rows of attributes",
        ),
    ] {
        sqlx::query(AssertSqlSafe(change)).execute(db.pool()).await.expect("a change");
        let found = examine(maintd());
        let (said, what, remedy) = found.only("server");
        assert!(said == state && what.contains(told), "{found:#?}");
        follow(db.pool(), remedy).await;
        examine(maintd()).assert_well();
    }
    let end = format!("REASSIGN OWNED BY {role} TO {APPLICATION}; DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(end)).execute(db.pool()).await.expect("the role is gone");
}

#[tokio::test]
async fn a_pooler_is_told_from_a_server_and_a_way_past_it_is_tried() {
    let db = TestDb::new().await;
    let (pooler, other) = (Pooler::start(&db, 4), Private::start(&[], &[]).await);
    let pooled = |config: &str| {
        let maintd = Maintd::on(&db).with_programs().env("PG_DB_PORT", pooler.port.to_string());
        examine(maintd.config(&format!("[backup]\nwhere = \"/tmp\"\nkeep_free = \"1MiB\"\n{config}")))
    };
    let alone = examine(Maintd::on(&db).env("PG_DB_PORT", pooler.port.to_string()));
    alone.assert_well();
    assert_eq!(alone.only("pooler").1, "in transaction mode, which is enough for what is configured");

    // Another server that lets the role into a database of this name.
    execute(&other, &format!("CREATE ROLE {} LOGIN", db.role())).await;
    execute(&other, &format!("CREATE DATABASE {}", db.name())).await;
    let past = |port: u16| format!("[storage.postgresql.direct]\nport = {port}\n");
    for (config, told) in [
        (String::new(), "in transaction mode, and backups need a connection of their own"),
        (past(1), "storage.postgresql.direct leads nowhere"),
        (past(other.cluster().port()), "leads to another server than storage.postgresql.host"),
    ] {
        let found = pooled(&config);
        let (state, what, remedy) = found.only("pooler");
        assert!(state == "failure" && what.contains(told), "{found:#?}");
        assert!(remedy.contains("storage.postgresql.direct"), "{remedy}");
    }
    let another = Pooler::start(&db, 4);
    let found = pooled(&past(another.port));
    let (state, what, _) = found.only("pooler");
    assert!(state == "failure" && what.contains("is a pooler that lends out"), "{what}");
    pooled(&past(server().port)).assert_well();
}
