//! What `lookup_check` finds and repairs, and what it leaves to people.

use std::collections::BTreeMap;

use actingweb_maintd::model::row::lookup_key;
use actingweb_maintd::model::{Indexing, Row, Table};
use actingweb_maintd::storage::{Claim, Claimed, Entry, ErrorKind, Fence, Indexed};
use actingweb_maintd::work::{Outcome, Run};
use serde_json::json;

use super::on_each_backend;
use super::scene::{Scene, actor, property, property_of};
use crate::harness::python::{on_dynamodb, python_script};

on_each_backend! {
    what_is_wrong_is_found_and_repaired
    a_check_changes_nothing
    a_collision_is_never_decided
    an_entry_in_the_way_is_removed_first
    what_is_not_looked_up_has_no_entry
    nobody_is_found_who_is_not_there
    where_no_table_is_used_there_is_nothing_to_do
    the_command_line_tells_and_repairs
    an_entry_is_made_only_while_all_of_it_holds
}

fn counts(run: &Run) -> BTreeMap<String, u64> {
    run.report.findings.as_ref().unwrap_or_else(|| panic!("it has not come to its end: {run:?}")).counts.clone()
}

fn counted<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect()
}

/// Ten actors that are found, one that is not, and three entries that lie.
async fn wrong(scene: &Scene) {
    let store = scene.application();
    for n in 0..10 {
        let id = format!("actor-{n}");
        scene.write(vec![actor(&id)]).await;
        let found = store.set_property(&property_of(&id, "email", &format!("{n}@example.com"))).await.unwrap();
        assert_eq!(found, Indexed::Yes);
    }
    scene.write(vec![property("actor-1", "oauthId", "missing"), property("actor-2", "mood", "good")]).await;
    scene
        .write(vec![
            scene.entry("oauthId", "without its property", "actor-3"),
            scene.entry("email", "another value", "actor-4"),
            scene.entry("email", "and another", "actor-4"),
        ])
        .await;
}

async fn what_is_wrong_is_found_and_repaired(scene: &Scene) {
    wrong(scene).await;
    let run = scene.check(false).await;
    assert_eq!((run.outcome, counts(&run)), (Some(Outcome::Succeeded), counted([("missing", 1), ("stale", 3)])));
    let listed = run.report.findings.unwrap().listed;
    let text = serde_json::to_string(&listed).unwrap();
    assert!(!text.contains("another value") && !text.contains(&lookup_key("email", "another value")), "{text}");
    let missing = listed.iter().find(|finding| finding.kind == "missing").unwrap();
    assert_eq!((missing.id.as_str(), missing.name.as_deref()), ("actor-1", Some("oauthId")));

    let store = scene.store();
    assert_eq!(store.lookup("oauthId", "missing").await.unwrap(), None);
    let run = scene.check(true).await;
    assert_eq!((run.outcome, counts(&run)), (Some(Outcome::Succeeded), counted([])), "{run:?}");
    assert_eq!((run.report.added, run.report.deleted), (1, 3), "{run:?}");
    assert_eq!(store.lookup("oauthId", "missing").await.unwrap().as_deref(), Some("actor-1"));
    assert_eq!(store.count(Table::PropertyLookup).await.unwrap(), 11);
    for n in 0..10 {
        let found = store.lookup("email", &format!("{n}@example.com")).await.unwrap();
        assert_eq!(found, Some(format!("actor-{n}")));
    }
    let run = scene.check(false).await;
    assert_eq!((counts(&run), run.report.batches), (counted([]), 0));
}

async fn a_check_changes_nothing(scene: &Scene) {
    wrong(scene).await;
    let before = scene.store().count(Table::PropertyLookup).await.unwrap();
    let run = scene.check(false).await;
    assert_eq!((run.report.added, run.report.deleted, run.report.batches), (0, 0, 0));
    assert_eq!(scene.store().count(Table::PropertyLookup).await.unwrap(), before);
}

async fn a_collision_is_never_decided(scene: &Scene) {
    scene.write(vec![actor("first"), actor("second"), actor("third")]).await;
    scene.write(["first", "second", "third"].map(|id| property(id, "email", "same")).into()).await;
    scene.write(vec![scene.entry("email", "same", "second")]).await;
    for repair in [false, true, true] {
        let run = scene.check(repair).await;
        assert_eq!((counts(&run), run.report.added, run.report.deleted), (counted([("collision", 2)]), 0, 0));
        let listed = run.report.findings.unwrap().listed;
        let mut pairs: Vec<_> = listed.iter().map(|finding| (finding.id.as_str(), finding.other.as_deref())).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [("first", Some("second")), ("third", Some("second"))]);
        assert!(!serde_json::to_string(&listed).unwrap().contains("same"));
    }
    assert_eq!(scene.store().lookup("email", "same").await.unwrap().as_deref(), Some("second"));
    // Two without an entry: one is made, and then they collide.
    scene.application().delete_lookup("email", "same", "second").await.unwrap();
    let run = scene.check(true).await;
    assert_eq!((counts(&run), run.report.added), (counted([("collision", 2)]), 1), "{run:?}");
}

