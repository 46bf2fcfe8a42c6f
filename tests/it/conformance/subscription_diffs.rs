//! The changes that subscribers may still fetch.

use actingweb_maintd::model::row::SubscriptionDiff;
use actingweb_maintd::model::{BackendKind, Table};
use actingweb_maintd::storage::{Store, Through};

use super::fixtures::{NASTY, diff, refused, state};

async fn add(store: &dyn Store, id: &str, subid: &str, numbers: impl IntoIterator<Item = i64>) {
    for number in numbers {
        assert!(store.create_diff(&diff(id, subid, number)).await.unwrap());
    }
}

async fn numbers(store: &dyn Store, id: &str, subid: Option<&str>) -> Vec<(String, i64)> {
    store.diffs(id, subid).await.unwrap().into_iter().map(|diff| (diff.subid, diff.seqnr)).collect()
}

fn of(subid: &str, numbers: impl IntoIterator<Item = i64>) -> Vec<(String, i64)> {
    numbers.into_iter().map(|number| (subid.to_owned(), number)).collect()
}

pub(super) async fn what_was_added_is_read(store: &dyn Store) {
    assert_eq!(store.diff("a", "s", 1).await.unwrap(), None);
    for nasty in NASTY {
        let added = SubscriptionDiff { diff: nasty.to_owned(), ..diff(nasty, nasty, 1) };
        assert!(store.create_diff(&added).await.unwrap());
        assert_eq!(store.diff(nasty, nasty, 1).await.unwrap().as_ref(), Some(&added));
        assert_eq!(store.diffs(nasty, Some(nasty)).await.unwrap(), [added]);
    }
    let empty = SubscriptionDiff { diff: String::new(), ..diff("a", "s", i64::from(i32::MAX)) };
    assert!(store.create_diff(&empty).await.unwrap());
    assert_eq!(store.diff("a", "s", i64::from(i32::MAX)).await.unwrap(), Some(empty));
}

pub(super) async fn a_number_is_taken_once(store: &dyn Store) {
    add(store, "a", "s", [1]).await;
    let before = state(store).await;
    let other = SubscriptionDiff { diff: "another".to_owned(), ..diff("a", "s", 1) };
    assert!(!store.create_diff(&other).await.unwrap());
    assert_eq!(state(store).await, before);
    add(store, "a", "s", [2]).await;
    add(store, "a", "t", [1]).await;
    add(store, "b", "s", [1]).await;
}

pub(super) async fn they_come_by_number_and_not_as_text(store: &dyn Store) {
    add(store, "a", "sub1", [10, 2, 12, 1, 7, 11, 100, 5]).await;
    assert_eq!(numbers(store, "a", Some("sub1")).await, of("sub1", [1, 2, 5, 7, 10, 11, 12, 100]));
    assert_eq!(store.first_diff("a", "sub1").await.unwrap().map(|diff| diff.seqnr), Some(1));
    assert!(store.delete_diff("a", "sub1", 1).await.unwrap());
    assert_eq!(store.first_diff("a", "sub1").await.unwrap(), Some(diff("a", "sub1", 2)));
}

pub(super) async fn siblings_are_told_apart(store: &dyn Store) {
    let all = ["sub1", "sub10", "sub1:2", "SUB1", "sub", "é"];
    for (n, subid) in all.into_iter().enumerate() {
        let n = n as i64;
        add(store, "a", subid, [n + 10, n + 9]).await;
    }
    add(store, "ab", "sub1", [1]).await;
    add(store, "a", "sub1:2", [1]).await;
    for (n, subid) in all.into_iter().enumerate() {
        let n = n as i64;
        let first = if subid == "sub1:2" { vec![1] } else { vec![] };
        let expected = of(subid, first.into_iter().chain([n + 9, n + 10]));
        assert_eq!(numbers(store, "a", Some(subid)).await, expected);
        let lowest = store.first_diff("a", subid).await.unwrap().unwrap();
        assert_eq!((lowest.subid, lowest.seqnr), expected[0]);
    }
    assert_eq!(store.first_diff("a", "su").await.unwrap(), None);
    assert_eq!(store.first_diff("a", "").await.unwrap(), None);
    assert_eq!(numbers(store, "a", Some("sub1:")).await, []);
    let everything = numbers(store, "a", None).await;
    let expected = [("SUB1", vec![12, 13]), ("sub", vec![13, 14]), ("sub1", vec![9, 10]), ("sub10", vec![10, 11])];
    let expected = expected.into_iter().chain([("sub1:2", vec![1, 11, 12]), ("é", vec![14, 15])]);
    assert_eq!(everything, expected.flat_map(|(subid, numbers)| of(subid, numbers)).collect::<Vec<_>>());
    assert_eq!(store.clear_diffs("a", Some("sub1"), Through::All).await.unwrap(), 2);
    assert_eq!(store.clear_diffs("a", Some("sub1"), Through::All).await.unwrap(), 0);
    assert_eq!(numbers(store, "a", None).await.len(), everything.len() - 2);
    assert_eq!(numbers(store, "ab", None).await, of("sub1", [1]));
}

