//! Every row of the library's, by bucket.

use super::*;
use crate::model::{Source, Table, Unreadable, json};

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3600;
const LINES: Lines = Lines { ended: NOW - HOUR, now: NOW };

fn attribute(id: &str, bucket: &str, data: &str) -> Attribute {
    Attribute::new(id, bucket, "name", Some(json::parse(data).unwrap()))
}

fn record(attribute: Attribute) -> Record {
    Record::from(Row::Attribute(attribute))
}

fn verdict(id: &str, bucket: &str, data: &str) -> Verdict {
    judge(&record(attribute(id, bucket, data)), LINES)
}

/// Each bucket whose rows say when they end by one field, with how long after it that is.
const DATED: [(&str, &str, &str, i64); 5] = [
    (OAUTH2, "_oauth_sessions", "created_at", 600),
    (OAUTH2, "spa_access_tokens", "expires_at", 0),
    (OAUTH2, "_apple_exchange_tickets", "expires_at", 0),
    ("actor", "mcp_tokens", "expires_at", 0),
    ("actor", "mcp_auth_codes", "expires_at", 0),
];

const REFRESH: [(&str, &str); 2] = [(OAUTH2, "spa_refresh_tokens"), ("actor", "mcp_refresh_tokens")];

#[test]
fn a_dated_row_goes_when_its_end_lies_before_the_line() {
    for (id, bucket, field, lasts) in DATED {
        let line = LINES.ended - lasts;
        for (at, goes) in [
            ((line - 1).to_string(), Verdict::Expired),
            (line.to_string(), Verdict::Stays),
            ((line + 1).to_string(), Verdict::Stays),
            (format!("{}.5", line - 1), Verdict::Expired),
            ("0".to_owned(), Verdict::Expired),
            ("-1".to_owned(), Verdict::Expired),
            // In milliseconds it is far away.
            ((line * 1000).to_string(), Verdict::Stays),
        ] {
            assert_eq!(verdict(id, bucket, &format!("{{\"{field}\": {at}}}")), goes, "{bucket} {at}");
        }
    }
}

#[test]
fn what_does_not_say_when_it_ends_stays() {
    let values = ["null", "true", "\"1\"", "[1]", "{}", "NaN", "-Infinity", "9999999999999999999999"];
    for (id, bucket, field, _) in DATED {
        for value in values {
            assert_eq!(verdict(id, bucket, &format!("{{\"{field}\": {value}}}")), Verdict::Undated, "{bucket} {value}");
        }
        assert_eq!(verdict(id, bucket, "{}"), Verdict::Undated, "{bucket}");
        assert_eq!(verdict(id, bucket, "{\"exp\": 1, \"ttl\": 1}"), Verdict::Undated, "{bucket}");
    }
    for (id, bucket) in REFRESH {
        for data in
            ["{}", "{\"used\": true}", "{\"used\": true, \"expires_at\": 1}", "{\"used\": 1, \"used_at\": \"1\"}"]
        {
            assert_eq!(verdict(id, bucket, data), Verdict::Undated, "{bucket} {data}");
        }
    }
}

#[test]
fn what_the_library_would_not_write_is_left_alone() {
    let buckets = DATED.iter().map(|(id, bucket, ..)| (*id, *bucket)).chain(REFRESH);
    for (id, bucket) in buckets {
        for data in ["null", "1", "\"text\"", "[]", "false"] {
            assert_eq!(verdict(id, bucket, data), Verdict::Strange, "{bucket} {data}");
        }
        let nothing = Attribute { data: None, ..attribute(id, bucket, "1") };
        assert_eq!(judge(&record(nothing), LINES), Verdict::Strange, "{bucket}");
    }
    let why = Unreadable { table: Table::Attributes, attribute: "data".to_owned(), why: "is not JSON".to_owned() };
    let unreadable = Record { table: Table::Attributes, source: Source::Nowhere, meaning: Err(why) };
    assert_eq!(judge(&unreadable, LINES), Verdict::Strange);
}

#[test]
fn a_row_with_a_ttl_is_left_to_it() {
    let buckets = DATED.iter().map(|(id, bucket, ..)| (*id, *bucket)).chain(REFRESH);
    for (id, bucket) in buckets.chain([("actor", PROVIDER_TOKENS)]) {
        for ttl in [1, NOW + 1] {
            let data = "{\"expires_at\": 1, \"created_at\": 1}";
            let row = Attribute { ttl_timestamp: Some(ttl), ..attribute(id, bucket, data) };
            assert_eq!(judge(&record(row), LINES), Verdict::Stays, "{bucket}");
        }
    }
}

