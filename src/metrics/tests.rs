//! What a scrape shows.

use std::time::Duration;

use chrono::DateTime;

use super::{Check, Metrics, Severity};
use crate::model::BackendKind;
use crate::work::{Fate, Outcome};

const BACKEND: BackendKind = BackendKind::Postgresql;
const JOB: &str = "ttl_cleanup";

/// Metrics of which every one has a value.
fn complete() -> Metrics {
    let metrics = Metrics::new("1.2.3", "abcdef0");
    let at = DateTime::from_timestamp_millis(1_795_343_400_250);
    metrics.register_job(JOB, BACKEND, &[("attributes", &["expired"])], &["rate", "lock_wait", "latency"]);
    metrics.register_store(BACKEND, &["claim", "renew"], ["unavailable", "timeout"].into_iter());
    metrics.up(BACKEND, true);
    metrics.job_run(JOB, BACKEND, Outcome::Succeeded, Some(Duration::from_millis(1500)));
    metrics.job_running(JOB, BACKEND, true);
    metrics.job_last_success(JOB, BACKEND, at);
    metrics.job_last_run(JOB, BACKEND, at);
    metrics.job_next_run(JOB, BACKEND, at);
    metrics.job_paused(JOB, BACKEND, true);
    metrics.slots(JOB, BACKEND, Fate::Missed, 96);
    metrics.slots(JOB, BACKEND, Fate::Ran, 1);
    metrics.rows_examined(JOB, BACKEND, "attributes", 7);
    metrics.rows_deleted(JOB, BACKEND, "attributes", "expired", 5);
    metrics.expired_rows(BACKEND, Some(12));
    metrics.oldest_expired_age(BACKEND, Some(3600));
    metrics.throttle_wait(JOB, BACKEND, "rate", Duration::from_millis(250));
    metrics.throttle_batch_size(JOB, BACKEND, 500);
    metrics.findings(BACKEND, Check::SchemaRevision, Severity::Critical, Some(1));
    metrics.findings(BACKEND, Check::ClockSkew, Severity::Critical, Some(1));
    metrics.lease_held(JOB, BACKEND, true);
    metrics.store_operation(BACKEND, "claim", Duration::from_micros(700));
    metrics.store_error(BACKEND, "renew", "timeout");
    metrics.pool_connections(3, 1);
    metrics.config_loaded(at);
    metrics
}

/// The lines of `text` that begin with one of `prefixes`.
fn lines(text: &str, prefixes: &[&str]) -> Vec<String> {
    let wanted = |line: &&str| prefixes.iter().any(|prefix| line.starts_with(prefix));
    text.lines().filter(wanted).map(str::to_owned).collect()
}

/// One line for each metric of `text`: its name, labels, type and help.
fn contract(text: &str) -> String {
    let mut contract = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let kind = lines.next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
        let sample = lines.peek().copied().unwrap_or_default();
        let labels: Vec<_> = sample.split(['{', ',']).filter_map(|part| Some(part.split_once("=\"")?.0)).collect();
        contract += &format!("{name}{{{}}} {kind}: {help}\n", labels.join(","));
    }
    contract
}

#[test]
fn names_labels_and_meanings_are_these() {
    insta::assert_snapshot!(contract(&complete().encode()), @r#"
        maintd_build_info{revision,version} gauge: The version and the revision of the running daemon; always 1.
        maintd_config_last_reload_timestamp_seconds{} gauge: When the configuration was last loaded and could be used.
        maintd_config_reload_success{} gauge: Whether the configuration could be used when it was last loaded (1) or the one before is kept (0).
        maintd_expired_rows{backend} gauge: Expired rows that are still there; counted once a minute, to 100000 at most.
        maintd_findings{backend,check,severity} gauge: What is wrong with the deployment, counted when it was last looked at.
        maintd_job_duration_seconds{backend,job,le} histogram: How long runs took, from taking the lease to giving it back.
        maintd_job_last_run_timestamp_seconds{backend,job} gauge: When a run of the job last ended, on whichever replica and however it ended.
        maintd_job_last_success_timestamp_seconds{backend,job} gauge: When the job last succeeded, on whichever replica.
        maintd_job_next_run_timestamp_seconds{backend,job} gauge: When the job is due next; absent while its schedule does not start it.
        maintd_job_paused{backend,job} gauge: Whether somebody paused the job (1) or not (0).
        maintd_job_running{backend,job} gauge: Whether this process is running the job (1) or not (0).
        maintd_job_runs_total{backend,job,outcome} counter: Runs that ended, by how they ended.
        maintd_lease_held{backend,job} gauge: Whether this process holds the lease of the job (1) or not (0).
        maintd_oldest_expired_age_seconds{backend} gauge: How long ago the oldest row expired that is still there; absent when there is none.
        maintd_pool_connections{state} gauge: Connections to the database that this process holds open, by what they are doing.
        maintd_rows_deleted_total{backend,job,reason,table} counter: Rows that jobs deleted, as the server counted them.
        maintd_rows_examined_total{backend,job,table} counter: Rows that jobs looked at.
        maintd_schedule_slots_total{backend,fate,job} counter: Slots of the schedule, by what became of them: ran, skipped for a reason, or missed because nobody could run them.
        maintd_store_errors_total{backend,kind,op} counter: Operations on the store that failed, by what the failure means.
        maintd_store_operation_seconds{backend,op,le} histogram: How long operations on the store took, failed ones included.
        maintd_throttle_batch_size{backend,job} gauge: Rows in a batch, as the last batch of the job left it; absent while the job does not run.
        maintd_throttle_wait_seconds_total{backend,job,reason} counter: Time that jobs spent resting between batches, by what they rested for.
        maintd_up{backend} gauge: Whether the backend answered when it was last asked (1) or not (0).
        process_cpu_seconds_total{} counter: Total user and system CPU time spent in seconds.
        process_max_fds{} gauge: Maximum number of open file descriptors.
        process_open_fds{} gauge: Number of open file descriptors.
        process_resident_memory_bytes{} gauge: Resident memory size in bytes.
        process_start_time_seconds{} gauge: Start time of the process since unix epoch in seconds.
        process_threads{} gauge: Number of OS threads in the process.
        process_virtual_memory_bytes{} gauge: Virtual memory size in bytes.
        "#);
}

#[test]
fn values_are_what_was_measured() {
    let text = complete().encode();
    for sample in [
        r#"maintd_build_info{revision="abcdef0",version="1.2.3"} 1"#,
        r#"maintd_findings{backend="postgresql",check="clock_skew",severity="critical"} 1"#,
        r#"maintd_job_duration_seconds_sum{backend="postgresql",job="ttl_cleanup"} 1.5"#,
        r#"maintd_job_last_success_timestamp_seconds{backend="postgresql",job="ttl_cleanup"} 1795343400.25"#,
        r#"maintd_job_runs_total{backend="postgresql",job="ttl_cleanup",outcome="succeeded"} 1"#,
        r#"maintd_job_paused{backend="postgresql",job="ttl_cleanup"} 1"#,
        r#"maintd_pool_connections{state="idle"} 3"#,
        r#"maintd_rows_deleted_total{backend="postgresql",job="ttl_cleanup",reason="expired",table="attributes"} 5"#,
        r#"maintd_schedule_slots_total{backend="postgresql",fate="missed",job="ttl_cleanup"} 96"#,
        r#"maintd_schedule_slots_total{backend="postgresql",fate="ran",job="ttl_cleanup"} 1"#,
        r#"maintd_throttle_wait_seconds_total{backend="postgresql",job="ttl_cleanup",reason="rate"} 0.25"#,
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample} is missing in\n{text}");
    }
}

