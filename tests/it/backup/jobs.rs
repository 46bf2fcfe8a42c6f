//! The jobs `backup` and `backup_drill`: where they run, how they end, and what is left when they do not.

use serde_json::Value;

use crate::harness::backups::{Deployment, files_below};
use crate::harness::eventually;

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
    let keep = deployment.maintd().env("MAINTD_BACKUP__RETENTION__ENABLED", "false");
    assert_eq!(keep.run(&["backup", "create"]).code, 0);
    let both = deployment.sets();
    assert_eq!(both.len(), 2);
    let explained = deployment.run(&["backup", "prune", "--dry-run", "--json"]).json();
    let decisions = explained["pruning"]["decisions"].as_array().expect("decisions").clone();
    let goes: Vec<&Value> = decisions.iter().filter(|one| one["removed"] == true).map(|one| &one["set"]).collect();
    assert_eq!(goes, [&Value::from(first.as_str())], "{explained}");

    let killed = deployment.maintd().env("FAILPOINTS", "backup::before_remove=1*return(abort)");
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
