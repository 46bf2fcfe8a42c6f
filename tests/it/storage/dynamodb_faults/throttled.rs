//! A DynamoDB without capacity.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::model::Table;
use actingweb_maintd::model::row::ActorChange;
use actingweb_maintd::storage::{
    Actors, AttributeKey, Attributes, Bulk, Claim, Claimed, ErrorKind, Leases, Lookup, NewValue, Place, Properties,
    Renewal, Result, Segment, Slots, Sweep, Upkeep, Watermarks,
};

use super::{Act, Scene, actor, attributes, property, value};
use crate::harness::dynamodb_proxy::Fault;

/// So many requests for one operation are enough: each of ours is tried nine times, and each of
/// these by the SDK four times.
const ENOUGH: u64 = 9 * 4;

/// Everything that asks for something in a way of its own.
const ACTS: &[(&str, Act<Result<()>>)] = &[
    ("actor", |store, id| Box::pin(async move { store.actor(&id).await.map(drop) })),
    ("actors_by_creator", |store, _| Box::pin(async move { store.actors_by_creator("ada").await.map(drop) })),
    ("create_actor", |store, id| Box::pin(async move { store.create_actor(&actor(&id)).await.map(drop) })),
    ("modify_actor", |store, _| {
        Box::pin(async move {
            let change = ActorChange { passphrase: Some("new".to_owned()), ..ActorChange::default() };
            store.modify_actor("known", &change).await.map(drop)
        })
    }),
    ("delete_actor", |store, _| Box::pin(async move { store.delete_actor("known").await.map(drop) })),
    ("set_property", |store, id| {
        Box::pin(async move { store.set_property(&property(&id, "note", "new")).await.map(drop) })
    }),
    ("set_property, indexed", |store, id| {
        Box::pin(async move { store.set_property(&property(&id, "email", "new")).await.map(drop) })
    }),
    ("swap_property", |store, _| {
        Box::pin(async move { store.swap_property(&property("known", "note", "new"), "old").await.map(drop) })
    }),
    ("delete_property, indexed", |store, _| {
        Box::pin(async move { store.delete_property("known", "email").await.map(drop) })
    }),
    ("delete_properties", |store, _| {
        Box::pin(async move { store.delete_properties("known", &["note".to_owned()]).await })
    }),
    ("property_range", |store, _| Box::pin(async move { store.property_range("known", "a", "z").await.map(drop) })),
    ("create_lookup", |store, id| Box::pin(async move { store.create_lookup("email", &id, &id).await.map(drop) })),
    ("set_attribute", |store, id| {
        Box::pin(async move {
            let data = value("1");
            let key = AttributeKey { id: &id, bucket: "numbers", name: "one" };
            store.set_attribute(key, &NewValue { data: &data, timestamp: None, ttl_seconds: None }).await
        })
    }),
    ("write", |store, id| Box::pin(async move { store.write(&attributes(&id, 10, None)).await.map(drop) })),
    ("scan", |store, _| {
        Box::pin(async move { store.scan(Table::Properties, Segment::WHOLE, &Place::default(), 10).await.map(drop) })
    }),
    ("count", |store, _| Box::pin(async move { store.count(Table::Properties).await.map(drop) })),
    ("claim", |store, id| {
        Box::pin(async move {
            let ttl = Duration::from_secs(10);
            let claim = Claim { job: id.leak(), due: None, holder: "one".to_owned(), workers: 1, ttl };
            store.claim(&claim).await.map(drop)
        })
    }),
    ("pause", |store, id| Box::pin(async move { store.pause(&id, "ada").await.map(drop) })),
    ("standing", |store, id| Box::pin(async move { store.standing(&id).await.map(drop) })),
    ("cutoff", |store, _| Box::pin(async move { store.cutoff(Duration::ZERO).await.map(drop) })),
    ("mark", |store, id| Box::pin(async move { store.mark(&[(id, "subscription".to_owned(), 7)]).await })),
    ("identity", |store, _| Box::pin(async move { store.identity().await.map(drop) })),
    ("mark_incomplete", |store, _| Box::pin(async move { store.mark_incomplete("a test", "ada").await.map(drop) })),
    ("schema", |store, _| Box::pin(async move { store.schema().await.map(drop) })),
    ("touch", |store, _| Box::pin(async move { store.touch().await })),
];

