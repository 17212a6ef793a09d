//! Loops that run as long as their process, kept going in one place.
//!
//! A loop that panics is named in the log, counted by [`panics`], and begun again after a pause.
//! What it held is dropped: a job or a message lapses and is taken again. Threads of the usage
//! store are not begun again: what they share may be half changed, so the store takes nothing in
//! until it is opened anew.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;

/// Time between a panic and the next beginning: after the first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// A loop that ran for so long is taken for sound: its next pause is the first again.
const STEADY: Duration = Duration::from_mins(10);

/// Panics of each loop of this process.
static PANICS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Panics of every loop of this process, by its name; of those that never panicked too.
pub fn panics() -> Vec<(&'static str, u64)> {
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    panics.iter().map(|(name, count)| (*name, *count)).collect()
}

/// Runs a loop until it ends by itself; one that panics begins again, unless `stop` ends first.
pub async fn keep<L: Future<Output = ()>>(
    name: &'static str,
    stop: impl Future<Output = ()>,
    mut begin: impl FnMut() -> L,
) {
    count(name, 0);
    tokio::pin!(stop);
    let mut pause = PAUSES.0;
    loop {
        let begun = Instant::now();
        let run = AssertUnwindSafe(async { begin().await }).catch_unwind();
        let Err(panic) = run.await else {
            return;
        };
        count(name, 1);
        if begun.elapsed() >= STEADY {
            pause = PAUSES.0;
        }
        let what = text(panic.as_ref());
        tracing::error!(
            task = name,
            "the task {name} panicked and begins again in {pause:?}: {what}"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut stop => return,
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

fn count(name: &'static str, more: u64) {
    let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    *panics.entry(name).or_default() += more;
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics_of(name: &str) -> u64 {
        let all = panics();
        let found = all.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, count)| *count)
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_is_counted_and_begins_again_until_it_ends() {
        let mut begun = 0;
        keep("three times", std::future::pending(), || {
            begun += 1;
            let number = begun;
            async move { assert_eq!(number, 3, "a defect") }
        })
        .await;
        assert_eq!((begun, panics_of("three times")), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_pause_and_pauses_are_bounded() {
        let started = tokio::time::Instant::now();
        let stop = tokio::time::sleep(Duration::from_hours(1));
        keep("for ever", stop, || async { panic!("a defect") }).await;
        assert_eq!(started.elapsed(), Duration::from_hours(1));
        // After 0, 1, 3, 7, 15 and 31 seconds, then from 63 on every minute.
        assert_eq!(panics_of("for ever"), 6 + 59);
    }
}
