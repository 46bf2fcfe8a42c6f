//! Trusts.

use actingweb_maintd::model::row::{Trust, TrustChange};
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::Store;

use super::fixtures::{NASTY, ORDERED, at, full_trust, kept_trust, refused, shuffled, state, trust};

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn read(store: &dyn Store, id: &str, peerid: &str) -> Trust {
    store.trust(id, peerid).await.unwrap().expect("the trust is there")
}

pub(super) async fn what_was_created_is_read(store: &dyn Store) {
    assert_eq!(store.trust("a", "b").await.unwrap(), None);
    for nasty in NASTY {
        let mut created = full_trust(nasty, nasty);
        for field in [&mut created.baseuri, &mut created.r#type, &mut created.relationship, &mut created.secret] {
            nasty.clone_into(field);
        }
        for field in
            [&mut created.desc, &mut created.client_name, &mut created.aw_supported, &mut created.established_via]
        {
            *field = some(nasty);
        }
        assert!(store.create_trust(&created).await.unwrap());
        assert_eq!(read(store, nasty, nasty).await, created);
    }
}

pub(super) async fn what_is_not_given_follows_from_what_is(store: &dyn Store) {
    let before = store.time().await.unwrap();
    store.create_trust(&Trust { established_via: some("OAuth2_Client"), ..trust("a", "new") }).await.unwrap();
    let after = store.time().await.unwrap();
    let new = read(store, "a", "new").await;
    let made = new.created_at.expect("a time");
    // A clock that is read from the date of an answer has no fractions.
    let second = chrono::TimeDelta::seconds(1);
    assert!(before - second <= made && made <= after + second, "{before} {made} {after}");
    assert_eq!(new.last_accessed, Some(made));
    assert_eq!((new.established_via, new.last_connected_via), (some("OAuth2_Client"), some("oauth")));

    store.create_trust(&Trust { created_at: Some(at(1)), desc: None, ..trust("a", "old") }).await.unwrap();
    let old = read(store, "a", "old").await;
    assert_eq!((old.created_at, old.last_accessed), (Some(at(1)), Some(at(1))));
    assert_eq!((&old.established_via, &old.last_connected_via), (&None, &None));
    let expected = Trust { desc: None, last_accessed: Some(at(1)), created_at: Some(at(1)), ..trust("a", "old") };
    assert_eq!(old, kept_trust(store, &expected));

    store
        .create_trust(&Trust { last_accessed: Some(at(9)), created_at: Some(at(1)), ..trust("a", "both") })
        .await
        .unwrap();
    assert_eq!(read(store, "a", "both").await.last_accessed, Some(at(9)));
}

pub(super) async fn ways_of_connecting_are_stored_in_the_librarys_words(store: &dyn Store) {
    for (n, (given, stored)) in [
        ("OAuth2", some("oauth")),
        (" MCP ", some("mcp")),
        ("TRUST", some("trust")),
        ("subscription", some("subscription")),
        ("Something Else", some("Something Else")),
        ("  ", None),
    ]
    .into_iter()
    .enumerate()
    {
        let peer = format!("peer {n}");
        store.create_trust(&Trust { last_connected_via: some(given), ..trust("a", &peer) }).await.unwrap();
        assert_eq!(read(store, "a", &peer).await.last_connected_via, stored, "{given:?}");
        if stored.is_some() {
            store.create_trust(&trust("b", &peer)).await.unwrap();
            let change = TrustChange { last_connected_via: some(given), ..TrustChange::default() };
            assert!(store.modify_trust("b", &peer, &change).await.unwrap());
            assert_eq!(read(store, "b", &peer).await.last_connected_via, stored, "{given:?}");
        }
    }
}

pub(super) async fn a_blank_way_of_connecting_is_none(store: &dyn Store) {
    let given = |peer: &str, via: &str| Trust {
        last_connected_via: some(via),
        established_via: some("OAuth2"),
        ..trust("a", peer)
    };
    let via = async |peer: &str| read(store, "a", peer).await.last_connected_via.filter(|via| !via.is_empty());
    store.create_trust(&given("empty", "")).await.unwrap();
    assert_eq!(via("empty").await, some("oauth"), "as if it were not given");
    for (peer, blank) in [("one", ""), ("two", " \n")] {
        store.create_trust(&given(peer, "mcp")).await.unwrap();
        assert_eq!(via(peer).await, some("mcp"));
        let change = TrustChange { last_connected_via: some(blank), ..TrustChange::default() };
        assert!(store.modify_trust("a", peer, &change).await.unwrap());
        assert_eq!(via(peer).await, None);
    }
}

