//! The manifests for Kubernetes: whether they fit Kubernetes, each other, and the binary.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use actingweb_maintd::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::daemon::{Daemon, Maintd};
use crate::harness::private::Private;
use crate::harness::python::interpreter;

pub(super) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes")
}

pub(super) fn files_in(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).expect("the manifests").map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_file()).collect()
}

/// What Kubernetes makes of these files.
fn read(files: &[PathBuf]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/deploy/manifests.py");
    Command::new(interpreter()).arg(script).args(files).output().expect("running Python")
}

/// Manifests, by the names of their files.
pub(super) struct Manifests(pub(super) BTreeMap<String, Value>);

impl Manifests {
    /// All that are there without being asked for.
    fn all() -> Self {
        Self::of(&files_in(&directory()))
    }

    /// What Kubernetes must take of these files.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let Output { status, stdout, stderr } = read(files);
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        let found: BTreeMap<PathBuf, Value> = serde_json::from_slice(&stdout).expect("JSON");
        let name = |path: PathBuf| path.file_name().expect("a name").to_str().expect("text").to_owned();
        Self(found.into_iter().map(|(path, manifest)| (name(path), manifest)).collect())
    }

    pub(super) fn the(&self, kind: &str) -> &Value {
        let mut found = self.0.values().filter(|manifest| manifest["kind"] == kind);
        let manifest = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
        assert!(found.next().is_none(), "there are several: {kind}");
        manifest
    }

    pub(super) fn pod(&self) -> &Value {
        &self.the("Deployment")["spec"]["template"]
    }

    pub(super) fn container(&self) -> &Value {
        let [container] = list(&self.pod()["spec"]["containers"]) else { panic!("one container") };
        container
    }

    /// The configuration file of the pod.
    fn config(&self) -> toml::Table {
        self.the("ConfigMap")["data"]["config.toml"].as_str().expect("a file").parse().expect("TOML")
    }

    /// The files that a volume holds, with their mode.
    pub(super) fn volume(&self, name: &str) -> (BTreeMap<String, String>, u32) {
        let volume = list(&self.pod()["spec"]["volumes"]).iter().find(|volume| volume["name"] == name);
        let volume = volume.unwrap_or_else(|| panic!("no volume {name}"));
        if volume["emptyDir"].is_object() {
            return Default::default();
        }
        let (files, source) = if volume["secret"].is_object() {
            let secret = self.the("Secret");
            assert_eq!(volume["secret"]["secretName"], secret["metadata"]["name"]);
            (&secret["stringData"], &volume["secret"])
        } else {
            let map = self.the("ConfigMap");
            assert_eq!(volume["configMap"]["name"], map["metadata"]["name"]);
            (&map["data"], &volume["configMap"])
        };
        let files = serde_json::from_value(files.clone()).expect("names and texts");
        let mode = source["defaultMode"].as_u64().unwrap_or(0o644);
        (files, mode.try_into().expect("a mode"))
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

pub(super) fn words(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

#[test]
fn kubernetes_takes_the_manifests() {
    let manifests = Manifests::all();
    let mut resources = words(&manifests.the("Kustomization")["resources"]);
    // Applying the example would replace the real one.
    resources.extend(["kustomization.yaml".to_owned(), "secret.example.yaml".to_owned()]);
    resources.sort();
    assert!(manifests.0.keys().eq(&resources), "{:?} are not {resources:?}", manifests.0.keys());
    // What it would not take is noticed.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("deployment.yaml");
    let text = fs::read_to_string(directory().join("deployment.yaml")).unwrap();
    for (right, wrong) in [
        ("livenessProbe:", "livenesProbe:"),
        ("replicas: 2", "replicas: two"),
        ("replicas: 2", "replicas: 2\n  replicas: 3"),
    ] {
        fs::write(&file, text.replace(right, wrong)).unwrap();
        assert!(!read(std::slice::from_ref(&file)).status.success(), "{wrong}");
    }
}

#[test]
fn the_manifests_agree_with_each_other() {
    let manifests = Manifests::all();
    let labels = &manifests.pod()["metadata"]["labels"];
    for selector in [
        &manifests.the("Deployment")["spec"]["selector"]["matchLabels"],
        &manifests.the("Service")["spec"]["selector"],
        &manifests.the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &manifests.the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &manifests.pod()["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }

    let container = manifests.container();
    let [port] = list(&container["ports"]) else { panic!("one port") };
    for user in [
        &container["startupProbe"]["httpGet"]["port"],
        &container["livenessProbe"]["httpGet"]["port"],
        &container["readinessProbe"]["httpGet"]["port"],
        &manifests.the("Service")["spec"]["ports"][0]["targetPort"],
        &manifests.the("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"],
    ] {
        assert_eq!(*user, port["name"]);
    }
    let number = &port["containerPort"];
    assert_eq!(manifests.the("Service")["spec"]["ports"][0]["port"], *number);
    let annotations = &manifests.pod()["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], number.to_string());

    let config = manifests.config();
    assert_eq!(config["http"]["listen"].as_str(), Some(format!("0.0.0.0:{number}").as_str()));
    let database = config["storage"]["postgresql"]["port"].as_integer();
    let egress = list(&manifests.the("NetworkPolicy")["spec"]["egress"]);
    assert!(egress.iter().any(|rule| rule["ports"][0]["port"].as_i64() == database), "{egress:?}");

    // Each mount has a volume, and the reverse.
    let mounts = list(&container["volumeMounts"]);
    let mounted: Vec<_> = mounts.iter().map(|mount| &mount["name"]).collect();
    let volumes: Vec<_> = list(&manifests.pod()["spec"]["volumes"]).iter().map(|volume| &volume["name"]).collect();
    assert_eq!(mounted, volumes);
    // Each file that is named is in a volume.
    let files: Vec<String> = mounts
        .iter()
        .flat_map(|mount| {
            let place = mount["mountPath"].as_str().expect("a path");
            let (files, _) = manifests.volume(mount["name"].as_str().expect("a name"));
            files.into_keys().map(move |name| format!("{place}/{name}"))
        })
        .collect();
    let password = config["storage"]["postgresql"]["password_file"].as_str().expect("a file").to_owned();
    let arguments = words(&container["args"]);
    let named = arguments[arguments.iter().position(|word| word == "--config").expect("--config") + 1].clone();
    for file in [password, named] {
        assert!(files.contains(&file), "{file} is not in {files:?}");
    }
}

#[test]
fn the_times_of_the_pod_fit_those_of_the_daemon() {
    let manifests = Manifests::all();
    let grace = manifests.config()["drain"]["grace"].as_str().map(humantime::parse_duration).unwrap().unwrap();
    assert_eq!(grace, Config::default().drain.grace.0);
    let until_killed = manifests.pod()["spec"]["terminationGracePeriodSeconds"].as_u64().map(Duration::from_secs);
    assert!(until_killed.unwrap() >= grace + Duration::from_secs(5));
    // Half a minute until the daemon says so, and half a minute until somebody has heard.
    let liveness = &manifests.container()["livenessProbe"];
    let heard = liveness["periodSeconds"].as_u64().unwrap() * liveness["failureThreshold"].as_u64().unwrap();
    assert!(heard <= 30, "{liveness}");
    assert!(manifests.the("Deployment")["spec"]["replicas"].as_u64() >= Some(2));
}

/// The level "restricted" of Kubernetes's Pod Security Standards, and what is beyond it.
#[test]
fn the_pod_may_do_nothing_but_its_work() {
    let manifests = Manifests::all();
    let pod = &manifests.pod()["spec"];
    assert_eq!((&pod["enableServiceLinks"], &pod["automountServiceAccountToken"]), (&json!(false), &json!(false)));
    for shared in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "initContainers"] {
        assert!(pod[shared].is_null(), "{shared}");
    }
    let of_pod = &pod["securityContext"];
    assert_eq!(of_pod["runAsNonRoot"], true);
    assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault");
    assert!(of_pod["runAsUser"].as_u64() > Some(0) && of_pod["runAsGroup"].as_u64() > Some(0));
    let container = manifests.container();
    let expected = json!({
        "allowPrivilegeEscalation": false,
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"] },
    });
    assert_eq!(container["securityContext"], expected);
    assert!(container["resources"]["requests"]["cpu"].is_string());
    assert!(container["resources"]["requests"]["memory"].is_string());
    assert!(container["resources"]["limits"]["memory"].is_string());
    for mount in list(&container["volumeMounts"]) {
        assert_eq!(mount["readOnly"], true, "{mount}");
    }
    let (_, mode) = manifests.volume("secret");
    assert_eq!(mode & 0o007, 0, "the password is for the group of the pod");
    assert!(of_pod["fsGroup"].as_u64() > Some(0), "which has to have one");
}

/// The container's files, below a directory of this test.
pub(super) struct Files {
    dir: TempDir,
    places: Vec<String>,
}

impl Files {
    /// What is mounted, with the database of this test in the configuration.
    pub(super) fn of(manifests: &Manifests, private: &Private) -> Self {
        let mounts = list(&manifests.container()["volumeMounts"]);
        let places = mounts.iter().map(|mount| mount["mountPath"].as_str().expect("a path").to_owned()).collect();
        let mapped = Self { dir: tempfile::tempdir().expect("a directory"), places };
        // A server of PostgreSQL, which runs as another user where this one is root, must get through.
        fs::set_permissions(mapped.dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        for (mount, place) in mounts.iter().zip(&mapped.places) {
            let place = mapped.path(place);
            fs::create_dir_all(&place).expect("a directory");
            let (files, mode) = manifests.volume(mount["name"].as_str().expect("a name"));
            for (name, mut text) in files {
                if name == "config.toml" {
                    text = mapped.path(&at(&text, private));
                }
                let file = Path::new(&place).join(name);
                fs::write(&file, text).expect("a file");
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
            }
        }
        mapped
    }

    /// `text` with all places of the container replaced by those of this test.
    pub(super) fn path(&self, text: &str) -> String {
        let root = self.dir.path().display();
        self.places.iter().fold(text.to_owned(), |text, place| text.replace(place, &format!("{root}{place}")))
    }

    /// The binary with what the container has in its environment.
    pub(super) fn maintd(&self, container: &Value) -> Maintd {
        let variables = container["env"].as_array().into_iter().flatten();
        variables.fold(Maintd::bare(), |maintd, variable| {
            let text = |key: &str| variable[key].as_str().expect("text");
            maintd.env(text("name"), self.path(text("value")))
        })
    }

    /// The container's arguments.
    pub(super) fn arguments(&self, container: &Value) -> Vec<String> {
        words(&container["args"]).iter().map(|word| self.path(word)).collect()
    }
}

/// A configuration with the database of this test in the place of the one that it names.
fn at(config: &str, private: &Private) -> String {
    let mut config: toml::Table = config.parse().expect("TOML");
    let postgresql = config["storage"]["postgresql"].as_table_mut().expect("a table");
    for (key, value) in [
        ("host", toml::Value::from(private.cluster().host())),
        ("port", i64::from(private.cluster().port()).into()),
        ("dbname", "postgres".into()),
        ("user", "postgres".into()),
    ] {
        assert!(postgresql.insert(key.to_owned(), value).is_some(), "{key} is not named");
    }
    config.to_string()
}

/// What the kubelet gets for a probe.
fn probed(daemon: &Daemon, container: &Value, probe: &str) -> u16 {
    let request = &container[probe]["httpGet"];
    assert_eq!(request["scheme"].as_str().unwrap_or("HTTP"), "HTTP");
    daemon.get(request["path"].as_str().expect("a path")).0
}

/// The application's database, with the password that the Secret has for it.
pub(super) async fn database(manifests: &Manifests) -> Private {
    let private = Private::start(&[], &["host all all 127.0.0.1/32 scram-sha-256"]).await;
    let password = manifests.the("Secret")["stringData"]["postgresql-password"].as_str().unwrap();
    let password = password.replace('\'', "''");
    let sql = format!("ALTER ROLE postgres PASSWORD '{password}'; DROP SCHEMA maintd CASCADE");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(private.pool()).await.unwrap();
    private
}

#[tokio::test]
async fn the_container_starts_as_the_manifest_says_and_answers_its_probes() {
    let manifests = Manifests::all();
    let mut private = database(&manifests).await;
    private.stop().await;

    let files = Files::of(&manifests, &private);
    let container = manifests.container();
    assert_eq!(words(&container["command"]), ["actingweb-maintd"]);
    assert!(container["envFrom"].is_null());
    let arguments = files.arguments(container);
    let daemon = files.maintd(container).start_as(&arguments.iter().map(String::as_str).collect::<Vec<_>>());

    assert_eq!(probed(&daemon, container, "startupProbe"), 200);
    assert_eq!(probed(&daemon, container, "livenessProbe"), 200);
    assert_eq!(probed(&daemon, container, "readinessProbe"), 503);
    private.start_again().await;
    daemon.until("it to be ready", |daemon| probed(daemon, container, "readinessProbe") == 200);
    assert_eq!(probed(&daemon, container, "livenessProbe"), 200);

    let annotations = &manifests.pod()["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/scrape"], "true");
    assert_eq!(daemon.get(annotations["prometheus.io/path"].as_str().unwrap()).0, 200);
    let log = daemon.stop();
    assert!(!log.contains("can be read by every user"), "{log}");
}
