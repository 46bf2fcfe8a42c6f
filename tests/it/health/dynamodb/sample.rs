//! Rows that come close to what DynamoDB takes.

use std::collections::BTreeSet;
use std::time::Duration;

use actingweb_maintd::health::Acknowledgement;
use actingweb_maintd::jobs::index_health;
use actingweb_maintd::metrics::Check;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::model::{Indexing, Table};
use actingweb_maintd::storage::{Bulk, Place, Segment};
use actingweb_maintd::throttle::Budget;
use actingweb_maintd::work::StopReason;
use aws_sdk_dynamodb::types::AttributeValue;

use super::plan::Plan;
use super::{Visitor, deep, finds_nothing, look_deep, only, proxied};
use crate::harness::dynamodb::TestTables;
use crate::harness::dynamodb_proxy::Fault;
use crate::harness::eventually;

async fn put(tables: &TestTables, table: Table, item: &[(&str, &str)]) {
    let item = item.iter().map(|(name, text)| ((*name).to_owned(), AttributeValue::S((*text).to_owned()))).collect();
    tables.put_raw(table, item).await;
}

#[tokio::test]
async fn large_items_are_found_when_rows_are_read() {
    let tables = TestTables::new().await;
    let store = tables.store();
    let sized = |bytes: usize| "x".repeat(bytes - "idanamevalue".len() - "big".len());
    put(&tables, Table::Properties, &[("id", "a"), ("name", "big"), ("value", &sized(320 * 1024))]).await;
    assert_eq!(look_deep(&*store).await.findings, []);
    put(&tables, Table::Properties, &[("id", "b"), ("name", "big"), ("value", &sized(320 * 1024 + 1))]).await;
    put(&tables, Table::Properties, &[("id", "c"), ("name", "big"), ("value", &sized(400 * 1024))]).await;
    put(&tables, Table::Properties, &[("id", "d"), ("name", "small"), ("value", "x")]).await;
    finds_nothing(&*store).await;
    let examined = look_deep(&*store).await;
    let finding = only(&examined);
    assert_eq!((finding.check, &finding.object), (Check::ItemSize, &tables.name(Table::Properties)));
    assert_eq!(finding.rows, Some(2));
    assert!(finding.what.contains("2 of the 4 rows") && finding.what.contains("the largest has 409600"), "{finding:?}");
}

#[tokio::test]
async fn long_keys_are_found_by_the_key_that_they_are_in() {
    let tables = TestTables::empty().await;
    let store = tables.indexed(Indexing { by_table: false, ..Indexing::default() });
    store.apply_schema(true).await.unwrap();
    let properties = tables.name(Table::Properties);
    // Two bytes each.
    let wide = "é".repeat(410);
    for (item, object, found) in [
        ([("id", &"i".repeat(1639)[..]), ("name", "n"), ("value", "v")], format!("{properties}/id"), "`id`"),
        ([("id", "i"), ("name", &wide[..]), ("value", "v")], format!("{properties}/name"), "the longest has 820"),
        (
            [("id", "i"), ("name", "n"), ("value", &"v".repeat(1639)[..])],
            format!("{properties}/property-index/value"),
            "2048 bytes that the index `property-index` takes",
        ),
    ] {
        put(&tables, Table::Properties, &item).await;
        let examined = look_deep(&*store).await;
        let finding = only(&examined);
        assert_eq!((finding.check, &finding.object, finding.rows), (Check::KeySize, &object, Some(1)), "{finding:?}");
        assert!(finding.what.contains(found), "{finding:?}");
        Plan::of(Table::Properties).indexed("property-index", "value").replace(&tables, Table::Properties).await;
    }
    // Both at once are told one by one, and may be acknowledged one by one.
    let both = [("id", &"i".repeat(1639)[..]), ("name", &wide[..]), ("value", "v")];
    put(&tables, Table::Properties, &both).await;
    let found = look_deep(&*store).await.findings;
    let objects: Vec<_> = found.iter().map(|finding| finding.object.clone()).collect();
    assert_eq!(objects, [format!("{properties}/id"), format!("{properties}/name")]);
    for finding in &found {
        let known: Acknowledgement = format!("key_size {}: they stay", finding.object).parse().expect("its form");
        assert_eq!(found.iter().filter(|finding| known.is_about(finding.check, &finding.object)).count(), 1);
    }
    Plan::of(Table::Properties).indexed("property-index", "value").replace(&tables, Table::Properties).await;
    let just = [("id", &"i".repeat(1638)[..]), ("name", &"n".repeat(819)[..]), ("value", &"v".repeat(1638)[..])];
    put(&tables, Table::Properties, &just).await;
    assert_eq!(look_deep(&*store).await.findings, []);
}

