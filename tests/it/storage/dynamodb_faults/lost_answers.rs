//! Conditional writes whose answers are lost: of several who want the same one has won, and nobody
//! is told otherwise.

use std::sync::Arc;

use actingweb_maintd::model::row::{ActorChange, PeerTrustee, SubscriptionDiff, subid_seqnr};
use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::storage::{
    Actors, AttributeKey, Attributes, Lookup, NewValue, PeerTrustees, Properties, Result, SubscriptionDiffs,
    Suspensions,
};
use chrono::{DateTime, Utc};

use super::{Act, Cut, Scene, actor, assert_honest, at_each_request, property, value};
use crate::harness::dynamodb_proxy::Fault;

/// A write that only one can do.
struct Contest {
    what: &'static str,
    prepare: Act<()>,
    /// Whether it was done here.
    attempt: Act<Result<bool>>,
    /// Whether it was done by somebody, who is the only one.
    is_done: Act<bool>,
}

/// Every request of the attempt goes wrong in every way. Then somebody else tries the same.
async fn fight(contest: Contest) {
    let scene = Scene::new().await;
    let Contest { what, prepare, attempt, is_done } = contest;
    at_each_request(&scene.proxy, &Fault::LOSSES, async |cut: Cut| {
        let id = format!("actor {cut:?}");
        let about = format!("{what}, {cut:?}");
        prepare(Arc::clone(&scene.direct), id.clone()).await;
        cut.begin(&scene.proxy);
        let reported = attempt(Arc::clone(&scene.store), id.clone()).await;
        scene.proxy.heal();
        let happened = is_done(Arc::clone(&scene.direct), id.clone()).await;
        assert_honest(&reported, happened, &about);
        let other = attempt(Arc::clone(&scene.direct), id.clone()).await.expect("the other way is fine");
        assert_eq!(other, !happened, "{about}: somebody else tries the same");
        let again = attempt(Arc::clone(&scene.store), id.clone()).await.expect("all is fine again");
        assert!(!again, "{about}: it has been done");
        assert!(is_done(Arc::clone(&scene.direct), id).await, "{about}");
    })
    .await;
}

async fn stored(store: Arc<DynamoDb>, id: String, name: &str) -> Option<String> {
    store.property(&id, name).await.expect("reading a property")
}

async fn put_property(store: Arc<DynamoDb>, id: String) {
    store.set_property(&property(&id, "note", "old")).await.expect("storing a property");
}

fn token(id: &str) -> AttributeKey<'_> {
    AttributeKey { id, bucket: "tokens", name: "a token" }
}

async fn put_token(store: Arc<DynamoDb>, id: String) {
    let data = value("{\"n\": 1}");
    let value = NewValue { data: &data, timestamp: None, ttl_seconds: None };
    store.set_attribute(token(&id), &value).await.expect("storing an attribute");
}

