//! Actors that publish to each other, and the job on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::jobs::{self, diff_prune};
use actingweb_maintd::model::row::{Subscription, SubscriptionChange, SubscriptionDiff, subid_seqnr};
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::model::{BackendKind, Table, clock};
use actingweb_maintd::runner::{Ran, Runner, Start};
use actingweb_maintd::storage::Store;
use actingweb_maintd::throttle;
use actingweb_maintd::work::{Diffs, Outcome, Progress, Report, Run, Stop};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::cluster::TestDb;
use crate::harness::dynamodb::TestTables;
use crate::harness::runner::runner;
use crate::harness::store::{self, unlimited};

/// The database behind a scene.
pub(super) enum Database {
    Postgresql(TestDb),
    Dynamodb(TestTables),
}

/// A store with subscriptions on it.
pub(super) struct Scene {
    pub(super) database: Database,
    /// The application's.
    pub(super) store: Arc<dyn Store>,
    pub(super) runner: Runner,
}

impl Scene {
    pub(super) async fn on_postgresql() -> Self {
        let db = TestDb::new().await;
        let store = unlimited(&db);
        Self { runner: runner(&store::store(&db)), store, database: Database::Postgresql(db) }
    }

    pub(super) async fn on_dynamodb() -> Self {
        let tables = TestTables::new().await;
        let store = tables.store();
        Self { runner: runner(&store), store, database: Database::Dynamodb(tables) }
    }

    pub(super) fn backend(&self) -> BackendKind {
        self.runner.backend
    }

    /// `peer` subscribes to `id`, who has given out numbers up to this.
    pub(super) async fn subscribe(&self, id: &str, peer: &str, subid: &str, seqnr: i64) {
        let subscription = Subscription { seqnr, ..Subscription::new(id, peer, subid) };
        assert!(self.store.create_subscription(&subscription).await.unwrap());
    }

    /// The peer is an actor here too, and has taken in numbers up to this.
    pub(super) async fn mirror(&self, id: &str, peer: &str, subid: &str, seqnr: i64) {
        let mirror = Subscription { seqnr, callback: true, ..Subscription::new(peer, id, subid) };
        if !self.store.create_subscription(&mirror).await.unwrap() {
            let change = SubscriptionChange { seqnr: Some(seqnr), ..SubscriptionChange::default() };
            assert!(self.store.modify_subscription(peer, id, subid, &change).await.unwrap());
        }
    }

    /// Adds changes made just now.
    pub(super) async fn publish(&self, id: &str, subid: &str, numbers: impl IntoIterator<Item = i64>) {
        self.publish_at(id, subid, numbers, clock::now).await;
    }

    /// Adds changes that claim to have been made then.
    pub(super) async fn publish_at(
        &self,
        id: &str,
        subid: &str,
        numbers: impl IntoIterator<Item = i64>,
        timestamp: impl Fn() -> DateTime<Utc>,
    ) {
        for seqnr in numbers {
            let diff = SubscriptionDiff {
                id: id.to_owned(),
                subid_seqnr: subid_seqnr(subid, seqnr),
                subid: subid.to_owned(),
                timestamp: timestamp(),
                diff: format!("{{\"n\": {seqnr}, \"é\": \"\\u0000\"}}"),
                seqnr,
            };
            assert!(self.store.create_diff(&diff).await.unwrap(), "{subid}:{seqnr}");
        }
    }

    /// A subscription with changes from the first on, all given out.
    pub(super) async fn history(&self, id: &str, peer: &str, subid: &str, count: i64) {
        self.subscribe(id, peer, subid, count).await;
        self.publish(id, subid, 1..=count).await;
    }

    /// The numbers that are there.
    pub(super) async fn numbers(&self, id: &str, subid: &str) -> Vec<i64> {
        self.store.diffs(id, Some(subid)).await.unwrap().iter().map(|diff| diff.seqnr).collect()
    }

    /// How many changes there are in all.
    pub(super) async fn count(&self) -> u64 {
        self.store.count(Table::SubscriptionDiffs).await.unwrap()
    }

