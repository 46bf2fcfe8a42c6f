//! What can go wrong in the middle of it.

use std::time::Duration;

use actingweb_maintd::jobs::diff_prune;
use actingweb_maintd::model::BackendKind;
use actingweb_maintd::model::setting::Bounded;
use actingweb_maintd::runner::{Ran, Start};
use actingweb_maintd::storage::{Claim, Claimed, Cut, ErrorKind, Fence};
use actingweb_maintd::work::{Outcome, Progress, Stop, StopReason};
use futures_util::future::join;

use super::scene::{Database, Scene, job, keeping};
use crate::harness::daemon::{Maintd, Output};
use crate::harness::eventually;

const ACTORS: u64 = 250;

pub(super) async fn a_run_that_was_cut_off_is_taken_up_where_it_was(scene: &Scene) {
    for actor in 0..ACTORS {
        let id = format!("actor-{actor}");
        scene.history(&id, "b", "s", 2).await;
        scene.mirror(&id, "b", "s", 2).await;
    }
    let (settings, stop) = (keeping(1), Stop::new());
    // One of each goes, and a hundred actors are in the first stretch of the walk at most.
    let cutting = eventually("more than a stretch to be done", async || {
        let is_reached = scene.count().await < 2 * ACTORS - 110;
        if is_reached {
            stop.request(StopReason::Deadline);
        }
        is_reached
    });
    let slow = diff_prune::Settings {
        batch_size: Bounded::new(1),
        max_rows_per_second: Bounded::new(100),
        ..settings.clone()
    };
    let (run, ()) = join(scene.run_until(&slow, &stop), cutting).await;
    assert_eq!(run.outcome, Some(Outcome::Partial));
    assert_eq!((run.report.stopped, run.report.more), (Some(StopReason::Deadline), true));
    scene.agrees(&run.report);
    let left = scene.count().await;
    assert!(left > ACTORS, "it was cut off before its end");
    assert!(scene.store.cursor("diff_prune").await.unwrap().is_some());
    let rest = scene.prune(&settings).await;
    assert_eq!(run.report.deleted + rest.deleted, ACTORS);
    assert!(rest.examined < left, "{} of {left}: it began anew", rest.examined);
    assert_eq!(scene.store.cursor("diff_prune").await.unwrap(), None);
    assert_eq!(scene.prune(&settings).await.examined, ACTORS, "a complete pass is followed by a new one");
}

pub(super) async fn a_broken_place_is_the_beginning(scene: &Scene) {
    let places = [
        "nonsense",
        "",
        "{\"begun\":\"2999-01-01T00:00:00Z\",\"after\":\"z\"}",
        "{\"begun\":\"2020-01-01T00:00:00Z\",\"after\":null}",
        "{\"begun\":\"2020-01-01T00:00:00Z\",\"after\":\"\"}",
        "{\"begun\":\"2020-01-01T00:00:00Z\",\"after\":\"\\u0000\"}",
    ];
    for (round, place) in (1..).zip(places) {
        let subid = format!("s{round}");
        scene.history("a", "b", &subid, 3).await;
        scene.mirror("a", "b", &subid, 3).await;
        scene.store.keep_cursor("diff_prune", Some(place)).await.unwrap();
        assert_eq!(scene.prune(&keeping(1)).await.deleted, 2, "{place}");
    }
    // Behind an actor that there is not any more the walk goes on, and then begins anew.
    let gone = "{\"begun\":\"2020-01-01T00:00:00Z\",\"after\":\"nobody\"}";
    scene.store.keep_cursor("diff_prune", Some(gone)).await.unwrap();
    scene.prune(&keeping(1)).await;
    assert_eq!(scene.prune(&keeping(1)).await.examined, 6);
}

/// Confirmed and aged changes of two actors, some of whom nobody is known to have.
const CONFIGURATION: &str = "[jobs.diff_prune]\nkeep_newest = 5\nbatch_size = 10\n[lease]\nttl = \"2s\"\n";

/// Runs the job by hand as a process in which something goes wrong.
fn run_with(scene: &Scene, faults: &str) -> Output {
    let maintd = match &scene.database {
        Database::Postgresql(db) => Maintd::on(db),
        Database::Dynamodb(tables) => Maintd::beside(tables),
    };
    maintd.env("FAILPOINTS", faults).config(CONFIGURATION).run(&["--json", "job", "run", "diff_prune"])
}

/// The points of a batch.
fn points(scene: &Scene) -> Vec<String> {
    let steps: &[&str] = match scene.backend() {
        BackendKind::Postgresql => &["begin", "1", "2", "3", "4", "commit"],
        BackendKind::Dynamodb => &[],
    };
    let both = |step: String| ["before", "after"].map(|when| format!("{}.prune_diffs{step}.{when}", scene.backend()));
    match steps {
        [] => both(String::new()).into(),
        steps => steps.iter().flat_map(|step| both(format!(".{step}"))).collect(),
    }
}

