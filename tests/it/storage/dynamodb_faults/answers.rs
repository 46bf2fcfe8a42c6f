//! Answers that come late, that are none, and that refuse.

use std::time::Duration;

use actingweb_maintd::model::clock;
use actingweb_maintd::model::row::Actor;
use actingweb_maintd::storage::{
    Actors, AttributeKey, Attributes, Bulk, ErrorKind, NewValue, Properties, Slots, Sweep, Upkeep,
};
use chrono::TimeDelta;

use super::{Scene, actor, attributes, property, value};
use crate::harness::dynamodb_proxy::Fault;

/// What nobody may read in an error.
const SECRET: &str = "swordfish";

/// What is said when everything goes wrong like this.
async fn chains(scene: &Scene, fault: Fault, kind: ErrorKind) -> Vec<String> {
    scene.proxy.play(move |_| Some(fault.clone()));
    let key = AttributeKey { id: "actor", bucket: "tokens", name: SECRET };
    let data = value("\"swordfish\"");
    let new = NewValue { data: &data, timestamp: None, ttl_seconds: None };
    let actor = Actor { passphrase: SECRET.to_owned(), ..actor("actor") };
    let errors = [
        scene.store.property("actor", "note").await.unwrap_err(),
        scene.store.create_actor(&actor).await.unwrap_err(),
        scene.store.set_property(&property("actor", "note", SECRET)).await.unwrap_err(),
        scene.store.set_property(&property("actor", "email", SECRET)).await.unwrap_err(),
        scene.store.swap_property(&property("actor", "note", SECRET), SECRET).await.unwrap_err(),
        scene.store.set_attribute(key, &new).await.unwrap_err(),
        scene.store.delete_attribute(key).await.unwrap_err(),
        scene.store.attribute(key).await.unwrap_err(),
        scene.store.bucket("actor", "tokens").await.unwrap_err(),
        scene.store.write(&attributes(SECRET, 10, None)).await.unwrap_err(),
        scene.store.pause("ttl_cleanup", "ada").await.unwrap_err(),
        scene.store.standing("ttl_cleanup").await.unwrap_err(),
        scene.store.touch().await.unwrap_err(),
    ];
    assert!(scene.proxy.count_all() <= 4 * 13 * 2, "{} requests", scene.proxy.count_all());
    let chains = errors.map(|error| {
        assert_eq!(error.kind, kind, "{}", error.chain());
        error.chain()
    });
    assert!(chains.iter().all(|chain| !chain.contains(SECRET)), "{chains:#?}");
    chains.into()
}

#[tokio::test]
async fn who_is_refused_is_told_by_whom_and_why() {
    let scene = Scene::new().await;
    for (code, message) in [
        ("AccessDeniedException", "User: ada is not authorized to perform: dynamodb:PutItem"),
        ("UnrecognizedClientException", "The security token included in the request is invalid."),
        ("ExpiredTokenException", "The security token included in the request is expired"),
        ("InvalidSignatureException", "The request signature we calculated does not match"),
    ] {
        for chain in chains(&scene, Fault::Refused(400, code, message), ErrorKind::Denied).await {
            assert!(
                chain.starts_with("dynamodb: cannot ") && chain.contains(code) && chain.contains(message),
                "{chain}"
            );
        }
    }
    let denied = Fault::Refused(400, "UnrecognizedClientException", "The security token is invalid");
    scene.proxy.play(move |_| Some(denied.clone()));
    let chain = scene.store.probe().await.unwrap_err().chain();
    assert!(chain.contains("AWS_ACCESS_KEY_ID"), "what to do: {chain}");
}

#[tokio::test]
async fn a_missing_table_is_named() {
    let scene = Scene::new().await;
    let missing = Fault::Refused(400, "ResourceNotFoundException", "Requested resource not found");
    for chain in chains(&scene, missing, ErrorKind::Schema).await {
        assert!(chain.contains("schema apply"), "what to do: {chain}");
    }
}

