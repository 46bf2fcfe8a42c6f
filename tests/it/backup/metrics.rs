//! What the metrics, the page and the API tell of backups: what is there, whoever made it.

use std::fs;

use crate::harness::backups::Deployment;

#[tokio::test]
async fn what_is_in_the_place_is_what_is_told() {
    let deployment = Deployment::new("").await;
    let daemon = deployment
        .maintd()
        .env("MAINTD_JOBS__BACKUP__ENABLED", "true")
        .env("MAINTD_JOBS__BACKUP__SCHEDULE", "*/2 * * * * *")
        .start();
    let logical = [("backend", "postgresql"), ("kind", "logical")];
    let gauge = |name: &str| daemon.metric(&format!("maintd_backup_{name}"), &logical);
    assert_eq!(daemon.metric("maintd_job_enabled", &[("job", "backup")]), Some(1.0));
    // Nobody has looked yet, or nothing was there.
    daemon.until("a backup by the schedule", |_| gauge("verified_timestamp_seconds").is_some());
    assert!(gauge("last_success_timestamp_seconds").is_some() && gauge("size_bytes") > Some(0.0));
    for absent in ["drilled_timestamp_seconds", "restore_seconds", "data_age_seconds"] {
        assert_eq!(gauge(absent), None, "{absent} was never measured");
    }
    let finding = |check| daemon.metric("maintd_findings", &[("check", check)]);
    assert_eq!((finding("backup_damaged"), finding("backup_place")), (Some(0.0), Some(0.0)));
    // The next one may be there already, and not be verified yet.
    daemon.until("the newest to be verified", |daemon| {
        daemon.status()["backups"][0]["ledger"]["last"]["level"] == "verified"
    });
    let status = daemon.status();
    assert_eq!(status["backups"][0]["place"], deployment.place().to_str().expect("text"), "{status}");
    let page = daemon.get("/").1;
    assert!(page.contains("Newest verified") && page.contains("never"), "{page}");
    let (code, metrics) = daemon.get("/metrics");
    assert_eq!(code, 200);
    assert!(metrics.contains("maintd_backup_sets{backend=\"postgresql\",kind=\"logical\",state=\"damaged\"} 0"));
    daemon.stop();

    // What was found to be damaged, another daemon tells as well; and when the place is gone, that.
    let (set, _) = deployment.sets().pop().expect("a set");
    deployment.damage(&set);
    assert_eq!(deployment.run(&["backup", "verify", &set]).code, 2);
    let other = deployment.maintd().start().ready();
    let finding = |check| other.metric("maintd_findings", &[("check", check)]);
    other.until("the damage to be told", |_| finding("backup_damaged") == Some(1.0));
    assert!(other.get("/").1.contains("damaged"));
    let place = deployment.place();
    fs::rename(&place, place.with_extension("away")).expect("a directory");
    fs::write(&place, "no directory").expect("a file");
    other.signal(nix::sys::signal::Signal::SIGHUP);
    // It looks again when it is told of another configuration, whatever that is.
    other.until("the trouble to be told", |_| finding("backup_place") == Some(1.0));
    assert_eq!(finding("backup_damaged"), Some(1.0), "what was seen last is still the best that is known");
    assert!(other.status()["backups"][0]["problem"].is_string());
    other.stop();
}