#[test]
fn an_unused_refresh_token_goes_by_its_end() {
    for (id, bucket) in REFRESH {
        for used in ["", "\"used\": false, ", "\"used\": null, ", "\"used\": 0, ", "\"used\": false, \"used_at\": 1, "]
        {
            let at = |end: i64| verdict(id, bucket, &format!("{{{used}\"expires_at\": {end}}}"));
            assert_eq!(at(LINES.ended - 1), Verdict::Expired, "{bucket} {used}");
            assert_eq!(at(LINES.ended), Verdict::Stays, "{bucket} {used}");
        }
    }
}

#[test]
fn a_used_refresh_token_stays_for_the_reuse_window_whatever_its_end() {
    for (id, bucket) in REFRESH {
        for used in ["true", "1", "\"yes\""] {
            for expires_at in [1, NOW - 2 * HOUR, NOW + HOUR] {
                let at = |used_at: i64| {
                    let data = format!("{{\"used\": {used}, \"used_at\": {used_at}, \"expires_at\": {expires_at}}}");
                    verdict(id, bucket, &data)
                };
                assert_eq!(at(LINES.ended - 2 * 86_400 - 1), Verdict::Expired, "{bucket}");
                for used_at in [LINES.ended - 2 * 86_400, NOW - 2 * 86_400, NOW - HOUR, NOW, NOW + HOUR] {
                    assert_eq!(at(used_at), Verdict::Stays, "{bucket} {used_at}");
                }
            }
        }
    }
}

#[test]
fn a_bucket_is_the_librarys_only_under_its_own_id() {
    let old = "{\"expires_at\": 1, \"created_at\": 1}";
    for (id, bucket, ..) in DATED {
        let elsewhere = if id == OAUTH2 { "actor" } else { OAUTH2 };
        for (id, bucket) in [
            (elsewhere, bucket.to_owned()),
            ("_actingweb_system", bucket.to_owned()),
            (id, format!("{bucket}2")),
            (id, bucket.to_uppercase()),
        ] {
            assert_eq!(verdict(id, &bucket, old), Verdict::Stays, "{id} {bucket}");
        }
    }
    for (id, bucket) in [
        (OAUTH2, "_oauth_state_nonces"),
        (OAUTH2, "_id_token_replay"),
        ("_actingweb_system", "_email_verify_tokens"),
        ("_actingweb_system", "_trust_types"),
        ("_actingweb_deleted", "_deleted_actors"),
        ("actor", "mcp_clients"),
        ("actor", "_internal"),
        ("actor", "app"),
        ("actor", "_access_token_index"),
    ] {
        assert_eq!(verdict(id, bucket, old), Verdict::Stays, "{id} {bucket}");
    }
}

#[test]
fn a_provider_token_says_nothing_about_its_end() {
    let data = "{\"expires_at\": 1, \"created_at\": 1}";
    assert_eq!(verdict("actor", PROVIDER_TOKENS, data), Verdict::ProviderToken);
}

/// The index buckets with the buckets they point into.
const INDEXES: [(&str, &str); 3] = [
    ("_access_token_index", "mcp_tokens"),
    ("_refresh_token_index", "mcp_refresh_tokens"),
    ("_auth_code_index", "mcp_auth_codes"),
];

fn target(bucket: &str) -> AttributePlace {
    AttributePlace { id: "actor".to_owned(), bucket: bucket.to_owned(), name: "name".to_owned() }
}

#[test]
fn an_index_entry_points_at_the_row_of_its_name_whatever_its_ttl() {
    for (index, bucket) in INDEXES.into_iter().chain([("_client_index", "mcp_clients")]) {
        let entry = attribute(OAUTH2, index, "\"actor\"");
        let with_ttl = Attribute { ttl_timestamp: Some(NOW + HOUR), ..entry.clone() };
        for entry in [entry, with_ttl] {
            assert_eq!(judge(&record(entry), LINES), Verdict::Points(target(bucket)), "{index}");
        }
        for data in ["1", "{\"actor_id\": \"actor\"}", "[\"actor\"]", "true", "\"\\ud800\""] {
            assert_eq!(verdict(OAUTH2, index, data), Verdict::Strange, "{index} {data}");
        }
    }
}

