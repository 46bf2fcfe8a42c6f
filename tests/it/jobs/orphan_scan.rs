//! What `orphan_scan` finds, and what it never does.

use std::collections::BTreeMap;

use actingweb_maintd::jobs::orphan_scan::{NAME, OrphanScan, Settings};
use actingweb_maintd::jobs::{Job, Place};
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::model::{Table, clock};
use actingweb_maintd::work::{Outcome, Report, Run, StopReason};
use chrono::TimeDelta;

use super::on_each_backend;
use super::scene::{Scene, TABLES, actor, attribute, property, rows_of, tombstone, whole};
use crate::harness::runner::Site;

on_each_backend! {
    all_orphans_are_found_and_nothing_else
    what_is_reserved_or_allowed_is_passed_over
    a_tombstone_is_evidence_once_the_deletion_must_be_over
    without_a_single_actor_nothing_is_an_orphan
    the_librarys_own_actors_are_not_enough
    an_actor_read_that_fails_is_a_refusal
    a_scan_that_is_stopped_says_nothing
    a_table_that_is_not_there_is_left_out_and_named
    a_daemon_shows_what_any_run_has_found
}

fn small() -> Settings {
    Settings { batch_size: Bounded::new(3), ..Settings::default() }
}

fn counts(run: &Run) -> BTreeMap<String, u64> {
    run.report.findings.as_ref().unwrap_or_else(|| panic!("it has not come to its end: {run:?}")).counts.clone()
}

async fn all_orphans_are_found_and_nothing_else(scene: &Scene) {
    for n in 0..10 {
        scene.write(whole(&format!("actor-{n}"))).await;
    }
    scene.write(vec![scene.entry("email", "v", "actor-3"), property("actor-3", "email", "v")]).await;
    let clean = scene.scan(small()).await;
    assert_eq!((clean.outcome, counts(&clean)), (Some(Outcome::Succeeded), BTreeMap::new()));
    assert!(clean.report.examined >= 70, "{clean:?}");

    scene.write(rows_of("gone-1")).await;
    scene.write(rows_of("actor-33")).await;
    scene.write(vec![property("gone-2", "a", "1"), property("gone-2", "b", "2")]).await;
    if let Scene::Dynamodb(_) = scene {
        scene.write(vec![scene.entry("email", "w", "gone-3")]).await;
    }
    let run = scene.scan(small()).await;
    let mut expected: BTreeMap<String, u64> = TABLES.map(|table| (table.name().to_owned(), 2)).into();
    expected.insert("properties".to_owned(), 4);
    if let Scene::Dynamodb(_) = scene {
        expected.insert("property_lookup".to_owned(), 1);
    }
    assert_eq!((run.outcome, counts(&run)), (Some(Outcome::Succeeded), expected));
    let listed = run.report.findings.unwrap().listed;
    let mut ids: Vec<&str> = listed.iter().map(|finding| finding.id.as_str()).collect();
    ids.dedup();
    let by_id = ["actor-33", "gone-1", "gone-2", "gone-3"];
    assert_eq!(ids, by_id[..ids.len()]);
    assert!(listed.iter().all(|finding| finding.kind == "orphan" && finding.deleted_at.is_none()));
}

async fn what_is_reserved_or_allowed_is_passed_over(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(vec![attribute("_actingweb_oauth2", "spa_access_tokens", "t", "{}")]).await;
    scene.write(vec![attribute("_actingweb_system", "_trust_types", "t", "{}")]).await;
    for id in ["app", "cache-1", "cache-2", "apps"] {
        scene.write(vec![property(id, "x", "y")]).await;
    }
    let settings = Settings { allow: vec!["app".to_owned(), "cache-*".to_owned()], ..small() };
    let run = scene.scan(settings).await;
    assert_eq!(counts(&run), [("properties".to_owned(), 1)].into());
    let expected = [("allowed".to_owned(), 3), ("reserved".to_owned(), 2)];
    assert_eq!(run.report.passed_over, expected.into());
}

