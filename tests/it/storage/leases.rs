//! No write by an earlier holder, and what only time changes. What is the same on both backends is in
//! `own_state.rs`.

use std::time::Duration;

use actingweb_maintd::storage::{
    Claim, Claimed, Cursor, ErrorKind, Expired, Finish, Leases, Renewal, Runs, Segment, SlotAfter, Sweep,
};
use actingweb_maintd::work::{Outcome, Report};

use crate::harness::cluster::TestDb;
use crate::harness::eventually;
use crate::harness::store::{add_attributes, claim, count_attributes, store, won};

fn succeeded() -> Finish {
    Finish { outcome: Outcome::Succeeded, error: None, report: Report::default(), slot: SlotAfter::Done }
}

#[tokio::test]
async fn a_run_that_was_left_behind_becomes_lost_and_can_write_no_more() {
    let db = TestDb::new().await;
    let store = store(&db);
    add_attributes(&db, "sessions", 100, -60).await;
    let short = Claim { ttl: Duration::from_millis(200), ..claim("first") };
    let first = won(&store, &short).await;
    let which = Expired { cutoff: store.cutoff(Duration::ZERO).await.unwrap().epoch, buckets: Vec::new() };
    let page = store.expired(&which, Segment::WHOLE, &Cursor::default(), 100).await.unwrap();
    let batch = store.delete_expired(&which, &page.candidates[..40], &first.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 40);

    let mut second = None;
    eventually("the first lease has run out", async || {
        if let Claimed::Won(won) = store.claim(&claim("second")).await.unwrap() {
            assert_eq!(won.lost.map(|run| run.run_id), Some(first.run.run_id));
            second = Some(won.lease);
        }
        second.is_some()
    })
    .await;
    let second = second.unwrap();
    let refused = store.delete_expired(&which, &page.candidates[40..], &first.fence(0)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Fenced);
    assert_eq!(count_attributes(&db).await, 60);
    assert_eq!(store.renew(&first, Duration::from_secs(10)).await.unwrap(), Renewal::Lost);
    assert_eq!(store.finish(&first, &succeeded()).await.unwrap_err().kind, ErrorKind::Fenced);

    let history = store.history(None, 10).await.unwrap();
    let lost = history.iter().find(|run| run.run_id == first.run.run_id).unwrap();
    assert_eq!(lost.outcome, Some(Outcome::Lost));
    assert_eq!((lost.report.deleted, lost.report.batches), (40, 1), "what it had committed is still counted");
    let batch = store.delete_expired(&which, &page.candidates[40..], &second.fence(0)).await.unwrap();
    assert_eq!(batch.deleted, 60);
}

#[tokio::test]
async fn history_forgets_what_is_old_but_not_the_last_success() {
    let db = TestDb::new().await;
    let store = store(&db);
    for outcome in [Outcome::Succeeded, Outcome::Succeeded, Outcome::Failed] {
        let lease = won(&store, &claim("first")).await;
        store.finish(&lease, &Finish { outcome, ..succeeded() }).await.unwrap();
    }
    sqlx::query("UPDATE maintd.runs SET finished_at = finished_at - interval '91 days'")
        .execute(db.pool())
        .await
        .unwrap();
    assert_eq!(store.forget(Duration::from_secs(90 * 86_400)).await.unwrap(), 2);
    let kept = store.history(None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].outcome, Some(Outcome::Succeeded));
}
