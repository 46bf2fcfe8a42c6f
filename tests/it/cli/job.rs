//! `job`.

use actingweb_maintd::model::clock;
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;

use crate::harness::cluster::TestDb;
use crate::harness::daemon::{Maintd, Output, maintd};
use crate::harness::store::add_attributes;

/// A time as RFC 3339 writes it, in UTC.
fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a time"));
    assert!(text.ends_with('Z'), "{text} is not in UTC");
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every key of a document is a word in `snake_case`, except where data is the key.
fn assert_snake_case(document: &Value) {
    match document {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            assert!(key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.'), "{key}");
            if key != "buckets" {
                assert_snake_case(value);
            }
        }),
        Value::Array(items) => items.iter().for_each(assert_snake_case),
        _ => {}
    }
}

/// What changes from run to run, replaced.
fn steady(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split_inclusive(' ').map(|word| {
            let bare = word.trim_end();
            let is_time = bare.len() == 20 && bare.ends_with('Z') && bare.parse::<DateTime<Utc>>().is_ok();
            match bare {
                _ if is_time => word.replace(bare, "2026-01-02T03:04:05Z"),
                _ if bare.len() == 36 && bare.parse::<uuid::Uuid>().is_ok() => word.replace(bare, &"0".repeat(36)),
                _ => word.to_owned(),
            }
        });
        lines.push(words.collect::<String>());
    }
    lines.join("\n") + "\n"
}