async fn an_entry_in_the_way_is_removed_first(scene: &Scene) {
    scene.write(vec![actor("owner"), actor("other")]).await;
    scene.write(vec![property("owner", "email", "v"), scene.entry("email", "v", "other")]).await;
    assert_eq!(counts(&scene.check(false).await), counted([("missing", 1), ("stale", 1)]));
    let run = scene.check(true).await;
    assert_eq!((counts(&run), run.report.added, run.report.deleted), (counted([]), 1, 1), "{run:?}");
    assert_eq!(scene.store().lookup("email", "v").await.unwrap().as_deref(), Some("owner"));
}

async fn what_is_not_looked_up_has_no_entry(scene: &Scene) {
    scene
        .write(vec![actor("actor"), property("actor", "mood", "good"), property("actor", "list:email-#a0", "x")])
        .await;
    let names = ["mood", "list:email-#a0"].map(str::to_owned).into();
    assert_eq!(counts(&scene.check(true).await), counted([]));
    let store = scene.store_with(Indexing { by_table: true, names });
    let run = scene.check_with(true, store).await;
    assert_eq!((counts(&run), run.report.added), (counted([]), 1));
    assert_eq!(scene.store().lookup("mood", "good").await.unwrap().as_deref(), Some("actor"));
}

async fn nobody_is_found_who_is_not_there(scene: &Scene) {
    scene.write(vec![actor("actor"), property("actor", "email", "mine"), property("nobody", "email", "v")]).await;
    for repair in [false, true] {
        let run = scene.check(repair).await;
        assert_eq!(counts(&run).get("no_actor"), Some(&1), "{run:?}");
    }
    assert_eq!(scene.store().lookup("email", "v").await.unwrap(), None);
    assert_eq!(scene.store().lookup("email", "mine").await.unwrap().as_deref(), Some("actor"));
}

