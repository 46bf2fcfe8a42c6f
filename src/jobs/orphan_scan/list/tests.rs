use super::*;
use crate::model::{AttributeValue, Item, Unreadable};

fn header() -> Header {
    Header::new(Uuid::nil(), BackendKind::Postgresql, "2026-01-02T03:04:05Z".parse().unwrap())
}

fn row(table: Table, columns: &[Option<&str>]) -> Record {
    let unreadable = Unreadable { table, attribute: String::new(), why: String::new() };
    let texts = columns.iter().map(|text| text.map(str::to_owned)).collect();
    Record { table, source: Source::Postgresql(texts), meaning: Err(unreadable) }
}

fn token() -> Record {
    let columns =
        [Some("a1"), Some("mcp_tokens:aw_secret"), Some("mcp_tokens"), Some("aw_secret"), Some("{}"), None, None];
    row(Table::Attributes, &columns)
}

#[test]
fn a_list_reads_back_as_it_was_written() {
    let property = row(Table::Properties, &[Some("a1"), Some("email"), Some("somebody@example.com")]);
    let trustee = row(Table::PeerTrustees, &[Some("a1"), Some("peer"), None, None, None]);
    let deleted_at = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let orphans: Vec<Orphan> = [(&token(), None), (&property, deleted_at), (&trustee, None)]
        .into_iter()
        .filter_map(|(row, at)| Orphan::of(row, at))
        .collect();
    let mut text = serde_json::to_string(&header()).unwrap();
    for orphan in &orphans {
        text.push_str(&format!("\n\n{}", serde_json::to_string(orphan).unwrap()));
    }
    assert!(!text.contains("aw_secret") && !text.contains("somebody@"), "{text}");
    assert!(text.contains("\"mcp_tokens\"") && text.contains("\"email\""), "{text}");
    assert_eq!(read(&text), Ok((header(), orphans)));
}

#[test]
fn keys_and_rows_have_digests_of_their_own() {
    let changed = {
        let mut record = token();
        if let Source::Postgresql(texts) = &mut record.source {
            texts[4] = Some("{\"used\": true}".to_owned());
        }
        record
    };
    assert_eq!(key(&token()), key(&changed));
    assert_ne!(digest::of_row(&token()), digest::of_row(&changed));
    let moved = row(Table::Trusts, &[Some("a"), Some("bc")]);
    assert_ne!(key(&moved), key(&row(Table::Trusts, &[Some("ab"), Some("c")])));
    assert_ne!(key(&moved), key(&row(Table::PeerTrustees, &[Some("a"), Some("bc")])));
}

#[test]
fn the_key_of_an_entry_of_dynamodb_stays_as_it_is() {
    let hash = "7b".repeat(32);
    let item = Item::from([
        ("lookup_key".to_owned(), AttributeValue::S(hash.clone())),
        ("actor_id".to_owned(), AttributeValue::S("a1".to_owned())),
    ]);
    let table = Table::PropertyLookup;
    let unreadable = Unreadable { table, attribute: String::new(), why: String::new() };
    let record = Record { table, source: Source::Dynamodb(item), meaning: Err(unreadable) };
    assert_eq!((key(&record), record.id()), (Some(hash), "a1"));
}

#[test]
fn what_is_wrong_with_a_list_is_told_by_line_and_field() {
    let head = serde_json::to_string(&header()).unwrap();
    let row = serde_json::to_string(&Orphan::of(&token(), None)).unwrap();
    let with = |from: &str, to: &str| {
        assert!(row.contains(from), "{from} is not in {row}");
        format!("{head}\n{row}\n{}", row.replacen(from, to, 1))
    };
    for (text, expected) in [
        (String::new(), "line 1: the list is empty: `orphan scan --output` makes one"),
        ("[]".to_owned(), "line 1: the line is not a JSON object"),
        (row.clone(), "line 1: format is missing"),
        (
            head.replace("maintd orphans", "maintd"),
            "line 1: format is not \"actingweb-maintd orphans\": the first line is that of `orphan scan`",
        ),
        (
            head.replace("\"version\":1", "\"version\":2"),
            "line 1: version is not 1, the one that this build knows: scan again",
        ),
        (head.replace("postgresql", "sqlite"), "line 1: backend is none of the backends"),
        (head.replace("00000000-", "x-"), "line 1: deployment is not an identity"),
        (head.replace("2026-01-02T", "2026"), "line 1: made_at is not a time"),
        (with("{", ""), "line 3: the line is not a JSON object"),
        (with("attributes", "actors"), "line 3: table is none of the tables that have orphans"),
        (with("\"id\":\"a1\"", "\"id\":7"), "line 3: id is not a text"),
        (
            with("\"id\":\"a1\"", "\"id\":\"_actingweb_system\""),
            "line 3: id is one that never has orphans: take the line out",
        ),
        (with("\"id\":\"a1\"", "\"id\":\"\""), "line 3: id is one that never has orphans: take the line out"),
        (with("\"key\":\"", "\"key\":\"x"), "line 3: key is not a digest"),
        (with("\"digest\":\"", "\"digest\":\"0"), "line 3: digest is not a digest"),
        (with("\"digest\"", "\"digset\""), "line 3: digest is missing"),
        (with("\"deleted_at\":null", "\"deleted_at\":\"soon\""), "line 3: deleted_at is not a time"),
        (with("{", "{\"more\":1,"), "line 3: the line has a field that is none of a list's"),
    ] {
        assert_eq!(read(&text).unwrap_err().to_string(), expected, "{text}");
    }
}