/// The same, without the seconds that a run took.
fn steady_run(text: &str) -> String {
    let is_number = |word: &str| word.parse::<f64>().is_ok() && word.contains('.');
    let words = steady(text);
    words.split(' ').map(|word| if is_number(word) { "0.12" } else { word }).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_dry_run_shows_what_would_go() {
    let db = TestDb::new().await;
    add_attributes(&db, "_oauth_sessions", 12, -60).await;
    add_attributes(&db, "spa_access_tokens", 1234, -60).await;
    add_attributes(&db, "alive", 5, 3600).await;
    let output = maintd(&db, &["job", "run", "ttl_cleanup", "--dry-run"]);
    insta::assert_snapshot!("dry_run", steady(&output.stdout));
    let document = maintd(&db, &["job", "run", "ttl_cleanup", "--dry-run", "--json"]).json();
    assert_snake_case(&document);
    assert_eq!((&document["job"], &document["dry_run"]), (&"ttl_cleanup".into(), &true.into()));
    let report = &document["report"];
    assert_eq!(report["buckets"], serde_json::json!({ "_oauth_sessions": 12, "spa_access_tokens": 1234 }));
    assert_eq!((&report["deleted"], &report["more"]), (&0.into(), &true.into()));
    assert!((clock::now() - time(&report["cutoff"])).num_minutes().abs() < 10);
}

#[tokio::test]
async fn a_run_is_the_same_document_everywhere() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 30, -60).await;
    let run = maintd(&db, &["job", "run", "ttl_cleanup", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let run = run.json();
    assert_snake_case(&run);
    let keys: Vec<&str> = run.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["backend", "finished_at", "holder", "job", "outcome", "report", "run_id", "slot", "started_at", "trigger"];
    assert_eq!(keys, expected);
    assert_eq!((&run["outcome"], &run["trigger"], &run["slot"]), (&"succeeded".into(), &"manual".into(), &Value::Null));
    assert!(time(&run["started_at"]) <= time(&run["finished_at"]));
    let report = &run["report"];
    for (key, rows) in [("examined", 30), ("deleted", 30), ("skipped", 0), ("batches", 1)] {
        assert_eq!(report[key], rows, "{key}");
    }
    assert_eq!(time(&report["cutoff"]), time(&report["cutoff"]).trunc_subsecs(0));
    // Durations are seconds.
    assert_eq!((&report["limits"]["deadline"], &report["limits"]["batch_size"]), (&3600.0.into(), &2000.into()));

    let history = maintd(&db, &["job", "history", "--json"]).json();
    assert_eq!(history, serde_json::json!({ "runs": [run], "passed_slots": [] }));
    let list = maintd(&db, &["job", "list", "--json"]).json();
    assert_snake_case(&list);
    assert_eq!(list["jobs"][0]["last_run"], run);
    assert_eq!(list["jobs"][0]["last_success"], run["finished_at"]);
    let daemon = Maintd::on(&db).start().ready();
    daemon.until("the run to be shown", |daemon| daemon.status()["jobs"][0]["last_run"] == run);
    assert_snake_case(&daemon.status());
    daemon.stop();
}

#[tokio::test]
async fn people_get_tables() {
    let db = TestDb::new().await;
    add_attributes(&db, "expired", 30, -60).await;
    let list = || maintd(&db, &["job", "list"]).stdout;
    insta::assert_snapshot!("list_before", steady(&list()));
    let run = maintd(&db, &["job", "run", "ttl_cleanup"]);
    insta::assert_snapshot!("run", steady_run(&run.stdout));
    insta::assert_snapshot!("list_after", steady(&list()));
    insta::assert_snapshot!("history", steady_run(&maintd(&db, &["job", "history"]).stdout));
}

#[tokio::test]
async fn history_is_the_newest_first_and_limited() {
    let db = TestDb::new().await;
    let empty = maintd(&db, &["job", "history"]);
    assert_eq!((empty.code, empty.stdout.lines().count()), (0, 1), "{empty:?}");
    let runs: Vec<Value> = (0..3).map(|_| maintd(&db, &["job", "run", "ttl_cleanup", "--json"]).json()).collect();
    let history = |arguments: &[&str]| -> Vec<Value> {
        let arguments = [&["job", "history", "--json"], arguments].concat();
        maintd(&db, &arguments).json()["runs"].as_array().unwrap().clone()
    };
    assert_eq!(history(&["ttl_cleanup"]), [runs[2].clone(), runs[1].clone(), runs[0].clone()]);
    assert_eq!(history(&["--limit", "2"]), [runs[2].clone(), runs[1].clone()]);
}

#[test]
fn the_next_runs_are_told_in_utc_and_in_the_schedules_zone() {
    // No database is needed for it.
    let oslo = || {
        Maintd::at("127.0.0.1", 1, "actingweb")
            .env("MAINTD_SCHEDULE__TIMEZONE", "Europe/Oslo")
            .env("MAINTD_JOBS__TTL_CLEANUP__SCHEDULE", "30 3 * * *")
    };
    let Output { code, stdout, stderr } = oslo().run(&["job", "next", "ttl_cleanup", "--count", "4"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{stdout}");
    assert!(lines[1..].iter().all(|line| line.contains(" 03:30:00 CE")), "{stdout}");

    let document = oslo().run(&["job", "next", "ttl_cleanup", "--count", "4", "--json"]).json();
    assert_snake_case(&document);
    let slots: Vec<DateTime<Utc>> = document["jobs"][0]["slots"].as_array().unwrap().iter().map(time).collect();
    assert_eq!(slots.len(), 4);
    assert!(slots.is_sorted());
    let local = |slot: &DateTime<Utc>| slot.with_timezone(&chrono_tz::Europe::Oslo).format("%H:%M:%S").to_string();
    assert!(slots.iter().all(|slot| local(slot) == "03:30:00"), "{slots:?}");
    for (slot, line) in slots.iter().zip(&lines[1..]) {
        assert!(line.contains(&slot.format("%Y-%m-%dT%H:%M:%SZ").to_string()), "{line}");
    }
}

#[tokio::test]
async fn errors_are_one_document_as_well() {
    let db = TestDb::empty().await;
    for (arguments, code) in
        [(&["job", "run", "ttl_cleanup", "--json"] as &[&str], 1), (&["job", "run", "x", "--json"], 64)]
    {
        let output = maintd(&db, arguments);
        assert_eq!(output.code, code, "{output:?}");
        assert!(output.json()["error"].is_string(), "{output:?}");
    }
    let wrong = Maintd::on(&db).env("MAINTD_LEASE__TTL", "soon").run(&["job", "list", "--json"]);
    assert_eq!(wrong.code, 64);
    assert_eq!(wrong.json()["errors"][0]["key"], "lease.ttl");
}
