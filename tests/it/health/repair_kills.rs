//! Whoever repairs is killed, or the server's process is, at every step: what is left is removed by whoever comes next, or
//! brought to its end.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use actingweb_maintd::fault::Faults;
use actingweb_maintd::health::Cure;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::storage::postgres::{Direct, Settings};
use actingweb_maintd::work::{RepairOutcome, Repaired, StopReason};
use sqlx::{PgConnection, PgPool};

use super::repair::{Scene, Seen, create, execute, open, rebuild, seen};
use crate::harness::cluster::{TestDb, server};
use crate::harness::eventually;
use crate::harness::proxy::{Proxy, Way};
use crate::harness::store::{open as open_store, settings, settings_of, store};

/// Which database the child works on, and at which repair.
const DATABASE: &str = "REPAIRED_DATABASE";
const CURE: &str = "REPAIRED_CURE";

/// The index that is rebuilt, or was dropped and is made.
const INDEX: &str = "idx_attributes_ttl";

/// What the tests do by `CURE`.
fn cure(name: &str) -> Cure {
    if name == "create" { create(INDEX) } else { rebuild(INDEX) }
}

/// Not a test, but the process that tests kill.
#[tokio::test]
#[ignore = "other tests start it"]
async fn repairs_for_its_parent() {
    let (Ok(database), Ok(name)) = (env::var(DATABASE), env::var(CURE)) else { return };
    let _faults = Faults::from_environment();
    let scene = Scene::on(open_store(settings_of(&server().host, server().port, &database)));
    panic!("it was not killed: {:?}", scene.repair(&cure(&name)).await);
}

/// A process that begins a repair and dies at a point.
pub(super) fn killed_at(db: &TestDb, name: &str, points: &str) -> Command {
    let server = server();
    let test = format!("{}::repairs_for_its_parent", module_path!().split_once("::").expect("a module").1);
    let mut command = Command::new(env::current_exe().expect("this program"));
    command
        .args(["--exact", &test, "--ignored", "--nocapture"])
        .env(DATABASE, db.name())
        .env(CURE, name)
        .env("FAILPOINTS", points)
        .env("TEST_PG_HOST", &server.host)
        .env("TEST_PG_PORT", server.port.to_string())
        .env("TEST_PG_BIN", &server.bin_dir)
        .env("TEST_PG_DATA", &server.data_dir);
    command
}

