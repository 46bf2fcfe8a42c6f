//! What number a subscription had when.

use actingweb_maintd::storage::{Store, Watermark};
use chrono::TimeDelta;

fn newest(numbers: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    numbers.iter().map(|(id, subid, number)| ((*id).to_owned(), (*subid).to_owned(), *number)).collect()
}

async fn numbers(store: &dyn Store, id: &str, subid: &str) -> Vec<i64> {
    store.watermarks(id, subid).await.unwrap().into_iter().map(|mark| mark.seqnr).collect()
}

pub(super) async fn a_number_is_remembered_with_its_first_time(store: &dyn Store) {
    let before = store.time().await.unwrap() - TimeDelta::seconds(1);
    store.mark(&newest(&[("a", "s", 5), ("a", "sub:1", 7), ("b", "s", 9)])).await.unwrap();
    let first = store.watermarks("a", "s").await.unwrap();
    let after = store.time().await.unwrap() + TimeDelta::seconds(1);
    assert_eq!(first.len(), 1);
    let Watermark { id, subid, seqnr, seen_at } = &first[0];
    assert_eq!((&**id, &**subid, *seqnr), ("a", "s", 5));
    assert!(before <= *seen_at && *seen_at <= after, "{before} {seen_at} {after}");
    store.mark(&newest(&[("a", "s", 5)])).await.unwrap();
    assert_eq!(store.watermarks("a", "s").await.unwrap(), first);
    store.mark(&[]).await.unwrap();
    store.mark(&newest(&[("a", "s", 10)])).await.unwrap();
    store.mark(&newest(&[("a", "s", 9)])).await.unwrap();
    let all = store.watermarks("a", "s").await.unwrap();
    assert!(all.is_sorted_by_key(|mark| mark.seen_at), "oldest first");
    assert_eq!(all.iter().filter(|mark| mark.seqnr == 5).collect::<Vec<_>>(), [&first[0]]);
    assert_eq!(numbers(store, "a", "sub:1").await, [7]);
    assert_eq!(numbers(store, "a", "su").await, [] as [i64; 0]);
    assert_eq!(numbers(store, "b", "s").await, [9]);
    assert_eq!(numbers(store, "nobody", "s").await, [] as [i64; 0]);
}

pub(super) async fn the_highest_number_before_a_time_is_found(store: &dyn Store) {
    for number in [5, 6, 30, 7, 100] {
        store.mark(&newest(&[("a", "s", number)])).await.unwrap();
    }
    let all = store.watermarks("a", "s").await.unwrap();
    for mark in &all {
        let expected = all.iter().filter(|other| other.seen_at < mark.seen_at).max_by_key(|other| other.seqnr);
        let found = store.watermark("a", "s", mark.seen_at).await.unwrap();
        assert_eq!(found.as_ref(), expected, "seen before {}", mark.seqnr);
    }
    let later = store.time().await.unwrap() + TimeDelta::days(1);
    assert_eq!(store.watermark("a", "s", later).await.unwrap().map(|mark| mark.seqnr), Some(100));
    assert_eq!(store.watermark("a", "s", later - TimeDelta::days(3)).await.unwrap(), None);
    assert_eq!(store.watermark("a", "other", later).await.unwrap(), None);
}

pub(super) async fn the_newest_of_each_is_never_forgotten(store: &dyn Store) {
    for round in 0..3 {
        for batch in 0..4 {
            let subids: Vec<String> = (0..10).map(|n| format!("s{}", batch * 10 + n)).collect();
            let marks: Vec<_> = subids.iter().map(|subid| ("a".to_owned(), subid.clone(), round)).collect();
            store.mark(&marks).await.unwrap();
        }
    }
    let now = store.time().await.unwrap();
    assert_eq!(store.forget_watermarks(now - TimeDelta::days(1)).await.unwrap(), 0);
    assert_eq!(store.forget_watermarks(now + TimeDelta::days(1)).await.unwrap(), 80);
    assert_eq!(store.forget_watermarks(now + TimeDelta::days(1)).await.unwrap(), 0);
    for n in 0..40 {
        assert_eq!(numbers(store, "a", &format!("s{n}")).await, [2], "s{n}");
    }
}

pub(super) async fn of_what_is_old_the_highest_is_kept(store: &dyn Store) {
    for number in [1, 2, 3] {
        store.mark(&newest(&[("a", "s", number), ("b", "s", number)])).await.unwrap();
    }
    let marks = store.watermarks("a", "s").await.unwrap();
    // The third was seen at this very time, and not before.
    assert_eq!(store.forget_watermarks(marks[2].seen_at).await.unwrap(), 2);
    assert_eq!(numbers(store, "a", "s").await, [2, 3]);
    assert_eq!(store.forget_watermarks_of("a", "s").await.unwrap(), 2);
    assert_eq!(numbers(store, "a", "s").await, [] as [i64; 0]);
    assert_eq!(numbers(store, "b", "s").await, [2, 3]);
}

pub(super) async fn texts_and_numbers_are_kept(store: &dyn Store) {
    for nasty in super::fixtures::NASTY {
        store.mark(&newest(&[(nasty, nasty, i64::from(i32::MAX))])).await.unwrap();
        assert_eq!(numbers(store, nasty, nasty).await, [i64::from(i32::MAX)]);
    }
    let many: Vec<_> = (0..120).map(|n| ("many".to_owned(), format!("s{n}"), n)).collect();
    store.mark(&many).await.unwrap();
    assert_eq!(numbers(store, "many", "s119").await, [119]);
}