#[tokio::test]
async fn a_server_that_fails_is_unavailable() {
    let scene = Scene::new().await;
    let failing = Fault::Refused(500, "InternalServerError", "The request processing has failed");
    for chain in chains(&scene, failing, ErrorKind::Unavailable).await {
        assert!(chain.contains("InternalServerError") && chain.contains("has failed"), "{chain}");
    }
}

#[tokio::test]
async fn a_page_is_no_answer() {
    let scene = Scene::new().await;
    for status in [502, 503] {
        for chain in chains(&scene, Fault::Page(status), ErrorKind::Unavailable).await {
            assert!(chain.contains(&status.to_string()), "{chain}");
            assert!(!chain.contains("<html>"), "{chain}");
        }
    }
    for chain in chains(&scene, Fault::Page(200), ErrorKind::Unavailable).await {
        assert!(!chain.contains("Nobody is here"), "{chain}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable() {
    let scene = Scene::new().await;
    for fault in [Fault::Unsent, Fault::Unanswered, Fault::CutOff, Fault::Gibberish] {
        chains(&scene, fault, ErrorKind::Unavailable).await;
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_until_the_lease_demands_otherwise() {
    let scene = Scene::leased(Duration::from_secs(1)).await;
    let never = Fault::Late(Duration::from_secs(3600));
    for chain in chains(&scene, never.clone(), ErrorKind::Timeout).await {
        assert!(chain.contains("no answer in time"), "{chain}");
    }
    let scene = Scene::leased(Duration::from_secs(8)).await;
    scene.proxy.play(move |seen| (seen.of_all == 1).then(|| never.clone()));
    assert_eq!(scene.store.property("actor", "other").await.unwrap(), None, "the second answer came");
    assert_eq!(scene.proxy.count_all(), 2);
}

/// The server's clock is known by its answers.
#[tokio::test]
async fn the_clock_that_answers_show_decides() {
    let scene = Scene::new().await;
    let key = AttributeKey { id: "actor", bucket: "tokens", name: "one" };
    // With the hour of allowance it expires in half an hour.
    let data = value("1");
    let new = NewValue { data: &data, timestamp: None, ttl_seconds: Some(-1800) };
    scene.direct.set_attribute(key, &new).await.unwrap();
    assert!(scene.direct.live_attribute(key).await.unwrap().is_some());

    for (ahead, is_live) in [(3600, false), (0, true), (-3600, true)] {
        scene.proxy.play(move |_| Some(Fault::Dated(Some(TimeDelta::seconds(ahead)))));
        assert_eq!(scene.store.live_attribute(key).await.unwrap().is_some(), is_live, "{ahead} s ahead");
        let asked = clock::now().timestamp();
        let epoch = scene.store.cutoff(Duration::ZERO).await.unwrap().epoch;
        let seconds = asked - 2..=clock::now().timestamp() + 2;
        assert!(seconds.contains(&(epoch - ahead)), "{ahead} s ahead: {epoch}, not in {seconds:?}");
    }
}

/// A proxy may take the date away. Then the last that was shown counts, and ours before that.
#[tokio::test]
async fn answers_without_a_date_leave_the_clock_as_it_was() {
    let scene = Scene::new().await;
    scene.proxy.play(|_| Some(Fault::Dated(None)));
    let is_at = async |ahead: i64| {
        let asked = clock::now().timestamp();
        let told = scene.store.time().await.unwrap().timestamp();
        let seconds = asked - 2..=clock::now().timestamp() + 2;
        assert!(seconds.contains(&(told - ahead)), "{ahead} s ahead: {told}, not in {seconds:?}");
    };
    is_at(0).await;
    scene.proxy.play(|_| Some(Fault::Dated(Some(TimeDelta::seconds(100)))));
    is_at(100).await;
    scene.proxy.play(|_| Some(Fault::Dated(None)));
    is_at(100).await;
}
