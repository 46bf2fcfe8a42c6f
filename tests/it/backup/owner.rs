//! Whose sets lie in a place, for whoever looks without the deployment.

use actingweb_maintd::archive::Place;
use actingweb_maintd::backup::{Owner, Workshop};
use serde_json::json;
use uuid::Uuid;

use crate::harness::sets::{self, identity, make};

#[tokio::test]
async fn a_deployment_whose_sets_cannot_be_read_is_known_by_its_id_only() {
    let root = tempfile::tempdir().expect("a directory");
    let place = root.path().join("backups");
    let mut shop: Workshop = sets::workshop(root.path());
    shop.settings.r#where = Some(Place::Directory(place.clone()));
    let (readable, unreadable) = (identity(), Uuid::new_v4());
    let shelf = shop.shelf(&readable).expect("a shelf");
    make(&shelf, &sets::files(100)).await.expect("a set");
    std::fs::create_dir_all(place.join(format!("{unreadable}/20261128T053000Z-logical-3f2a91"))).expect("a directory");

    let found = shop.deployments().await.expect("deployments");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.contains(&Owner::from(readable)), "{found:?}");
    let unknown = Owner { id: unreadable, home: None };
    assert!(found.contains(&unknown), "{found:?}");
    assert_eq!(serde_json::to_value(&unknown).expect("a document"), json!({ "id": unreadable }));
    assert_eq!(shop.shelf(unknown).expect("a shelf").entries().await.expect("entries").len(), 1);
}
