//! Peer trustees.

use actingweb_maintd::model::row::{PeerTrustee, PeerTrusteeChange};
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::Store;

use super::fixtures::{NASTY, ORDERED, peer_trustee, refused, shuffled, state};

fn peers(trustees: Vec<PeerTrustee>) -> Vec<String> {
    trustees.into_iter().map(|trustee| trustee.peerid).collect()
}

pub(super) async fn what_was_created_is_read(store: &dyn Store) {
    assert_eq!(store.peer_trustee("a", "b").await.unwrap(), None);
    for nasty in NASTY {
        let [id, peerid, baseuri, r#type, passphrase] = [nasty; 5].map(str::to_owned);
        let created = PeerTrustee { id, peerid, baseuri, r#type, passphrase };
        assert!(store.create_peer_trustee(&created).await.unwrap());
        assert_eq!(store.peer_trustee(nasty, nasty).await.unwrap(), Some(created));
    }
    let empty = PeerTrustee { id: "a".to_owned(), peerid: "p".to_owned(), ..PeerTrustee::default() };
    assert!(store.create_peer_trustee(&empty).await.unwrap());
    assert_eq!(store.peer_trustee("a", "p").await.unwrap(), Some(empty));
}

pub(super) async fn the_first_to_create_stays(store: &dyn Store) {
    assert!(store.create_peer_trustee(&peer_trustee("a", "p")).await.unwrap());
    let before = state(store).await;
    let other = PeerTrustee { passphrase: "another".to_owned(), ..peer_trustee("a", "p") };
    assert!(!store.create_peer_trustee(&other).await.unwrap());
    assert_eq!(state(store).await, before);
}

pub(super) async fn they_come_by_the_bytes_of_their_peers(store: &dyn Store) {
    for (n, peer) in shuffled().into_iter().enumerate() {
        let r#type = if n % 2 == 0 { "even" } else { "odd" }.to_owned();
        store.create_peer_trustee(&PeerTrustee { r#type, ..peer_trustee("a", peer) }).await.unwrap();
    }
    store.create_peer_trustee(&PeerTrustee { r#type: "even".to_owned(), ..peer_trustee("ab", "a") }).await.unwrap();
    assert_eq!(peers(store.peer_trustees("a").await.unwrap()), ORDERED);
    let of_type = async |r#type: &str| peers(store.peer_trustees_of_type("a", r#type).await.unwrap());
    let mut even: Vec<&str> = shuffled().into_iter().step_by(2).collect();
    even.sort_unstable();
    assert_eq!(of_type("even").await, even);
    assert_eq!(of_type("odd").await.len(), ORDERED.len() - even.len());
    assert_eq!(of_type("eve").await, [] as [String; 0]);
    assert_eq!(of_type("Even").await, [] as [String; 0]);
    assert_eq!(peers(store.peer_trustees_of_type("ab", "even").await.unwrap()), ["a"]);
}

pub(super) async fn a_change_changes_what_it_names(store: &dyn Store) {
    let some = |text: &str| Some(text.to_owned());
    for peer in ["p", "other"] {
        store.create_peer_trustee(&peer_trustee("a", peer)).await.unwrap();
    }
    let mut expected = peer_trustee("a", "p");
    let none = PeerTrusteeChange::default();
    for (change, field) in [
        (PeerTrusteeChange { baseuri: some("new"), ..none.clone() }, 0),
        (PeerTrusteeChange { r#type: some("new"), ..none.clone() }, 1),
        (PeerTrusteeChange { passphrase: some(""), ..none.clone() }, 2),
        (none.clone(), 3),
    ] {
        assert!(store.modify_peer_trustee("a", "p", &change).await.unwrap());
        match field {
            0 => expected.baseuri = "new".to_owned(),
            1 => expected.r#type = "new".to_owned(),
            2 => expected.passphrase.clear(),
            _ => (),
        }
        assert_eq!(store.peer_trustee("a", "p").await.unwrap().as_ref(), Some(&expected));
    }
    assert_eq!(store.peer_trustee("a", "other").await.unwrap(), Some(peer_trustee("a", "other")));
}

pub(super) async fn what_is_gone_stays_gone(store: &dyn Store) {
    for n in 0..30 {
        store.create_peer_trustee(&peer_trustee("a", &n.to_string())).await.unwrap();
    }
    store.create_peer_trustee(&peer_trustee("ab", "1")).await.unwrap();
    assert!(store.delete_peer_trustee("a", "1").await.unwrap());
    assert!(!store.delete_peer_trustee("a", "1").await.unwrap());
    for baseuri in [None, Some("new".to_owned())] {
        let change = PeerTrusteeChange { baseuri, ..PeerTrusteeChange::default() };
        assert!(!store.modify_peer_trustee("a", "1", &change).await.unwrap());
    }
    assert_eq!(store.peer_trustee("a", "1").await.unwrap(), None);
    assert_eq!(store.delete_peer_trustees("a").await.unwrap(), 29);
    assert_eq!(store.delete_peer_trustees("a").await.unwrap(), 0);
    assert_eq!(store.count(Table::PeerTrustees).await.unwrap(), 1);
    assert!(store.create_peer_trustee(&peer_trustee("a", "1")).await.unwrap());
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let with = |r#type: &str, passphrase: &str| PeerTrustee {
        r#type: r#type.to_owned(),
        passphrase: passphrase.to_owned(),
        ..peer_trustee("a", "new")
    };
    let long_type = with(&"é".repeat(256), "passphrase");
    let nul = with("type", "h1dden\0");
    let large = with("type", &"h1dden".repeat(70_000));
    let long_peer = peer_trustee("a", &"p".repeat(256));
    let over_long_peer = peer_trustee("a", &"p".repeat(1025));
    let (good, bad) = match store.backend() {
        BackendKind::Postgresql => (
            vec![&large],
            vec![("type", &long_type), ("passphrase", &nul), ("peerid", &long_peer), ("peerid", &over_long_peer)],
        ),
        BackendKind::Dynamodb => (vec![&long_type, &nul, &long_peer], vec![("peerid", &over_long_peer), ("", &large)]),
    };
    let fits = with(&"é".repeat(255), "passphrase");
    for trustee in good.into_iter().chain([&fits]) {
        assert!(store.create_peer_trustee(trustee).await.unwrap());
        assert_eq!(store.peer_trustee("a", &trustee.peerid).await.unwrap().as_ref(), Some(trustee));
        assert!(store.delete_peer_trustee("a", &trustee.peerid).await.unwrap());
    }
    store.create_peer_trustee(&peer_trustee("a", "stands")).await.unwrap();
    for (attribute, trustee) in bad {
        let why = (Table::PeerTrustees, attribute, "h1dden");
        refused(store, why, store.create_peer_trustee(trustee)).await;
        if attribute != "peerid" {
            let change = PeerTrusteeChange {
                r#type: Some(trustee.r#type.clone()),
                passphrase: Some(trustee.passphrase.clone()),
                ..PeerTrusteeChange::default()
            };
            refused(store, why, store.modify_peer_trustee("a", "stands", &change)).await;
        }
    }
}
