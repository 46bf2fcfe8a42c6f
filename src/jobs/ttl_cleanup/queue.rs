//! Expired rows, read ahead in pages and handed out in batches.

use tokio::sync::Mutex;

use crate::storage::{Candidate, Cursor, Expired, Result, Sweep};

/// Rows in a page. Large, because rows with one and the same TTL are walked again by each page
/// that begins among them; some 100 bytes each.
const PAGE: u32 = 10_000;

/// The rows of one pass, shared by its workers.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    which: &'a Expired,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    read: std::vec::IntoIter<Candidate>,
    /// Where the next page starts; none when there are no more.
    next: Option<Cursor>,
    examined: u64,
}

impl<'a> Queue<'a> {
    pub(super) fn new(which: &'a Expired) -> Self {
        let state = State { read: Vec::new().into_iter(), next: Some(Cursor::default()), examined: 0 };
        Self { which, state: Mutex::new(state) }
    }

    /// The next rows, `limit` at most; none when the pass is at its end. `examined` is told how
    /// many rows each page looked at.
    pub(super) async fn take(&self, limit: u32, store: &dyn Sweep, examined: impl Fn(u64)) -> Result<Vec<Candidate>> {
        let mut state = self.state.lock().await;
        while state.read.len() == 0 {
            let Some(cursor) = state.next.take() else { return Ok(Vec::new()) };
            let page = store.expired(self.which, &cursor, PAGE).await;
            // Put back first: a page that could not be read is not the end.
            let page = page.inspect_err(|_| state.next = Some(cursor))?;
            examined(page.examined);
            state.examined += page.examined;
            state.read = page.candidates.into_iter();
            state.next = page.next;
        }
        Ok(state.read.by_ref().take(limit as usize).collect())
    }

    /// Whether every row was handed out.
    pub(super) async fn is_drained(&self) -> bool {
        let state = self.state.lock().await;
        state.read.len() == 0 && state.next.is_none()
    }

    /// Rows looked at.
    pub(super) async fn examined(&self) -> u64 {
        self.state.lock().await.examined
    }
}