async fn prepared() -> Scene {
    let scene = Scene::new().await;
    assert!(scene.direct.create_actor(&actor("known")).await.unwrap());
    scene.direct.set_property(&property("known", "note", "old")).await.unwrap();
    scene.direct.set_property(&property("known", "email", "old")).await.unwrap();
    scene
}

#[tokio::test]
async fn what_is_throttled_for_a_while_is_done() {
    let scene = prepared().await;
    for (what, act) in ACTS {
        scene.proxy.play(|seen| (seen.of_all <= 3).then_some(Fault::THROTTLED));
        let done = act(Arc::clone(&scene.store), format!("actor, {what}")).await;
        done.unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
        assert_eq!(scene.proxy.faults(), 3, "{what}");
    }
    let id = "actor, create_actor";
    assert_eq!(scene.direct.actor(id).await.unwrap().map(|actor| actor.id).as_deref(), Some(id));
    assert_eq!(
        scene.direct.actor_by_property("email", "new").await.unwrap().as_deref(),
        Some("actor, set_property, indexed")
    );
    assert_eq!(scene.direct.property("known", "email").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_throttled_for_good_ends_soon_and_says_why() {
    let scene = prepared().await;
    for (what, act) in ACTS {
        for (code, message) in [
            ("ProvisionedThroughputExceededException", "The level of configured throughput was exceeded"),
            ("ThrottlingException", "Rate of requests exceeds the allowed throughput"),
            ("RequestLimitExceeded", "Throughput exceeds the current limit for your account"),
        ] {
            let before = scene.contents().await;
            scene.proxy.play(move |_| Some(Fault::Refused(400, code, message)));
            let error = act(Arc::clone(&scene.store), format!("actor, {what}")).await.expect_err(what);
            assert_eq!(error.kind, ErrorKind::Throttled, "{what}: {}", error.chain());
            let chain = error.chain();
            assert!(chain.contains(code) && chain.contains(message), "{what}: {chain}");
            let asked = scene.proxy.count_all();
            assert!((1..=ENOUGH).contains(&asked), "{what}: {asked} requests");
            assert_eq!(scene.contents().await, before, "{what}");
        }
    }
}

/// Keeping a lease has retries of its own, which work that is throttled cannot use up.
#[tokio::test]
async fn work_that_is_throttled_does_not_cost_the_lease() {
    let scene = prepared().await;
    let ttl = Duration::from_secs(10);
    let claim = Claim { job: "ttl_cleanup", due: None, holder: "one".to_owned(), workers: 1, ttl };
    let Claimed::Won(won) = scene.store.claim(&claim).await.unwrap() else { panic!("nobody else wants it") };
    // The SDK's budget is 500, and each of its repetitions takes 5 of it.
    scene.proxy.play(|_| Some(Fault::THROTTLED));
    let reads = (0..60).map(|_| scene.store.actor("known"));
    let read = futures_util::future::join_all(reads).await;
    assert!(read.iter().all(Result::is_err));
    assert!(scene.proxy.count_all() < 60 * 4, "the budget of the work is used up");
    scene.proxy.play(|seen| (seen.nth <= 3).then_some(Fault::THROTTLED));
    let renewed = scene.store.renew(&won.lease, ttl).await.unwrap();
    assert_eq!(renewed, Renewal::Kept);
}

/// A walk with a limit and in segments, while every third request or so is turned away.
#[tokio::test]
async fn a_walk_sees_each_row_once() {
    let scene = Scene::new().await;
    scene.direct.write(&attributes("actor", 200, None)).await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    scene.proxy.play(move |_| {
        let faults = [Fault::THROTTLED, Fault::Unsent, Fault::Unanswered, Fault::CutOff, Fault::Page(503)];
        (random.u8(..3) == 0).then(|| faults[random.usize(..faults.len())].clone())
    });
    for of in [1, 3] {
        let mut seen = Vec::new();
        for index in 0..of {
            let mut place = Some(Place::default());
            while let Some(from) = place {
                match scene.store.scan(Table::Attributes, Segment { index, of }, &from, 7).await {
                    Ok(stretch) => {
                        seen.extend(stretch.records.into_iter().map(|record| format!("{:?}", record.source)));
                        place = stretch.next;
                    }
                    Err(error) => {
                        assert!(error.kind.may_pass(), "{}", error.chain());
                        place = Some(from);
                    }
                }
            }
        }
        assert_eq!(seen.len(), 200, "{of} segments");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 200, "{of} segments");
    }
    assert!(scene.proxy.faults() > 10);
}
