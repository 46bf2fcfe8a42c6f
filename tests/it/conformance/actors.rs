//! Actors.

use actingweb_maintd::model::row::{Actor, ActorChange};
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::Store;

use super::fixtures::{NASTY, actor, at, property, refused, shuffled, state};

fn change(creator: Option<&str>, passphrase: Option<&str>) -> ActorChange {
    ActorChange { creator: creator.map(str::to_owned), passphrase: passphrase.map(str::to_owned) }
}

pub(super) async fn what_was_created_is_read(store: &dyn Store) {
    assert_eq!(store.actor("a").await.unwrap(), None);
    for (n, id) in NASTY.iter().enumerate() {
        let created = Actor {
            creator: format!("{id} {n}"),
            passphrase: format!("{id}\n"),
            created_at: Some(at(n as i64)),
            ..actor(id)
        };
        assert!(store.create_actor(&created).await.unwrap());
        let read = store.actor(id).await.unwrap().expect("it is there");
        let created_at = created.created_at.filter(|_| store.backend() == BackendKind::Postgresql);
        assert_eq!(read, Actor { created_at, ..created });
    }
    assert_eq!(store.count(Table::Actors).await.unwrap(), NASTY.len() as u64);
}

pub(super) async fn without_a_time_it_was_made_now_where_that_is_kept(store: &dyn Store) {
    let before = store.time().await.unwrap();
    assert!(store.create_actor(&actor("a")).await.unwrap());
    let after = store.time().await.unwrap();
    let made = store.actor("a").await.unwrap().unwrap().created_at;
    match store.backend() {
        BackendKind::Postgresql => assert!(made.is_some_and(|made| before <= made && made <= after), "{made:?}"),
        BackendKind::Dynamodb => assert_eq!(made, None),
    }
}

pub(super) async fn the_first_to_create_stays(store: &dyn Store) {
    assert!(store.create_actor(&actor("a")).await.unwrap());
    let before = state(store).await;
    let other = Actor { creator: "somebody else".to_owned(), passphrase: "other".to_owned(), ..actor("a") };
    assert!(!store.create_actor(&other).await.unwrap());
    assert_eq!(state(store).await, before);
    assert_eq!(store.actors_by_creator("somebody else").await.unwrap(), []);
}

pub(super) async fn addresses_are_stored_and_found_in_small_letters(store: &dyn Store) {
    let by = |creator: &str| Actor { creator: creator.to_owned(), ..actor(creator) };
    for creator in ["Alice@Example.COM", "ÉVA@example.com", "NoAddress"] {
        store.create_actor(&by(creator)).await.unwrap();
    }
    let creator = async |id: &str| store.actor(id).await.unwrap().unwrap().creator;
    assert_eq!(creator("Alice@Example.COM").await, "alice@example.com");
    assert_eq!(creator("ÉVA@example.com").await, "éva@example.com");
    assert_eq!(creator("NoAddress").await, "NoAddress");
    let found = async |creator: &str| store.actors_by_creator(creator).await.unwrap().len();
    assert_eq!(found("ALICE@example.com").await, 1);
    assert_eq!(found("éva@EXAMPLE.com").await, 1);
    assert_eq!(found("noaddress").await, 0);
    assert!(store.modify_actor("NoAddress", &change(Some("Bob@Example.com"), None)).await.unwrap());
    assert_eq!(creator("NoAddress").await, "bob@example.com");
}

pub(super) async fn a_creators_actors_come_by_id(store: &dyn Store) {
    let by = |id: &str| Actor { creator: "one".to_owned(), ..actor(id) };
    for id in shuffled() {
        store.create_actor(&by(id)).await.unwrap();
    }
    store.create_actor(&Actor { creator: "another".to_owned(), ..actor("another") }).await.unwrap();
    let found = async |creator: &str| -> Vec<String> {
        store.actors_by_creator(creator).await.unwrap().into_iter().map(|actor| actor.id).collect()
    };
    assert_eq!(found("one").await, super::fixtures::ORDERED);
    assert_eq!(found("").await, [] as [String; 0]);
    assert_eq!(found("on").await, [] as [String; 0]);
    assert!(store.modify_actor("a", &change(Some("another"), None)).await.unwrap());
    assert!(store.delete_actor("b").await.unwrap());
    assert_eq!(found("one").await.len(), super::fixtures::ORDERED.len() - 2);
    assert_eq!(found("another").await, ["a", "another"]);
}