    /// Lets time pass for what the daemon remembers.
    pub(super) async fn hours_pass(&self, hours: i64) {
        match &self.database {
            Database::Postgresql(db) => {
                for change in [
                    "UPDATE maintd.watermarks SET seen_at = seen_at - make_interval(hours => $1)",
                    "UPDATE maintd.sightings SET seen_at = seen_at - make_interval(hours => $1), \
                         again_at = again_at - make_interval(hours => $1)",
                ] {
                    sqlx::query(change).bind(i32::try_from(hours).unwrap()).execute(db.pool()).await.unwrap();
                }
            }
            Database::Dynamodb(tables) => {
                for mut item in tables.dump(&tables.own_name()).await {
                    let mut has_time = false;
                    for name in ["seen_at", "again_at"] {
                        let Some(AttributeValue::S(text)) = item.get(name) else { continue };
                        let then = DateTime::parse_from_rfc3339(text).unwrap().to_utc() - TimeDelta::hours(hours);
                        let text = then.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
                        item.insert(name.to_owned(), AttributeValue::S(text));
                        has_time = true;
                    }
                    if has_time {
                        let put = tables.client().put_item().table_name(tables.own_name()).set_item(Some(item));
                        put.send().await.unwrap();
                    }
                }
            }
        }
    }

    /// Runs the job by hand until its end.
    pub(super) async fn prune(&self, settings: &diff_prune::Settings) -> Report {
        let run = self.run_until(settings, &Stop::new()).await;
        assert_eq!((run.outcome, run.error), (Some(Outcome::Succeeded), None));
        assert!(!run.report.more);
        self.agrees(&run.report);
        run.report
    }

    /// The same, until it is asked to stop.
    pub(super) async fn run_until(&self, settings: &diff_prune::Settings, stop: &Stop) -> Run {
        let job = job(settings, self.backend());
        match self.runner.run(&job, Start::Manual, stop, &Progress::new()).await.expect("running") {
            Ran::Ended(run) => *run,
            other => panic!("it did not run: {other:?}"),
        }
    }

    /// What a run would do.
    pub(super) async fn preview(&self, settings: &diff_prune::Settings) -> Report {
        job(settings, self.backend()).preview(&*self.store).await.expect("looking")
    }

    /// The reasons of a report add up to what the store has counted.
    pub(super) fn agrees(&self, report: &Report) {
        assert_eq!(report.reasons.values().sum::<u64>(), report.deleted, "{report:?}");
    }
}

/// The job with these settings.
pub(super) fn job(settings: &diff_prune::Settings, backend: BackendKind) -> Arc<dyn jobs::Job> {
    let settings = jobs::Settings { diff_prune: settings.clone(), ..jobs::Settings::default() };
    let throttle = throttle::Settings { batch_latency: Span(Duration::from_secs(60)), ..throttle::Settings::default() };
    let all = jobs::registry(&settings, &throttle, &[jobs::Place::on(backend)]);
    all.into_iter().find(|job| job.name() == diff_prune::NAME).unwrap()
}

/// All but so many of the newest may go.
pub(super) fn keeping(newest: u64) -> diff_prune::Settings {
    diff_prune::Settings { keep_newest: Bounded::new(newest), ..diff_prune::Settings::default() }
}

/// The same, and nothing may become older than two days.
pub(super) fn two_days(newest: u64) -> diff_prune::Settings {
    diff_prune::Settings { max_age: Some(Span::secs(48 * 3600)), ..keeping(newest) }
}

/// The reasons of a report.
pub(super) fn reasons(report: &Report) -> Vec<(&str, u64)> {
    report.reasons.iter().map(|(reason, rows)| (reason.as_str(), *rows)).collect()
}

/// What a report says of subscriptions.
pub(super) fn diffs(report: &Report) -> &Diffs {
    report.diffs.as_ref().expect("what became of the changes")
}

/// The reports without what differs between a run and a look.
pub(super) fn wanted(report: &Report) -> (BTreeMap<String, u64>, Option<Diffs>, u64) {
    (report.reasons.clone(), report.diffs.clone(), report.examined)
}
