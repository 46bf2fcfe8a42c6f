//! What the command, the daemon's page, its API and its metrics show.

use serde_json::json;

use super::scene::run;
use crate::harness::cluster::TestDb;
use crate::harness::daemon::Maintd;

const ACKNOWLEDGED: &str = r#"
    [jobs.index_health]
    acknowledge = ["index_extra mine: for the yearly report"]
"#;

#[tokio::test]
async fn the_command_tells_what_it_finds_and_whether_anything_is_left() {
    let db = TestDb::new().await;
    let well = Maintd::on(&db).run(&["index", "check"]);
    assert_eq!(well.code, 0, "{well:?}");
    assert!(well.stdout.contains("ix_actors_creator") && well.stdout.contains("Nothing was found."), "{well:?}");

    run(&db, "CREATE INDEX mine ON properties (name); DROP INDEX idx_trusts_secret").await;
    let found = Maintd::on(&db).run(&["index", "check"]);
    assert_eq!(found.code, 2);
    for words in [
        "CRITICAL: index_missing idx_trusts_secret\n  trusts has no index on (secret)\n  What to do: `index check --repair`",
        "warning: index_extra mine",
        "There are 2 findings.",
    ] {
        assert!(found.stdout.contains(words), "{words}: {found:?}");
    }
    let known = Maintd::on(&db).config(ACKNOWLEDGED).run(&["index", "check"]);
    assert_eq!(known.code, 2);
    for words in ["acknowledged: index_extra mine: for the yearly report", "There is one finding."] {
        assert!(known.stdout.contains(words), "{words}: {known:?}");
    }
    run(&db, "CREATE INDEX idx_trusts_secret ON trusts (secret)").await;
    let known = Maintd::on(&db).config(ACKNOWLEDGED).run(&["index", "check", "--json"]);
    assert_eq!(known.code, 0, "what somebody knows of does not count: {known:?}");
    let document = known.json();
    assert_eq!((&document["job"], &document["outcome"]), (&json!("index_health"), &json!("succeeded")));
    let defect = &document["report"]["defects"][0];
    assert_eq!(defect["object"], "mine");
    assert_eq!(defect["acknowledged"], "for the yearly report");
    assert_eq!(document["report"]["health"]["indexes"].as_array().map(Vec::len), Some(15));

    let preview = Maintd::on(&db).run(&["job", "run", "index_health", "--dry-run"]);
    assert_eq!(preview.code, 2);
    assert!(preview.stdout.contains("index_extra mine"), "{preview:?}");
}

#[tokio::test]
async fn mistakes_in_its_settings_are_explained() {
    let db = TestDb::new().await;
    let mistakes = r#"
        [jobs.index_health]
        acknowledge = ["index_extra mine", "index_extras mine: why", "index_extra: why", "index_extra mine: "]
        repair = ["index_extra"]
        expect = ["backups"]
        replicas = ["db2"]
        lock_wait = "0s"
    "#;
    let wrong = Maintd::on(&db).config(mistakes).run(&["config", "check"]);
    assert_eq!(wrong.code, 64);
    for words in [
        "`index_extra mine` gives no reason",
        "`index_extras` is no check, did you mean index_extra?",
        "`index_extra: why` does not name one check and one table or index",
        "`index_extra mine: ` gives no reason",
        "`index_extra` cannot be repaired: write any of index_missing, index_invalid, index_bloat, time_to_live, billing_mode",
        "`backups` is not known: write any of deletion_protection, point_in_time_recovery, streams",
        "`db2` is no address: write a host and a port, as in \"db2.example.com:5432\"",
        "0s is too short to get any lock",
    ] {
        assert!(wrong.stderr.contains(words), "{words}: {}", wrong.stderr);
    }
}

#[tokio::test]
async fn a_history_that_is_too_short_to_tell_what_is_unused_is_warned_of() {
    let db = TestDb::new().await;
    let short = Maintd::on(&db).config("[history]\nkeep = \"7d\"\n").run(&["config", "check"]);
    assert_eq!(short.code, 0, "{short:?}");
    let told = format!("{}{}", short.stdout, short.stderr);
    assert!(told.contains("30d is longer than the history is kept (7d)"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_shows_what_any_replica_or_command_has_found() {
    let db = TestDb::new().await;
    run(&db, "CREATE INDEX mine ON properties (name); DROP INDEX idx_trusts_secret").await;
    assert_eq!(Maintd::on(&db).config(ACKNOWLEDGED).run(&["index", "check"]).code, 2);
    let daemon = Maintd::on(&db).start();
    daemon.until("the finding", |daemon| {
        daemon
            .metrics()
            .contains(r#"maintd_findings{backend="postgresql",check="index_missing",severity="critical"} 1"#)
    });
    let metrics = daemon.metrics();
    for line in [
        r#"maintd_findings{backend="postgresql",check="index_extra",severity="warning"} 0"#,
        r#"maintd_findings{backend="postgresql",check="index_bloat",severity="warning"} 0"#,
        r#"maintd_index_size_bytes{backend="postgresql",index="ix_actors_creator",table="actors"} 8192"#,
        r#"maintd_index_size_bytes{backend="postgresql",index="other",table="properties"} 8192"#,
        r#"maintd_index_scans_total{backend="postgresql",index="actors_pkey",table="actors"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("idx_trusts_secret") && !metrics.contains("\"mine\""), "{metrics}");
    let status = daemon.status();
    let health = &status["health"][0];
    assert_eq!((&health["backend"], &health["findings"][0]["kind"]), (&json!("postgresql"), &json!("index_missing")));
    assert_eq!(health["findings"][1]["acknowledged"], "for the yearly report");
    let page = daemon.get("/").1;
    for words in ["critical findings", "index_missing idx_trusts_secret", "What to do: ", "1 acknowledged: "] {
        assert!(page.contains(words), "{words} is missing in\n{page}");
    }
    daemon.stop();
}
