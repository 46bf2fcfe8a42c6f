//! Files of rows are read as they were written, and nothing else is read as one.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::archive::{ErrorKind, Result};
use crate::model::{AttributeValue, Item, Source, Table, layout};

fn header(backend: BackendKind, table: Table) -> Header {
    Header { backend, segments: 2, name: Name { table, segment: 1, file: 0 } }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn write(header: Header, rows: &[Source]) -> Vec<u8> {
    wait(async {
        let mut file = Vec::new();
        let mut writer = Writer::begin(&mut file, header).await.unwrap();
        for row in rows {
            writer.add(row).await.unwrap();
        }
        assert_eq!(writer.finish(true).await.unwrap(), rows.len() as u64);
        file
    })
}

fn read(file: &[u8]) -> Result<(Header, Vec<Source>)> {
    wait(async {
        let mut reader = Reader::open(file, "a file").await?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next().await? {
            rows.push(row);
        }
        assert_eq!((reader.is_last(), reader.rows()), (Some(true), rows.len() as u64));
        Ok((*reader.header(), rows))
    })
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        any::<String>().prop_map(AttributeValue::S),
        "-?[1-9][0-9]{0,37}(\\.[0-9]{1,20})?".prop_map(AttributeValue::N),
        vec(any::<u8>(), 0..40).prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        vec(any::<String>(), 1..4).prop_map(AttributeValue::Ss),
        vec("[0-9]{1,38}", 1..4).prop_map(AttributeValue::Ns),
        vec(vec(any::<u8>(), 0..9), 1..4).prop_map(AttributeValue::Bs),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            btree_map(any::<String>(), inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

/// An attribute with the name of the last line is no last line.
fn item() -> impl Strategy<Value = Item> {
    let name = prop_oneof![4 => any::<String>(), 1 => Just("end".to_owned()), 1 => Just("rows".to_owned())];
    btree_map(name, value(), 0..6)
}

fn columns(table: Table) -> impl Strategy<Value = Vec<Option<String>>> {
    let count = layout::postgresql_columns(table).len();
    vec(prop::option::of(any::<String>()), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn items_come_out_as_they_went_in(items in vec(item(), 0..20)) {
        let header = header(BackendKind::Dynamodb, Table::Attributes);
        let rows: Vec<_> = items.into_iter().map(Source::Dynamodb).collect();
        prop_assert_eq!(read(&write(header, &rows)).unwrap(), (header, rows));
    }

    #[test]
    fn columns_come_out_as_they_went_in(rows in vec(columns(Table::Trusts), 0..20)) {
        let header = header(BackendKind::Postgresql, Table::Trusts);
        let rows: Vec<_> = rows.into_iter().map(Source::Postgresql).collect();
        prop_assert_eq!(read(&write(header, &rows)).unwrap(), (header, rows));
    }

    /// What is no file of rows ends in an error, whatever it is.
    #[test]
    fn anything_else_is_refused(bytes in vec(any::<u8>(), 0..400), text in ".{0,200}") {
        prop_assert!(read(&bytes).is_err());
        prop_assert!(read(&zstd::encode_all(text.as_bytes(), 1).unwrap()).is_err());
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn some_items(count: usize) -> Vec<Source> {
    let item = |n: usize| {
        Item::from([("id".to_owned(), text(&format!("actor {}", n % 7))), ("name".to_owned(), text(&n.to_string()))])
    };
    (0..count).map(|n| Source::Dynamodb(item(n))).collect()
}

#[test]
fn every_cut_is_noticed_and_no_flipped_bit_changes_a_row() {
    let header = header(BackendKind::Dynamodb, Table::Properties);
    let rows = some_items(30);
    let file = write(header, &rows);
    for at in 0..file.len() {
        let cut = read(&file[..at]).unwrap_err();
        assert_eq!(cut.kind, ErrorKind::Damaged, "cut at {at}: {}", cut.chain());
        for bit in 0..8 {
            let mut other = file.clone();
            other[at] ^= 1 << bit;
            // A few bits of Zstandard's header mean nothing, or how much memory to take.
            match read(&other) {
                Ok(same) => assert_eq!(same, (header, rows.clone()), "bit {bit} of byte {at}"),
                Err(error) => assert_eq!(error.kind, ErrorKind::Damaged, "bit {bit} of byte {at}"),
            }
        }
    }
    let more = [file.as_slice(), b"\0"].concat();
    assert_eq!(read(&more).unwrap_err().kind, ErrorKind::Damaged);
    let twice = [file.as_slice(), file.as_slice()].concat();
    assert_eq!(read(&twice).unwrap_err().kind, ErrorKind::Damaged);
}

/// The same for what is inside, where Zstandard's own checksum is of no help.
#[test]
fn lines_that_were_changed_are_noticed() {
    let header = header(BackendKind::Dynamodb, Table::Properties);
    let file = zstd::decode_all(write(header, &some_items(5)).as_slice()).unwrap();
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 7);
    let damage = |lines: &[&[u8]]| {
        let error = read(&zstd::encode_all(lines.concat().as_slice(), 1).unwrap()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Damaged);
        error.chain()
    };
    let changed = |from: &str, to: &str| {
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        damage(&[text.replace(from, to).as_bytes()])
    };
    assert!(damage(&[&lines[..3], &lines[4..]].concat()).contains("it has 4 rows and should have 5"));
    assert!(damage(&[&lines[..6], &lines[5..]].concat()).contains("it has 6 rows"));
    assert!(damage(&lines[..6]).contains("cut off"));
    assert!(damage(&[&lines[..], &lines[1..2]].concat()).contains("goes on"));
    assert!(changed("actor 3", "actor 4").contains("checksum"));
    assert!(changed("{\"S\":\"actor 3\"}", "{\"X\":\"actor 3\"}").contains("row 4 is none of properties"));
    assert!(changed("\"sha256\"", "\"sha255\"").contains("last line"));
    // Nothing that is in a row is told.
    assert!(!changed("{\"S\":\"actor 3\"}", "\"canary\"").contains("canary"));
}

#[test]
fn a_line_without_end_takes_no_memory() {
    // Megabytes of nothing in a few kilobytes.
    let header = header(BackendKind::Dynamodb, Table::Properties).line();
    let endless = std::io::Read::chain(
        format!("{header}\n").as_bytes().to_vec().leak() as &[u8],
        std::io::Read::take(std::io::repeat(b' '), 32 << 20),
    );
    let file = zstd::encode_all(endless, 1).unwrap();
    let error = read(&file).unwrap_err();
    assert!(error.chain().contains("longer than any row"), "{}", error.chain());
}

#[test]
fn what_has_no_form_is_refused() {
    wait(async {
        let mut file = Vec::new();
        let mut writer = Writer::begin(&mut file, header(BackendKind::Dynamodb, Table::Actors)).await.unwrap();
        let too_large = Item::from([("id".to_owned(), text(&"\u{1}".repeat(1 << 20)))]);
        for source in [Source::Nowhere, Source::Postgresql(vec![None; 4]), Source::Dynamodb(too_large)] {
            let refused = writer.add(&source).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Other);
        }
        assert_eq!(writer.finish(true).await.unwrap(), 0);
        let mut file = Vec::new();
        let mut writer = Writer::begin(&mut file, header(BackendKind::Postgresql, Table::Actors)).await.unwrap();
        writer.add(&Source::Postgresql(vec![None; 3])).await.unwrap_err();
        writer.add(&Source::Postgresql(vec![None; 4])).await.unwrap();
    });
}

/// Sixteen thousand rows and one of the largest that there are, which are more than is read at a time.
#[test]
fn large_files_and_rows_are_read_in_pieces() {
    let mut rows = some_items(16_000);
    rows.push(Source::Dynamodb([("value".to_owned(), text(&"\u{1}".repeat(400 << 10)))].into()));
    rows.extend(some_items(3));
    let header = header(BackendKind::Dynamodb, Table::Properties);
    let file = write(header, &rows);
    assert!(read(&file).unwrap() == (header, rows));
}
