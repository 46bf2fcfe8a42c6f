//! The jobs `backup` and `backup_drill`: where they run, how they end, and what is left when they do not.

use std::sync::Arc;
use std::time::Duration;

use actingweb_maintd::metrics::Metrics;
use actingweb_maintd::storage::Upkeep;
use actingweb_maintd::storage::dynamodb::DynamoDb;
use serde_json::Value;

use super::proof::{Proof, done, run};
use crate::harness::backups::{Deployment, files_below};
use crate::harness::daemon::Maintd;
use crate::harness::dynamodb_proxy::{DynamoDbProxy, Fault};
use crate::harness::eventually;
use crate::harness::ministack::Ministack;

#[tokio::test]
async fn a_backup_that_is_not_done_in_time_has_failed_and_leaves_nothing() {
    let deployment = Deployment::new("").await;
    let slow = deployment.maintd().env("MAINTD_JOBS__BACKUP__DEADLINE", "1s");
    let late = slow.env("FAILPOINTS", "backup::begin=1*return(delay:1500)").run(&["backup", "create", "--json"]);
    assert_eq!(late.code, 1, "{late:?}");
    let run = late.json();
    assert_eq!(run["outcome"], "failed", "{run}");
    assert!(run["error"].as_str().is_some_and(|error| error.contains("the deadline has passed")), "{run}");
    assert_eq!(run["report"]["stopped"], "deadline", "{run}");
    assert_eq!(deployment.sets(), []);
    deployment.create();
    let history = deployment.run(&["job", "history", "backup", "--json"]).json();
    let outcomes: Vec<&Value> = history["runs"].as_array().expect("runs").iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["succeeded", "failed"]);
    // What is there belongs to the one set.
    let sets = deployment.sets();
    let is_of_set = |path: &std::path::PathBuf| path.to_str().is_some_and(|path| path.contains(&sets[0].0));
    assert!(files_below(&deployment.place()).iter().all(is_of_set), "{:?}", files_below(&deployment.place()));
}