async fn a_tombstone_is_evidence_once_the_deletion_must_be_over(scene: &Scene) {
    scene.write(whole("actor")).await;
    let ago = |hours| clock::now() - TimeDelta::hours(hours);
    for (id, deleted_at) in [("old", Some(ago(3))), ("young", Some(ago(0))), ("unknown", None)] {
        scene.write(vec![property(id, "a", "1"), property(id, "b", "1")]).await;
        scene.write(deleted_at.map(|at| tombstone(id, at)).into_iter().collect()).await;
    }
    let run = scene.scan(small()).await;
    assert_eq!(counts(&run), [("properties".to_owned(), 4)].into());
    assert_eq!(run.report.passed_over["settling"], 2);
    let listed = run.report.findings.unwrap().listed;
    let shown: Vec<(&str, bool)> = listed.iter().map(|found| (found.id.as_str(), found.deleted_at.is_some())).collect();
    assert_eq!(shown, [("old", true), ("unknown", false)]);
    let run = scene.scan(Settings { settle: Span::secs(0), ..small() }).await;
    assert_eq!(counts(&run), [("properties".to_owned(), 6)].into());
}

fn assert_refused(run: &Run) {
    assert_eq!((run.outcome, &run.report.findings), (Some(Outcome::Failed), &None), "{run:?}");
    let error = run.error.as_deref().unwrap_or_default();
    assert!(error.contains("not a single actor") && error.contains("another deployment's"), "{error}");
}

async fn without_a_single_actor_nothing_is_an_orphan(scene: &Scene) {
    let nothing = scene.scan(small()).await;
    assert_eq!((nothing.outcome, counts(&nothing)), (Some(Outcome::Succeeded), BTreeMap::new()));
    scene.write(rows_of("somebody")).await;
    assert_refused(&scene.scan(small()).await);
}

/// The library makes them wherever it is pointed to.
async fn the_librarys_own_actors_are_not_enough(scene: &Scene) {
    scene.write(rows_of("somebody")).await;
    scene.write(vec![actor("_actingweb_oauth2"), actor("_actingweb_system")]).await;
    assert_refused(&scene.scan(small()).await);
    scene.write(vec![actor("actor")]).await;
    assert_eq!(counts(&scene.scan(small()).await).len(), TABLES.len());
}

async fn an_actor_read_that_fails_is_a_refusal(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(rows_of("somebody")).await;
    take_away(scene, Table::Actors).await;
    let run = scene.scan(small()).await;
    assert_eq!((run.outcome, &run.report.findings), (Some(Outcome::Failed), &None), "{run:?}");
}

async fn take_away(scene: &Scene, table: Table) {
    match scene {
        Scene::Postgresql(db) => {
            let rename = sqlx::AssertSqlSafe(format!("ALTER TABLE {0} RENAME TO {0}_away", table.name()));
            sqlx::query(rename).execute(db.pool()).await.unwrap();
        }
        Scene::Dynamodb(tables) => {
            tables.client().delete_table().table_name(tables.name(table)).send().await.unwrap();
        }
    }
}

async fn a_table_that_is_not_there_is_left_out_and_named(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(rows_of("somebody")).await;
    take_away(scene, Table::SubscriptionSuspensions).await;
    let run = scene.scan(small()).await;
    assert_eq!(run.outcome, Some(Outcome::Succeeded), "{run:?}");
    assert_eq!(counts(&run).len(), TABLES.len() - 1);
    assert_eq!(run.report.findings.unwrap().left_out, ["subscription_suspensions"]);
}

async fn a_scan_that_is_stopped_says_nothing(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(rows_of("somebody")).await;
    let store = scene.store();
    let site = Site::of(&*store, NAME).await;
    let scan = OrphanScan::new(small(), Default::default(), Place::on(scene.backend()));
    site.stop.request(StopReason::Shutdown);
    let mut report = Report::default();
    scan.run(&*store, site.at(&*store), &mut report).await.unwrap();
    assert_eq!((report.stopped, report.more, report.findings), (Some(StopReason::Shutdown), true, None));
    assert!(!site.metrics.encode().contains("check=\"orphans\""));
}

async fn a_daemon_shows_what_any_run_has_found(scene: &Scene) {
    scene.write(whole("actor")).await;
    scene.write(rows_of("gone")).await;
    scene.write(vec![property("actor", "email", "without an entry")]).await;
    assert_eq!(scene.maintd().run(&["orphan", "scan"]).code, 2);
    assert_eq!(scene.maintd().run(&["lookup", "check"]).code, 2);
    let daemon = scene.maintd().start().ready();
    let shown = |check: &str| daemon.metric("maintd_findings", &[("check", check), ("severity", "warning")]);
    daemon.until("the findings", |_| shown("orphans") == Some(7.0) && shown("lookup_missing") == Some(1.0));
    assert_eq!((shown("lookup_stale"), shown("lookup_collision")), (Some(0.0), Some(0.0)));
    daemon.stop();
}