pub(super) async fn dies(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || command.output().expect("starting a process")).await.unwrap();
    assert_eq!(output.status.signal(), Some(6), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Somebody whom a repair has to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder {
    /// Writes: waited for before anything is built.
    Writer,
    /// Has an old snapshot: waited for when it is built.
    Reader,
    /// Has a lock that does not matter before the old index is to go.
    Visitor,
}

impl Holder {
    pub(super) async fn begin(self, pool: &PgPool) -> PgConnection {
        let mut connection = pool.acquire().await.expect("a connection").detach();
        let sql = match self {
            Self::Writer => "BEGIN; LOCK TABLE attributes IN ROW EXCLUSIVE MODE",
            Self::Reader => "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM actors",
            Self::Visitor => "BEGIN; LOCK TABLE attributes IN ACCESS SHARE MODE",
        };
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("holding a repair up");
        connection
    }
}

pub(super) async fn end(mut holder: PgConnection) {
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.expect("the end of what held a repair up");
}

/// Whether the server waits for somebody in a repair.
const WAITS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
     AND query LIKE '/* repair %' AND state = 'active' AND wait_event_type = 'Lock'";

pub(super) async fn until_it_waits(pool: &PgPool) {
    eventually("the repair waits for somebody", async || {
        sqlx::query_scalar::<_, i64>(WAITS).fetch_one(pool).await.unwrap() == 1
    })
    .await;
}

/// Ends the server's process that works at a repair.
pub(super) async fn terminate(pool: &PgPool) {
    let working = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
         AND query ~ '^/[*] repair [0-9a-f]'";
    let process: i32 = sqlx::query_scalar(working).fetch_one(pool).await.unwrap();
    // By itself: the server may try conditions in any order.
    sqlx::query("SELECT pg_terminate_backend($1)").bind(process).execute(pool).await.unwrap();
    eventually("it is gone", async || {
        let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM pg_stat_activity WHERE pid = $1");
        left.bind(process).fetch_one(pool).await.unwrap() == 0
    })
    .await;
}

/// Makes what `name` needs. Returns the indexes as they are to be at the end.
async fn prepare(db: &TestDb, name: &str) -> Vec<Seen> {
    let whole = seen(db.pool()).await;
    if name == "create" {
        execute(db.pool(), &format!("DROP INDEX {INDEX}")).await;
    }
    whole
}

/// Nothing is left, and a repair that is still needed works.
async fn assert_clean(scene: &Scene, db: &TestDb, name: &str, whole: &[Seen], recovered: &[Repaired]) {
    assert_eq!(open(db.pool()).await, 0, "{recovered:?}");
    let is_done = recovered.iter().any(|repaired| repaired.outcome == RepairOutcome::Done);
    let left = seen(db.pool()).await;
    if name == "create" && !is_done {
        assert!(left.iter().all(|index| index.is_valid && index.name != INDEX), "{left:?}, {recovered:?}");
        assert_eq!(left.len(), whole.len() - 1, "{left:?}, {recovered:?}");
    } else {
        assert_eq!(left, whole, "{recovered:?}");
    }
    if name == "rebuild" || !is_done {
        let repaired = scene.repair(&cure(name)).await;
        assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    }
    assert_eq!(seen(db.pool()).await, whole);
    assert_eq!(scene.recover().await, []);
}

#[tokio::test]
async fn nothing_is_left_of_a_repair_that_was_killed_between_two_steps() {
    for (name, points) in [
        ("rebuild", ["begin", "begun", "built", "close"].as_slice()),
        ("create", ["begin", "begun", "built", "rename", "renamed", "close"].as_slice()),
    ] {
        for point in points {
            let db = TestDb::repairing().await;
            let whole = prepare(&db, name).await;
            dies(killed_at(&db, name, &format!("repair::{point}=1*return(abort)"))).await;
            let scene = Scene::on(store(&db));
            let recovered = scene.recover().await;
            assert_eq!(recovered.len(), usize::from(*point != "begin"), "{name} at {point}: {recovered:?}");
            assert_clean(&scene, &db, name, &whole, &recovered).await;
        }
    }
}

#[tokio::test]
async fn what_the_server_goes_on_with_is_waited_for() {
    for (name, point, holder) in [
        ("rebuild", "seen", Holder::Writer),
        ("rebuild", "watch", Holder::Writer),
        ("rebuild", "seen", Holder::Reader),
        ("rebuild", "seen", Holder::Visitor),
        ("create", "watch", Holder::Writer),
        ("create", "watch", Holder::Reader),
    ] {
        let db = TestDb::repairing().await;
        let whole = prepare(&db, name).await;
        let held = holder.begin(db.pool()).await;
        dies(killed_at(&db, name, &format!("repair::{point}=1*return(abort)"))).await;
        until_it_waits(db.pool()).await;
        let scene = Scene::on(store(&db));
        // Whoever is asked to stop leaves it.
        scene.stop.request(StopReason::Window);
        let recovered = scene.recover().await;
        assert_eq!(recovered[0].outcome, RepairOutcome::GoingOn, "{name} at {point}: {recovered:?}");
        let scene = Scene::on(store(&db));
        let (recovered, ()) = tokio::join!(scene.recover(), end(held));
        let outcomes: Vec<_> = recovered.iter().map(|repaired| repaired.outcome).collect();
        assert_eq!(outcomes, [RepairOutcome::Done], "{name} at {point}: {recovered:?}");
        assert_clean(&scene, &db, name, &whole, &recovered).await;
    }
}

#[tokio::test]
async fn nothing_is_left_when_the_server_is_cut_off_as_well() {
    for (name, point, holder) in [
        ("rebuild", "watch", Holder::Writer),
        ("rebuild", "seen", Holder::Writer),
        ("rebuild", "watch", Holder::Reader),
        ("rebuild", "seen", Holder::Reader),
        ("rebuild", "watch", Holder::Visitor),
        ("create", "watch", Holder::Writer),
        ("create", "watch", Holder::Reader),
    ] {
        let db = TestDb::repairing().await;
        let whole = prepare(&db, name).await;
        let held = holder.begin(db.pool()).await;
        dies(killed_at(&db, name, &format!("repair::{point}=1*return(abort)"))).await;
        until_it_waits(db.pool()).await;
        terminate(db.pool()).await;
        end(held).await;
        assert_ne!(seen(db.pool()).await, whole, "{name} at {point}: it has left something");
        let scene = Scene::on(store(&db));
        let recovered = scene.recover().await;
        assert_eq!(recovered.len(), 1, "{name} at {point}: {recovered:?}");
        assert_clean(&scene, &db, name, &whole, &recovered).await;
    }
}

#[tokio::test]
async fn whoever_removes_what_is_left_may_be_killed_too() {
    for name in ["rebuild", "create"] {
        for point in ["remove", "removed"] {
            let db = TestDb::repairing().await;
            let whole = prepare(&db, name).await;
            let held = Holder::Reader.begin(db.pool()).await;
            let child = tokio::spawn(dies(killed_at(&db, name, &format!("repair::{point}=1*return(abort)"))));
            until_it_waits(db.pool()).await;
            terminate(db.pool()).await;
            child.await.unwrap();
            end(held).await;
            let scene = Scene::on(store(&db));
            let recovered = scene.recover().await;
            assert_eq!(recovered.len(), 1, "{name} at {point}: {recovered:?}");
            assert_clean(&scene, &db, name, &whole, &recovered).await;
        }
    }
}

#[tokio::test]
async fn a_repair_survives_that_its_connection_is_ended() {
    for (name, holder, outcome) in [
        ("rebuild", Holder::Writer, RepairOutcome::Failed),
        ("rebuild", Holder::Reader, RepairOutcome::Failed),
        // The new index is in its place already.
        ("rebuild", Holder::Visitor, RepairOutcome::Done),
        ("create", Holder::Writer, RepairOutcome::Failed),
        ("create", Holder::Reader, RepairOutcome::Failed),
    ] {
        let db = TestDb::repairing().await;
        let whole = prepare(&db, name).await;
        let held = holder.begin(db.pool()).await;
        let scene = Scene::on(store(&db));
        let disturb = async {
            until_it_waits(db.pool()).await;
            terminate(db.pool()).await;
            end(held).await;
        };
        let cure = cure(name);
        let (repaired, ()) = tokio::join!(scene.repair(&cure), disturb);
        assert_eq!(repaired.outcome, outcome, "{name}, {holder:?}: {repaired:?}");
        assert_clean(&scene, &db, name, &whole, std::slice::from_ref(&repaired)).await;
    }
}

#[tokio::test]
async fn a_repair_that_is_asked_to_stop_leaves_nothing() {
    for name in ["rebuild", "create"] {
        let db = TestDb::repairing().await;
        let whole = prepare(&db, name).await;
        let held = Holder::Reader.begin(db.pool()).await;
        let scene = Scene::on(store(&db));
        let disturb = async {
            until_it_waits(db.pool()).await;
            scene.stop.request(StopReason::Window);
        };
        let cure = cure(name);
        let (repaired, ()) = tokio::join!(scene.repair(&cure), disturb);
        assert_eq!(repaired.outcome, RepairOutcome::CleanedUp, "{repaired:?}");
        end(held).await;
        let scene = Scene::on(store(&db));
        assert_clean(&scene, &db, name, &whole, std::slice::from_ref(&repaired)).await;
    }
}

#[tokio::test]
async fn a_repair_that_waits_too_long_is_given_up_and_what_is_held_goes_later() {
    let db = TestDb::repairing().await;
    let whole = prepare(&db, "rebuild").await;
    let mut scene = Scene::on(store(&db));
    scene.limits.lock_wait = std::time::Duration::from_secs(1);
    let held = Holder::Reader.begin(db.pool()).await;
    let repaired = scene.repair(&cure("rebuild")).await;
    assert_eq!(repaired.outcome, RepairOutcome::Failed, "{repaired:?}");
    assert!(repaired.what.contains("nothing of it is left"), "{repaired:?}");
    assert_eq!((seen(db.pool()).await, open(db.pool()).await), (whole.clone(), 0));
    end(held).await;

    // Whoever writes holds what is left as well.
    let held = Holder::Writer.begin(db.pool()).await;
    let repaired = scene.repair(&cure("rebuild")).await;
    assert!(repaired.what.contains("the next run removes"), "{repaired:?}");
    assert_eq!(open(db.pool()).await, 1);
    let again = scene.repair(&cure("rebuild")).await;
    assert_eq!(again.outcome, RepairOutcome::PutOff, "{again:?}");
    let recovered = scene.recover().await;
    assert_eq!(recovered[0].outcome, RepairOutcome::Failed, "{recovered:?}");
    end(held).await;
    let recovered = scene.recover().await;
    assert_eq!(recovered[0].outcome, RepairOutcome::CleanedUp, "{recovered:?}");
    assert_clean(&scene, &db, "rebuild", &whole, &recovered).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_on_its_way_is_not_waited_for() {
    let db = TestDb::repairing().await;
    let whole = prepare(&db, "rebuild").await;
    let proxy = Proxy::start(format!("{}:{}", db.host(), db.port()).parse().expect("an address"));
    let direct = Direct { host: None, port: Some(Bounded::new(proxy.address().port().into())) };
    let scene = Scene::on(open_store(Settings { direct, ..settings(&db) }));
    let held = Holder::Reader.begin(db.pool()).await;
    let disturb = async {
        until_it_waits(db.pool()).await;
        proxy.make(Way::Open, Way::Stalled);
        end(held).await;
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND query ~ '^/[*] repair [0-9a-f]'";
        eventually("the session is ended", async || {
            sqlx::query_scalar::<_, i64>(sessions).fetch_one(db.pool()).await.unwrap() == 0
        })
        .await;
        proxy.heal();
    };
    let cure = cure("rebuild");
    let (repaired, ()) = tokio::join!(scene.repair(&cure), disturb);
    assert_eq!(repaired.outcome, RepairOutcome::Done, "{repaired:?}");
    assert_clean(&scene, &db, "rebuild", &whole, std::slice::from_ref(&repaired)).await;
}

/// Whoever is asked to stop does so, also when he can neither be told that it is done nor ask.
#[tokio::test]
async fn a_repair_that_nobody_can_reach_any_more_is_left_when_it_is_to_stop() {
    let db = TestDb::repairing().await;
    let whole = prepare(&db, "rebuild").await;
    let proxy = Proxy::start(format!("{}:{}", db.host(), db.port()).parse().expect("an address"));
    let port = Bounded::new(proxy.address().port().into());
    let scene = Scene::on(open_store(Settings { port, ..settings(&db) }));
    let held = Holder::Reader.begin(db.pool()).await;
    let disturb = async {
        until_it_waits(db.pool()).await;
        proxy.make(Way::Stalled, Way::Stalled);
        scene.stop.request(StopReason::Window);
    };
    let cure = cure("rebuild");
    let (cut, ()) = tokio::join!(scene.try_to_repair(&cure), disturb);
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(open(db.pool()).await, 1);
    proxy.heal();

    // It is in the journal, and whoever comes next sees to its end.
    end(held).await;
    let scene = Scene::on(store(&db));
    let recovered = scene.recover().await;
    assert_eq!(recovered.len(), 1, "{recovered:?}");
    assert_clean(&scene, &db, "rebuild", &whole, &recovered).await;
}
