//! The alerts for Prometheus: whether they fire when they should and clear by themselves, and whether what they ask
//! for exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::tools::tool;

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts/actingweb-maintd.yaml")
}

#[test]
fn each_alert_fires_when_it_should_and_clears_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenes = include_str!("alerts.yaml").replace("RULES", rules().to_str().expect("text"));
    let file = dir.path().join("alerts.yaml");
    fs::write(&file, &scenes).expect("a file");
    for arguments in [["check", "rules"], ["test", "rules"]] {
        let path = if arguments[0] == "check" { rules() } else { file.clone() };
        let output = Command::new(tool("promtool")).args(arguments).arg(path).output().expect("running promtool");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    // Each of them has been seen to fire.
    let text = fs::read_to_string(rules()).expect("the rules");
    for alert in text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n");
        assert!(scenes.contains(&fires), "no scene makes {alert} fire");
    }
}

#[test]
fn the_alerts_ask_for_metrics_that_there_are() {
    let text = fs::read_to_string(rules()).expect("the rules");
    let metrics = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics");
    let metrics = ["families.rs", "findings.rs"].map(|name| fs::read_to_string(metrics.join(name)).expect("metrics"));
    let metrics = metrics.concat();
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let named = |mark: &str| -> BTreeSet<String> {
        let parts = text.split(mark).skip(1);
        parts.map(|part| part.chars().take_while(|c| is_part(*c)).collect()).collect()
    };
    let families = named("maintd_");
    assert!(families.len() >= 6, "{families:?}");
    for name in families.iter().chain(&named("check=\"")) {
        assert!(metrics.contains(&format!("\"{name}\"")), "there is no {name}");
    }
}
