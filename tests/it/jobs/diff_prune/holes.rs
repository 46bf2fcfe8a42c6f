//! What others see while it goes on.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use actingweb_maintd::jobs::diff_prune;
use actingweb_maintd::model::setting::Bounded;
use futures_util::future::join3;

use super::scene::{Scene, keeping};

/// One reads without end, one goes on publishing, and the job prunes again and again what has been
/// confirmed: whoever reads has all numbers from some one on.
pub(super) async fn no_reader_ever_sees_a_hole(scene: &Scene) {
    const FIRST: i64 = 300;
    /// The last at the earliest: it goes on until it has been watched.
    const LAST: i64 = 400;
    scene.history("a", "b", "s", FIRST).await;
    scene.mirror("a", "b", "s", FIRST).await;
    let settings = diff_prune::Settings { batch_size: Bounded::new(9), ..keeping(3) };
    let (published, watched) = (AtomicI64::new(FIRST), AtomicUsize::new(0));
    let (is_published, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let publishing = async {
        for number in FIRST + 1.. {
            if number > LAST && watched.load(Ordering::SeqCst) > 1 {
                break;
            }
            scene.publish("a", "s", [number]).await;
            published.store(number, Ordering::SeqCst);
            scene.mirror("a", "b", "s", number - 1).await;
        }
        is_published.store(true, Ordering::SeqCst);
    };
    let pruning = async {
        let mut runs = 0;
        while !is_published.load(Ordering::SeqCst) || runs < 3 {
            scene.prune(&settings).await;
            runs += 1;
        }
        over.store(true, Ordering::SeqCst);
    };
    let watching = async {
        while !over.load(Ordering::SeqCst) {
            let least = published.load(Ordering::SeqCst);
            let first = scene.numbers("a", "s").await.first().copied().unwrap();
            // From the highest on: if one is gone, so must those be that are asked for later.
            let mut stays = 0;
            for number in (first - 5..=least).rev() {
                let is_there = scene.store.diff("a", "s", number).await.unwrap().is_some();
                assert!(!is_there || number == least - stays, "a hole above {number} of {least}");
                stays += i64::from(is_there);
            }
            assert!(stays > 0, "the newest is gone");
            watched.fetch_add(1, Ordering::SeqCst);
        }
    };
    join3(publishing, pruning, watching).await;
    scene.prune(&settings).await;
    let last = published.into_inner();
    assert_eq!(scene.numbers("a", "s").await, (last - 2..=last).collect::<Vec<_>>());
}