pub(super) async fn a_change_changes_what_it_names(store: &dyn Store) {
    store.create_actor(&Actor { created_at: Some(at(1)), ..actor("a") }).await.unwrap();
    store.create_actor(&actor("b")).await.unwrap();
    let mut expected = store.actor("a").await.unwrap().unwrap();
    let other = store.actor("b").await.unwrap();
    assert!(store.modify_actor("a", &change(Some("new creator"), None)).await.unwrap());
    expected.creator = "new creator".to_owned();
    assert_eq!(store.actor("a").await.unwrap().as_ref(), Some(&expected));
    assert!(store.modify_actor("a", &change(None, Some("new passphrase"))).await.unwrap());
    expected.passphrase = "new passphrase".to_owned();
    assert_eq!(store.actor("a").await.unwrap().as_ref(), Some(&expected));
    assert!(store.modify_actor("a", &ActorChange::default()).await.unwrap(), "it is there");
    assert_eq!(store.actor("a").await.unwrap().as_ref(), Some(&expected));
    assert_eq!(store.actor("b").await.unwrap(), other);
}

pub(super) async fn who_is_gone_stays_gone(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    store.create_actor(&actor("b")).await.unwrap();
    assert!(store.delete_actor("a").await.unwrap());
    assert!(!store.delete_actor("a").await.unwrap());
    for change in [change(Some("creator"), None), change(None, Some("passphrase")), ActorChange::default()] {
        assert!(!store.modify_actor("a", &change).await.unwrap());
        assert!(!store.modify_actor("never there", &change).await.unwrap());
    }
    assert_eq!(store.actor("a").await.unwrap(), None);
    assert_eq!(store.count(Table::Actors).await.unwrap(), 1);
    assert!(store.create_actor(&actor("a")).await.unwrap(), "the id is free again");
}

pub(super) async fn after_its_properties_an_actor_leaves_nothing_to_be_found_by(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    store.set_property(&property("a", "email", "a@example.com")).await.unwrap();
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 1);
    assert!(store.delete_actor("a").await.unwrap());
    assert_eq!(state(store).await, [] as [String; 0]);
}

pub(super) async fn only_postgresql_deletes_look_up_entries_with_the_actor(store: &dyn Store) {
    store.create_actor(&actor("a")).await.unwrap();
    store.set_property(&property("a", "email", "a@example.com")).await.unwrap();
    store.delete_actor("a").await.unwrap();
    let left = store.lookup("email", "a@example.com").await.unwrap();
    assert_eq!(left.is_some(), store.backend() == BackendKind::Dynamodb);
    assert!(store.property("a", "email").await.unwrap().is_some(), "the property stays");
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let fits = Actor { creator: "é".repeat(255), ..actor(&"\u{1f600}".repeat(255)) };
    assert!(store.create_actor(&fits).await.unwrap());
    assert!(store.actor(&fits.id).await.unwrap().is_some_and(|read| read.creator == fits.creator));

    let long_creator = Actor { creator: "é".repeat(256), ..actor("long creator") };
    let long_id = actor(&"é".repeat(256));
    let nul = Actor { passphrase: "before\0after".to_owned(), ..actor("nul") };
    let no_creator = Actor { creator: String::new(), ..actor("no creator") };
    let (good, bad) = match store.backend() {
        BackendKind::Postgresql => (
            vec![no_creator],
            vec![("creator", "é", long_creator), ("id", "é", long_id), ("passphrase", "before", nul)],
        ),
        BackendKind::Dynamodb => (
            vec![long_creator, long_id, nul],
            vec![
                ("creator", "", no_creator),
                ("creator", "xxxx", Actor { creator: "x".repeat(2049), ..actor("over-long") }),
                ("id", "xxxx", actor(&"x".repeat(2049))),
                ("id", "", Actor { creator: "somebody".to_owned(), ..actor("") }),
                ("", "xxxx", Actor { passphrase: "x".repeat(400 * 1024), ..actor("large") }),
            ],
        ),
    };
    for actor in good {
        assert!(store.create_actor(&actor).await.unwrap());
        let read = store.actor(&actor.id).await.unwrap().unwrap();
        assert_eq!((read.creator, read.passphrase), (actor.creator, actor.passphrase));
    }
    store.create_actor(&actor("a")).await.unwrap();
    for (attribute, hidden, actor) in bad {
        refused(store, (Table::Actors, attribute, hidden), store.create_actor(&actor)).await;
        if attribute != "id" {
            let change = change(Some(&actor.creator), Some(&actor.passphrase));
            refused(store, (Table::Actors, attribute, hidden), store.modify_actor("a", &change)).await;
        }
    }
}
