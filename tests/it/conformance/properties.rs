//! Properties, one at a time and many.

use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::{ErrorKind, Store};

use super::fixtures::{NASTY, ORDERED, incompressible, property, refused, shuffled, state};

async fn set(store: &dyn Store, id: &str, names: &[&str]) {
    for name in names {
        store.set_property(&property(id, name, &format!("value of {name}"))).await.unwrap();
    }
}

fn names(properties: &[actingweb_maintd::model::row::Property]) -> Vec<&str> {
    properties.iter().map(|property| &*property.name).collect()
}

pub(super) async fn what_was_stored_is_read(store: &dyn Store) {
    assert_eq!(store.property("a", "name").await.unwrap(), None);
    for text in NASTY {
        store.set_property(&property(text, "name", "one")).await.unwrap();
        store.set_property(&property("a", text, text)).await.unwrap();
        store.set_property(&property("a", "again", text)).await.unwrap();
        assert_eq!(store.property(text, "name").await.unwrap().as_deref(), Some("one"));
        assert_eq!(store.property("a", text).await.unwrap().as_deref(), Some(text));
        assert_eq!(store.property("a", "again").await.unwrap().as_deref(), Some(text));
    }
    assert_eq!(store.count(Table::Properties).await.unwrap(), 2 * NASTY.len() as u64 + 1);
    assert_eq!(store.property("A", "again").await.unwrap(), None);
    assert_eq!(store.property("a", "Again").await.unwrap(), None);
}

pub(super) async fn an_empty_value_deletes(store: &dyn Store) {
    set(store, "a", &["one", "two"]).await;
    store.set_property(&property("a", "one", "")).await.unwrap();
    store.set_property(&property("a", "never there", "")).await.unwrap();
    assert_eq!(store.property("a", "one").await.unwrap(), None);
    assert_eq!(names(&store.all_properties("a").await.unwrap()), ["two"]);
}

pub(super) async fn the_first_to_create_stays(store: &dyn Store) {
    assert!(store.create_property(&property("a", "list:x-#a0", "first")).await.unwrap());
    assert!(!store.create_property(&property("a", "list:x-#a0", "second")).await.unwrap());
    assert!(!store.create_property(&property("a", "list:x-#a0", "first")).await.unwrap());
    assert_eq!(store.property("a", "list:x-#a0").await.unwrap().as_deref(), Some("first"));
    let before = state(store).await;
    let error = store.create_property(&property("a", "empty", "")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert_eq!(state(store).await, before);
}

pub(super) async fn creating_makes_no_look_up_entry(store: &dyn Store) {
    store.create_actor(&super::fixtures::actor("a")).await.unwrap();
    assert!(store.create_property(&property("a", "email", "x")).await.unwrap());
    assert_eq!(store.lookup("email", "x").await.unwrap(), None);
}

pub(super) async fn a_swap_wants_exactly_what_stands(store: &dyn Store) {
    let with = |value: &str| property("a", "name", value);
    assert!(!store.swap_property(&with("new"), "").await.unwrap(), "there is nothing yet");
    assert!(!store.swap_property(&with("new"), "new").await.unwrap());
    assert_eq!(store.property("a", "name").await.unwrap(), None);
    store.set_property(&with("{\"a\": 1, \"é\": 1.0}")).await.unwrap();
    let almost = [
        "{\"a\":1,\"é\":1.0}",
        "{\"a\": 1, \"e\u{301}\": 1.0}",
        "{\"é\": 1.0, \"a\": 1}",
        "",
        "{\"a\": 1, \"é\": 1.0} ",
    ];
    for expected in almost {
        assert!(!store.swap_property(&with("new"), expected).await.unwrap(), "{expected}");
        assert!(!store.delete_property_if("a", "name", expected).await.unwrap(), "{expected}");
    }
    assert!(store.swap_property(&with("new"), "{\"a\": 1, \"é\": 1.0}").await.unwrap());
    assert_eq!(store.property("a", "name").await.unwrap().as_deref(), Some("new"));
    assert!(store.swap_property(&with("new"), "new").await.unwrap(), "the same again");
    assert!(!store.delete_property_if("b", "name", "new").await.unwrap());
    assert!(!store.delete_property_if("a", "other", "new").await.unwrap());
    assert!(store.delete_property_if("a", "name", "new").await.unwrap());
    assert!(!store.delete_property_if("a", "name", "new").await.unwrap());
    assert!(!store.swap_property(&with("newer"), "new").await.unwrap());
    assert_eq!(state(store).await, [] as [String; 0]);
}

pub(super) async fn every_text_can_be_expected(store: &dyn Store) {
    for text in NASTY {
        assert!(store.create_property(&property("a", text, text)).await.unwrap());
        assert!(store.swap_property(&property("a", text, "between"), text).await.unwrap());
        assert!(store.swap_property(&property("a", text, text), "between").await.unwrap());
        assert!(store.delete_property_if("a", text, text).await.unwrap());
    }
}

pub(super) async fn what_is_deleted_is_gone_once(store: &dyn Store) {
    set(store, "a", &["one", "two"]).await;
    set(store, "b", &["one"]).await;
    assert!(store.delete_property("a", "one").await.unwrap());
    assert!(!store.delete_property("a", "one").await.unwrap());
    assert!(!store.delete_property("a", "never there").await.unwrap());
    assert_eq!(names(&store.all_properties("a").await.unwrap()), ["two"]);
    assert_eq!(names(&store.all_properties("b").await.unwrap()), ["one"]);
}

pub(super) async fn many_are_deleted_by_name(store: &dyn Store) {
    let items: Vec<String> = (0..130).map(|n| format!("list:x-{n}")).collect();
    set(store, "a", &items.iter().map(|name| &**name).collect::<Vec<_>>()).await;
    set(store, "b", &["list:x-1"]).await;
    store.delete_properties("a", &[]).await.unwrap();
    assert_eq!(store.count(Table::Properties).await.unwrap(), 131);
    // Some are not there, and one is named twice.
    let mut gone = items[3..].to_vec();
    gone.extend(["list:x-129".to_owned(), "list:x-130".to_owned(), "never there".to_owned()]);
    store.delete_properties("a", &gone).await.unwrap();
    assert_eq!(names(&store.all_properties("a").await.unwrap()), ["list:x-0", "list:x-1", "list:x-2"]);
    assert_eq!(names(&store.all_properties("b").await.unwrap()), ["list:x-1"]);
}

pub(super) async fn an_actors_are_deleted_together(store: &dyn Store) {
    let many: Vec<String> = (0..60).map(|n| format!("name {n}")).collect();
    set(store, "a", &many.iter().map(|name| &**name).collect::<Vec<_>>()).await;
    set(store, "a", &["list:x-0"]).await;
    set(store, "ab", &["one"]).await;
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 61);
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 0);
    assert_eq!(store.all_properties("a").await.unwrap(), []);
    assert_eq!(names(&store.all_properties("ab").await.unwrap()), ["one"]);
}

