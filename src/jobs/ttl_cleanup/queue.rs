//! Expired rows, read ahead in pages and handed out in batches.

use std::sync::atomic::Ordering;

use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::super::persist::Step;
use super::super::shift::Shift;
use super::{Pass, TABLE};
use crate::storage::{Candidate, Cursor, Expired, Result, Segment, Sweep};

/// Rows in a page. Large, because rows with one and the same TTL are walked again by each page
/// that begins among them; some 100 bytes each.
pub(super) const PAGE: u32 = 10_000;

/// Reads the pages of one pass, one of each segment ahead of the batches, so that these need not wait
/// for it.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    which: &'a Expired,
    pages: Sender<Vec<Candidate>>,
    segments: u32,
    pass: &'a Pass,
}

/// The rows of one pass, shared by its workers.
#[derive(Debug)]
pub(super) struct Queue(Mutex<State>);

#[derive(Debug)]
struct State {
    read: std::vec::IntoIter<Candidate>,
    pages: Receiver<Vec<Candidate>>,
}

/// The two ends of a pass over `which`, whose table is read in so many segments at the same time. What
/// was seen is counted into `pass`.
pub(super) fn pages<'a>(which: &'a Expired, segments: u32, pass: &'a Pass) -> (Reader<'a>, Queue) {
    let (sender, receiver) = mpsc::channel(segments.max(1) as usize);
    let state = State { read: Vec::new().into_iter(), pages: receiver };
    (Reader { which, pages: sender, segments: segments.max(1), pass }, Queue(Mutex::new(state)))
}

impl Reader<'_> {
    /// Reads to the end, or until the queue is closed or the run is asked to stop. Returns whether
    /// it came to the end.
    pub(super) async fn read(self, store: &dyn Sweep, shift: &Shift<'_>) -> Result<bool> {
        let of = self.segments;
        // One that fails ends the others half way: nothing is lost but a connection.
        let ends = try_join_all((0..of).map(|index| self.read_segment(store, shift, Segment { index, of }))).await?;
        Ok(ends.into_iter().all(|end| end))
    }

    async fn read_segment(&self, store: &dyn Sweep, shift: &Shift<'_>, segment: Segment) -> Result<bool> {
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let Ok(place) = self.pages.reserve().await else { return Ok(false) };
            // Reading may be dropped half way: nothing is lost but a connection.
            let page = tokio::select! {
                page = shift.persist(|| store.expired(self.which, segment, &cursor, PAGE)) => page?,
                () = shift.at().stop.wait() => return Ok(false),
            };
            let Step::Done(page) = page else { return Ok(false) };
            shift.has_read(TABLE, page.examined, page.read_units).await;
            self.pass.examined.fetch_add(page.examined, Ordering::Relaxed);
            self.pass.saw(&page.ends);
            // A place that was reserved stays good when the queue is closed; but nobody looks there
            // any more.
            if self.pages.is_closed() {
                return Ok(false);
            }
            place.send(page.candidates);
            next = page.next;
        }
        Ok(true)
    }
}

impl Queue {
    /// The next rows, `limit` at most; none when the reader has ended and every row was handed
    /// out.
    pub(super) async fn take(&self, limit: u32) -> Vec<Candidate> {
        let mut state = self.0.lock().await;
        while state.read.len() == 0 {
            let Some(page) = state.pages.recv().await else { break };
            state.read = page.into_iter();
        }
        state.read.by_ref().take(limit as usize).collect()
    }

    /// Ends the reader. Returns whether every row that it has read was handed out.
    pub(super) async fn close(&self) -> bool {
        let mut state = self.0.lock().await;
        state.pages.close();
        state.read.len() == 0 && state.pages.try_recv().is_err()
    }
}
