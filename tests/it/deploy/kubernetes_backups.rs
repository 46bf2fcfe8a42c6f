//! What the manifests for Kubernetes have for backups: whether it fits the others, and whether backups are made and
//! proven with it.

use std::path::{Path, PathBuf};

use super::kubernetes::{Files, Manifests, database, directory, files_in, list, words};
use crate::harness::daemon::Maintd;
use crate::harness::s3::Bucket;

const PATCH: &str = "deployment.yaml";

fn component() -> PathBuf {
    directory().join("backups")
}

/// The manifests with the component.
fn with_backups() -> Manifests {
    let mut files = files_in(&directory());
    files.extend([PathBuf::from("--patch"), component().join(PATCH)]);
    Manifests::of(&files)
}

/// What the component has beside the patch.
fn added() -> Manifests {
    let mut files = files_in(&component());
    files.retain(|path| !path.ends_with(PATCH));
    Manifests::of(&files)
}

#[test]
fn kubernetes_takes_the_component() {
    let added = added();
    let component = added.the("Component");
    let mut files = words(&component["resources"]);
    assert_eq!(component["patches"], serde_json::json!([{ "path": PATCH }]));
    files.extend(["kustomization.yaml".to_owned(), "secret.example.yaml".to_owned()]);
    files.sort();
    assert!(added.0.keys().eq(&files), "{:?} are not {files:?}", added.0.keys());
    let base = std::fs::read_to_string(directory().join("kustomization.yaml")).unwrap();
    assert!(base.contains("\n#components:\n#  - backups\n"), "{base}");

    let whole = with_backups();
    let labels = &whole.pod()["metadata"]["labels"];
    assert_eq!(added.the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], *labels);
    let [from] = list(&whole.container()["envFrom"]) else { panic!("one secret") };
    assert_eq!(from["secretRef"]["name"], added.the("Secret")["metadata"]["name"]);
}

/// It gives the pod one directory to write to, and no more rights.
#[test]
fn the_component_adds_what_backups_need_and_changes_nothing_else() {
    let (whole, base) = (with_backups(), Manifests::of(&files_in(&directory())));
    for key in ["command", "args", "ports", "startupProbe", "livenessProbe", "readinessProbe", "securityContext"] {
        assert_eq!(whole.container()[key], base.container()[key], "{key}");
    }
    assert_eq!(whole.pod()["spec"]["securityContext"], base.pod()["spec"]["securityContext"]);
    let mounts = list(&whole.container()["volumeMounts"]);
    let (work, others): (Vec<_>, Vec<_>) = mounts.iter().partition(|mount| mount["name"] == "work");
    assert_eq!(others, list(&base.container()["volumeMounts"]).iter().collect::<Vec<_>>());
    assert_eq!(work.len(), 1);
    let volume = list(&whole.pod()["spec"]["volumes"]).iter().find(|volume| volume["name"] == "work");
    assert!(volume.is_some_and(|volume| volume["emptyDir"]["sizeLimit"].is_string()), "{volume:?}");
    let work_dir = list(&whole.container()["env"]).iter().find(|of| of["name"] == "MAINTD_BACKUP__WORK_DIR");
    assert_eq!(work_dir.map(|of| &of["value"]), Some(&work[0]["mountPath"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_made_and_proven_as_the_component_says() {
    let whole = with_backups();
    let (private, bucket) = (database(&whole).await, Bucket::start());
    let files = Files::of(&whole, &private);
    let container = whole.container();
    let added = added();
    let keys = added.the("Secret")["stringData"].as_object().unwrap();
    let maintd = || -> Maintd {
        let maintd = files
            .maintd(container)
            .with_programs()
            .env("KUBERNETES_SERVICE_HOST", "10.96.0.1")
            .env("AWS_ENDPOINT_URL_S3", bucket.endpoint());
        keys.iter().fold(maintd, |maintd, (name, value)| maintd.env(name, value.as_str().unwrap()))
    };
    let arguments = files.arguments(container);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let daemon = maintd().start_as(&arguments).ready();
    for job in ["backup", "backup_drill"] {
        let next = |daemon: &crate::harness::daemon::Daemon| {
            daemon.metric("maintd_job_next_run_timestamp_seconds", &[("job", job)]).is_some()
        };
        daemon.until(job, next);
    }

    // By hand, as in `kubectl exec`.
    let [option, config, ..] = arguments[..] else { panic!("--config FILE: {arguments:?}") };
    let run = |words: &[&str]| maintd().run(&[&[option, config, "backup"], words].concat());
    let checked = maintd().run(&[option, config, "config", "check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let created = run(&["create", "--json"]);
    assert_eq!(created.code, 0, "{created:?}");
    assert_eq!(created.json()["report"]["backups"]["level"], "verified", "{created:?}");
    let drilled = run(&["drill", "latest", "--json"]);
    assert_eq!(drilled.code, 0, "{drilled:?}");
    assert_eq!(drilled.json()["report"]["backups"]["level"], "drilled", "{drilled:?}");
    let place = bucket.depot("actingweb");
    assert!(!place.list().await.unwrap().is_empty(), "it is where the component says");
    let work = files.path("/var/cache/actingweb-maintd");
    let left: Vec<_> = std::fs::read_dir(Path::new(&work)).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    daemon.stop();
}