#[test]
fn a_histogram_reaches_an_hour() {
    let text = complete().encode();
    let buckets = lines(&text, &["maintd_job_duration_seconds_bucket"]);
    assert!(buckets[buckets.len() - 2].contains("le=\"3600\""), "{buckets:#?}");
}

#[test]
fn counters_begin_at_zero_and_gauges_with_their_first_measurement() {
    let metrics = Metrics::new("1.2.3", "abcdef0");
    metrics.register_job(JOB, BACKEND, &[("attributes", &["expired"])], &["rate"]);
    metrics.register_store(BACKEND, &["claim"], ["timeout"].into_iter());
    let text = metrics.encode();
    for counter in [
        "maintd_job_runs_total{backend=\"postgresql\",job=\"ttl_cleanup\",outcome=\"failed\"} 0",
        "maintd_job_duration_seconds_count{backend=\"postgresql\",job=\"ttl_cleanup\"} 0",
        "maintd_schedule_slots_total{backend=\"postgresql\",fate=\"ran\",job=\"ttl_cleanup\"} 0",
        "maintd_schedule_slots_total{backend=\"postgresql\",fate=\"skipped\",job=\"ttl_cleanup\"} 0",
        "maintd_schedule_slots_total{backend=\"postgresql\",fate=\"missed\",job=\"ttl_cleanup\"} 0",
        "maintd_rows_examined_total{backend=\"postgresql\",job=\"ttl_cleanup\",table=\"attributes\"} 0",
        "maintd_rows_deleted_total{backend=\"postgresql\",job=\"ttl_cleanup\",reason=\"expired\",table=\"attributes\"} 0",
        "maintd_throttle_wait_seconds_total{backend=\"postgresql\",job=\"ttl_cleanup\",reason=\"rate\"} 0",
        "maintd_store_operation_seconds_count{backend=\"postgresql\",op=\"claim\"} 0",
        "maintd_store_errors_total{backend=\"postgresql\",kind=\"timeout\",op=\"claim\"} 0",
    ] {
        assert!(text.lines().any(|line| line == counter), "{counter} is missing in\n{text}");
    }
    let gauges: Vec<_> =
        lines(&text, &["# TYPE maintd_"]).into_iter().filter(|line| line.ends_with(" gauge")).collect();
    assert_eq!(gauges, ["# TYPE maintd_build_info gauge"]);
}

#[test]
fn a_configuration_that_cannot_be_used_leaves_the_time_of_the_last_that_could() {
    let metrics = complete();
    metrics.config_loaded(None);
    assert_eq!(
        lines(&metrics.encode(), &["maintd_config"]),
        ["maintd_config_last_reload_timestamp_seconds 1795343400.25", "maintd_config_reload_success 0"]
    );
}

#[test]
fn gauges_go_when_they_no_longer_apply() {
    let metrics = complete();
    metrics.job_next_run(JOB, BACKEND, None);
    metrics.expired_rows(BACKEND, None);
    metrics.oldest_expired_age(BACKEND, None);
    metrics.findings(BACKEND, Check::SchemaRevision, Severity::Critical, None);
    metrics.findings(BACKEND, Check::ClockSkew, Severity::Critical, None);
    metrics.job_idle(JOB, BACKEND);
    // Twice is no mistake.
    metrics.job_next_run(JOB, BACKEND, None);
    let text = metrics.encode();
    for name in ["job_next_run", "expired_rows", "oldest_expired", "findings", "throttle_batch_size"] {
        assert_eq!(lines(&text, &[&format!("maintd_{name}")]), [""; 0], "{name}");
    }
    assert_eq!(lines(&text, &["maintd_lease_held", "maintd_job_running"]).len(), 2);
    assert!(!lines(&text, &["maintd_lease_held", "maintd_job_running"]).iter().any(|line| line.ends_with(" 1")));
}