#[tokio::test]
async fn only_the_host_that_is_named_makes_backups_and_the_others_say_so() {
    let deployment = Deployment::new("node = \"another-host\"").await;
    let created = deployment.run(&["backup", "create", "--json"]);
    assert_eq!(created.code, 1, "{created:?}");
    let error = created.json()["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("backups are made on another-host (backup.node)"), "{error}");
    let daemon = deployment.maintd().env("MAINTD_JOBS__BACKUP__ENABLED", "true").start().ready();
    let status = daemon.status();
    let job = status["jobs"].as_array().expect("jobs").iter().find(|job| job["job"] == "backup").expect("the job");
    assert_eq!((&job["enabled"], &job["only_on"]), (&false.into(), &"another-host".into()), "{job}");
    // That backups are expected is true here as well.
    assert_eq!(daemon.metric("maintd_job_enabled", &[("job", "backup")]), Some(1.0));
    assert!(daemon.get("/").1.contains("only on another-host"));
    daemon.stop();
    let listed = deployment.maintd().env("MAINTD_JOBS__BACKUP__ENABLED", "true").run(&["job", "list"]);
    assert!(listed.stdout.contains("on another-host"), "{listed:?}");
}

#[tokio::test]
async fn pruning_that_is_killed_leaves_whole_sets_and_is_done_by_the_next_one() {
    let deployment = Deployment::new("").await;
    let keep = deployment.maintd().env("MAINTD_BACKUP__RETENTION__ENABLED", "false");
    let first = keep.run(&["backup", "create", "--json"]);
    let first = first.json()["report"]["backups"]["set"].as_str().expect("a set").to_owned();
    // Sets are named by the second: of two of the same second, either can be the older one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let keep = deployment.maintd().env("MAINTD_BACKUP__RETENTION__ENABLED", "false");
    assert_eq!(keep.run(&["backup", "create"]).code, 0);
    let both = deployment.sets();
    assert_eq!(both.len(), 2);
    let explained = deployment.run(&["backup", "prune", "--dry-run", "--json"]).json();
    let decisions = explained["pruning"]["decisions"].as_array().expect("decisions").clone();
    let goes: Vec<&Value> = decisions.iter().filter(|one| one["removed"] == true).map(|one| &one["set"]).collect();
    assert_eq!(goes, [&Value::from(first.as_str())], "{explained}");

    let killed = deployment.maintd().env("FAILPOINTS", "backup::before_remove=1*return(abort)");
    let killed = killed.env("MAINTD_LEASE__TTL", "2s");
    assert_ne!(killed.run(&["backup", "prune"]).code, 0);
    assert_eq!(deployment.sets(), both);
    // As soon as the lease of whoever was killed has run out.
    eventually("the next pruning", async || deployment.run(&["backup", "prune"]).code == 0).await;
    assert_eq!(deployment.sets(), both[1..]);
    let history = deployment.run(&["job", "history", "backup", "--limit", "2", "--json"]).json();
    assert_eq!(history["runs"][1]["outcome"], "lost", "{history}");
    let removed = &history["runs"][0]["report"]["backups"]["pruning"]["removed"];
    assert_eq!(removed[&first], "verified, and no rule keeps it", "{history}");
}

#[tokio::test]
async fn missing_point_in_time_recovery_is_told_by_whoever_looks_until_it_is_there() {
    let server = Ministack::start();
    let metrics = Arc::new(Metrics::new("test", "test"));
    let store = DynamoDb::new(server.settings("t"), server.login(), Duration::from_secs(10), metrics);
    store.apply(true).await.unwrap();
    let proxy = DynamoDbProxy::start(&server.endpoint()).await;
    let proof = Proof::with("");
    let asking = |what: &str| {
        let maintd = proof.configured(Maintd::beside_tables(&proxy.endpoint(), "t"));
        maintd.env("MAINTD_BACKUP__DYNAMODB__POINT_IN_TIME_RECOVERY", what)
    };
    let create = async |what: &str, code: i32| {
        let created = run(asking(what), &["backup", "create", "--json"]).await;
        assert_eq!(created.code, code, "{created:?}");
        let run = created.json();
        // However that is, there is a backup.
        assert_eq!((&run["outcome"], &run["report"]["backups"]["level"]), (&"succeeded".into(), &"verified".into()));
        run["report"].clone()
    };
    let shown = async |what: &str, expected: Option<f64>| {
        let daemon = asking(what);
        let told = move || {
            let daemon = daemon.start().ready();
            let finding = |check| daemon.metric("maintd_findings", &[("check", check), ("severity", "warning")]);
            // What is looked at after it.
            daemon.until("a look at the backups", |_| finding("backup_unverified").is_some());
            let told = finding("point_in_time_recovery");
            daemon.stop();
            told
        };
        assert_eq!(crate::harness::private::blocking(told).await, expected, "{what}");
    };
    let only = |report: &Value| {
        let defects = report["defects"].as_array().expect("defects").clone();
        let [defect] = &defects[..] else { panic!("{report:#}") };
        assert_eq!((&defect["kind"], &defect["severity"]), (&"point_in_time_recovery".into(), &"warning".into()));
        let text = |key: &str| defect[key].as_str().expect("text").to_owned();
        (text("what"), text("remedy"))
    };

    let report = create("ignore", 0).await;
    assert_eq!((&report["defects"], &report["backups"]["recovery_findings"]), (&Value::Null, &Value::Null));
    shown("check", None).await;

    let (what, remedy) = only(&create("check", 2).await);
    assert!(what.contains("is off for t_actors, t_properties"), "{what}");
    assert!(remedy.contains("point_in_time_recovery = \"enable\""), "{remedy}");
    let text = run(asking("check"), &["backup", "create"]).await;
    assert!(text.code == 2 && text.stdout.contains(&what) && text.stdout.contains(&remedy), "{text:?}");
    let history = run(asking("check"), &["job", "history", "backup", "--limit", "1"]).await;
    assert!(history.stdout.contains("1 finding"), "{history:?}");
    shown("check", Some(1.0)).await;
    shown("ignore", None).await;

    // The role may not ask; then, it may not switch it on, at two tables.
    proxy.play(|seen| {
        (seen.operation == "DescribeContinuousBackups").then_some(Fault::Refused(400, "AccessDeniedException", "no"))
    });
    let (what, remedy) = only(&create("check", 2).await);
    assert!(what.starts_with("nobody knows whether point-in-time recovery is on"), "{what}");
    assert!(remedy.contains("dynamodb:DescribeContinuousBackups"), "{remedy}");
    shown("check", Some(1.0)).await;
    proxy.play(|seen| {
        let is_refused = seen.operation == "UpdateContinuousBackups" && seen.nth < 3;
        is_refused.then_some(Fault::Refused(400, "AccessDeniedException", "no"))
    });
    let report = create("enable", 2).await;
    assert_eq!(report["backups"]["recovery_findings"], 2, "{report:#}");
    for defect in report["defects"].as_array().expect("defects") {
        assert!(defect["what"].as_str().expect("text").contains("cannot be switched on"), "{defect}");
        assert!(defect["remedy"].as_str().expect("text").contains("dynamodb:UpdateContinuousBackups"), "{defect}");
    }
    shown("enable", Some(2.0)).await;

    proxy.heal();
    let report = create("enable", 0).await;
    assert_eq!((&report["defects"], &report["backups"]["recovery_findings"]), (&Value::Null, &0.into()));
    // Runs that only remove sets do not look.
    done(run(asking("check"), &["backup", "prune"]).await);
    shown("check", Some(0.0)).await;
    assert_eq!(create("check", 0).await["backups"]["recovery_findings"], 0);
}
