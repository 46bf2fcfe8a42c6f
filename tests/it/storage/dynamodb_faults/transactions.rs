//! Properties that actors are found by: the property and its look-up entry change together or not
//! at all, whatever happens to the requests.

use std::time::Duration;

use actingweb_maintd::storage::{Claim, Claimed, Error, ErrorKind, Indexed, Leases, Lookup, Properties, Slots};

use super::{Cut, Scene, assert_honest, assert_unanswered, at_each_request, property};
use crate::harness::dynamodb_proxy::{Fault, Seen};

/// So often a transaction that others are in the way of is tried.
const TRIES: u64 = 9;

fn cancelled(reasons: &'static [&'static str]) -> impl Fn(Seen<'_>) -> Option<Fault> + Send {
    move |seen| (seen.operation == "TransactWriteItems").then_some(Fault::Cancelled(reasons))
}

/// The property and what its look-up entries say. Either there are both or none.
async fn standing(scene: &Scene, id: &str, values: &[&str], about: &str) -> Option<String> {
    let stands = scene.direct.property(id, "email").await.unwrap();
    for value in values {
        let value = format!("{value} of {id}");
        let entry = scene.direct.lookup("email", &value).await.unwrap();
        assert_eq!(entry.is_some(), stands.as_deref() == Some(&value), "{about}: the entry of {value}, {stands:?}");
    }
    stands
}

#[tokio::test]
async fn a_property_is_never_without_its_entry_nor_the_other_way_round() {
    let scene = Scene::new().await;
    let faults = [&Fault::LOSSES[..], &[Fault::THROTTLED]].concat();
    at_each_request(&scene.proxy, &faults, async |cut: Cut| {
        let (id, about) = (format!("actor {cut:?}"), format!("{cut:?}"));
        let is_unanswered = |error: &Error| match cut.fault {
            Fault::Refused(..) => assert_eq!(error.kind, ErrorKind::Throttled, "{about}: {}", error.chain()),
            _ => assert_unanswered(error, &about),
        };
        scene.direct.set_property(&property(&id, "email", &format!("old of {id}"))).await.unwrap();
        let new = property(&id, "email", &format!("new of {id}"));

        cut.begin(&scene.proxy);
        let set = scene.store.set_property(&new).await;
        scene.proxy.heal();
        let stands = standing(&scene, &id, &["old", "new"], &about).await.expect("there always is one");
        match set {
            Ok(indexed) => assert_eq!((indexed, &stands), (Indexed::Yes, &new.value), "{about}"),
            Err(error) => is_unanswered(&error),
        }
        assert_eq!(scene.store.set_property(&new).await.unwrap(), Indexed::Yes, "{about}");
        assert_eq!(standing(&scene, &id, &["old", "new"], &about).await, Some(new.value), "{about}");
    })
    .await;
}

#[tokio::test]
async fn a_property_goes_with_its_entry() {
    let scene = Scene::new().await;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let (id, about) = (format!("actor {cut:?}"), format!("{cut:?}"));
        scene.direct.set_property(&property(&id, "email", &format!("old of {id}"))).await.unwrap();
        cut.begin(&scene.proxy);
        let deleted = scene.store.delete_property(&id, "email").await;
        scene.proxy.heal();
        let is_done = standing(&scene, &id, &["old"], &about).await.is_none();
        assert_honest(&deleted, is_done, &about);
        assert_eq!(scene.direct.delete_property(&id, "email").await.unwrap(), !is_done, "{about}");
        assert_eq!(standing(&scene, &id, &["old"], &about).await, None, "{about}");
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_others_were_in_the_way_of_is_tried_again() {
    let scene = Scene::new().await;
    for reasons in [&["TransactionConflict", "None"], &["None", "TransactionConflict"], &["None", "ThrottlingError"]] {
        scene.proxy.play(move |seen| {
            let is_first = seen.operation == "TransactWriteItems" && seen.nth <= 2;
            is_first.then_some(Fault::Cancelled(reasons))
        });
        let id = reasons.join("-");
        let new = property(&id, "email", &format!("new of {id}"));
        assert_eq!(scene.store.set_property(&new).await.unwrap(), Indexed::Yes);
        assert_eq!(scene.proxy.count("TransactWriteItems"), 3);
        assert_eq!(standing(&scene, &id, &["new"], "").await, Some(new.value));
    }
}

#[tokio::test]
async fn a_transaction_that_others_are_always_in_the_way_of_ends_soon_and_says_why() {
    let scene = Scene::new().await;
    scene.direct.set_property(&property("actor", "email", "old of actor")).await.unwrap();
    let before = scene.contents().await;
    let new = property("actor", "email", "new of actor");
    let all: [(&'static [&'static str], ErrorKind, &str); 4] = [
        (&["TransactionConflict", "None", "None"], ErrorKind::Conflict, "(TransactionConflict)"),
        (&["None", "ThrottlingError", "None"], ErrorKind::Throttled, "no capacity is left (ThrottlingError)"),
        (&["None", "None", "ProvisionedThroughputExceeded"], ErrorKind::Throttled, "(ProvisionedThroughputExceeded)"),
        // As if others wrote the same property again and again.
        (&["ConditionalCheckFailed", "None", "None"], ErrorKind::Conflict, "again and again"),
    ];
    for (reasons, kind, words) in all {
        scene.proxy.play(cancelled(reasons));
        let error = scene.store.set_property(&new).await.unwrap_err();
        assert_eq!(error.kind, kind, "{}", error.chain());
        assert!(error.chain().contains(words), "{}", error.chain());
        assert_eq!(scene.proxy.count("TransactWriteItems"), TRIES, "{reasons:?}");
        assert_eq!(scene.contents().await, before);
    }
    scene.proxy.play(cancelled(&["ValidationError", "None", "None"]));
    let error = scene.store.set_property(&new).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Other);
    assert!(error.chain().contains("(ValidationError)"), "{}", error.chain());
    assert_eq!(scene.proxy.count("TransactWriteItems"), 1);
}

#[tokio::test]
async fn a_claim_that_others_are_in_the_way_of_is_tried_again_and_not_for_ever() {
    let scene = Scene::new().await;
    let claim = |job| Claim { job, due: None, holder: "one".to_owned(), workers: 1, ttl: Duration::from_secs(10) };
    scene.proxy.play(|seen| {
        let is_first = seen.operation == "TransactWriteItems" && seen.nth <= 2;
        is_first.then_some(Fault::Cancelled(&["TransactionConflict", "None"]))
    });
    let claimed = scene.store.claim(&claim("once")).await.unwrap();
    assert!(matches!(claimed, Claimed::Won(_)), "{claimed:?}");
    let before = scene.contents().await;
    scene.proxy.play(cancelled(&["TransactionConflict", "None"]));
    let error = scene.store.claim(&claim("always")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{}", error.chain());
    assert!(scene.proxy.count_all() <= 40, "{} requests", scene.proxy.count_all());
    scene.proxy.play(|seen| {
        let conflict = Fault::Refused(400, "TransactionConflictException", "Transaction is ongoing for the item");
        (seen.operation == "PutItem").then_some(conflict)
    });
    let error = scene.store.pause("always", "ada").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{}", error.chain());
    assert!(scene.proxy.count_all() <= 40, "{} requests", scene.proxy.count_all());
    assert_eq!(scene.contents().await, before);
}