pub(super) async fn all_come_in_the_order_of_bytes(store: &dyn Store) {
    set(store, "a", &shuffled()).await;
    set(store, "b", &["a"]).await;
    let all = store.all_properties("a").await.unwrap();
    assert_eq!(names(&all), ORDERED);
    assert!(all.iter().all(|row| row.id == "a" && row.value == format!("value of {}", row.name)));
    assert_eq!(names(&store.plain_properties("a").await.unwrap()), ORDERED);
}

pub(super) async fn a_range_includes_both_its_ends(store: &dyn Store) {
    set(store, "a", &shuffled()).await;
    set(store, "b", &["Zz", "a", "a0"]).await;
    for (first, lower) in ORDERED.iter().enumerate() {
        for (last, upper) in ORDERED.iter().enumerate() {
            let within = if first <= last { &ORDERED[first..=last] } else { &[] };
            let range = store.property_range("a", lower, upper).await.unwrap();
            assert_eq!(names(&range), within, "from {lower} to {upper}");
            let newest = store.last_property_name("a", lower, upper).await.unwrap();
            assert_eq!(newest.as_deref(), within.last().copied(), "from {lower} to {upper}");
        }
    }
    // Neither end has to be there.
    assert_eq!(names(&store.property_range("a", "B", "a/").await.unwrap()), ["Zz", "_", "a"]);
    assert_eq!(store.last_property_name("a", "B", "a/").await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.last_property_name("nobody", "A", "z").await.unwrap(), None);
}

pub(super) async fn ranks_of_lists_are_ranges(store: &dyn Store) {
    let ranks = ["#Zz", "#a0", "#a0V", "#a1", "#b"];
    let items: Vec<String> = ranks.iter().map(|rank| format!("list:é-{rank}")).collect();
    set(store, "a", &items.iter().rev().map(|name| &**name).collect::<Vec<_>>()).await;
    set(store, "a", &["list:é-meta", "list:é-0", "list:é:-#a0", "list:e-#a0"]).await;
    let range = store.property_range("a", "list:é-#", "list:é-$").await.unwrap();
    assert_eq!(names(&range), items);
    let newest = store.last_property_name("a", "list:é-#", "list:é-$").await.unwrap();
    assert_eq!(newest.as_deref(), Some("list:é-#b"));
    let before_a1 = store.last_property_name("a", "list:é-#", "list:é-#a0~").await.unwrap();
    assert_eq!(before_a1.as_deref(), Some("list:é-#a0V"));
}

pub(super) async fn a_prefix_is_taken_by_its_bytes(store: &dyn Store) {
    let all = [
        "a%",
        "a%b",
        "a_",
        "a_b",
        "a\\",
        "a\\b",
        "aXb",
        "ab",
        "A%",
        "é",
        "éa",
        "e\u{301}",
        "日本",
        "日",
        "\u{10ffff}",
        "\u{10ffff}a",
        "\u{7f}",
        "\u{d7ff}x",
        "\u{e000}",
    ];
    set(store, "a", &all).await;
    set(store, "b", &["a%", "ab"]).await;
    for prefix in ["a", "a%", "a_", "a\\", "é", "e", "日", "\u{10ffff}", "\u{7f}", "\u{d7ff}", "nothing"] {
        let mut expected: Vec<&str> = all.into_iter().filter(|name| name.starts_with(prefix)).collect();
        expected.sort_unstable();
        let found = store.property_prefix("a", prefix).await.unwrap();
        assert_eq!(names(&found), expected, "{prefix:?}");
    }
    assert_eq!(store.property_prefix("a", "").await.unwrap(), []);
}

