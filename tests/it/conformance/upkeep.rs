//! A store as a whole.

use std::time::Duration;

use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::{Adoption, Applied, Home, SchemaStatus, Store};

use super::fixtures::{actor, state};

pub(super) async fn it_is_there_and_current(store: &dyn Store) {
    store.probe().await.unwrap();
    store.touch().await.unwrap();
    let schema = store.schema().await.unwrap();
    assert!(schema.is_current());
    assert_eq!((schema.refusal(), schema.own_refusal()), (None, None));
    match (store.backend(), &schema) {
        (BackendKind::Postgresql, SchemaStatus::Postgresql(_)) => (),
        (BackendKind::Dynamodb, SchemaStatus::Dynamodb(status)) => {
            assert_eq!(status.tables.len(), Table::ALL.len());
            assert_eq!(status.missing, [] as [String; 0]);
            assert_eq!(status.findings, [] as [String; 0]);
            assert_eq!(status.ttl_attribute.as_deref(), Some("ttl_timestamp"));
        }
        (backend, schema) => panic!("{backend} says {schema:?}"),
    }
    assert!(!store.describe().is_empty());
    assert!(!store.describe().contains("test test"), "no secrets");
}

pub(super) async fn applying_again_changes_nothing(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    let (before, schema) = (state(store).await, store.schema().await.unwrap());
    for application in [true, false] {
        let applied = store.apply(application).await.unwrap();
        if let Applied::Dynamodb(applied) = applied {
            assert_eq!((applied.tables, applied.ttl, applied.maintd), (Vec::new(), false, false));
        }
    }
    assert_eq!(state(store).await, before);
    assert_eq!(store.schema().await.unwrap(), schema);
}

pub(super) async fn a_deployment_has_one_identity(store: &dyn Store) {
    let many = futures_util::future::join_all((0..8).map(|_| store.identity())).await;
    let first = store.identity().await.unwrap();
    for identity in many {
        assert_eq!(identity.unwrap(), first);
    }
    match (store.backend(), first.home) {
        (BackendKind::Postgresql, Home::Postgresql { database, .. }) => assert!(database.starts_with("t_")),
        (BackendKind::Dynamodb, Home::Dynamodb { table_prefix, account, region }) => {
            assert!(table_prefix.starts_with('t'));
            assert!(!account.is_empty() && !region.is_empty());
        }
        (backend, home) => panic!("{backend} says {home:?}"),
    }
}

pub(super) async fn a_deployment_is_at_home_until_it_is_adopted_elsewhere(store: &dyn Store) {
    let first = store.identity().await.unwrap();
    assert_eq!(first.refusal(&store.home().await.unwrap()), None);
    assert_eq!(store.adopt(Adoption::Moved).await.unwrap(), first);
    let other = store.adopt(Adoption::Copied).await.unwrap();
    assert_ne!(other.id, first.id);
    assert_eq!(other.home, first.home);
    assert_eq!(store.identity().await.unwrap(), other);
}

pub(super) async fn a_mark_stays_until_it_is_taken_back(store: &dyn Store) {
    assert_eq!(store.incomplete().await.unwrap(), None);
    assert_eq!(store.mark_complete().await.unwrap(), None);
    let first = store.mark_incomplete("restoring \"é\"", "host, process 1").await.unwrap();
    assert_eq!((&*first.why, &*first.by), ("restoring \"é\"", "host, process 1"));
    assert_eq!(store.incomplete().await.unwrap().as_ref(), Some(&first));
    let second = store.mark_incomplete("importing", "somebody else").await.unwrap();
    assert_eq!(second, first, "who was first has marked it");
    assert_eq!(store.mark_complete().await.unwrap(), Some(first));
    assert_eq!(store.incomplete().await.unwrap(), None);
    assert_eq!(store.mark_complete().await.unwrap(), None);
    assert_eq!(store.mark_incomplete("importing", "b").await.unwrap().why, "importing");
}

pub(super) async fn it_can_be_asked_to_hurry_and_to_end(store: &dyn Store) {
    store.reserve().await;
    store.cancel().await.unwrap();
    store.probe().await.unwrap();
    store.close(Duration::from_secs(5)).await;
}