async fn confirmed(scene: &Scene, id: &str) {
    scene.history(id, "b", "s", 60).await;
    scene.mirror(id, "b", "s", 50).await;
}

pub(super) async fn a_lost_answer_is_counted_once(scene: &Scene) {
    for (round, point) in (0..).zip(points(scene)) {
        let id = format!("actor-{round}");
        confirmed(scene, &id).await;
        let output = run_with(scene, &format!("{point}=2*off->1*return(error)"));
        assert_eq!(output.code, 0, "{point}: {}", output.stderr);
        assert_eq!(scene.numbers(&id, "s").await, (51..=60).collect::<Vec<_>>(), "{point}");
        assert_eq!(output.json()["report"]["deleted"], 50, "{point}: {}", output.stdout);
    }
}

pub(super) async fn a_process_that_is_killed_leaves_a_prefix_removed(scene: &Scene) {
    for (round, point) in (0..).zip(points(scene)) {
        let id = format!("actor-{round}");
        confirmed(scene, &id).await;
        // In the third batch, or, where each row is a request, in its third row.
        let output = run_with(scene, &format!("{point}=2*off->1*return(abort)"));
        assert_ne!(output.code, 0, "{point}: {}", output.stdout);
        let stays = scene.numbers(&id, "s").await;
        let first = stays[0];
        assert_eq!(stays, (first..=60).collect::<Vec<_>>(), "{point}: a hole");
        assert!((2..=31).contains(&first), "{point}: {first}");
        // Whoever comes next finds the run left behind, once its lease is over, and ends its work.
        let job = job(&keeping(5), scene.backend());
        let mut run = None;
        eventually("the lease to be free", async || {
            match scene.runner.run(&job, Start::Manual, &Stop::new(), &Progress::new()).await.unwrap() {
                Ran::Ended(ended) => run = Some(*ended),
                Ran::Held(_) => {}
                other => panic!("{other:?}"),
            }
            run.is_some()
        })
        .await;
        let run = run.unwrap();
        assert_eq!((run.outcome, scene.numbers(&id, "s").await.len()), (Some(Outcome::Succeeded), 10), "{point}");
        let history = scene.store.history(Some("diff_prune"), 2).await.unwrap();
        assert_eq!(history[1].outcome, Some(Outcome::Lost), "{point}");
        let counted = history[1].report.deleted + run.report.deleted;
        match scene.backend() {
            BackendKind::Postgresql => assert_eq!(counted, 50, "{point}"),
            // What a batch that was never finished has deleted is counted nowhere.
            BackendKind::Dynamodb => assert!((40..=50).contains(&counted), "{point}: {counted}"),
        }
    }
}

pub(super) async fn without_the_lease_nothing_goes(scene: &Scene) {
    confirmed(scene, "a").await;
    let (job, holder) = (diff_prune::NAME, "test".to_owned());
    let claim = Claim { job, due: None, holder, workers: 1, ttl: Duration::from_secs(60) };
    let lease = match scene.store.claim(&claim).await.unwrap() {
        Claimed::Won(won) => won.lease,
        other => panic!("{other:?}"),
    };
    let cut = |numbers: &[i64]| Cut {
        id: "a".to_owned(),
        subid: "s".to_owned(),
        numbers: numbers.to_vec(),
        is_orphaned: false,
    };
    let fence = lease.fence(0);
    let another = Fence { term: fence.term + 1, ..fence.clone() };
    let refused = scene.store.prune_diffs(&cut(&[1, 2]), &another).await.expect_err("it is not ours");
    assert_eq!(refused.kind, ErrorKind::Fenced);
    assert_eq!(scene.count().await, 60);
    // With it only what is named goes, and what is gone is passed over.
    assert_eq!(scene.store.prune_diffs(&cut(&[1, 2]), &fence).await.unwrap().deleted, 2);
    assert_eq!(scene.store.prune_diffs(&cut(&[1, 2, 3]), &fence).await.unwrap().deleted, 1);
    let orphans = Cut { is_orphaned: true, ..cut(&[4]) };
    assert_eq!(scene.store.prune_diffs(&orphans, &fence).await.unwrap().deleted, 0, "there is a subscription");
    assert!(scene.store.delete_subscription("a", "b", "s").await.unwrap());
    assert_eq!(scene.store.prune_diffs(&orphans, &fence).await.unwrap().deleted, 1);
    assert_eq!(scene.numbers("a", "s").await, (5..=60).collect::<Vec<_>>());
}
