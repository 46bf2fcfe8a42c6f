//! Backups that other tools make, here by scripts that write what the tools write.

use std::path::Path;

use actingweb_maintd::backup::{Error, Form, PostgresqlMethod, Tool, ToolName};
use actingweb_maintd::work::StopReason;

use super::workbench::{Workbench, processes_with, until};
use crate::harness::cluster::TestDb;
use crate::harness::store::{settings, store};

/// What is other than usual about a tool.
type Change = fn(&mut Tool);

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A list of two backups of pgBackRest, the second of which is there once the file `made` is.
fn pgbackrest(dir: &Path, second: &str, system_identifier: i64) -> Tool {
    let backup = |label: &str, stop: u64, error: &str| {
        format!(
            r#"{{"database":{{"id":1,"repo-key":1}},"error":{error},"info":{{"delta":2,"repository":{{"delta":1,"size":4096}},"size":9}},"label":"{label}","timestamp":{{"start":1795843800,"stop":{stop}}},"type":"full"}}"#
        )
    };
    let list = |backups: &str| {
        format!(
            r#"[{{"backup":[{backups}],"db":[{{"id":1,"repo-key":1,"system-id":{system_identifier},"version":"15"}}],"name":"main","status":{{"code":0,"message":"ok"}}}}]"#
        )
    };
    let first = backup("20261128-053000F", 1_795_843_812, "false");
    let both = format!("{first},{}", backup("20261128-063000F", 1_795_847_412, second));
    std::fs::write(dir.join("before"), list(&first)).unwrap();
    std::fs::write(dir.join("after"), list(&both)).unwrap();
    let _nothing_made = std::fs::remove_file(dir.join("made"));
    let dir = dir.display();
    Tool {
        name: Some(ToolName::Pgbackrest),
        create: command(&["sh", "-c", &format!("touch {dir}/made")]),
        list: command(&["sh", "-c", &format!("if [ -e {dir}/made ]; then cat {dir}/after; else cat {dir}/before; fi")]),
        verify: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_tool_counts_only_when_the_tool_shows_a_new_one_that_is_whole() {
    let db = TestDb::new().await;
    let store = store(&db);
    let identifier: i64 =
        sqlx::query_scalar("SELECT system_identifier FROM pg_control_system()").fetch_one(db.pool()).await.unwrap();
    let mut bench = Workbench::of(settings(&db));
    let dir = bench.path().to_path_buf();
    bench.shop.settings.postgresql.method = PostgresqlMethod::Tool;

    bench.shop.settings.postgresql.tool = pgbackrest(&dir, "false", identifier);
    let manifest = bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert_eq!((manifest.form, manifest.parts.len()), (Form::Tool, 1));
    assert_eq!((manifest.parts[0].reference.as_str(), manifest.parts[0].size), ("20261128-063000F", Some(4096)));
    assert_eq!(manifest.taken_at.timestamp(), 1_795_847_412);
    assert_eq!(bench.inspect(&store, &manifest).await.unwrap(), None);
    bench.shop.settings.postgresql.tool.verify = command(&["sh", "-c", "echo checksum mismatch >&2; exit 25"]);
    let found = bench.inspect(&store, &manifest).await.unwrap();
    assert_eq!(found.as_deref(), Some("sh failed with exit code 25: checksum mismatch"));
    std::fs::remove_file(dir.join("made")).unwrap();
    let found = bench.inspect(&store, &manifest).await.unwrap();
    assert_eq!(found.as_deref(), Some("the backup 20261128-063000F is gone"));

    let whole: [(Change, _); 5] = [
        (|tool| tool.create = command(&["true"]), "no backup that was not there before"),
        (|tool| tool.create = command(&["sh", "-c", "echo no space >&2; exit 82"]), "exit code 82: no space"),
        (|tool| tool.list = command(&["echo", "ERROR: [037]: no stanza"]), "no stanza"),
        (|tool| tool.list.clear(), "backup.postgresql.tool.list is not set"),
        (|tool| tool.create = command(&["/nowhere/pgbackrest"]), "cannot start pgbackrest"),
    ];
    let whole = whole.into_iter().map(|(change, words)| (change, "false", identifier, words));
    let unchanged: Change = |_| {};
    let others = [
        (unchanged, "true", identifier, "pages failed their checksums"),
        (unchanged, "false", identifier + 1, "is of the cluster"),
    ];
    for (change, second, identifier, words) in whole.chain(others) {
        let mut tool = pgbackrest(&dir, second, identifier);
        change(&mut tool);
        bench.shop.settings.postgresql.tool = tool;
        let error = bench.create(&store).await.unwrap_err().chain();
        assert!(error.contains(words), "{error}");
        assert_eq!(bench.drafts(), [] as [String; 0]);
    }

    // One that hangs is ended with whatever it has started.
    let mark = format!("mark-{}", uuid::Uuid::new_v4().simple());
    let hang = format!("sh -c 'sleep 600; : {mark}' & sleep 600; : {mark}");
    bench.shop.settings.postgresql.tool =
        Tool { create: command(&["sh", "-c", &hang]), ..pgbackrest(&dir, "false", identifier) };
    let asking = async {
        until("the tool", || (processes_with(&mark).len() == 2).then_some(())).await;
        bench.stop.request(StopReason::Deadline);
    };
    let (created, ()) = tokio::join!(bench.create(&store), asking);
    assert!(matches!(created, Err(Error::Stopped)), "{created:?}");
    assert_eq!(processes_with(&mark), [] as [i32; 0]);
}
