//! The library writes and we read, we write and the library reads, and either changes what the
//! other wrote: every table, on every backend.
//!
//! `contents.json` is what both write. What is found is put into one document, which both make in
//! the same shape: the library by its own classes (`reading.py`), we by the traits (`document.rs`).

mod cleanup;
mod contents;
mod deleting;
mod document;
mod modifying;
mod place;
mod reading;
mod tables;
mod tokens;

use actingweb_maintd::model::Table;
use tokio::join;

use contents::Contents;
use document::document;
use place::{Kind, Place, assert_alike};
use reading::{rows, scanned};

#[tokio::test]
async fn on_postgresql_either_reads_changes_and_deletes_what_the_other_wrote() {
    both_directions(Kind::Postgresql).await;
}

#[tokio::test]
async fn on_dynamodb_in_process_either_reads_changes_and_deletes_what_the_other_wrote() {
    both_directions(Kind::InProcess).await;
}

#[tokio::test]
async fn on_ministack_either_reads_changes_and_deletes_what_the_other_wrote() {
    both_directions(Kind::Ministack).await;
}

async fn both_directions(kind: Kind) {
    let theirs = Place::of_the_library(kind).await;
    let ours = Place::of_ours(kind).await;
    let contents = Contents::of(theirs.backend());

    let (by_library, ()) = join!(theirs.python("writing"), contents::write(&ours, &contents));
    contents.assert_lives(&by_library);
    assert_alike(&theirs.raw().await, &ours.raw().await);
    assert_same_documents(&theirs, &contents, &by_library).await;
    let (by_library, ()) = join!(ours.python("reading"), copies_are_exact(&theirs));
    assert_same_documents(&ours, &contents, &by_library).await;

    // Now each changes what the other wrote.
    let (by_library, ()) = join!(ours.python("modifying"), modifying::modify(&theirs, &contents));
    assert_alike(&theirs.raw().await, &ours.raw().await);
    assert_same_documents(&ours, &contents, &by_library).await;
    assert_same_documents(&theirs, &contents, &theirs.python("reading").await).await;

    let (by_library, ()) = join!(ours.python("deleting"), deleting::delete(&theirs, &contents));
    assert_same_documents(&ours, &contents, &by_library).await;
    for place in [&theirs, &ours] {
        for (table, rows) in place.raw().await {
            assert_eq!(rows, [], "{table}");
        }
    }
}

/// What the library found is what we find, both by key and by walking over the tables.
async fn assert_same_documents(place: &Place, contents: &Contents, by_library: &serde_json::Value) {
    let by_key = rows(place, contents).await;
    let mut shown: Vec<String> = by_key.iter().map(|row| format!("{row:?}")).collect();
    let mut walked: Vec<String> = scanned(place)
        .await
        .iter()
        .map(|record| format!("{:?}", record.meaning.as_ref().expect("a row that means something")))
        .collect();
    shown.sort();
    walked.sort();
    similar(&shown, &walked);
    let by_us = document(place, contents, &by_key).await;
    for (part, found) in by_library.as_object().expect("a document") {
        assert_eq!(&by_us[part], found, "{part} as we find it, and as the library does");
    }
}

/// Two lists of lines; the failure shows only those that differ.
fn similar(one: &[String], other: &[String]) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    assert_eq!(only(one, other), only(other, one), "by key, and by walking over the tables");
    assert_eq!(one.len(), other.len());
}

/// What we write back, and what we write elsewhere, is byte for byte what the library wrote.
async fn copies_are_exact(original: &Place) {
    let raw = original.raw().await;
    let elsewhere = original.another().await;
    let records = scanned(original).await;
    for table in Table::ALL {
        let records: Vec<_> = records.iter().filter(|record| record.table == table).cloned().collect();
        for place in [original, &elsewhere] {
            let written = place.store().write(&records).await.expect("writing records");
            assert_eq!(written.records, records.len() as u64, "{table}");
        }
    }
    assert_eq!(original.raw().await, raw);
    assert_eq!(elsewhere.raw().await, raw);
}
