//! Mistakes about backups, and what is told.

use super::setup::Setup;

fn told(setups: impl IntoIterator<Item = (&'static str, Setup)>) -> String {
    let told = |(what, setup): (&str, Setup)| {
        let told = setup.told();
        assert!(!told.contains("QQQQ"), "{told}");
        format!("=== {what}\n{told}\n")
    };
    setups.into_iter().map(told).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_does_not_go_together_is_told() {
    let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let encrypted = format!("[backup]\nwhere = \"/b\"\n[backup.encryption]\nrecipients = [\"{key}\"]\n");
    let files = [
        "[jobs.backup]\nenabled = true",
        "[jobs.backup_drill]\nenabled = true",
        "[backup]\nwhere = \"backups\"",
        "[backup]\nwhere = \"ftp://host/backups\"",
        "[backup]\nwhere = \"s3://\"",
        "[backup]\nnode = \"two words\"\nwork_dir = \"tmp\"\nbin_dir = \"bin\"\nkeep_free = \"much\"",
        "[backup.postgresql]\nmethod = \"pg_dump\"",
        "[backup.postgresql]\nmethod = \"tool\"",
        "[backup.postgresql]\nmethod = \"tool\"\ntool = { name = \"pgbackrest\", create = [\"\"], list = [\"https://x\"] }",
        "[backup.postgresql]\ncompression = \"zstd:30\"\njobs = 0",
        "[backup.postgresql]\ncompression = \"lz4\"",
        "[backup.dynamodb]\nmethod = \"export\"\npoint_in_time_recovery = \"on\"",
        "[backup.bucket]\nendpoint_url = \"minio\"",
        "[backup.encryption]\nrecipients = [\"AGE-SECRET-KEY-1QQQQ\"]",
        "[backup.encryption]\nidentity_file = \"DIR/none\"",
        "[backup.encryption]\nidentity_file = \"DIR/pw\"",
        "[backup.retention]\nkeep_last = 0\ndaily = 0\nweekly = 0\nmonthly = 0",
        "[backup.retention]\nmin_sets = 0",
        "[backup.drill]\ntarget = \"other\"",
        "[backup.drill]\ntarget = \"other\"\n[targets.moved]\nbackend = \"dynamodb\"",
        "[backup.drill]\ntarget = \"moved\"\n[targets.moved]\nbackend = \"dynamodb\"",
    ];
    let setup = |text: &str| Setup::working().with_file("pw", b"x", 0o600).file(text);
    let of_files = files.into_iter().map(|text| (text, setup(text)));
    let in_kubernetes = setup("[backup]\nwhere = \"/b\"").env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let no_identity = setup(&format!("{encrypted}[jobs.backup_drill]\nenabled = true"));
    let files = setup(&format!("{encrypted}[backup.postgresql]\nmethod = \"physical\""));
    let others = [
        ("a directory in Kubernetes", in_kubernetes),
        ("no identity", no_identity),
        ("files that cannot be encrypted", files),
    ];
    let told = told(of_files.chain(others));
    insta::assert_snapshot!(told);
}

#[test]
fn what_goes_together_is_no_mistake() {
    for text in [
        "[backup]\nwhere = \"/b\"\nnode = \"actingweb-maintd-0\"\n[jobs.backup]\nenabled = true",
        "[backup]\nwhere = \"s3://b\"\n[jobs.backup]\nenabled = true\n[jobs.backup_drill]\nenabled = true",
        "[backup.retention]\nenabled = false\nkeep_last = 0\ndaily = 0\nweekly = 0\nmonthly = 0",
        "[backup.drill]\ntarget = \"other\"\n[targets.other]\nbackend = \"postgresql\"\nhost = \"other\"",
    ] {
        let loaded = Setup::working().file(text).env("KUBERNETES_SERVICE_HOST", "10.0.0.1").loaded();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}