pub(super) async fn they_are_cleared_through_a_number(store: &dyn Store) {
    add(store, "a", "s", 1..=12).await;
    add(store, "a", "t", [1, 3, 20]).await;
    add(store, "b", "s", [1]).await;
    for nothing in [Through::Number(0), Through::Number(-1), Through::Number(i64::MIN), Through::from_sequence(-7)] {
        assert_eq!(store.clear_diffs("a", Some("s"), nothing).await.unwrap(), 0, "{nothing:?}");
        assert_eq!(store.clear_diffs("a", None, nothing).await.unwrap(), 0, "{nothing:?}");
    }
    assert_eq!(store.clear_diffs("a", Some("s"), Through::Number(9)).await.unwrap(), 9);
    assert_eq!(numbers(store, "a", Some("s")).await, of("s", 10..=12));
    assert_eq!(store.clear_diffs("a", Some("s"), Through::Number(9)).await.unwrap(), 0);
    assert_eq!(store.clear_diffs("a", Some("s"), Through::Number(10)).await.unwrap(), 1);
    assert_eq!(store.clear_diffs("a", None, Through::Number(11)).await.unwrap(), 3, "one of `s`, two of `t`");
    let left: Vec<_> = of("s", [12]).into_iter().chain(of("t", [20])).collect();
    assert_eq!(numbers(store, "a", None).await, left);
    assert_eq!(store.clear_diffs("a", Some("t"), Through::Number(i64::MAX)).await.unwrap(), 1);
    assert_eq!(store.clear_diffs("a", None, Through::from_sequence(0)).await.unwrap(), 1);
    assert_eq!(numbers(store, "b", None).await, of("s", [1]));
}

pub(super) async fn numbers_below_one_are_cleared_with_the_others(store: &dyn Store) {
    add(store, "a", "s", [-5, 0, 1, 2]).await;
    assert_eq!(numbers(store, "a", Some("s")).await, of("s", [-5, 0, 1, 2]));
    assert_eq!(store.clear_diffs("a", Some("s"), Through::Number(1)).await.unwrap(), 3);
    assert_eq!(numbers(store, "a", Some("s")).await, of("s", [2]));
}

pub(super) async fn many_are_cleared(store: &dyn Store) {
    add(store, "a", "s", 1..=110).await;
    assert_eq!(numbers(store, "a", Some("s")).await, of("s", 1..=110));
    assert_eq!(store.clear_diffs("a", Some("s"), Through::Number(60)).await.unwrap(), 60);
    assert_eq!(numbers(store, "a", Some("s")).await, of("s", 61..=110));
    assert_eq!(store.clear_diffs("a", None, Through::All).await.unwrap(), 50);
    assert_eq!(store.count(Table::SubscriptionDiffs).await.unwrap(), 0);
}

pub(super) async fn one_is_deleted_once(store: &dyn Store) {
    add(store, "a", "s", [1, 10]).await;
    add(store, "a", "s:1", [0]).await;
    assert!(store.delete_diff("a", "s", 1).await.unwrap());
    assert!(!store.delete_diff("a", "s", 1).await.unwrap());
    assert!(!store.delete_diff("a", "t", 10).await.unwrap());
    assert!(!store.delete_diff("b", "s", 10).await.unwrap());
    let left: Vec<_> = of("s", [10]).into_iter().chain(of("s:1", [0])).collect();
    assert_eq!(numbers(store, "a", None).await, left);
    add(store, "a", "s", [1]).await;
}

pub(super) async fn what_is_too_much_for_one_answer_comes_whole(store: &dyn Store) {
    for number in 1..=8 {
        let large = SubscriptionDiff { diff: "x".repeat(300 * 1024), ..diff("a", "s", number) };
        assert!(store.create_diff(&large).await.unwrap());
    }
    assert_eq!(numbers(store, "a", Some("s")).await, of("s", 1..=8));
    assert_eq!(numbers(store, "a", None).await, of("s", 1..=8));
    assert_eq!(store.first_diff("a", "s").await.unwrap().map(|diff| diff.seqnr), Some(1));
    assert_eq!(store.clear_diffs("a", Some("s"), Through::Number(7)).await.unwrap(), 7);
}

pub(super) async fn what_does_not_fit_is_refused(store: &dyn Store) {
    let number = diff("a", "s", i64::from(i32::MAX) + 1);
    let largest = diff("a", "s", i64::MAX);
    let text = SubscriptionDiff { diff: "h1dden\0".to_owned(), ..diff("a", "s", 1) };
    let long = diff("a", &"s".repeat(256), 1);
    // With the number it is too long.
    let together = diff("a", &"s".repeat(252), 123);
    let over_long = diff("a", &"s".repeat(1024), 1);
    let fits = diff("a", &"s".repeat(252), 12);
    assert!(store.create_diff(&fits).await.unwrap());
    for (attribute, given) in
        [("seqnr", &number), ("seqnr", &largest), ("diff", &text), ("subid", &long), ("subid_seqnr", &together)]
    {
        match store.backend() {
            BackendKind::Postgresql => {
                refused(store, (Table::SubscriptionDiffs, attribute, "h1dden"), store.create_diff(given)).await;
                if attribute == "seqnr" {
                    assert_eq!(store.diff("a", "s", given.seqnr).await.unwrap(), None, "it cannot be there");
                    assert!(!store.delete_diff("a", "s", given.seqnr).await.unwrap());
                }
            }
            BackendKind::Dynamodb => {
                assert!(store.create_diff(given).await.unwrap());
                assert_eq!(store.diff("a", &given.subid, given.seqnr).await.unwrap().as_ref(), Some(given));
            }
        }
    }
    refused(store, (Table::SubscriptionDiffs, "subid", "ssss"), store.create_diff(&over_long)).await;
    let large = SubscriptionDiff { diff: "h1dden".repeat(70_000), ..diff("a", "large", 1) };
    match store.backend() {
        BackendKind::Postgresql => assert!(store.create_diff(&large).await.unwrap()),
        BackendKind::Dynamodb => {
            refused(store, (Table::SubscriptionDiffs, "", "h1dden"), store.create_diff(&large)).await;
        }
    }
}
