//! How old changes are.

use actingweb_maintd::jobs::diff_prune;
use actingweb_maintd::model::clock;
use chrono::{DateTime, TimeDelta, Utc};

use super::scene::{Database, Scene, diffs, reasons, two_days};

/// As DynamoDB has it: the process that made them began long ago.
fn long_ago() -> DateTime<Utc> {
    clock::now() - TimeDelta::days(100)
}

pub(super) async fn what_was_seen_long_ago_goes(scene: &Scene) {
    scene.subscribe("a", "b", "s", 10).await;
    scene.publish_at("a", "s", 1..=10, long_ago).await;
    assert_eq!(scene.prune(&two_days(1)).await.deleted, 0, "nobody knows how old they are");
    scene.hours_pass(30).await;
    scene.store.modify_subscription("a", "b", "s", &seqnr(20)).await.unwrap();
    scene.publish_at("a", "s", 11..=20, long_ago).await;
    assert_eq!(scene.prune(&two_days(1)).await.deleted, 0);
    scene.hours_pass(30).await;
    let report = scene.prune(&two_days(1)).await;
    assert_eq!(reasons(&report), [("aged", 10)]);
    assert_eq!(scene.numbers("a", "s").await, (11..=20).collect::<Vec<_>>());
    assert!(report.cutoff.is_some());
    scene.hours_pass(30).await;
    assert_eq!(scene.prune(&two_days(3)).await.deleted, 7);
    assert_eq!(scene.numbers("a", "s").await, [18, 19, 20]);
}

/// Rows that were migrated to PostgreSQL keep the time that they had on DynamoDB.
pub(super) async fn a_wrong_time_makes_nothing_old(scene: &Scene) {
    scene.subscribe("a", "b", "s", 10).await;
    scene.publish_at("a", "s", 1..=10, long_ago).await;
    scene.prune(&two_days(1)).await;
    scene.store.modify_subscription("a", "b", "s", &seqnr(30)).await.unwrap();
    // Made after our first look, by a process that is older than it.
    scene.publish_at("a", "s", 11..=20, long_ago).await;
    scene.hours_pass(50).await;
    // Made by a process that began after our first look, and three days ago.
    let after_the_first_look = || clock::now() - TimeDelta::hours(49);
    scene.publish_at("a", "s", 21..=30, after_the_first_look).await;
    let report = scene.prune(&two_days(1)).await;
    assert_eq!(reasons(&report), [("aged", 10)], "the second ten are in the way of the third");
    assert_eq!(scene.numbers("a", "s").await, (11..=30).collect::<Vec<_>>());
    // Without those in the way, the time of a row counts where it can be believed.
    scene.subscribe("c", "b", "s", 10).await;
    scene.publish_at("c", "s", 1..=10, long_ago).await;
    scene.prune(&two_days(1)).await;
    scene.hours_pass(50).await;
    scene.store.modify_subscription("c", "b", "s", &seqnr(20)).await.unwrap();
    scene.publish_at("c", "s", 11..=20, after_the_first_look).await;
    let report = scene.prune(&two_days(1)).await;
    let stays = scene.numbers("c", "s").await;
    match scene.database {
        Database::Postgresql(_) => assert_eq!(stays, [20]),
        Database::Dynamodb(_) => assert_eq!(stays, (11..=20).collect::<Vec<_>>()),
    }
    assert!(diffs(&report).resynchronise >= 1);
}

pub(super) async fn what_says_that_it_is_young_stays(scene: &Scene) {
    scene.history("a", "b", "s", 10).await;
    scene.prune(&two_days(1)).await;
    // All is forgotten but what was seen, and the numbers begin anew.
    scene.hours_pass(100).await;
    let report = scene.prune(&two_days(1)).await;
    assert_eq!(report.deleted, 0, "they were made just now, as they say");
}

pub(super) async fn numbers_that_went_back_have_no_age(scene: &Scene) {
    scene.subscribe("a", "b", "s", 10).await;
    scene.publish_at("a", "s", 1..=10, long_ago).await;
    scene.prune(&two_days(1)).await;
    scene.hours_pass(100).await;
    // Another subscription under the same name.
    scene.store.clear_diffs("a", Some("s"), actingweb_maintd::storage::Through::All).await.unwrap();
    assert!(scene.store.delete_subscription("a", "b", "s").await.unwrap());
    scene.subscribe("a", "b", "s", 5).await;
    scene.publish_at("a", "s", 1..=5, long_ago).await;
    let report = scene.prune(&two_days(1)).await;
    assert_eq!((report.deleted, diffs(&report).went_back), (0, 1), "{report:?}");
    assert_eq!(&*diffs(&report).left_alone[0].subid, "s");
    assert_eq!(scene.store.watermarks("a", "s").await.unwrap(), [], "what was seen before says nothing any more");
    // From now on it is known again.
    scene.store.modify_subscription("a", "b", "s", &seqnr(12)).await.unwrap();
    scene.publish_at("a", "s", 6..=12, long_ago).await;
    let report = scene.prune(&two_days(1)).await;
    assert_eq!((report.deleted, diffs(&report).went_back), (0, 0));
    scene.hours_pass(100).await;
    assert_eq!(scene.prune(&two_days(1)).await.deleted, 11);
}

pub(super) async fn what_is_needed_no_more_is_forgotten(scene: &Scene) {
    scene.subscribe("a", "b", "s", 0).await;
    let settings = diff_prune::Settings { confirmed: false, ..two_days(1) };
    for n in 1..=6 {
        scene.store.modify_subscription("a", "b", "s", &seqnr(n)).await.unwrap();
        scene.publish_at("a", "s", [n], long_ago).await;
        scene.prune(&settings).await;
        scene.hours_pass(20).await;
    }
    let marks: Vec<i64> = scene.store.watermarks("a", "s").await.unwrap().iter().map(|mark| mark.seqnr).collect();
    assert_eq!(marks, [3, 4, 5, 6], "the third is the newest of those that are old");
    assert_eq!(scene.numbers("a", "s").await, [4, 5, 6]);
    // Without an age nothing is remembered.
    scene.subscribe("a", "b", "t", 1).await;
    scene.publish("a", "t", [1]).await;
    scene.prune(&super::scene::keeping(1)).await;
    assert_eq!(scene.store.watermarks("a", "t").await.unwrap(), []);
}

fn seqnr(seqnr: i64) -> actingweb_maintd::model::row::SubscriptionChange {
    actingweb_maintd::model::row::SubscriptionChange { seqnr: Some(seqnr), ..Default::default() }
}
