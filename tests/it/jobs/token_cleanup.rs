//! What changes while `token_cleanup` is at work, and what it says of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actingweb_maintd::jobs::token_cleanup::{Settings, TokenCleanup, Tools};
use actingweb_maintd::jobs::{self, token_cleanup};
use actingweb_maintd::model::row::Attribute;
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::model::{Record, Row, Table, clock, json};
use actingweb_maintd::storage::{AttributePlace, BucketWalk, Located, Place, Result, Segment, Store, Walked, Wanted};
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Outcome, Report, Stop, StopReason};
use async_trait::async_trait;

use crate::harness::cluster::TestDb;
use crate::harness::dynamodb::TestTables;
use crate::harness::runner::{Site, run_job, runner, runner_of};
use crate::harness::store;

const COMMON: &str = "_actingweb_oauth2";

fn attribute(id: &str, bucket: &str, name: &str, data: &str) -> Attribute {
    Attribute::new(id, bucket, name, Some(json::parse(data).expect("JSON")))
}

async fn write(store: &dyn Store, rows: impl IntoIterator<Item = Attribute>) {
    let records: Vec<Record> = rows.into_iter().map(Row::Attribute).map(Record::from).collect();
    store.write(&records).await.expect("writing");
}

/// The keys of all attributes, without ids.
async fn names(store: &dyn Store) -> BTreeSet<String> {
    let all = store.scan(Table::Attributes, Segment::WHOLE, &Place::default(), 10_000).await.expect("reading");
    let name = |record: Record| match record.meaning {
        Ok(Row::Attribute(row)) => row.bucket_name,
        other => panic!("{other:?}"),
    };
    all.records.into_iter().map(name).collect()
}

/// One and the same store, as the daemon has it and as the application has it.
struct Stores {
    ours: Arc<dyn Store>,
    application: Arc<dyn Store>,
}

/// Rows that have ended long ago, and change as soon as they have been read.
struct Meddled<'a> {
    stores: &'a Stores,
    changes: Vec<Attribute>,
    done: AtomicBool,
    stop: Option<Stop>,
}

#[async_trait]
impl BucketWalk for Meddled<'_> {
    async fn walk(&self, wanted: &Wanted, segment: Segment, place: &Place, limit: u32) -> Result<Walked> {
        self.stores.ours.walk(wanted, segment, place, limit).await
    }

    /// The last that is read before anything is deleted.
    async fn locate(&self, places: &[AttributePlace]) -> Result<Located> {
        let located = self.stores.ours.locate(places).await;
        if !self.done.swap(true, Ordering::Relaxed) {
            write(&*self.stores.application, self.changes.clone()).await;
            if let Some(stop) = &self.stop {
                stop.request(StopReason::Shutdown);
            }
        }
        located
    }
}

/// A run over what is stored, during which the changes are made.
async fn meddled(stores: &Stores, changes: Vec<Attribute>, stops: bool) -> Report {
    let store = &stores.ours;
    let site = Site::of(&**store, token_cleanup::NAME).await;
    let place = jobs::Place::on(store.backend());
    let settings = Settings { segments: Bounded::new(1), ..Settings::default() };
    let job = TokenCleanup::new(settings, throttle::Settings::default(), place);
    let stop = stops.then(|| site.stop.clone());
    let rows = Meddled { stores, changes, done: AtomicBool::new(false), stop };
    let mut report = Report::default();
    let tools = Tools { clock: &**store, rows: &rows, removals: &**store };
    job.clean(tools, site.at(&**store), &mut report).await.expect("cleaning up");
    report
}

async fn what_changes_between_reading_and_deleting_stays(stores: Stores) {
    let now = clock::now().timestamp();
    let index = |name: &str| attribute(COMMON, "_refresh_token_index", name, "\"actor\"");
    let token = |name: &str, data: &str| attribute("actor", "mcp_refresh_tokens", name, data);
    write(
        &*stores.application,
        [
            index("used"),
            token("used", "{\"expires_at\": 1, \"used\": false}"),
            index("made"),
            index("gone"),
            index("old"),
            token("old", "{\"expires_at\": 1}"),
            attribute(COMMON, "spa_refresh_tokens", "spa", "{\"expires_at\": 1, \"used\": false}"),
        ],
    )
    .await;
    let used = format!("{{\"expires_at\": 1, \"used\": true, \"used_at\": {now}}}");
    let changes = vec![
        token("used", &used),
        // One is stored again under its name, after its index entry was read.
        token("made", &format!("{{\"expires_at\": {}}}", now + 1000)),
        attribute(COMMON, "spa_refresh_tokens", "spa", &used),
    ];
    let report = meddled(&stores, changes, false).await;
    let kept = [
        "_refresh_token_index:made",
        "_refresh_token_index:used",
        "mcp_refresh_tokens:made",
        "mcp_refresh_tokens:used",
        "spa_refresh_tokens:spa",
    ];
    assert_eq!(names(&*stores.application).await, BTreeSet::from(kept.map(str::to_owned)));
    // What has changed is looked at once more, and lives.
    assert_eq!((report.deleted, report.skipped, report.more), (3, 4, false), "{report:?}");
    assert_eq!(report.reasons, [("expired".to_owned(), 1), ("orphan".to_owned(), 2)].into());
}