pub(super) async fn plain_properties_are_all_but_list_items(store: &dyn Store) {
    let plain = ["List:a", "LIST:b", "list", "list9", "list;", "listen", "lisu", "é", " list:"];
    set(store, "a", &plain).await;
    set(store, "a", &["list:", "list:x-meta", "list:x-0", "list:é-#a0", "list:\u{10ffff}"]).await;
    let mut expected = plain.to_vec();
    expected.sort_unstable();
    assert_eq!(names(&store.plain_properties("a").await.unwrap()), expected);
    let all = store.all_properties("a").await.unwrap();
    super::fixtures::assert_ordered(&names(&all));
    assert_eq!(all.len(), plain.len() + 5);
}

pub(super) async fn what_is_too_much_for_one_answer_comes_whole(store: &dyn Store) {
    let large = "x".repeat(300 * 1024);
    for n in 0..5 {
        store.set_property(&property("a", &format!("list:large-{n}"), &large)).await.unwrap();
        store.set_property(&property("a", &format!("plain {n}"), &large)).await.unwrap();
    }
    assert_eq!(store.all_properties("a").await.unwrap().len(), 10);
    assert_eq!(store.plain_properties("a").await.unwrap().len(), 5);
    assert_eq!(store.property_prefix("a", "list:large-").await.unwrap().len(), 5);
    assert_eq!(store.property_range("a", "list:large-1", "plain 3").await.unwrap().len(), 8);
    assert_eq!(store.last_property_name("a", "list:", "list;").await.unwrap().as_deref(), Some("list:large-4"));
    assert_eq!(store.read_all(Table::Properties, "a").await.unwrap().len(), 10);
    assert_eq!(store.count(Table::Properties).await.unwrap(), 10);
    assert_eq!(store.delete_all_properties("a").await.unwrap(), 10);
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let postgresql = [
        ("id", "éé", property(&"é".repeat(256), "name", "value")),
        ("value", "before", property("a", "name", "before\0after")),
        ("name", "before", property("a", "before\0after", "value")),
    ];
    let dynamodb = [("name", "", property("a", "", "value")), ("name", "éé", property("a", &"é".repeat(513), "value"))];
    let neither = [
        ("id", "xx", property(&"x".repeat(2049), "name", "value")),
        ("name", &incompressible(3000)[..20], property("a", &incompressible(3000), "value")),
    ];
    let fits = [
        property(&"é".repeat(255), "name", "value"),
        property("a", &"é".repeat(512), "value"),
        property("a", &incompressible(1024), "value"),
    ];
    let (good, bad) = match store.backend() {
        BackendKind::Postgresql => (dynamodb.as_slice(), postgresql.as_slice()),
        BackendKind::Dynamodb => (postgresql.as_slice(), dynamodb.as_slice()),
    };
    for property in good.iter().map(|(.., property)| property).chain(&fits) {
        assert!(store.create_property(property).await.unwrap());
        store.set_property(property).await.unwrap();
        assert!(store.swap_property(property, &property.value).await.unwrap());
        let read = store.property(&property.id, &property.name).await.unwrap();
        assert_eq!(read.as_ref(), Some(&property.value));
    }
    store.set_property(&property("a", "name", "stands")).await.unwrap();
    for (attribute, hidden, property) in bad.iter().chain(&neither) {
        let why = (Table::Properties, *attribute, *hidden);
        refused(store, why, store.create_property(property)).await;
        refused(store, why, store.set_property(property)).await;
        if *attribute == "value" {
            refused(store, why, store.swap_property(property, "stands")).await;
        }
    }
}

pub(super) async fn only_dynamodb_has_a_limit_to_a_row(store: &dyn Store) {
    let (large, small) = (property("a", "name", &"x".repeat(400 * 1024)), property("a", "name", "stands"));
    store.set_property(&small).await.unwrap();
    match store.backend() {
        BackendKind::Postgresql => {
            store.set_property(&large).await.unwrap();
            assert_eq!(store.property("a", "name").await.unwrap().map(|value| value.len()), Some(400 * 1024));
        }
        BackendKind::Dynamodb => {
            let why = (Table::Properties, "", "xxxx");
            refused(store, why, store.set_property(&large)).await;
            refused(store, why, store.swap_property(&large, "stands")).await;
            refused(store, why, store.create_property(&property("a", "new", &large.value))).await;
            // Names of attributes and key count too: this is the largest that there is.
            let room = 400 * 1024 - "id".len() - "a".len() - "name".len() - "name".len() - "value".len();
            store.set_property(&property("a", "name", &"x".repeat(room))).await.unwrap();
            refused(store, why, store.set_property(&property("a", "name", &"x".repeat(room + 1)))).await;
        }
    }
}