pub(super) async fn the_first_to_create_stays(store: &dyn Store) {
    store.create_trust(&full_trust("a", "peer")).await.unwrap();
    let before = state(store).await;
    let other = Trust { secret: "another".to_owned(), approved: false, created_at: Some(at(9)), ..trust("a", "peer") };
    assert!(!store.create_trust(&other).await.unwrap());
    assert_eq!(state(store).await, before);
    assert_eq!(store.trust_by_secret("a", "another").await.unwrap(), None);
    assert!(store.create_trust(&trust("a", "peer2")).await.unwrap());
    assert!(store.create_trust(&trust("b", "peer")).await.unwrap());
}

pub(super) async fn a_trust_is_found_by_its_secret(store: &dyn Store) {
    let with = |id: &str, peer: &str, secret: &str| Trust { secret: secret.to_owned(), ..trust(id, peer) };
    for (id, peer, secret) in
        [("a", "z", "shared"), ("a", "Zz", "shared"), ("a", "a0", "shared"), ("b", "A", "shared"), ("a", "A", "own")]
    {
        store.create_trust(&with(id, peer, secret)).await.unwrap();
    }
    let peer = async |id: &str, secret: &str| {
        store.trust_by_secret(id, secret).await.unwrap().map(|trust| (trust.id, trust.peerid))
    };
    let found = |id: &str, peer: &str| Some((id.to_owned(), peer.to_owned()));
    assert_eq!(peer("a", "shared").await, found("a", "Zz"), "the first by peer");
    assert_eq!(peer("b", "shared").await, found("b", "A"));
    assert_eq!(peer("b", "own").await, None);
    assert_eq!(peer("a", "Shared").await, None);
    assert_eq!(peer("a", "").await, None);
    let change = TrustChange { secret: some("new"), ..TrustChange::default() };
    store.modify_trust("a", "Zz", &change).await.unwrap();
    assert_eq!(peer("a", "shared").await, found("a", "a0"));
    assert_eq!(peer("a", "new").await, found("a", "Zz"));
    store.delete_trust("a", "a0").await.unwrap();
    assert_eq!(peer("a", "shared").await, found("a", "z"));
}

pub(super) async fn an_actors_come_by_the_bytes_of_their_peers(store: &dyn Store) {
    for peer in shuffled() {
        store.create_trust(&trust("a", peer)).await.unwrap();
    }
    store.create_trust(&trust("ab", "a")).await.unwrap();
    let peers = |trusts: Vec<Trust>| trusts.into_iter().map(|trust| trust.peerid).collect::<Vec<_>>();
    assert_eq!(peers(store.trusts("a").await.unwrap()), ORDERED);
    assert_eq!(peers(store.trusts("ab").await.unwrap()), ["a"]);
    assert_eq!(store.trusts("nobody").await.unwrap(), []);
}

pub(super) async fn a_change_changes_what_it_names(store: &dyn Store) {
    macro_rules! each_field {
        ($value:path; $($field:ident: $new:expr),+ $(,)?) => {
            vec![$((
                TrustChange { $field: Some($new.into()), ..TrustChange::default() },
                (|trust: &mut Trust| trust.$field = $value($new.into())) as fn(&mut Trust),
            )),+]
        };
    }
    let changes = each_field! {
        std::convert::identity;
        baseuri: "https://new.example.com",
        secret: "new secret",
        approved: false,
        peer_approved: true,
        verified: false,
    };
    let optional = each_field! {
        Some;
        desc: "new",
        verification_token: "new",
        peer_identifier: "new",
        established_via: "new",
        created_at: at(21),
        last_accessed: at(22),
        last_connected_via: "mcp",
        client_name: "new",
        client_version: "new",
        client_platform: "new",
        oauth_client_id: "new",
        aw_supported: "new",
        aw_version: "new",
        capabilities_fetched_at: at(23),
    };
    for bare in [false, true] {
        let first = if bare { trust("a", "peer") } else { full_trust("a", "peer") };
        store.create_trust(&first).await.unwrap();
        store.create_trust(&full_trust("a", "other")).await.unwrap();
        let mut expected = read(store, "a", "peer").await;
        for (change, apply) in changes.iter().chain(&optional) {
            assert!(store.modify_trust("a", "peer", change).await.unwrap(), "{change:?}");
            apply(&mut expected);
            assert_eq!(read(store, "a", "peer").await, expected, "{change:?}");
        }
        assert!(store.modify_trust("a", "peer", &TrustChange::default()).await.unwrap(), "it is there");
        assert_eq!(read(store, "a", "peer").await, expected);
        assert_eq!(read(store, "a", "other").await, full_trust("a", "other"));
        assert_eq!(store.delete_trusts("a").await.unwrap(), 2);
    }
}