async fn where_no_table_is_used_there_is_nothing_to_do(scene: &Scene) {
    wrong(scene).await;
    let without = Indexing { by_table: false, ..Indexing::default() };
    let no_names = Indexing { by_table: true, names: Vec::new() };
    for indexing in [without, no_names] {
        let run = scene.check_with(true, scene.store_with(indexing)).await;
        assert_eq!((run.outcome, run.report.examined), (Some(Outcome::Succeeded), 0));
        let note = run.report.findings.and_then(|findings| findings.note);
        assert!(note.is_some_and(|note| note.contains("storage.property_lookup")));
    }
    let output = scene.maintd().env("MAINTD_STORAGE__PROPERTY_LOOKUP", "false").run(&["lookup", "check"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("there is nothing to check"), "{output:?}");
}

async fn the_command_line_tells_and_repairs(scene: &Scene) {
    wrong(scene).await;
    // Who only looks does not repair, whatever the schedule may.
    let looking = scene.maintd().env("MAINTD_JOBS__LOOKUP_CHECK__REPAIR", "true").run(&["lookup", "check", "--json"]);
    assert_eq!(looking.code, 2, "{looking:?}");
    let report = &looking.json()["report"];
    assert_eq!(report["findings"]["counts"], json!({ "missing": 1, "stale": 3 }));
    assert_eq!(report["limits"]["repair"], json!(false));
    let dry = scene.maintd().run(&["job", "run", "lookup_check", "--dry-run"]);
    assert_eq!(dry.code, 2, "{dry:?}");
    let repaired = scene.maintd().run(&["lookup", "check", "--repair"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert!(
        repaired.stdout.contains("Rows added: 1.") && repaired.stdout.contains("Nothing was found."),
        "{repaired:?}"
    );
    assert_eq!(scene.maintd().run(&["lookup", "check"]).code, 0);
    let history = scene.maintd().run(&["job", "history"]);
    assert!(history.stdout.contains("4 findings"), "{history:?}");
}

/// Only the server can tell which of them its index holds, as it compresses.
#[tokio::test]
async fn a_value_that_is_too_long_for_postgresql_stays_without_an_entry() {
    let scene = Scene::postgresql().await;
    // Random letters do not compress, and the other does to nothing.
    let random: String = (0..150).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    let (even, short) = ("x".repeat(4_000), "v");
    scene.write(["long", "even", "short"].map(actor).into()).await;
    let rows: Vec<Row> = [("long", random.as_str()), ("even", &even), ("short", short)]
        .map(|(id, value)| property(id, "email", value))
        .into();
    scene.write(rows).await;
    assert_eq!(counts(&scene.check(false).await), counted([("missing", 1), ("too_long", 2)]));
    let run = scene.check(true).await;
    assert_eq!((counts(&run), run.report.added), (counted([("too_long", 1)]), 2), "{run:?}");
    assert_eq!(scene.store().lookup("email", &even).await.unwrap().as_deref(), Some("even"));
    assert_eq!(scene.store().lookup("email", &random).await.unwrap(), None);
}

#[tokio::test]
async fn a_long_value_has_an_entry_on_dynamodb() {
    let scene = Scene::dynamodb().await;
    let long = "é".repeat(10_000);
    scene.write(vec![actor("long"), property("long", "email", &long)]).await;
    assert_eq!(scene.check(true).await.report.added, 1);
    assert_eq!(scene.store().lookup("email", &long).await.unwrap().as_deref(), Some("long"));
}

/// The first revision of the schema has no look-up table.
#[tokio::test]
async fn a_schema_from_before_the_look_up_has_nothing_to_check() {
    let scene = Scene::postgresql().await;
    let Scene::Postgresql(db) = &scene else { unreachable!("it is on PostgreSQL") };
    sqlx::query("DROP TABLE property_lookup").execute(db.pool()).await.unwrap();
    let run = scene.check(true).await;
    assert_eq!((run.outcome, run.report.examined), (Some(Outcome::Succeeded), 0), "{run:?}");
}

#[tokio::test]
async fn the_library_finds_by_value_what_it_did_not_find_before() {
    let scene = Scene::dynamodb().await;
    let Scene::Dynamodb(tables) = &scene else { unreachable!("it is on DynamoDB") };
    wrong(&scene).await;
    let script = "
from actingweb.db.dynamodb.property import DbProperty
def find(name, value):
    return DbProperty(use_lookup_table=True, indexed_properties=['oauthId', 'email']).get_actor_id_from_property(name=name, value=value)
print(find('oauthId', 'missing'), find('email', '3@example.com'))
";
    let environment = on_dynamodb(&tables.settings(), false);
    let before = python_script(&environment, script).await;
    scene.check(true).await;
    let after = python_script(&environment, script).await;
    assert_eq!((before.trim(), after.trim()), ("None actor-3", "actor-1 actor-3"));
}

async fn an_entry_is_made_only_while_all_of_it_holds(scene: &Scene) {
    let store = scene.store();
    let ttl = std::time::Duration::from_secs(30);
    let claim = Claim { job: "lookup_check", due: None, holder: "test".to_owned(), workers: 1, ttl };
    let Claimed::Won(won) = store.claim(&claim).await.unwrap() else { panic!("the lease was not won") };
    let fence = won.lease.fence(0);
    scene.write(vec![actor("a"), actor("b"), property("a", "email", "1"), property("b", "email", "2")]).await;
    scene.write(vec![property("nobody", "email", "3"), scene.entry("email", "2", "a")]).await;
    let asked = [("a", "1"), ("a", "1"), ("b", "2"), ("nobody", "3"), ("b", "1"), ("a", "another"), ("gone", "1")];
    let asked = asked.map(|(id, value)| property_of(id, "email", value));
    let stale = Fence { secret: uuid::Uuid::new_v4(), ..fence.clone() };
    let refused = store.add_entries(&asked, &stale).await.unwrap_err();
    assert_eq!((refused.kind, store.lookup("email", "1").await.unwrap()), (ErrorKind::Fenced, None));
    let added = store.add_entries(&asked, &fence).await.unwrap().entries;
    assert_eq!(added[3], Entry::NoActor);
    assert_eq!(added[2], Entry::Taken);
    // Which of two that are the same is first, is nobody's business.
    assert!(matches!(added[..2], [Entry::Made, Entry::Taken] | [Entry::Taken, Entry::Made]), "{added:?}");
    let others: Vec<bool> = added[4..].iter().map(|entry| matches!(entry, Entry::Changed | Entry::Taken)).collect();
    assert_eq!(others, [true; 3], "{added:?}");
    assert_eq!(store.lookup("email", "1").await.unwrap().as_deref(), Some("a"));
    assert_eq!(store.count(Table::PropertyLookup).await.unwrap(), 2);
    let run = store.history(Some("lookup_check"), 1).await.unwrap().remove(0);
    assert_eq!((run.report.batches, run.report.deleted), (1, 0));
}