#[test]
fn a_token_index_entry_that_names_nobody_is_an_orphan() {
    for (index, _) in INDEXES {
        for data in ["null", "false", "0", "\"\"", "[]", "{}"] {
            assert_eq!(verdict(OAUTH2, index, data), Verdict::Orphan, "{index} {data}");
        }
        let nothing = Attribute { data: None, ..attribute(OAUTH2, index, "1") };
        assert_eq!(judge(&record(nothing), LINES), Verdict::Orphan, "{index}");
    }
    for data in ["null", "\"\"", "{}"] {
        assert_eq!(verdict(OAUTH2, "_client_index", data), Verdict::Strange, "{data}");
    }
}

#[test]
fn what_an_entry_points_at_decides() {
    let alive = format!("{{\"expires_at\": {NOW}}}");
    for (_, bucket) in INDEXES {
        let place = target(bucket);
        let of = |row: Attribute| judge_target(&place, Some(&record(row)), LINES);
        assert_eq!(judge_target(&place, None, LINES), Target::Absent);
        assert_eq!(of(attribute("actor", bucket, &alive)), Target::Lives);
        assert_eq!(of(attribute("actor", bucket, "{}")), Target::Lives, "whoever cannot tell its end keeps it");
        assert_eq!(of(attribute("actor", bucket, "{\"expires_at\": 1}")), Target::Expired);
        assert_eq!(of(attribute("actor", bucket, "7")), Target::Strange);
        assert_eq!(of(Attribute { data: None, ..attribute("actor", bucket, "7") }), Target::Strange);
        let other = Attribute { bucket: "other".to_owned(), ..attribute("actor", bucket, "{\"expires_at\": 1}") };
        assert_eq!(of(other), Target::Strange, "another row has the key");
        for (ttl, data, target) in [
            (NOW, alive.as_str(), Target::Expired),
            (NOW, "7", Target::Expired),
            (NOW + 1, alive.as_str(), Target::Lives),
            (NOW + 1, "{\"expires_at\": 1}", Target::Lives),
            (NOW + 1, "7", Target::Strange),
        ] {
            let row = Attribute { ttl_timestamp: Some(ttl), ..attribute("actor", bucket, data) };
            assert_eq!(of(row), target, "{bucket} {ttl} {data}");
        }
    }
}

#[test]
fn a_clients_entry_stays_as_long_as_there_is_anything() {
    let place = target("mcp_clients");
    assert_eq!(judge_target(&place, None, LINES), Target::Absent);
    for data in ["{}", "7", "{\"expires_at\": 1}"] {
        let row = Attribute { ttl_timestamp: Some(1), ..attribute("actor", "mcp_clients", data) };
        assert_eq!(judge_target(&place, Some(&record(row)), LINES), Target::Lives, "{data}");
    }
}

#[test]
fn a_provider_token_goes_with_its_access_token_only() {
    let data = "{\"google_token_key\": \"google_token_access_1\"}";
    let place = provider_token(&record(attribute("actor", "mcp_tokens", data)));
    let expected = AttributePlace {
        id: "actor".to_owned(),
        bucket: PROVIDER_TOKENS.to_owned(),
        name: "google_token_access_1".to_owned(),
    };
    assert_eq!(place, Some(expected));
    for (bucket, data) in [
        ("mcp_refresh_tokens", data),
        ("mcp_auth_codes", data),
        ("mcp_tokens", "{\"google_token_key\": null}"),
        ("mcp_tokens", "{\"google_token_key\": \"\"}"),
        ("mcp_tokens", "{\"google_token_key\": 7}"),
        ("mcp_tokens", "{}"),
    ] {
        assert_eq!(provider_token(&record(attribute("actor", bucket, data))), None, "{bucket} {data}");
    }
}

#[test]
fn every_bucket_is_read_once_and_index_entries_with_any_ttl() {
    let Wanted { all_of, endless_of } = wanted();
    assert_eq!(all_of, ["_access_token_index", "_refresh_token_index", "_auth_code_index", "_client_index"]);
    assert_eq!(endless_of.len(), COMMON.len() + OF_ACTORS.len() - all_of.len());
    assert!(endless_of.iter().all(|bucket| !all_of.contains(bucket)));
}
