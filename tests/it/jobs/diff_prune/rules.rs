//! What goes and what stays.

use actingweb_maintd::jobs::diff_prune;
use actingweb_maintd::model::row::SubscriptionDiff;
use actingweb_maintd::model::setting::Span;
use actingweb_maintd::model::{Record, Row, clock};
use actingweb_maintd::work::LostDiffs;

use super::scene::{Scene, diffs, keeping, reasons, two_days, wanted};

pub(super) async fn what_a_subscriber_has_goes(scene: &Scene) {
    scene.history("a", "b", "s", 60).await;
    scene.mirror("a", "b", "s", 50).await;
    let report = scene.prune(&keeping(5)).await;
    assert_eq!(reasons(&report), [("confirmed", 50)]);
    assert_eq!(scene.numbers("a", "s").await, (51..=60).collect::<Vec<_>>());
    scene.mirror("a", "b", "s", 60).await;
    let report = scene.prune(&keeping(5)).await;
    assert_eq!((reasons(&report), report.deleted, report.examined), (vec![("confirmed", 5)], 5, 10));
    assert_eq!(scene.numbers("a", "s").await, (56..=60).collect::<Vec<_>>());
    assert_eq!(diffs(&report).resynchronise, 0);
    let off = diff_prune::Settings { confirmed: false, ..keeping(1) };
    assert_eq!(scene.prune(&off).await.deleted, 0);
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 4);
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 0, "the newest stays");
    assert_eq!(scene.numbers("a", "s").await, [60]);
}

pub(super) async fn numbers_are_compared_as_numbers(scene: &Scene) {
    // As texts 10 comes before 9, and 1000 before 101.
    scene.subscribe("a", "b", "s", 1200).await;
    scene.publish("a", "s", [1, 2, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 1200]).await;
    scene.mirror("a", "b", "s", 100).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 7);
    assert_eq!(scene.numbers("a", "s").await, [101, 999, 1000, 1001, 1200]);
}

pub(super) async fn without_knowing_who_has_them_they_stay(scene: &Scene) {
    scene.history("a", "elsewhere", "s", 30).await;
    scene.history("a", "b", "t", 30).await;
    // No mirror: it is a publisher's row, or another's.
    scene.subscribe("b", "a", "t", 30).await;
    scene.mirror("c", "b", "t", 30).await;
    scene.mirror("a", "b", "t2", 30).await;
    let report = scene.prune(&keeping(1)).await;
    assert_eq!((report.deleted, report.examined), (0, 60));
}

pub(super) async fn of_several_subscribers_the_last_counts(scene: &Scene) {
    scene.history("a", "b", "s", 20).await;
    scene.subscribe("a", "c", "s", 20).await;
    scene.mirror("a", "b", "s", 20).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 0, "where the other one is, nobody knows");
    scene.mirror("a", "c", "s", 7).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 7);
    assert_eq!(scene.numbers("a", "s").await, (8..=20).collect::<Vec<_>>());
}

pub(super) async fn siblings_are_told_apart(scene: &Scene) {
    for subid in ["s", "s:1", "s:1:0", "S", "s1"] {
        scene.history("a", "b", subid, 12).await;
    }
    scene.history("ab", "b", "s", 12).await;
    scene.mirror("a", "b", "s:1", 10).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 10);
    assert_eq!(scene.numbers("a", "s:1").await, [11, 12]);
    for subid in ["s", "s:1:0", "S", "s1"] {
        assert_eq!(scene.numbers("a", subid).await.len(), 12, "{subid}");
    }
    assert_eq!(scene.numbers("ab", "s").await.len(), 12);
}

pub(super) async fn what_has_no_subscription_goes_when_it_is_seen_so_twice(scene: &Scene) {
    scene.publish("a", "gone", 1..=20).await;
    scene.history("a", "b", "s", 20).await;
    let report = scene.prune(&keeping(100)).await;
    assert_eq!((report.deleted, diffs(&report).waiting), (0, 20));
    let report = scene.prune(&keeping(100)).await;
    assert_eq!((report.deleted, diffs(&report).waiting), (0, 20), "not an hour later");
    scene.hours_pass(2).await;
    scene.publish("a", "gone", 21..=25).await;
    let off = diff_prune::Settings { orphans: false, ..keeping(100) };
    // Forgets nothing either.
    assert_eq!(scene.prune(&off).await.deleted, 0);
    let report = scene.prune(&keeping(100)).await;
    assert_eq!((reasons(&report), diffs(&report).waiting), (vec![("orphan", 20)], 5));
    assert_eq!(diffs(&report).resynchronise, 0, "there is nobody who could");
    assert_eq!(scene.numbers("a", "gone").await, (21..=25).collect::<Vec<_>>());
    assert_eq!(scene.prune(&keeping(100)).await.deleted, 0, "those that came later wait for their own second time");
    scene.hours_pass(2).await;
    assert_eq!(scene.prune(&keeping(100)).await.deleted, 5);
    assert_eq!(scene.numbers("a", "s").await.len(), 20);
    // The same names again are seen for the first time again.
    scene.publish("a", "gone", 1..=3).await;
    assert_eq!(scene.prune(&keeping(100)).await.deleted, 0);
}

