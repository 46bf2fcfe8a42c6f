//! Leases on DynamoDB, which has no clock that could say whether one has run out.

use std::time::{Duration, Instant};

use actingweb_maintd::storage::{Claim, Claimed, Conclusion, Cursor, Due, ErrorKind, Expired, Renewal, Segment};
use actingweb_maintd::work::Outcome;
use chrono::{DateTime, TimeDelta};

use super::dynamodb_sweep::{add_expired, names, store};
use super::own_state::{JOB, ended, taken};
use crate::harness::dynamodb::TestTables;
use crate::harness::eventually;
use crate::harness::store::claim;

const TTL: Duration = Duration::from_millis(300);

fn short(holder: &str) -> Claim {
    Claim { ttl: TTL, ..claim(holder) }
}

#[tokio::test]
async fn a_taker_waits_until_it_has_seen_the_lease_unchanged_for_its_whole_length() {
    let tables = TestTables::new().await;
    let (holder, taker) = (store(&tables), store(&tables));
    let lease = taken(&*holder, &short("holder")).await.lease;
    // However long ago it was renewed: the taker has not seen that.
    tokio::time::sleep(TTL * 2).await;
    let begun = Instant::now();
    let won = taken(&*taker, &claim("taker")).await;
    assert!(begun.elapsed() >= TTL, "taken after {:?}", begun.elapsed());
    assert_eq!(won.lost.map(|run| run.run_id), Some(lease.run.run_id));
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_never_taken() {
    let tables = TestTables::new().await;
    let (holder, taker) = (store(&tables), store(&tables));
    let slot = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    holder.begin_schedule(JOB, slot, "every 15m").await.unwrap();
    let before = Conclusion {
        since: slot,
        passed: Vec::new(),
        goes_on: false,
        begun: 0,
        until: slot,
        schedule: "every 15m".to_owned(),
    };
    let due = Due { slot: slot + TimeDelta::minutes(15), before, retries: 0 };
    let of_the_slot = Claim { due: Some(due), ..claim("taker") };
    let lease = taken(&*holder, &short("holder")).await.lease;
    for _ in 0..6 {
        // However late: what the taker sees is that it has changed.
        assert_eq!(holder.renew(&lease, TTL).await.unwrap(), Renewal::Kept);
        assert!(matches!(taker.claim(&of_the_slot).await.unwrap(), Claimed::Held(_)));
        tokio::time::sleep(TTL).await;
    }
    assert_eq!(holder.renew(&lease, TTL).await.unwrap(), Renewal::Kept);
    assert!(taker.standing(JOB).await.unwrap().held.is_some());
    // Who only watches where the job stands has seen it as well.
    eventually("the lease is left behind", async || taker.standing(JOB).await.unwrap().held.is_none()).await;
    taken(&*taker, &of_the_slot).await;
}

#[tokio::test]
async fn a_holder_that_was_stopped_for_too_long_deletes_nothing() {
    let tables = TestTables::new().await;
    let store = store(&tables);
    add_expired(&tables, "sessions", 10).await;
    let lease = taken(&*store, &claim("holder")).await.lease;
    let which = Expired { cutoff: store.cutoff(Duration::ZERO).await.unwrap().epoch, buckets: Vec::new() };
    let page = store.expired(&which, Segment::WHOLE, &Cursor::default(), 100).await.unwrap();
    let batch = store.delete_expired(&which, &page.candidates[..4], &lease.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 4);
    assert_eq!(store.renew(&lease, TTL).await.unwrap(), Renewal::Kept);
    // Nobody has taken over, but somebody may.
    tokio::time::sleep(TTL).await;
    let refused = store.delete_expired(&which, &page.candidates[4..], &lease.fence(0)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Fenced);
    assert_eq!(names(&tables).await.len(), 6);
    // Renewed in time after all, it goes on.
    assert_eq!(store.renew(&lease, Duration::from_secs(10)).await.unwrap(), Renewal::Kept);
    let batch = store.delete_expired(&which, &page.candidates[4..], &lease.fence(1)).await.unwrap();
    assert_eq!(batch.deleted, 6);
    let run = store.finish(&lease, &ended(Outcome::Succeeded)).await.unwrap();
    assert_eq!((run.report.deleted, run.report.batches), (10, 2));
}

#[tokio::test]
async fn a_run_that_was_left_behind_keeps_its_counts_and_can_add_no_more() {
    let tables = TestTables::new().await;
    let (holder, taker) = (store(&tables), store(&tables));
    add_expired(&tables, "sessions", 10).await;
    let first = taken(&*holder, &claim("holder")).await.lease;
    let which = Expired { cutoff: holder.cutoff(Duration::ZERO).await.unwrap().epoch, buckets: Vec::new() };
    let page = holder.expired(&which, Segment::WHOLE, &Cursor::default(), 100).await.unwrap();
    holder.delete_expired(&which, &page.candidates[..4], &first.fence(0)).await.unwrap();
    let running = taker.history(None, 10).await.unwrap();
    assert_eq!((running[0].outcome, running[0].report.deleted), (None, 4), "counted while it runs");
    assert_eq!(holder.renew(&first, TTL).await.unwrap(), Renewal::Kept);
    let mut lost = None;
    eventually("the lease has run out", async || {
        if let Claimed::Won(won) = taker.claim(&claim("taker")).await.unwrap() {
            lost = won.lost;
        }
        lost.is_some()
    })
    .await;
    assert_eq!(lost.map(|run| (run.report.deleted, run.report.batches)), Some((4, 1)));
    let refused = holder.delete_expired(&which, &page.candidates[4..], &first.fence(0)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Fenced);
    assert_eq!(holder.finish(&first, &ended(Outcome::Succeeded)).await.unwrap_err().kind, ErrorKind::Fenced);
    let refused = taker.delete_expired(&which, &page.candidates[4..], &first.fence(0)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Fenced, "the lease is none of this process");
    assert_eq!(names(&tables).await.len(), 6);
}

#[tokio::test]
async fn of_many_processes_that_take_over_at_once_one_wins() {
    let tables = TestTables::new().await;
    taken(&*store(&tables), &short("holder")).await;
    let takers: Vec<_> = (0..6).map(|_| store(&tables)).collect();
    let claims = takers.iter().enumerate().map(|(index, store)| async move {
        let claim = claim(&format!("taker {index}"));
        loop {
            match store.claim(&claim).await.unwrap() {
                Claimed::Won(won) => return Some(*won),
                Claimed::Held(held) if held.holder != "holder" => return None,
                _ => tokio::time::sleep(TTL / 20).await,
            }
        }
    });
    let winners: Vec<_> = futures_util::future::join_all(claims).await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert!(winners[0].lost.is_some());
    assert_eq!(takers[0].history(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn without_the_tables_the_error_says_what_to_do() {
    let tables = TestTables::empty().await;
    let store = store(&tables);
    store.probe().await.unwrap();
    let error = store.standing(JOB).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Schema);
    assert!(error.chain().contains("schema apply"), "{}", error.chain());
}
