//! What a role may see, and what becomes of what it may not.

use std::sync::Arc;

use actingweb_maintd::model::Table;
use actingweb_maintd::model::setting::{Bounded, Size};
use actingweb_maintd::storage::postgres::{self, Postgres};
use actingweb_maintd::storage::{Pressure, Reading, Strain};
use actingweb_maintd::throttle::Settings;

use super::log::Log;
use super::{Work, add_expired, calm};
use crate::harness::archiving::{archive_with, complete_files, failing, until_archived};
use crate::harness::eventually;
use crate::harness::private::Private;
use crate::harness::replica::Replica;
use crate::harness::store::{open, settings_of};

/// A role with no more than a job needs.
const PLAIN: &str = "
    CREATE ROLE plain LOGIN;
    GRANT SELECT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain;
    GRANT USAGE ON SCHEMA maintd TO plain;
    GRANT ALL ON ALL TABLES IN SCHEMA maintd TO plain;
";

fn store_as(server: &Private, role: &str) -> Arc<Postgres> {
    let settings = settings_of(server.cluster().host(), server.cluster().port(), "postgres");
    open(postgres::Settings { user: role.to_owned(), ..settings })
}

async fn strain(store: &Postgres) -> Strain {
    store.strain(Some(Table::Attributes), &[]).await.unwrap()
}

#[tokio::test]
async fn what_may_not_be_seen_is_told_once_and_the_rest_is_heeded() {
    let server = failing().await;
    let _replica = Replica::of(&server).await;
    sqlx::raw_sql(PLAIN).execute(server.pool()).await.unwrap();
    // Autovacuum would come to so many new rows.
    sqlx::query("ALTER TABLE attributes SET (autovacuum_enabled = off)").execute(server.pool()).await.unwrap();
    add_expired(server.pool(), 100_000).await;
    complete_files(&server, 2).await;
    let all = strain(&store_as(&server, "postgres")).await;
    assert!(matches!(all.replay, Reading::Seen(_)) && all.vacuum == Reading::Seen(false), "{all:?}");
    let Reading::Seen(archive) = all.archive else { panic!("{all:?}") };
    assert!(archive.is_failing && archive.waiting.is_some_and(|waiting| waiting >= 3), "{all:?}");

    let store = store_as(&server, "plain");
    let some = strain(&store).await;
    assert_eq!((some.replay, some.vacuum), (Reading::Hidden, Reading::Seen(false)), "{some:?}");
    let Reading::Seen(archive) = some.archive else { panic!("{some:?}") };
    // Nothing has been archived yet, so nothing can be counted from there.
    assert_eq!((archive.is_failing, archive.waiting), (true, None), "{some:?}");
    let (Reading::Seen(left), Reading::Seen(seen)) = (all.connections, some.connections) else {
        panic!("{all:?} {some:?}")
    };
    assert!(left.abs_diff(seen) <= 3, "{left} and {seen} connections are left");

    let log = Log::listen();
    let heeding =
        Settings { replication_lag_bytes: Size::mebibytes(64), wal_archive_backlog: Bounded::new(100), ..calm() };
    let work = Work::begin(&store, heeding);
    work.until_resting("wal_archive").await;
    assert_eq!(work.findings("throttle_signals"), Some(2.0));
    archive_with(&server, "true").await;
    work.until_full_speed().await;
    let told = log.with("cannot heed");
    assert!(told.len() == 1 && told[0].contains("GRANT pg_monitor"), "{told:?}");
    assert!(told[0].contains("replication_lag, wal_archive_backlog"), "{told:?}");

    // What was archived last tells how many are left, without looking where they wait.
    until_archived(&server).await;
    // Unless one has just been completed.
    eventually(
        "none to be left",
        async || matches!(strain(&store).await.archive, Reading::Seen(archive) if archive.waiting == Some(0)),
    )
    .await;
    sqlx::query("GRANT pg_monitor TO plain").execute(server.pool()).await.unwrap();
    eventually("the grant to work at once", async || work.findings("throttle_signals") == Some(0.0)).await;
    assert!(matches!(strain(&store).await.replay, Reading::Seen(_)));
    // And what is taken back is missed again, and costs no more than one answer.
    sqlx::query("REVOKE pg_monitor FROM plain").execute(server.pool()).await.unwrap();
    eventually("it to be missed", async || {
        store.strain(None, &[]).await.is_ok_and(|strain| strain.replay == Reading::Hidden)
    })
    .await;
    work.end().await;
}

#[tokio::test]
async fn a_server_that_is_well_has_no_strain() {
    let server = Private::start(&[], &[]).await;
    let strain = strain(&store_as(&server, "postgres")).await;
    assert!(matches!(strain.connections, Reading::Seen(left) if left > 100), "{strain:?}");
    let rest = Strain { connections: Reading::Absent, ..strain };
    let (replay, vacuum) = (Reading::Seen(Default::default()), Reading::Seen(false));
    assert_eq!(rest, Strain { replay, vacuum, ..Strain::default() });
}
