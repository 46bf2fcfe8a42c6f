//! DynamoDB's own backups and exports, on an emulator that has them. It brings back what was there when a backup was
//! asked for, and plays the rest: that a point in time comes back as it was, and what an export writes, only AWS can
//! show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_maintd::backup::{
    self, Consistency, DynamodbMethod, Entry, Error, Finder, Form, Pitr, Shelf, State, TableSum, dynamodb,
};
use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::model::Table;
use actingweb_maintd::model::setting::{Bounded, Span};
use actingweb_maintd::storage::dynamodb::DynamoDb;
use actingweb_maintd::storage::{NativeExpiry, NativeTtl, Upkeep};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::dynamodb::{Office, through};
use super::proof::{Proof, done, only};
use crate::harness::daemon::Maintd;
use crate::harness::dynamodb::{client_of, items};
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};
use crate::harness::eventually;
use crate::harness::ministack::Ministack;

fn office(method: DynamodbMethod) -> Office {
    let export_bucket = Some("exports".to_owned());
    Office::new(backup::Dynamodb { method, export_bucket, ..backup::Dynamodb::default() })
}

fn store(server: &Ministack, prefix: &str) -> DynamoDb {
    let metrics = Arc::new(Metrics::new("test", "test"));
    DynamoDb::new(server.settings(prefix), server.login(), Duration::from_secs(10), metrics)
}