pub(super) async fn what_is_gone_stays_gone(store: &dyn Store) {
    for peer in ["one", "two", "three"] {
        store.create_trust(&trust("a", peer)).await.unwrap();
    }
    store.create_trust(&trust("b", "one")).await.unwrap();
    assert!(store.delete_trust("a", "one").await.unwrap());
    assert!(!store.delete_trust("a", "one").await.unwrap());
    for change in [
        TrustChange { secret: some("new"), ..TrustChange::default() },
        TrustChange { approved: Some(true), ..TrustChange::default() },
        TrustChange::default(),
    ] {
        assert!(!store.modify_trust("a", "one", &change).await.unwrap());
    }
    assert_eq!(store.trust("a", "one").await.unwrap(), None);
    assert_eq!(store.delete_trusts("a").await.unwrap(), 2);
    assert_eq!(store.delete_trusts("a").await.unwrap(), 0);
    assert_eq!(store.count(Table::Trusts).await.unwrap(), 1);
    assert!(store.create_trust(&trust("a", "one")).await.unwrap());
}

pub(super) async fn many_are_deleted_together(store: &dyn Store) {
    for n in 0..60 {
        store.create_trust(&trust("a", &format!("peer {n}"))).await.unwrap();
    }
    assert_eq!(store.trusts("a").await.unwrap().len(), 60);
    assert_eq!(store.delete_trusts("a").await.unwrap(), 60);
    assert_eq!(store.count(Table::Trusts).await.unwrap(), 0);
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let bare = |peer: &str| trust("a", peer);
    let fits = [
        Trust { aw_version: some(&"é".repeat(50)), client_platform: some(&"é".repeat(255)), ..bare("fits") },
        Trust { desc: some(&"é".repeat(5000)), aw_supported: some(&"é".repeat(5000)), ..bare("texts") },
    ];
    let postgresql = [
        ("aw_version", "éé", Trust { aw_version: some(&"é".repeat(51)), ..bare("version") }),
        ("client_platform", "éé", Trust { client_platform: some(&"é".repeat(256)), ..bare("platform") }),
        ("secret", "h1dden", Trust { secret: "h1dden".repeat(50), ..bare("secret") }),
        ("secret", "h1dden", Trust { secret: "h1dden\0".to_owned(), ..bare("nul") }),
        ("desc", "h1dden", Trust { desc: some("h1dden\0"), ..bare("nul in text") }),
        ("verification_token", "h1dden", Trust { verification_token: some(&"h1dden".repeat(50)), ..bare("token") }),
    ];
    let dynamodb = [("secret", "", Trust { secret: String::new(), ..bare("no secret") })];
    let neither = [("secret", "h1dden", Trust { secret: "h1dden".repeat(400), ..bare("over-long") })];
    let (good, bad) = match store.backend() {
        BackendKind::Postgresql => (dynamodb.as_slice(), postgresql.as_slice()),
        BackendKind::Dynamodb => (postgresql.as_slice(), dynamodb.as_slice()),
    };
    for given in good.iter().map(|(.., trust)| trust).chain(&fits) {
        assert!(store.create_trust(given).await.unwrap());
        let stored = read(store, "a", &given.peerid).await;
        let expected = Trust { created_at: stored.created_at, last_accessed: stored.last_accessed, ..given.clone() };
        assert_eq!(stored, kept_trust(store, &expected));
    }
    assert_eq!(store.trust_by_secret("a", "").await.unwrap(), None, "an empty one is nobody's");
    store.create_trust(&bare("stands")).await.unwrap();
    for (attribute, hidden, trust) in bad.iter().chain(&neither) {
        let why = (Table::Trusts, *attribute, *hidden);
        refused(store, why, store.create_trust(trust)).await;
        let change = TrustChange {
            secret: Some(trust.secret.clone()),
            desc: trust.desc.clone(),
            verification_token: trust.verification_token.clone(),
            aw_version: trust.aw_version.clone(),
            client_platform: trust.client_platform.clone(),
            ..TrustChange::default()
        };
        refused(store, why, store.modify_trust("a", "stands", &change)).await;
    }
    let large = Trust { desc: some(&"h1dden".repeat(70_000)), ..bare("large") };
    let change = TrustChange { desc: large.desc.clone(), ..TrustChange::default() };
    match store.backend() {
        BackendKind::Postgresql => {
            assert!(store.create_trust(&large).await.unwrap());
            assert!(store.modify_trust("a", "stands", &change).await.unwrap());
        }
        BackendKind::Dynamodb => {
            refused(store, (Table::Trusts, "", "h1dden"), store.create_trust(&large)).await;
            refused(store, (Table::Trusts, "", "h1dden"), store.modify_trust("a", "stands", &change)).await;
        }
    }
}
