//! Batches of which only a part is done.

use std::collections::BTreeSet;

use actingweb_maintd::model::Table;
use actingweb_maintd::model::row::Actor;
use actingweb_maintd::storage::{Actors, Bulk, ErrorKind, Properties, Suspensions};

use super::{Scene, attributes, property};
use crate::harness::dynamodb_proxy::{Fault, Seen};

/// So often a batch of which nothing is done is asked for.
const IN_VAIN: u64 = 9;

/// Of a batch a few, then none, then a few again.
fn slowly(seen: Seen<'_>) -> Option<Fault> {
    let is_batch = seen.operation.starts_with("Batch");
    is_batch.then_some(Fault::Partly(if seen.of_all.is_multiple_of(3) { 7 } else { 0 }))
}

#[tokio::test]
async fn rows_of_which_only_some_are_taken_at_a_time_are_all_written_once() {
    let scene = Scene::new().await;
    let records = attributes("actor", 60, None);
    scene.proxy.play(slowly);
    let written = scene.store.write(&records).await.unwrap();
    // The server counts a unit for each of these rows, whenever it writes it.
    assert_eq!((written.records, written.write_units), (60, 60.0));
    let stored = scene.contents().await;
    let direct = Scene::new().await;
    direct.direct.write(&records).await.unwrap();
    let expected = direct.contents().await;
    let (stored, expected) =
        (&stored[&scene.tables.name(Table::Attributes)], &expected[&direct.tables.name(Table::Attributes)]);
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn one_row_at_a_time_is_slow_and_not_stuck() {
    let scene = Scene::new().await;
    scene.proxy.play(|_| Some(Fault::Partly(1)));
    let written = scene.store.write(&attributes("actor", 25, None)).await.unwrap();
    assert_eq!((written.records, written.write_units, scene.proxy.count_all()), (25, 25.0, 25));
}

#[tokio::test]
async fn rows_that_are_never_taken_are_an_error_that_counts_them() {
    let scene = Scene::new().await;
    scene.proxy.play(|seen| Some(Fault::Partly(if seen.nth == 1 { 5 } else { 0 })));
    let error = scene.store.write(&attributes("actor", 20, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled);
    assert_eq!(
        error.chain(),
        "dynamodb: cannot write rows: the last 15 items of the batch could not be written: no capacity is left, \
         again and again"
    );
    assert_eq!(scene.proxy.count_all(), IN_VAIN);
    assert_eq!(scene.direct.count(Table::Attributes).await.unwrap(), 5);
}

#[tokio::test]
async fn rows_are_deleted_though_only_some_at_a_time() {
    let scene = Scene::new().await;
    let names: Vec<String> = (0..30).map(|number| format!("list:things:{number}")).collect();
    for name in &names {
        scene.direct.set_property(&property("actor", name, "thing")).await.unwrap();
    }
    scene.direct.set_property(&property("actor", "other", "stays")).await.unwrap();
    scene.proxy.play(slowly);
    scene.store.delete_properties("actor", &names).await.unwrap();
    let left = scene.direct.all_properties("actor").await.unwrap();
    assert_eq!(left, [property("actor", "other", "stays")]);

    for name in &names {
        scene.direct.set_property(&property("actor", name, "thing")).await.unwrap();
    }
    scene.proxy.play(|seen| (seen.operation == "BatchWriteItem").then_some(Fault::Partly(0)));
    let error = scene.store.delete_all_properties("actor").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled, "{}", error.chain());
    assert_eq!(scene.proxy.count("BatchWriteItem"), IN_VAIN);
    assert_eq!(scene.direct.all_properties("actor").await.unwrap().len(), 31);
}

#[tokio::test]
async fn rows_are_read_once_each_though_only_some_at_a_time() {
    let scene = Scene::new().await;
    let actor = |number: u32| Actor {
        id: format!("actor-{number:02}"),
        creator: "ada@example.com".to_owned(),
        ..Actor::default()
    };
    let actors: Vec<Actor> = (0..30).map(actor).collect();
    for actor in &actors {
        assert!(scene.direct.create_actor(actor).await.unwrap());
    }
    scene.proxy.play(slowly);
    let found = scene.store.actors_by_creator("ada@example.com").await.unwrap();
    assert_eq!(found, actors);
    assert!(scene.proxy.count("BatchGetItem") > 5);

    scene.proxy.play(|seen| {
        let part = if seen.nth == 1 { 12 } else { 0 };
        (seen.operation == "BatchGetItem").then_some(Fault::Partly(part))
    });
    let error = scene.store.actors_by_creator("ada@example.com").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled);
    let chain = error.chain();
    assert!(chain.contains("the last 18 items of the batch could not be read: no capacity is left"), "{chain}");
    assert_eq!(scene.proxy.count("BatchGetItem"), IN_VAIN);
}

/// Half an answer would be "no".
#[tokio::test]
async fn a_target_is_suspended_though_only_half_of_the_answer_comes_at_first() {
    let scene = Scene::new().await;
    assert!(scene.direct.suspend("actor", "properties", "note").await.unwrap());
    scene.proxy.play(|seen| Some(Fault::Partly(usize::from(seen.nth == 2))));
    let error = scene.store.is_suspended("actor", "properties", "note").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Throttled);
    for first in [0, 1] {
        scene.proxy.play(move |seen| (seen.nth <= 2).then_some(Fault::Partly(first)));
        assert!(scene.store.is_suspended("actor", "properties", "note").await.unwrap());
    }
}

/// A batch that is partly done, refused, done without an answer, and so on.
#[tokio::test]
async fn rows_are_all_written_whatever_happens_to_batches() {
    let scene = Scene::new().await;
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        scene.proxy.play(move |_| {
            let faults = [
                Fault::THROTTLED,
                Fault::Unsent,
                Fault::Unanswered,
                Fault::CutOff,
                Fault::Doubtful,
                Fault::Partly(0),
                Fault::Partly(3),
                Fault::Partly(12),
            ];
            (random.u8(..2) == 0).then(|| faults[random.usize(..faults.len())].clone())
        });
        let id = format!("actor-{seed}");
        match scene.store.write(&attributes(&id, 40, None)).await {
            Ok(written) => {
                assert_eq!(written.records, 40);
                let stored = scene.direct.read_all(Table::Attributes, &id).await.unwrap();
                assert_eq!(stored.len(), 40, "seed {seed}");
            }
            // Four times in a row, and nobody has promised anything.
            Err(error) => assert!(error.kind.may_pass(), "seed {seed}: {}", error.chain()),
        }
        scene.proxy.heal();
        // What was not promised can be written again.
        scene.store.write(&attributes(&id, 40, None)).await.unwrap();
        let stored = scene.direct.read_all(Table::Attributes, &id).await.unwrap();
        let values: BTreeSet<String> = stored.iter().map(|record| format!("{:?}", record.meaning)).collect();
        assert_eq!((stored.len(), values.len()), (40, 40));
    }
}
