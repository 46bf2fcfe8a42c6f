//! A look at a database, as the job and the command take it.

use actingweb_maintd::jobs::index_health::{IndexHealth, Settings};
use actingweb_maintd::jobs::{Job, Place};
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::storage::Store;
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Defect, Report};
use sqlx::{Connection, PgConnection, PgPool};

use crate::harness::cluster::TestDb;
use crate::harness::{eventually, store};

/// What a look finds with these settings; nothing is changed.
pub(super) async fn look(store: &dyn Store, settings: Settings) -> Report {
    let place = Place::on(BackendKind::Postgresql);
    let job = IndexHealth::new(settings, throttle::Settings::default(), place);
    job.preview(store).await.expect("a look")
}

/// Runs statements in a session of their own. When it ends, the server is told what was counted in it.
pub(super) async fn run_in_a_session(pool: &PgPool, statements: &[&'static str]) {
    let mut session = PgConnection::connect_with(&pool.connect_options()).await.expect("a connection");
    for statement in statements {
        let done = sqlx::query(*statement).execute(&mut session).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    session.close().await.expect("the end of the connection");
}

/// Waits until the server has counted so many dead rows of a table. Counts that are told after a vacuum count as new.
pub(super) async fn until_dead(db: &TestDb, table: &str, rows: i64) {
    eventually(&format!("the server counts {rows} dead rows of {table}"), async || {
        sqlx::query_scalar("SELECT n_dead_tup >= $2 FROM pg_stat_user_tables WHERE relname = $1")
            .bind(table)
            .bind(rows)
            .fetch_one(db.pool())
            .await
            .expect("the counts")
    })
    .await;
}

/// The kinds of the findings, each with what it is about.
pub(super) fn kinds(report: &Report) -> Vec<(String, String)> {
    report.defects.iter().map(|defect| (defect.kind.clone(), defect.object.clone().unwrap_or_default())).collect()
}

/// The finding of this kind.
pub(super) fn finding<'a>(report: &'a Report, kind: &str) -> &'a Defect {
    report.defects.iter().find(|defect| defect.kind == kind).unwrap_or_else(|| panic!("no {kind} in {report:?}"))
}

/// Something that is wrong with a database, and what makes it so.
pub(super) struct Case {
    pub(super) provoke: &'static str,
    pub(super) kind: &'static str,
    pub(super) object: &'static str,
    /// Words of what it says.
    pub(super) says: &'static [&'static str],
    pub(super) mend: &'static str,
}

/// Each case is found, alone, and gone when it is mended.
pub(super) async fn hold(cases: &[Case]) {
    for Case { provoke, kind, object, says, mend } in cases {
        let db = TestDb::new().await;
        let store = store::store(&db);
        run(&db, provoke).await;
        let report = look(&*store, Settings::default()).await;
        assert_eq!(kinds(&report), [((*kind).to_owned(), (*object).to_owned())], "{provoke}: {report:#?}");
        let found = finding(&report, kind);
        for words in *says {
            let told = format!("{} {}", found.what, found.remedy);
            assert!(told.contains(words), "{words} is missing: {told}");
        }
        run(&db, mend).await;
        let report = look(&*store, Settings::default()).await;
        assert_eq!(kinds(&report), [], "{mend}");
    }
}

/// Runs statements of a test, each by itself.
pub(super) async fn run(db: &TestDb, statements: &str) {
    for statement in statements.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        let done = sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(db.pool()).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}