#[tokio::test]
async fn a_sample_has_an_end() {
    let tables = TestTables::new().await;
    let store = tables.store();
    tables.add_attributes("sessions", 30, 600).await;
    put(&tables, Table::Properties, &[("id", "a"), ("name", "b"), ("value", "c")]).await;
    for (sample, looked_at) in [(1, 2), (7, 8), (1000, 31)] {
        let visitor = Visitor::new(&index_health::Settings { sample: Bounded::new(sample), ..deep() });
        visitor.look(&*store).await;
        assert_eq!((visitor.progress.done(), visitor.progress.expected()), (looked_at, looked_at));
    }
    let visitor = Visitor::new(&deep());
    visitor.stop.request(StopReason::Shutdown);
    let examined = visitor.look(&*store).await;
    assert_eq!(visitor.progress.done(), 0);
    assert!(examined.notes[0].ends_with("the look was stopped"), "{:?}", examined.notes);
    assert_eq!(examined.unseen, BTreeSet::from([Check::KeySize, Check::ItemSize]));
}

#[tokio::test]
async fn a_sample_ends_as_well_when_it_has_cost_enough() {
    let tables = TestTables::new().await;
    let store = tables.store();
    let value = "x".repeat(300 * 1024);
    for n in 0..12 {
        let id = format!("actor-{n}");
        put(&tables, Table::Properties, &[("id", &id), ("name", "big"), ("value", &value)]).await;
    }
    let looked_at = async |sample| {
        let visitor = Visitor::new(&index_health::Settings { sample: Bounded::new(sample), ..deep() });
        visitor.look(&*store).await;
        visitor.progress.done()
    };
    // A page has four of them at most, and they cost 38 units each.
    let (few, most) = (looked_at(12).await, looked_at(1000).await);
    assert!(few < 12 && most == 12, "{few}, {most}");
}

/// Whoever reads all the time at full speed leaves half of it to others, and pays half for each read.
#[tokio::test]
async fn a_sample_reads_at_half_speed_and_for_half_the_price() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    tables.add_attributes("sessions", 30, 600).await;
    let place = Place::default();
    let [cheap, dear] = [
        store.sample(Table::Attributes, &place, 100).await.expect("reading"),
        store.scan(Table::Attributes, Segment::WHOLE, &place, 100).await.expect("reading"),
    ];
    assert_eq!((cheap.records.len(), cheap.read_units * 2.0), (dear.records.len(), dear.read_units));

    let visitor = Visitor::new(&deep());
    proxy.play(|seen| (seen.operation == "Scan").then_some(Fault::Late(Duration::from_secs(1))));
    let stop = async {
        eventually("it rests", async || visitor.progress.resting() == Some("rate")).await;
        visitor.stop.request(StopReason::Shutdown);
    };
    let (examined, ()) = tokio::join!(visitor.look(&*store), stop);
    assert_eq!(examined.findings, []);
}

#[tokio::test]
async fn a_sample_keeps_to_the_budget() {
    let tables = TestTables::new().await;
    let store = tables.store();
    let visitor = Visitor { budget: Budget::new(1, 0), ..Visitor::new(&deep()) };
    // Others have used up what there is for an hour.
    visitor.budget.for_reading(3600.0);
    let stop = async {
        eventually("it rests", async || visitor.progress.resting() == Some("budget")).await;
        visitor.stop.request(StopReason::Shutdown);
    };
    let (examined, ()) = tokio::join!(visitor.look(&*store), stop);
    assert_eq!(examined.findings, []);
}

#[tokio::test]
async fn a_sample_does_not_fail_for_want_of_capacity_or_permission() {
    let tables = TestTables::new().await;
    let (proxy, store) = proxied(&tables).await;
    put(&tables, Table::Properties, &[("id", "a"), ("name", "b"), ("value", "c")]).await;
    let visitor = Visitor::new(&deep());
    // The SDK tries four times by itself.
    proxy.play(|seen| (seen.operation == "Scan" && seen.nth <= 6).then_some(Fault::THROTTLED));
    let examined = visitor.look(&*store).await;
    assert_eq!((examined.findings, examined.notes, visitor.progress.done()), (vec![], vec![], 1));
    assert_eq!(proxy.faults(), 6);

    // One that may not be read, and one where nobody answers.
    let [denied, silent] = [Table::Properties, Table::Trusts].map(|table| tables.name(table));
    proxy.play(move |seen| match (seen.operation, seen.table) {
        ("Scan", table) if table == denied => Some(Fault::Refused(400, "AccessDeniedException", "not authorized")),
        ("Scan", table) if table == silent => Some(Fault::Page(503)),
        _ => None,
    });
    put(&tables, Table::Attributes, &[("id", "a"), ("bucket_name", "b:c"), ("bucket", "b"), ("name", "c")]).await;
    let visitor = Visitor::new(&deep());
    let examined = visitor.look(&*store).await;
    assert_eq!((examined.findings, visitor.progress.done()), (vec![], 1));
    let [first, second] = &examined.notes[..] else { panic!("{:?}", examined.notes) };
    assert!(first.contains("only 0 rows of") && first.contains("not authorized"), "{first}");
    assert!(second.contains(&tables.name(Table::Trusts)) && second.contains("503"), "{second}");
    assert_eq!(examined.unseen, BTreeSet::from([Check::KeySize, Check::ItemSize]));
}