/// How many backups there are of each table.
async fn count(client: &Client) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let listed = client.list_backups().limit(100).send().await.unwrap();
    for backup in listed.backup_summaries() {
        *counts.entry(backup.table_name().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

async fn put(client: &Client, table: &str, id: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = client.put_item().table_name(table).item("id", text(id)).item("name", text("n")).item("value", text("v"));
    put.send().await.unwrap();
}

#[tokio::test]
async fn a_set_of_dynamodbs_own_backups_is_made_restored_and_removed() {
    let server = Ministack::start();
    let (from, to) = (store(&server, "from"), store(&server, "to"));
    let client = client_of(&server.endpoint());
    from.apply(true).await.unwrap();
    put(&client, "from_properties", "before").await;
    let office = office(DynamodbMethod::Native);
    let manifest = office.create(&from).await.unwrap();
    assert_eq!((manifest.form, manifest.consistency), (Form::Native, Consistency::Row));
    assert_eq!(manifest.parts.len(), Table::ALL.len());
    assert!(!manifest.has_digests());
    put(&client, "from_properties", "after").await;
    assert_eq!(dynamodb::inspect_kept(office.desk(), &from, &manifest).await.unwrap(), None);
    let shelf = office.shelf(&from).await;
    dynamodb::restore(office.desk(), &shelf, &manifest, &to).await.unwrap();
    let restored = items(&client, "to_properties").await;
    assert_eq!(restored.iter().map(|item| item["id"].as_s().unwrap().as_str()).collect::<Vec<_>>(), ["before"]);
    assert_eq!(to.schema_status().await.unwrap().missing, [] as [String; 0]);
    assert_eq!(to.native_ttl().await.unwrap(), NativeTtl::On("ttl_timestamp".to_owned()));
    // DynamoDB restores into new tables only.
    let error = dynamodb::restore(office.desk(), &shelf, &manifest, &to).await.unwrap_err();
    assert!(error.chain().contains("already"), "{}", error.chain());
    // Somebody has deleted one of them.
    client.delete_backup().backup_arn(&manifest.parts[3].reference).send().await.unwrap();
    let found = dynamodb::inspect_kept(office.desk(), &from, &manifest).await.unwrap().unwrap();
    assert!(found.contains(&manifest.parts[3].of), "{found}");
    // A set that goes takes with it those that are still there, and no others.
    office.create(&from).await.unwrap();
    let mut shop = shelf.shop().clone();
    shop.settings.retention = backup::Retention {
        keep_last: Bounded::new(0),
        daily: Bounded::new(0),
        weekly: Bounded::new(0),
        monthly: Bounded::new(0),
        min_age: Span::secs(0),
        min_sets: Bounded::new(1),
        ..backup::Retention::default()
    };
    let shelf = Shelf::new(shelf.depot().clone(), shelf.of().clone(), shop);
    for Entry { set, .. } in shelf.entries().await.unwrap() {
        let verified = State { verified_at: Some(manifest.taken_at), ..State::taken(set) };
        shelf.mark(Finder::Verify, &verified).await.unwrap();
    }
    let may = || async { Ok(()) };
    let pruned = backup::prune(office.desk(), &from, &shelf, chrono_tz::UTC, may).await.unwrap();
    assert_eq!(pruned.removed().count(), 1, "{pruned:?}");
    let kept = shelf.entries().await.unwrap().pop().unwrap().manifest.unwrap();
    // Both may have been begun in the same second, so either can be the older one.
    let there = kept.parts.len() - usize::from(kept.set == manifest.set);
    assert_eq!(count(&client).await.into_values().collect::<Vec<_>>(), vec![1; there]);
    assert_eq!(dynamodb::discard(office.desk(), &from, &kept).await.unwrap(), [] as [String; 0]);
    assert_eq!(count(&client).await, BTreeMap::new());
}

#[tokio::test]
async fn a_set_that_did_not_come_into_being_leaves_no_backup_of_a_table() {
    let server = Ministack::start();
    let client = client_of(&server.endpoint());
    store(&server, "t").apply(true).await.unwrap();
    let proxy = DynamoDbProxy::start(&server.endpoint()).await;
    let from = through(&proxy, server.settings("t"), server.login());
    let office = office(DynamodbMethod::Native);
    // The fifth is refused.
    proxy.play(|seen| {
        (seen.operation == "CreateBackup" && seen.nth == 5).then_some(Fault::Refused(
            400,
            "AccessDeniedException",
            "no",
        ))
    });
    let error = office.create(&from).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{}", error.chain());
    assert_eq!(proxy.count("CreateBackup"), 5);
    assert_eq!(count(&client).await, BTreeMap::new());
    // The run ends at the sixth, as by kill -9: nobody cleans up.
    let (sender, reached) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    proxy.play(move |seen| {
        let is_there = seen.operation == "CreateBackup" && seen.nth == 6;
        if is_there {
            sender.lock().unwrap().take().map(|sender| sender.send(()));
        }
        is_there.then_some(Fault::Late(Duration::from_secs(2)))
    });
    tokio::select! {
        made = office.create(&from) => panic!("{made:?}"),
        _ = reached => {}
    }
    eventually("the sixth is there", async || count(&client).await.len() == 6).await;
    // Answers are lost: what was made is found, what was not is made, and nothing is there twice. What the run
    // before has left is gone as well.
    proxy.play(|seen| match (seen.operation, seen.nth) {
        ("CreateBackup", 2) => Some(Fault::Unanswered),
        ("CreateBackup", 4) => Some(Fault::Unsent),
        ("CreateBackup", 6) => Some(Fault::Doubtful),
        _ => None,
    });
    let manifest = office.create(&from).await.unwrap();
    assert_eq!(proxy.faults(), 3);
    proxy.heal();
    assert_eq!(count(&client).await.into_values().collect::<Vec<_>>(), [1; Table::ALL.len()]);
    assert_eq!(dynamodb::inspect_kept(office.desk(), &from, &manifest).await.unwrap(), None);
    // What is published is nobody's leftover.
    office.create(&from).await.unwrap();
    assert_eq!(dynamodb::inspect_kept(office.desk(), &from, &manifest).await.unwrap(), None);
    assert!(count(&client).await.values().all(|count| *count == 2));
}

#[tokio::test]
async fn exports_are_of_one_second_and_need_point_in_time_recovery() {
    let server = Ministack::start();
    let from = store(&server, "t");
    from.apply(true).await.unwrap();
    let office = office(DynamodbMethod::Export);
    let error = office.create(&from).await.unwrap_err();
    assert!(error.chain().contains("t_actors, t_properties"), "{}", error.chain());
    let checking = Office::new(backup::Dynamodb {
        point_in_time_recovery: Pitr::Check,
        segments: Bounded::new(1),
        ..backup::Dynamodb::default()
    });
    assert_eq!(dynamodb::heed(office.desk(), &from).await.unwrap(), None, "nobody wants to know");
    let defects = dynamodb::heed(checking.desk(), &from).await.unwrap().unwrap();
    assert_eq!(defects.len(), 1);
    assert!(defects[0].what.contains("is off for t_actors, t_properties"), "{defects:?}");
    let off = dynamodb::point_in_time_recovery(office.desk(), &from).await.unwrap();
    assert_eq!(off.len(), Table::ALL.len());
    let enabling = Office::new(backup::Dynamodb {
        method: DynamodbMethod::Export,
        point_in_time_recovery: Pitr::Enable,
        export_bucket: Some("exports".to_owned()),
        ..backup::Dynamodb::default()
    });
    assert_eq!(dynamodb::heed(enabling.desk(), &from).await.unwrap(), Some(vec![]));
    // There is none as long as the second in which it was switched on for the last table is not over.
    let mut made = None;
    eventually("a second that all tables can be brought back to", async || {
        made = enabling.create(&from).await.ok();
        made.is_some()
    })
    .await;
    let manifest = made.unwrap();
    assert_eq!(dynamodb::point_in_time_recovery(office.desk(), &from).await.unwrap(), []);
    assert_eq!((manifest.form, manifest.consistency), (Form::Export, Consistency::Snapshot));
    assert_eq!(manifest.rows(), Some(0));
    assert_eq!(manifest.parts.iter().filter(|part| part.reference.starts_with("arn:")).count(), Table::ALL.len());
    let written = manifest.parts.iter().filter(|part| part.reference.starts_with("s3://exports/"));
    assert_eq!(written.count(), Table::ALL.len());
    assert_eq!(dynamodb::inspect_kept(office.desk(), &from, &manifest).await.unwrap(), None);
    let shelf = enabling.shelf(&from).await;
    let error = dynamodb::restore(office.desk(), &shelf, &manifest, &from).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{}", error.chain());
}

/// The tables of drills that are there.
async fn scratch_tables(client: &Client) -> Vec<String> {
    let listed = client.list_tables().send().await.unwrap();
    listed.table_names().iter().filter(|name| name.contains("_drill_")).cloned().collect()
}

#[tokio::test]
async fn a_set_of_dynamodbs_own_backups_is_drilled_and_told_from_one_that_is_not_whole() {
    let server = Ministack::start();
    let from = store(&server, "t");
    let client = client_of(&server.endpoint());
    from.apply(true).await.unwrap();
    for id in ["one", "two", "three"] {
        put(&client, "t_properties", id).await;
    }
    let proof = Proof::with("[backup.dynamodb]\nmethod = \"native\"\n");
    let command = |arguments: &[&str]| proof.configured(Maintd::beside_tables(&server.endpoint(), "t")).run(arguments);
    let drill = ["backup", "drill", "latest", "--json"];
    let set = || only(&command(&["backup", "list", "--json"]));

    let made = done(command(&["backup", "create", "--json"])).json()["report"]["backups"].clone();
    assert_eq!((&made["form"], &made["level"]), (&"native".into(), &"verified".into()), "{made:#}");
    assert_eq!(made["rows"], serde_json::Value::Null, "nobody counted them");
    // What comes later is not in it.
    put(&client, "t_properties", "four").await;
    let run = done(command(&drill)).json();
    assert_eq!((&run["job"], &run["outcome"]), (&"backup_drill".into(), &"succeeded".into()), "{run:#}");
    let told = &run["report"]["backups"];
    assert_eq!((&told["set"], &told["level"], &told["damage"]), (&made["set"], &"drilled".into(), &().into()));
    let drilled = &told["drill"];
    assert_eq!((&drilled["rows"], &drilled["compared"]), (&3.into(), &false.into()), "{drilled:#}");
    assert!(drilled["restore_seconds"].as_f64() > Some(0.0) && drilled["data_age_seconds"].as_f64() > Some(0.0));
    let note = drilled["note"].as_str().unwrap();
    assert!(note.contains("has no digests") && note.contains("not compared"), "{note}");
    let listed = set();
    assert_eq!((&listed["level"], &listed["drill"]["rows"]), (&"drilled".into(), &3.into()), "{listed:#}");
    assert_eq!(scratch_tables(&client).await, [] as [String; 0]);
    let shown = done(command(&drill[..3])).stdout;
    assert!(shown.contains("digests compared") && shown.contains(note), "{shown}");

    // A set that tells of rows which do not come back.
    let four = TableSum { rows: Some(4), digest: None };
    proof.rewrite(|manifest| drop(manifest.tables.insert("properties".to_owned(), four)));
    let found = command(&drill);
    assert_eq!(found.code, 2, "{found:?}");
    assert_eq!(found.json()["outcome"], "failed", "{found:?}");
    let damage = found.json()["report"]["backups"]["damage"].as_str().unwrap().to_owned();
    assert_eq!(damage, "properties is another: 3 rows came back of 4");
    assert_eq!((&set()["damage"]["what"], &set()["damage"]["by"]), (&damage.into(), &"drill".into()));
    assert_eq!(scratch_tables(&client).await, [] as [String; 0]);

    // Somebody has deleted the backup of a table. No table is restored then.
    let manifest = proof.rewrite(|manifest| manifest.tables.clear());
    done(command(&drill));
    assert_eq!((&set()["level"], &set()["damage"]), (&"drilled".into(), &().into()), "what only a drill clears");
    let gone = &manifest.parts[4];
    client.delete_backup().backup_arn(&gone.reference).send().await.unwrap();
    let found = command(&drill);
    assert_eq!(found.code, 2, "{found:?}");
    let damage = found.json()["report"]["backups"]["damage"].as_str().unwrap().to_owned();
    assert!(damage.contains(&format!("DynamoDB has no backup of {} any more", gone.of)), "{damage}");
    assert_eq!(scratch_tables(&client).await, [] as [String; 0]);
    // The tables of the application are as they were.
    assert_eq!(items(&client, "t_properties").await.len(), 4);
}