pub(super) async fn a_subscription_that_came_back_keeps_its_changes(scene: &Scene) {
    scene.publish("a", "s", 1..=9).await;
    scene.prune(&keeping(1)).await;
    scene.hours_pass(2).await;
    scene.subscribe("a", "b", "s", 9).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 0);
    scene.hours_pass(2).await;
    assert!(scene.store.delete_subscription("a", "b", "s").await.unwrap());
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 0, "what was seen before it came back is forgotten");
    scene.hours_pass(2).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 9);
}

pub(super) async fn a_subscription_to_somebody_counts_as_one(scene: &Scene) {
    scene.publish("a", "s", 1..=9).await;
    scene.mirror("b", "a", "s", 9).await;
    for _ in 0..3 {
        assert_eq!(scene.prune(&keeping(1)).await.deleted, 0);
        scene.hours_pass(2).await;
    }
    assert!(scene.store.delete_subscription("a", "b", "s").await.unwrap());
    scene.prune(&keeping(1)).await;
    scene.hours_pass(2).await;
    assert_eq!(scene.prune(&keeping(1)).await.deleted, 9);
}

pub(super) async fn what_is_not_seen_again_is_forgotten(scene: &Scene) {
    scene.publish("a", "s", 1..=3).await;
    scene.prune(&keeping(1)).await;
    assert_eq!(scene.store.sightings("a").await.unwrap().len(), 1);
    scene.hours_pass(2).await;
    scene.store.clear_diffs("a", None, actingweb_maintd::storage::Through::All).await.unwrap();
    scene.prune(&keeping(1)).await;
    assert_eq!(scene.store.sightings("a").await.unwrap(), []);
}

pub(super) async fn what_is_stored_otherwise_is_left_alone(scene: &Scene) {
    scene.history("a", "b", "s", 12).await;
    scene.history("a", "b", "t", 12).await;
    scene.mirror("a", "b", "s", 12).await;
    scene.mirror("a", "b", "t", 12).await;
    let strange = SubscriptionDiff {
        id: "a".to_owned(),
        subid_seqnr: "s:007".to_owned(),
        subid: "s".to_owned(),
        timestamp: clock::now(),
        diff: String::new(),
        seqnr: 7,
    };
    scene.store.write(&[Record::from(Row::Diff(strange))]).await.unwrap();
    let report = scene.prune(&keeping(1)).await;
    assert_eq!((report.deleted, diffs(&report).unreadable), (11, 1));
    let left = &diffs(&report).left_alone[0];
    assert_eq!((&*left.id, &*left.subid), ("a", "s"));
    assert_eq!(scene.numbers("a", "t").await, [12]);
    assert_eq!(scene.count().await, 14);
}

pub(super) async fn a_look_says_the_same_and_changes_nothing(scene: &Scene) {
    scene.history("a", "b", "s", 40).await;
    scene.mirror("a", "b", "s", 10).await;
    scene.history("c", "elsewhere", "t", 40).await;
    scene.publish("d", "gone", 1..=10).await;
    let looked = scene.preview(&two_days(5)).await;
    assert_eq!((reasons(&looked), diffs(&looked).waiting), (vec![("confirmed", 10)], 10));
    assert_eq!(scene.store.sightings("d").await.unwrap(), []);
    assert_eq!(scene.store.watermarks("a", "s").await.unwrap(), []);
    scene.prune(&two_days(5)).await;
    scene.hours_pass(72).await;
    scene.publish_at("c", "t", 41..=50, clock::now).await;
    let looked = scene.preview(&two_days(5)).await;
    let stays = scene.count().await;
    assert_eq!(stays, 90);
    assert_eq!(looked.deleted, 0);
    assert!(looked.more);
    let pruned = scene.prune(&two_days(5)).await;
    assert_eq!(wanted(&looked), wanted(&pruned));
    assert_eq!(pruned.reasons["orphan"], 10);
    assert!(!scene.preview(&two_days(5)).await.more);
}

pub(super) async fn a_report_names_who_has_to_begin_anew(scene: &Scene) {
    // Without a time that could be believed, so that only what was seen counts.
    let then = || clock::now() - chrono::TimeDelta::days(100);
    scene.subscribe("a", "elsewhere", "s", 20).await;
    scene.publish_at("a", "s", 1..=20, then).await;
    scene.subscribe("a", "b", "t", 20).await;
    scene.publish_at("a", "t", 1..=20, then).await;
    scene.mirror("a", "b", "t", 4).await;
    scene.subscribe("a", "b", "u", 20).await;
    scene.publish_at("a", "u", 1..=20, then).await;
    scene.mirror("a", "b", "u", 20).await;
    let settings = diff_prune::Settings { orphan_age: Span::secs(1), ..two_days(2) };
    scene.prune(&settings).await;
    scene.hours_pass(49).await;
    let report = scene.prune(&settings).await;
    assert_eq!(reasons(&report), [("aged", 18 + 14)]);
    let diffs = diffs(&report);
    assert_eq!((diffs.resynchronise, diffs.unconfirmed), (2, 18 + 14));
    let lost = |subid: &str, peer: &str, diffs| LostDiffs {
        id: "a".to_owned(),
        subid: subid.to_owned(),
        peers: vec![peer.to_owned()],
        diffs,
        through: 18,
    };
    let mut named = diffs.lost.clone();
    named.sort_by(|one, other| one.subid.cmp(&other.subid));
    assert_eq!(named, [lost("s", "elsewhere", 18), lost("t", "b", 14)]);
}