async fn an_access_token_stays_with_a_provider_token_that_has_changed(stores: Stores) {
    let provider = |data: &str| attribute("actor", "mcp_google_tokens", "p", data);
    let token = attribute("actor", "mcp_tokens", "t", "{\"expires_at\": 1, \"google_token_key\": \"p\"}");
    write(&*stores.application, [provider("{\"a\": 1}"), token]).await;
    let report = meddled(&stores, vec![provider("{\"a\": 2}")], false).await;
    // At the second look both go.
    assert_eq!(names(&*stores.application).await, BTreeSet::new());
    assert_eq!((report.deleted, report.skipped, report.more), (2, 1, false), "{report:?}");
}

async fn a_run_that_is_asked_to_stop_says_that_work_remains(stores: Stores) {
    let rows = (0..10)
        .map(|n| attribute("actor", "mcp_tokens", &format!("{n}"), "{\"expires_at\": 1, \"google_token_key\": \"p\"}"));
    write(&*stores.application, rows).await;
    let report = meddled(&stores, Vec::new(), true).await;
    assert_eq!((report.deleted, report.stopped, report.more), (0, Some(StopReason::Shutdown), true), "{report:?}");
    assert_eq!(names(&*stores.application).await.len(), 10);
}

async fn a_longer_grace_keeps_rows_longer(stores: Stores) {
    let now = clock::now().timestamp();
    let row = |hours: i64| {
        let data = format!("{{\"expires_at\": {}}}", now - hours * 3600);
        attribute(COMMON, "spa_access_tokens", &format!("{hours}"), &data)
    };
    write(&*stores.application, [row(0), row(2), row(30), row(50)]).await;
    let runner = runner_of(Arc::clone(&stores.ours));
    let settings = |grace| {
        let token_cleanup = Settings { grace, ..Settings::default() };
        jobs::Settings { token_cleanup, ..jobs::Settings::default() }
    };
    for (grace, left) in [(Span::secs(48 * 3600), 3), (Span::secs(24 * 3600), 2), (Span::secs(3600), 1)] {
        let run = run_job(&runner, token_cleanup::NAME, &settings(grace)).await;
        assert_eq!((run.outcome, run.report.deleted), (Some(Outcome::Succeeded), 1));
        assert_eq!(names(&*stores.application).await.len(), left, "{grace}");
    }
}

macro_rules! on_each_backend {
    ($($check:ident)+) => {
        mod on_postgresql {
            $(#[tokio::test]
            async fn $check() {
                let db = super::TestDb::new().await;
                let stores = super::Stores { ours: super::store::store(&db), application: super::store::unlimited(&db) };
                super::$check(stores).await;
            })+
        }

        mod on_dynamodb {
            $(#[tokio::test]
            async fn $check() {
                let tables = super::TestTables::new().await;
                super::$check(super::Stores { ours: tables.store(), application: tables.store() }).await;
            })+
        }
    };
}

on_each_backend! {
    what_changes_between_reading_and_deleting_stays
    an_access_token_stays_with_a_provider_token_that_has_changed
    a_run_that_is_asked_to_stop_says_that_work_remains
    a_longer_grace_keeps_rows_longer
}

#[tokio::test]
async fn on_postgresql_what_somebody_has_locked_is_left_for_another_run() {
    let db = TestDb::new().await;
    let rows = (0..10).map(|n| attribute(COMMON, "_oauth_sessions", &format!("{n}"), "{\"created_at\": 1}"));
    write(&*store::unlimited(&db), rows).await;
    let mut locker = db.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM attributes WHERE name = '5' FOR UPDATE").execute(&mut *locker).await.unwrap();
    let runner = runner(&store::store(&db));
    let run = run_job(&runner, token_cleanup::NAME, &jobs::Settings::default()).await;
    assert_eq!((run.outcome, run.report.deleted, run.report.more), (Some(Outcome::Partial), 9, true));
    locker.rollback().await.unwrap();
    let run = run_job(&runner, token_cleanup::NAME, &jobs::Settings::default()).await;
    assert_eq!((run.outcome, run.report.deleted, run.report.more), (Some(Outcome::Succeeded), 1, false));
}
