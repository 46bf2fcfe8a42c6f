//! Backups that other tools make, here by scripts that write what pgBackRest has written.

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

/// What pgBackRest has written of three backups: one, one more, and one that has a broken page.
const INFO: &str = include_str!("../../../src/backup/postgresql/toolwords/pgbackrest_info.json");

/// The second of them.
const LABEL: &str = "20261128-094727F_20261128-094734I";

/// Which of them is there once the file `made` is.
#[derive(Clone, Copy)]
enum Second {
    Whole,
    Broken,
}

/// A pgBackRest with one backup of this cluster, and a second one once the file `made` is there.
fn pgbackrest(dir: &Path, second: Second, system_identifier: i64) -> Tool {
    let mut info: serde_json::Value = serde_json::from_str(INFO).unwrap();
    info[0]["db"][0]["system-id"] = system_identifier.into();
    let all = info[0]["backup"].as_array().unwrap().clone();
    let second = match second {
        Second::Whole => &all[1],
        Second::Broken => &all[2],
    };
    for (name, backups) in [("before", vec![all[0].clone()]), ("after", vec![all[0].clone(), second.clone()])] {
        info[0]["backup"] = backups.into();
        std::fs::write(dir.join(name), info.to_string()).unwrap();
    }
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

    bench.shop.settings.postgresql.tool = pgbackrest(&dir, Second::Whole, identifier);
    let manifest = bench.create(&store).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    assert_eq!((manifest.form, manifest.parts.len()), (Form::Tool, 1));
    assert_eq!((manifest.parts[0].reference.as_str(), manifest.parts[0].size), (LABEL, Some(3_043_530)));
    assert_eq!(manifest.taken_at.timestamp(), 1_795_859_255);
    assert_eq!(bench.inspect(&store, &manifest).await.unwrap(), None);
    let mut inspect = async |verify: &[&str]| {
        bench.shop.settings.postgresql.tool.verify = command(verify);
        bench.inspect(&store, &manifest).await
    };
    let found = inspect(&["sh", "-c", "echo checksum mismatch >&2; exit 25"]).await.unwrap();
    assert_eq!(found.as_deref(), Some("sh failed with exit code 25: checksum mismatch"));
    // pgBackRest itself has no exit code for what it finds.
    let status =
        |status: &str| format!("stanza: main\n  backup: {LABEL}, status: {status}, total files checked: 964\n");
    assert_eq!(inspect(&["echo", &status("valid")]).await.unwrap(), None);
    let found = inspect(&["echo", &status("invalid")]).await.unwrap().unwrap();
    assert!(found.starts_with(&format!("the backup {LABEL}: pgBackRest says that it is invalid")), "{found}");
    let silent = inspect(&["true"]).await.unwrap_err().chain();
    assert!(silent.contains("backup.postgresql.tool.verify") && silent.contains("--verbose"), "{silent}");
    std::fs::remove_file(dir.join("made")).unwrap();
    let found = bench.inspect(&store, &manifest).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*format!("the backup {LABEL} is gone")));

    let whole: [(Change, _); 5] = [
        (|tool| tool.create = command(&["true"]), "no backup that was not there before"),
        (|tool| tool.create = command(&["sh", "-c", "echo no space >&2; exit 82"]), "exit code 82: no space"),
        (|tool| tool.list = command(&["echo", "ERROR: [037]: no stanza"]), "no stanza"),
        (|tool| tool.list.clear(), "backup.postgresql.tool.list is not set"),
        (|tool| tool.create = command(&["/nowhere/pgbackrest"]), "cannot start pgbackrest"),
    ];
    let whole = whole.into_iter().map(|(change, words)| (change, Second::Whole, identifier, words));
    let unchanged: Change = |_| {};
    let others = [
        (unchanged, Second::Broken, identifier, "pages failed their checksums"),
        (unchanged, Second::Whole, identifier + 1, "is of the cluster"),
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
        Tool { create: command(&["sh", "-c", &hang]), ..pgbackrest(&dir, Second::Whole, identifier) };
    let asking = async {
        until("the tool", || (processes_with(&mark).len() == 2).then_some(())).await;
        bench.stop.request(StopReason::Deadline);
    };
    let (created, ()) = tokio::join!(bench.create(&store), asking);
    assert!(matches!(created, Err(Error::Stopped)), "{created:?}");
    until("nobody to be left", || processes_with(&mark).is_empty().then_some(())).await;
}
