//! Tests that are repeated with several seeds.

use std::panic::resume_unwind;
use std::thread;

/// Runs `test` with each of `seeds`, all at the same time and each on a thread of its own, because
/// starting and ending processes blocks. What fails, fails with its own words.
pub(crate) fn with_each<F: Future<Output = ()>>(
    seeds: impl IntoIterator<Item = u64>,
    test: impl Fn(u64) -> F + Copy + Send + Sync,
) {
    thread::scope(|scope| {
        let spawn = |seed| {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(test(seed));
            })
        };
        let threads: Vec<_> = seeds.into_iter().map(spawn).collect();
        let panics: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().err()).collect();
        if let Some(panic) = panics.into_iter().next() {
            resume_unwind(panic);
        }
    });
}