#[tokio::test]
async fn of_those_who_make_an_actor_one_has_made_it() {
    fight(Contest {
        what: "create_actor",
        prepare: |_, _| Box::pin(async {}),
        attempt: |store, id| Box::pin(async move { store.create_actor(&actor(&id)).await }),
        is_done: |store, id| Box::pin(async move { store.actor(&id).await.unwrap().is_some() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_delete_an_actor_one_has_deleted_it() {
    fight(Contest {
        what: "delete_actor",
        prepare: |store, id| {
            Box::pin(async move {
                store.create_actor(&actor(&id)).await.unwrap();
            })
        },
        attempt: |store, id| Box::pin(async move { store.delete_actor(&id).await }),
        is_done: |store, id| Box::pin(async move { store.actor(&id).await.unwrap().is_none() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_make_a_property_one_has_made_it() {
    fight(Contest {
        what: "create_property",
        prepare: |_, _| Box::pin(async {}),
        attempt: |store, id| Box::pin(async move { store.create_property(&property(&id, "note", "new")).await }),
        is_done: |store, id| Box::pin(async move { stored(store, id, "note").await.is_some() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_exchange_a_property_one_has_exchanged_it() {
    fight(Contest {
        what: "swap_property",
        prepare: |store, id| Box::pin(put_property(store, id)),
        attempt: |store, id| Box::pin(async move { store.swap_property(&property(&id, "note", "new"), "old").await }),
        is_done: |store, id| Box::pin(async move { stored(store, id, "note").await.as_deref() == Some("new") }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_delete_a_property_that_they_know_one_has_deleted_it() {
    fight(Contest {
        what: "delete_property_if",
        prepare: |store, id| Box::pin(put_property(store, id)),
        attempt: |store, id| Box::pin(async move { store.delete_property_if(&id, "note", "old").await }),
        is_done: |store, id| Box::pin(async move { stored(store, id, "note").await.is_none() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_delete_a_property_one_has_deleted_it() {
    fight(Contest {
        what: "delete_property",
        prepare: |store, id| Box::pin(put_property(store, id)),
        attempt: |store, id| Box::pin(async move { store.delete_property(&id, "note").await }),
        is_done: |store, id| Box::pin(async move { stored(store, id, "note").await.is_none() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_exchange_an_attribute_one_has_exchanged_it() {
    fight(Contest {
        what: "swap_attribute",
        prepare: |store, id| Box::pin(put_token(store, id)),
        attempt: |store, id| {
            Box::pin(async move {
                let (expected, data) = (value("{\"n\": 1.0}"), value("{\"n\": 2}"));
                let new = NewValue { data: &data, timestamp: None, ttl_seconds: None };
                store.swap_attribute(token(&id), &expected, &new).await
            })
        },
        is_done: |store, id| {
            Box::pin(async move {
                let found = store.attribute(token(&id)).await.unwrap().expect("it is never deleted");
                found.data == Some(value("{\"n\": 2}"))
            })
        },
    })
    .await;
}

#[tokio::test]
async fn of_those_who_use_a_token_up_one_has_used_it() {
    fight(Contest {
        what: "delete_attribute",
        prepare: |store, id| Box::pin(put_token(store, id)),
        attempt: |store, id| Box::pin(async move { store.delete_attribute(token(&id)).await }),
        is_done: |store, id| Box::pin(async move { store.attribute(token(&id)).await.unwrap().is_none() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_add_a_change_under_one_number_one_has_added_it() {
    fight(Contest {
        what: "create_diff",
        prepare: |_, _| Box::pin(async {}),
        attempt: |store, id| {
            Box::pin(async move {
                let (subid, diff) = ("subscription".to_owned(), "{}".to_owned());
                let subid_seqnr = subid_seqnr(&subid, 7);
                let timestamp = DateTime::<Utc>::UNIX_EPOCH;
                store.create_diff(&SubscriptionDiff { id, subid_seqnr, subid, timestamp, diff, seqnr: 7 }).await
            })
        },
        is_done: |store, id| Box::pin(async move { store.diff(&id, "subscription", 7).await.unwrap().is_some() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_suspend_a_target_one_has_suspended_it() {
    fight(Contest {
        what: "suspend",
        prepare: |_, _| Box::pin(async {}),
        attempt: |store, id| Box::pin(async move { store.suspend(&id, "properties", "").await }),
        is_done: |store, id| Box::pin(async move { store.is_suspended(&id, "properties", "").await.unwrap() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_make_a_peer_trustee_one_has_made_it() {
    fight(Contest {
        what: "create_peer_trustee",
        prepare: |_, _| Box::pin(async {}),
        attempt: |store, id| {
            Box::pin(async move {
                let peer = PeerTrustee { id, peerid: "peer".to_owned(), ..PeerTrustee::default() };
                store.create_peer_trustee(&peer).await
            })
        },
        is_done: |store, id| Box::pin(async move { store.peer_trustee(&id, "peer").await.unwrap().is_some() }),
    })
    .await;
}

#[tokio::test]
async fn of_those_who_make_a_lookup_entry_one_has_made_it() {
    fight(Contest {
        what: "create_lookup",
        prepare: |_, _| Box::pin(async {}),
        attempt: |store, id| Box::pin(async move { store.create_lookup("email", &id, &id).await }),
        is_done: |store, id| Box::pin(async move { store.lookup("email", &id).await.unwrap().is_some() }),
    })
    .await;
}

/// A change that says the same however often it is made may be made again.
#[tokio::test]
async fn a_change_of_an_actor_is_made_in_spite_of_a_lost_answer() {
    let scene = Scene::new().await;
    assert!(scene.direct.create_actor(&actor("actor")).await.unwrap());
    for fault in Fault::LOSSES {
        scene.proxy.play(move |seen| (seen.of_all == 1).then(|| fault.clone()));
        let change = ActorChange { passphrase: Some("new".to_owned()), ..ActorChange::default() };
        assert!(scene.store.modify_actor("actor", &change).await.unwrap());
        assert_eq!(scene.proxy.count("UpdateItem"), 2);
    }
    assert_eq!(scene.direct.actor("actor").await.unwrap().unwrap().passphrase, "new");
}
