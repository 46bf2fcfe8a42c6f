//! Programs end when they should: at a request, and with us.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use actingweb_maintd::backup::Error;
use actingweb_maintd::backup::program::Program;
use actingweb_maintd::work::{Stop, StopReason};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::workbench::{Workbench, processes_with, until};
use crate::harness::cluster::TestDb;
use crate::harness::store::{settings, store};

/// A program that does nothing for long, with a child that does neither, known by `mark`.
fn sleeper(mark: &str) -> Program {
    Program::new("sh").arguments(["-c", "sleep 600 & exec sleep 600", mark])
}

/// What [`what_we_started_ends_with_us`] kills. It ends by itself if nobody does.
#[tokio::test]
#[ignore = "runs only as the child of another test"]
async fn somebody_who_is_killed() {
    let Ok(mark) = std::env::var("TEST_MARK") else { return };
    let script = format!("sh -c 'sleep 600; : {mark}' & sleep 600; : {mark}");
    let _ended = Program::new("sh").arguments(["-c", &script]).run(&Stop::new()).await;
}

#[tokio::test]
async fn what_we_started_ends_with_us() {
    let mark = format!("mark-{}", uuid::Uuid::new_v4().simple());
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["backup::programs::somebody_who_is_killed", "--exact", "--ignored"])
        .env("TEST_MARK", &mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let started = until("the program and its child", || {
        let started = processes_with(&mark);
        (started.len() == 2).then_some(started)
    })
    .await;
    // One that stands still cannot hear anything.
    kill(Pid::from_raw(started[0]), Signal::SIGSTOP).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("nobody to be left", || processes_with(&mark).is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_program_is_told_by_how_it_ended_and_what_it_said() {
    let stop = Stop::new();
    let sh = |script: &str| Program::new("sh").arguments(["-c", script]);
    let failed = async |script: &str| sh(script).run(&stop).await.unwrap_err().chain();
    assert_eq!(failed("echo one >&2; echo two >&2; exit 3").await, "sh failed with exit code 3: one; two");
    assert!(failed("kill -9 $$").await.contains("memory ran out"));
    assert!(failed("kill -11 $$").await.contains("segmentation fault"));
    let secret = || sh("echo the password is geheim >&2; exit 1").hiding("geheim".to_owned().into());
    assert_eq!(secret().run(&stop).await.unwrap_err().chain(), "sh failed with exit code 1: the password is ***");
    assert!(Program::new("/nowhere/at/all").run(&stop).await.unwrap_err().chain().starts_with("cannot start all"));
    assert_eq!(sh("echo $PGHOST$NOTIFY_SOCKET$PG_DB_HOST; echo said >&2").output(&stop).await.unwrap(), b"\n");

    // What a program leaves running ends with it, and what does not end is killed.
    let mark = format!("mark-{}", uuid::Uuid::new_v4().simple());
    sh(&format!("sh -c 'sleep 600; : {mark}' & :")).run(&stop).await.unwrap();
    until("nobody to be left", || processes_with(&mark).is_empty().then_some(())).await;
    let running = sleeper(&mark).start().unwrap();
    drop(running);
    until("nobody to be left", || processes_with(&mark).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_stands_still_is_ended() {
    let db = TestDb::new().await;
    // The dump has to wait for a table that our snapshot has nothing to do with.
    sqlx::raw_sql("CREATE TABLE another (id int)").execute(db.pool()).await.unwrap();
    let mut other = db.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE another IN ACCESS EXCLUSIVE MODE").execute(&mut *other).await.unwrap();
    let (bench, store) = (Workbench::of(settings(&db)), store(&db));
    let mark = bench.path().display().to_string();
    let asking = async {
        let dumps = until("the dump", || {
            let found = processes_with(&mark);
            (!found.is_empty()).then_some(found)
        });
        for pid in dumps.await {
            // One that it had started may have ended.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGSTOP);
        }
        bench.stop.request(StopReason::Deadline);
    };
    let (created, ()) = tokio::join!(bench.create(&store), asking);
    assert!(matches!(created, Err(Error::Stopped)), "{created:?}");
    until("nobody to be left", || processes_with(&mark).is_empty().then_some(())).await;
    assert_eq!(bench.drafts(), [] as [String; 0]);
    other.rollback().await.unwrap();

    // And nothing stays open in the server.
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL \
        AND pid <> pg_backend_pid()";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(open).fetch_one(db.pool()).await.unwrap() > 0 {
        assert!(std::time::Instant::now() < deadline, "a transaction stays open");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
